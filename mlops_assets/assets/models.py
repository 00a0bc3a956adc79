"""`<workload>/models`: a data version, trained, tracked, registered as a candidate, and judged.

Training runs elsewhere, by `resources.compute`; this asset waits for its result, writes what came of
it into MLflow and the ledger, and lets the gates judge the form that would be served. What happens to it is in
`training.py`.
"""

from datetime import timedelta
from typing import Any

import dagster as dg

from mlops_assets.assets.checks import results, specs
from mlops_assets.assets.errors import clean_errors
from mlops_assets.assets.estimates import Cost, against, estimate
from mlops_assets.assets.launchpad import chosen, launchpad
from mlops_assets.assets.orphans import reap
from mlops_assets.assets.partitions import partitions_of
from mlops_assets.assets.pictures import pictures
from mlops_assets.assets.tasks import POOL
from mlops_assets.assets.training import Trained, Training
from mlops_assets.assets.trials import trials
from mlops_assets.assets.variants import compared
from mlops_assets.lineage.code import training_code
from mlops_assets.release.rollout import Delivery
from mlops_assets.release.targets import model_of, stage_key
from workloads.sdk.contract import TIERS, Workload

EXPECTED = "expected"  # tag of a run: what its training is expected to take


def model(workload: Workload) -> dg.AssetsDefinition:
    """The asset of a workload's trained models, one partition per data version."""
    config_type: Any = launchpad(workload)
    key = model_of(workload).made

    @dg.asset(
        key=key,
        group_name=workload.name,
        description=workload.description,
        partitions_def=partitions_of(workload),
        deps=[stage_key(workload.name, "datasets")],
        kinds={"model", "mlflow", *workload.kinds},
        owners=list(workload.owners),
        code_version=training_code(workload),
        check_specs=specs(workload, key),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=workload.retrain_after_hours)),
        pool=POOL,
    )
    @clean_errors
    def train(
        context: dg.AssetExecutionContext, config: config_type, delivery: dg.ResourceParam[Delivery]
    ) -> dg.MaterializeResult:
        resources = delivery.resources
        running = resources.tracking.runs.running().get(workload.name, {})
        for left in reap(workload, running, resources, context.instance):
            context.log.warning(left)
        data = resources.data(workload.data.name, context.partition_key)
        parameters, tier = chosen(workload, config)
        run = context.run
        training = Training(workload, data, tier, run.run_id, run.root_run_id or run.run_id, resources)
        expected = estimate(workload, tier, data.rows, resources.ledger, list(parameters))
        context.log.info(str(expected))
        context.instance.add_run_tags(run.run_id, {EXPECTED: expected.short})
        judged = training.start(parameters, context.log.info)
        for warning in (f"{one.variant} {why}".strip() for one in judged.variants for why in one.result.warnings):
            context.log.warning(warning)
        took = Cost.of(TIERS[tier], sum(one.candidate.seconds or 0 for one in judged.variants))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(judged.best.candidate.digest),
            metadata={
                "verdict": judged.report.verdict,
                **quality(workload, judged.best),
                **(compared(workload, judged.variants) if workload.variants else {}),
                **against(expected, took),
                **origin(judged.best),
            },
            check_results=results(workload, judged.report, judged.gates.on_inconclusive),
        )

    return train


def quality(workload: Workload, trained: Trained) -> dict:
    """What a person looks for first, and so stands first: figures, trials and pictures of a trained model."""
    result = trained.result
    units = {metric.name: metric.unit for metric in workload.metrics}
    measured = {
        f"{name} ({unit})" if (unit := units.get(name.partition("_")[2], "")) else name: value
        for name, value in result.metrics.items()
    }
    deciding = workload.metric.name
    first = sorted(measured, key=lambda name: deciding not in name)  # stable: the others as they come
    return {
        **{name: measured[name] for name in first},
        **trials(result.trials, f"validation_{deciding}", workload.metric.higher_is_better),
        **pictures(trained.plots),
    }


def origin(trained: Trained) -> dict:
    """What a trained model is, what it was made by, and where to read more."""
    result, candidate = trained.result, trained.candidate
    return {
        "MLflow version": dg.MetadataValue.url(trained.version_url),
        "MLflow run": dg.MetadataValue.url(trained.run_url),
        "parameters": dg.JsonMetadataValue(candidate.parameters),
        "tier": candidate.tier,
        "duration (s)": dg.JsonMetadataValue(result.seconds),
        "registered as": candidate.model_uri,
        "dagster/uri": candidate.artifacts_uri,
        "artifacts (bytes)": sum(file.size for file in result.artifacts.files),
        "commit": f"{candidate.git_commit}{' (with changes)' if candidate.git_dirty else ''}" or "not in Git",
        "digest": candidate.digest,
    }
