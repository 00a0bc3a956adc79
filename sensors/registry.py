"""What a person, or a crash, left different: aliases in MLflow, the ledger, and the endpoints' plans."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from jobs.pipelines import pipeline_name, release_name, rollout_name
from mlops_assets.assets.components import unjudged
from mlops_assets.assets.endpoints import endpoint_key
from mlops_assets.assets.orphans import reap
from mlops_assets.assets.releases import adopt_config
from mlops_assets.assets.reported import release_now, served_now, shown
from mlops_assets.gates.evaluators import releasing
from mlops_assets.release.mechanism import Repair
from mlops_assets.release.projection import Projection
from mlops_assets.release.rollout import Delivery
from mlops_assets.release.targets import ReleaseTarget, served, targets_of
from resources.ledger import Ledger
from resources.settings import Settings
from sensors.outcomes import outcomes
from workloads.sdk.contract import Declared, Workload
from workloads.sdk.contract.applications import Application

RETRY_SECONDS = 600  # a run that failed is asked for again after that, for as long as there is something to do
FOLLOWS_SECONDS = 20  # within which whoever releases rolls out by himself
Found = dg.RunRequest | dg.AssetMaterialization


def registry(declared: Sequence[Declared], jobs: Sequence, settings: Settings) -> dg.SensorDefinition:
    """Acts only where alias, ledger and plan differ.

    A prompt that was registered, or a language model that was configured, becomes a run that judges it. Alias moves
    that a crash left undone are done. An alias that somebody moved by hand becomes a run that enters it as that
    person's decision, judged by the same gate. A plan that is not what is released becomes a rollout. The run of the
    newest data version is alerted where it failed, and asked for again where a service was away for too long.

    What fails for one of them is logged and does not hold up the others. Where nothing else is to be done, the tick
    fails by it. Only where aliases differ is a lock taken, and MLflow asked again.
    """

    @dg.sensor(
        name="registry",
        description="Repairs what a crash left undone; judges what a person moved in MLflow.",
        jobs=list(jobs),
        minimum_interval_seconds=settings.registry_seconds,
        default_status=dg.DefaultSensorStatus.STOPPED if settings.external else dg.DefaultSensorStatus.RUNNING,
    )
    def sense(
        context: dg.SensorEvaluationContext,
        ledger: dg.ResourceParam[Ledger],
        delivery: dg.ResourceParam[Delivery],
    ) -> dg.SensorResult | dg.SkipReason:
        resources = delivery.resources
        running = resources.tracking.runs.running()
        unsettled = ledger.aliases.unsettled(resources.tracking.registry.all_aliases())
        ledger.alerts.resolve(["alias", "version-gone", "refuse"], but=unsettled)
        attempt = int(time.time() // RETRY_SECONDS)
        keys = [target.released for one in declared for target in targets_of(one)]
        reported = shown(context.instance, [*keys, *(endpoint_key(one.name) for one in served(declared))])

        def reaped(one: Declared) -> Iterator[Found]:
            for remaining in reap(one, running.get(one.name, {}), resources, context.instance):
                context.log.info(f"{one.name}: {remaining}")
            yield from ()

        def repaired(target: ReleaseTarget) -> Iterator[Found]:
            name = target.name
            done = releasing(target, resources).repair(adopt=False) if name in unsettled else Repair()
            for move in done.moves:
                context.log.info(f"{name}: @{move.alias} was set to version {move.number}")
            for difference in done.differences:
                context.log.warning(f"{name}: {difference}")
                if difference.decides and difference.mlflow is not None:
                    key = f"{name}:adopt:{difference.mlflow}:{ledger.entries(name)}:{attempt}"
                    config = adopt_config(target, difference.mlflow)
                    yield dg.RunRequest(job_name=release_name(target.word), run_key=key, run_config=config)
            if done.moves or done.differences:
                differences = dg.MetadataValue.json([str(each) for each in done.differences])
                found = {"moves": dg.MetadataValue.text(str(len(done.moves))), "differences": differences}
                yield dg.AssetMaterialization(target.aliases, metadata=found)
            yield from release_now(target, reported, delivery)
            if not target.partitioned and (what := unjudged(target, resources)):
                yield dg.RunRequest(job_name=pipeline_name(target.word), run_key=f"{name}:{what}:{attempt}")

        def followed(one: Workload | Application) -> Iterator[Found]:
            if isinstance(one, Application) and one.name in unsettled:
                Projection(one.name, ledger, resources.tracking).restore()
            behind = delivery.behind(one.name)
            ledger.alerts.settle(one.name, "other-version", None if behind else delivery.deviation(one.name))
            if behind and (datetime.now(UTC) - behind[-1].created_at).total_seconds() > FOLLOWS_SECONDS:
                key = f"{one.name}:rollout:{'+'.join(str(release.id) for release in behind)}:{attempt}"
                yield dg.RunRequest(job_name=rollout_name(one.name), run_key=key)
            elif not behind:
                yield from served_now(one.name, reported, delivery)

        looks = [(one.name, reaped(one)) for one in declared]
        looks += [(target.name, repaired(target)) for one in declared for target in targets_of(one)]
        looks += [(one.name, followed(one)) for one in served(declared)]
        looks += [(one.name, outcomes(one, ledger, context.instance)) for one in declared]
        found: list[Found] = []
        failures = []
        for name, look in looks:
            try:
                found += look
            except Exception as error:  # the others go on; the next tick looks at this one again
                context.log.error(f"{name}: {error}", exc_info=True)
                failures.append(error)
        if failures and not found:
            raise failures[0]
        if not found:
            return dg.SkipReason("aliases, ledger and plans agree")
        requests = [each for each in found if isinstance(each, dg.RunRequest)]
        events = [each for each in found if isinstance(each, dg.AssetMaterialization)]
        return dg.SensorResult(run_requests=requests, asset_events=events)

    return sense
