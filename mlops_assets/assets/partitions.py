"""Data tags as partitions: a dataset's tag `wine-v1.2.0` is the partition `1.2.0` of everything made from it."""

from collections.abc import Sequence
from typing import Any

import click
import dagster as dg

from mlops_assets.gates.data import refused
from resources.ledger import Ledger
from resources.registry.version import VERSION, version_order
from workloads.sdk.contract import Declared


class UnregisteredTag(click.ClickException):
    """A partition was asked for whose tag Dagster does not know; its commands print the sentence alone."""


class DynamicPartitionsDefinition(dg.DynamicPartitionsDefinition):
    """Dagster's own, and of the same name, which it compares; a key that is not registered gets an error that helps.

    Dagster's command line replaces the error that it raises itself by one that speaks of partitions definitions.
    """

    def validate_partition_key(self, partition_key: str, context: Any) -> None:
        """What `dagster asset materialize` asks."""
        with dg.partition_loading_context(new_ctx=context):
            self._check(partition_key)

    def get_partition_keys_in_range(self, partition_key_range: dg.PartitionKeyRange) -> Sequence[str]:
        """What a run asks, whoever launched it."""
        self._check(partition_key_range.start)
        return super().get_partition_keys_in_range(partition_key_range)

    def _check(self, key: str) -> None:
        if not self.has_partition_key(key):
            raise UnregisteredTag(
                f"{key!r} is no registered data version of `{self.name}`: `mlops data list` shows the tags that there "
                "are, and `mlops data sync` registers them with Dagster where no sensor does"
            )


def partitions_name(workload: str) -> str:
    """Name of the dynamic partitions of a workload, in Dagster's storage."""
    return f"{workload}_data"


def partitions_of(workload: Declared) -> dg.DynamicPartitionsDefinition:
    return DynamicPartitionsDefinition(name=partitions_name(workload.name))


def newest(instance: dg.DagsterInstance, workload: str, ledger: Ledger) -> str | None:
    """The highest registered data version that does not fail its gates: only its model may be released by itself."""
    keys = set(instance.get_dynamic_partitions(partitions_name(workload))) - refused(workload, ledger)
    return max(filter(VERSION.fullmatch, keys), key=version_order, default=None)  # people can add any key in the UI
