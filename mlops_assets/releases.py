"""`releases/<workload>`: which candidate is current, decided by the gates or by a person, and written in the ledger.

By itself only the newest data version's newest candidate is considered: retraining an old tag releases nothing, and a
backfill over all tags releases at most one.
"""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from mlops_assets.bench import releasing
from mlops_assets.delivery import Delivery
from mlops_assets.models import model_key
from mlops_assets.partitions import newest
from mlops_assets.plainly import plainly
from mlops_assets.releasing import Outcome
from resources.ledger import Candidate, Ledger, Release
from workloads.contract import Workload


def release_key(workload: str) -> dg.AssetKey:
    return dg.AssetKey(["releases", workload])


def aliases_key(workload: str) -> dg.AssetKey:
    return dg.AssetKey(["aliases", workload])


class ReleaseConfig(dg.Config):
    """What a hand-moved alias asks for; left empty, the newest data version's newest candidate is considered."""

    adopt: int | None = Field(None, ge=1, description="Number of the version that @champion was moved to by hand.")


def adopt_config(workload: str, number: int) -> dict:
    """Run configuration that enters a hand-moved alias as that person's decision."""
    return {"ops": {f"releases__{workload}": {"config": {"adopt": number}}}}


def aliases_of(workload: Workload) -> dg.AssetSpec:
    """The registry's aliases, which people may move outside Dagster; the registry sensor reports each move."""
    return dg.AssetSpec(
        key=aliases_key(workload.name),
        group_name=workload.name,
        description="`@candidate`, `@champion` and `@previous` in MLflow: a projection of the ledger.",
        deps=[release_key(workload.name)],
        kinds={"aliases", "mlflow"},
        owners=list(workload.owners),
    )


def aliases_seen(workload: str, aliases: dict[str, int]) -> dg.AssetMaterialization:
    """What is reported when a decision has been projected: the version of each alias."""
    return dg.AssetMaterialization(aliases_key(workload), metadata={f"@{name}": aliases[name] for name in aliases})


def release(workload: Workload) -> dg.AssetsDefinition:
    """The asset of what is released; its data version is the released digest: a refused candidate changes nothing."""
    newest_model = dg.AssetDep(model_key(workload.name), partition_mapping=dg.LastPartitionMapping())

    @dg.asset(
        key=release_key(workload.name),
        group_name=workload.name,
        description=f"Which version of {workload.name} is released, and why, as `mlops live {workload.name}` says.",
        deps=[newest_model],
        kinds={"release", "postgres", "mlflow"},
        owners=list(workload.owners),
        output_required=False,
    )
    @plainly
    def decide(
        context: dg.AssetExecutionContext, config: ReleaseConfig, delivery: dg.ResourceParam[Delivery]
    ) -> Iterator[dg.MaterializeResult]:
        ledger = delivery.doors.ledger
        mechanism = releasing(workload, delivery.doors)
        outcome = None
        if config.adopt is not None:
            outcome = mechanism.adopt(config.adopt)
        elif candidate := _candidate(context.instance, workload, ledger):
            outcome = mechanism.consider(candidate, "dagster", "the newest candidate of the newest data version")
        current = ledger.current(workload.name)
        if outcome:
            context.log.info(f"{outcome.result}: {outcome.why}")
        if current:  # also after a refusal: that is decided too, and leaves what is released as it was
            address = delivery.doors.tracking.version_url(workload.name, current.number)
            context.log_event(aliases_seen(workload.name, delivery.doors.tracking.aliases(workload.name)))
            yield dg.MaterializeResult(
                data_version=dg.DataVersion(current.digest), metadata=describe(current, outcome, address)
            )
        # A hand-moved alias was put back, and a run about an older data version is not to blame for the newest one.
        about = context.run.tags.get("dagster/partition", newest(context.instance, workload.name))
        if outcome and outcome.result == "refused" and config.adopt is None and about == candidate.data_version:
            raise dg.Failure(f"{workload.name}: {outcome.why}. What was released before stays released.")
        if current is None:
            context.log.warning(f"nothing of {workload.name} is released, so no endpoint is rolled out")

    return decide


def describe(current: Release, outcome: Outcome | None, address: str) -> dict:
    """Metadata of what is released: since when, by whom and why, and what changed; `address` is its page in MLflow."""
    return {
        "version": current.version,
        "release": current.id,
        "outcome": outcome.result if outcome else "unchanged",
        "why": current.why,
        "by": current.actor,
        "since": dg.MetadataValue.timestamp(current.created_at),
        "changes": dg.MetadataValue.md("\n".join(f"- {change}" for change in current.changes)),
        "registered version": dg.MetadataValue.url(address),
    }


def _candidate(instance: dg.DagsterInstance, workload: Workload, ledger: Ledger) -> Candidate | None:
    version = newest(instance, workload.name)
    candidates = ledger.candidates(workload.name, version) if version else []
    return candidates[-1] if candidates else None
