"""`releases/<workload>`: which candidate is current, decided by the gates or by a person, and written in the ledger.

By itself only the newest data version's newest candidate is considered: retraining an old tag releases nothing, and a
backfill over all tags releases at most one.
"""

from collections.abc import Iterator
from typing import Literal

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


class Answer(dg.Config):
    """A person's answer to a candidate that waits for one."""

    decision: Literal["approve", "reject"] = Field("approve", description="Release it, or refuse it for good.")
    why: str = Field(min_length=1, description="Why; kept in the ledger.")
    who: str = Field(min_length=1, description="Who decides; kept in the ledger.")
    number: int | None = Field(None, ge=1, description="Number of the candidate; the newest that waits, if empty.")


class ReleaseConfig(dg.Config):
    """What a person asks for; left empty, the newest data version's newest candidate is considered."""

    adopt: int | None = Field(None, ge=1, description="Number of the version that @champion was moved to by hand.")
    answer: Answer | None = Field(None, description="An answer to a candidate that waits for approval.")


def adopt_config(workload: str, number: int) -> dict:
    """Run configuration that enters a hand-moved alias as that person's decision."""
    return {"ops": {f"releases__{workload}": {"config": {"adopt": number}}}}


def answering(workload: str) -> dg.ConfigMapping:
    """The launchpad of a job that answers: the fields of `Answer`, handed on to the release."""

    @dg.config_mapping
    def answer(config: Answer) -> dict:
        return {"ops": {f"releases__{workload}": {"config": {"answer": config.model_dump(exclude_none=True)}}}}

    return answer


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
        candidate, outcome = _candidate(context.instance, workload, ledger), None
        if config.adopt is not None:
            outcome = mechanism.adopt(config.adopt)
        elif answer := config.answer:
            decide_so = mechanism.approve if answer.decision == "approve" else mechanism.reject
            outcome = decide_so(answer.who, answer.why, answer.number)
        elif candidate:
            outcome = mechanism.consider(candidate, "dagster", "the newest candidate of the newest data version")
        current = ledger.current(workload.name)
        if outcome:
            context.log.info(f"{outcome.result}: {outcome.why}")
        if waiting := [each.number for each in mechanism.held()]:
            context.log.warning(
                f"version {', '.join(map(str, waiting))} waits: `mlops approve {workload.name} --why ...`, or the job "
                f"{workload.name}_approve"
            )
        if current:  # also after a refusal: that is decided too, and leaves what is released as it was
            address = delivery.doors.tracking.version_url(workload.name, current.number)
            context.log_event(aliases_seen(workload.name, delivery.doors.tracking.aliases(workload.name)))
            yield dg.MaterializeResult(
                data_version=dg.DataVersion(current.digest), metadata=describe(current, outcome, waiting, address)
            )
        # A hand-moved alias was put back, and a run about an older data version is not to blame for the newest one.
        about = context.run.tags.get("dagster/partition", newest(context.instance, workload.name))
        considered = config.adopt is None and candidate is not None and about == candidate.data_version
        if outcome and outcome.result == "refused" and (considered or config.answer):
            raise dg.Failure(f"{workload.name}: {outcome.why}. What was released before stays released.")
        if current is None:
            context.log.warning(f"nothing of {workload.name} is released, so no endpoint is rolled out")

    return decide


def describe(current: Release, outcome: Outcome | None, waiting: list[int], address: str) -> dict:
    """Metadata of what is released: since when, by whom and why, what changed, and what came of this run.

    `waiting` are the numbers of candidates that wait for a person; `address` is the release's page in MLflow.
    """
    return {
        "version": current.version,
        "release": current.id,
        "outcome": outcome.result if outcome else "unchanged",
        **({"because": outcome.why} if outcome and outcome.why else {}),
        **({"waiting for approval": ", ".join(map(str, waiting))} if waiting else {}),
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
