"""Data tags as partitions: a dataset's tag `wine-v1.2.0` is the partition `1.2.0` of everything made from it."""

import dagster as dg

from workloads.contract import Workload


def partitions_name(workload: str) -> str:
    """Name of the dynamic partitions of a workload, in Dagster's storage."""
    return f"{workload}_data"


def partitions_of(workload: Workload) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=partitions_name(workload.name))


def newest(instance: dg.DagsterInstance, workload: str) -> str | None:
    """The data version that was registered last: the only one whose model may be released by itself."""
    keys = instance.get_dynamic_partitions(partitions_name(workload))
    return keys[-1] if keys else None
