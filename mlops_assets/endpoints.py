"""`endpoints/<workload>`: what is released, served. Materializing it rolls it out with no failed request."""

from datetime import timedelta

import dagster as dg

from mlops_assets.code import serving_code
from mlops_assets.delivery import Delivery
from mlops_assets.plainly import plainly
from workloads.contract import Workload


def endpoint_key(workload: str) -> dg.AssetKey:
    return dg.AssetKey(["endpoints", workload])


def endpoint(workload: Workload) -> dg.AssetsDefinition:
    """The live endpoint; fresh for as long as its release returns the same digest and the server's code is the same."""

    @dg.asset(
        key=endpoint_key(workload.name),
        group_name=workload.name,
        description=f"{workload.description} Served over HTTP.",
        deps=[dg.AssetKey(["releases", workload.name])],
        kinds={"endpoint", "ray"},
        owners=list(workload.owners),
        code_version=serving_code(workload),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=workload.retrain_after_hours)),
    )
    @plainly
    def roll_out(context: dg.AssetExecutionContext, delivery: dg.ResourceParam[Delivery]) -> dg.MaterializeResult:
        live = delivery.roll_out(workload.name, context.log.info)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(live.candidate.digest),
            metadata={
                "version": live.release.version,
                "release": live.release.id,
                "partition": live.candidate.data_version,
                "plan": live.plan,
                "replicas": live.replicas,
                "url": dg.MetadataValue.url(live.url),
                "docs": dg.MetadataValue.url(f"{live.url}/docs"),
                "model": dg.MetadataValue.url(live.model_url),
                "switched in (s)": live.seconds,
            },
        )

    return roll_out
