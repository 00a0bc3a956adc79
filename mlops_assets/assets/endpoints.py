"""`<name>/endpoints`: what is released, served. Materializing it rolls it out with no failed request.

A workload's endpoint follows its model; an application's follows its index, its prompt and its language model.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from mlops_assets.assets.errors import clean_errors
from mlops_assets.lineage.code import serving_code
from mlops_assets.release.composition import NothingReleased
from mlops_assets.release.rollout import Delivery, RolledOut
from mlops_assets.release.targets import released_key, served_targets, stage_key
from workloads.sdk.contract import Workload
from workloads.sdk.contract.applications import Application

FRESH_HOURS = 24 * 30  # how old what an application serves may be


def endpoint_key(name: str) -> dg.AssetKey:
    return stage_key(name, "endpoints")


def endpoint(declared: Workload | Application) -> dg.AssetsDefinition:
    """The live endpoint; fresh for as long as its release returns the same digest and the server's code is the same."""

    hours = declared.retrain_after_hours if isinstance(declared, Workload) else FRESH_HOURS

    @dg.asset(
        key=endpoint_key(declared.name),
        group_name=declared.name,
        description=f"{declared.description} Served over HTTP.",
        deps=[released_key(target) for target in served_targets(declared).values()],
        kinds={"endpoint", "ray"},
        owners=list(declared.owners),
        code_version=serving_code(declared),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours)),
        output_required=False,
    )
    @clean_errors
    def roll_out(
        context: dg.AssetExecutionContext, delivery: dg.ResourceParam[Delivery]
    ) -> Iterator[dg.MaterializeResult]:
        try:
            live = delivery.roll_out(declared.name, context.log.info)
        except NothingReleased as nothing:
            if isinstance(declared, Workload):
                raise
            context.log.warning(f"{nothing}. It is rolled out as soon as all are.")  # an index is the first of them
            return
        yield dg.MaterializeResult(data_version=dg.DataVersion(live.candidate.digest), metadata=served_facts(live))

    return roll_out


def served_facts(live: RolledOut) -> dict[str, Any]:
    """Metadata of what an endpoint serves."""
    return {
        "version": live.release.version,
        "release": live.release.id,
        "by": live.release.actor,
        "why": live.release.why,
        "partition": live.candidate.data_version,
        **(live.candidate.parameters if live.candidate.parts else {}),
        "plan": live.plan,
        "replicas": live.replicas,
        "url": dg.MetadataValue.url(live.url),
        "docs": dg.MetadataValue.url(f"{live.url}/docs"),
        "model": dg.MetadataValue.url(live.model_url),
        **({"switched in (s)": live.seconds} if live.seconds is not None else {}),
    }
