"""`releases/<thing>`: which candidate is current, decided by the gates or by a person, and written in the ledger.

By itself only the newest data version's newest candidate is considered: retraining an old tag releases nothing, and a
backfill over all tags releases at most one. A thing without data versions of its own (a prompt) has its newest one.
"""

from collections.abc import Iterator
from typing import Literal

import dagster as dg
from pydantic import Field

from mlops_assets.bench import releasing
from mlops_assets.delivery import Delivery
from mlops_assets.partitions import newest
from mlops_assets.plainly import plainly
from mlops_assets.releasing import Outcome
from mlops_assets.things import Thing
from resources.ledger import Candidate, Ledger, Release


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


def adopt_config(thing: Thing, number: int) -> dict:
    """Run configuration that enters a hand-moved alias as that person's decision."""
    return {"ops": {_op(thing): {"config": {"adopt": number}}}}


def answering(thing: Thing) -> dg.ConfigMapping:
    """The launchpad of a job that answers: the fields of `Answer`, handed on to the release."""

    @dg.config_mapping
    def answer(config: Answer) -> dict:
        return {"ops": {_op(thing): {"config": {"answer": config.model_dump(exclude_none=True)}}}}

    return answer


def _op(thing: Thing) -> str:
    return "__".join(thing.released.path)


def aliases_of(thing: Thing) -> dg.AssetSpec:
    """The registry's aliases, which people may move outside Dagster; the registry sensor reports each move."""
    return dg.AssetSpec(
        key=thing.aliases,
        group_name=thing.declared.name,
        description="`@candidate`, `@champion` and `@previous` in MLflow: a projection of the ledger.",
        deps=[thing.released],
        kinds={"aliases", "mlflow"},
        owners=list(thing.declared.owners),
    )


def aliases_seen(thing: Thing, aliases: dict[str, int]) -> dg.AssetMaterialization:
    """What is reported when a decision has been projected: the version of each alias."""
    return dg.AssetMaterialization(thing.aliases, metadata={f"@{name}": aliases[name] for name in aliases})


def release(thing: Thing) -> dg.AssetsDefinition:
    """The asset of what is released; its data version is the released digest: a refused candidate changes nothing."""
    newest_made = dg.AssetDep(thing.made, partition_mapping=dg.LastPartitionMapping() if thing.partitioned else None)

    @dg.asset(
        key=thing.released,
        group_name=thing.declared.name,
        description=f"Which version of {thing.name} is released, and why, as `mlops live {thing.name}` says.",
        deps=[newest_made],
        kinds={"release", "postgres", "mlflow"},
        owners=list(thing.declared.owners),
        output_required=False,
    )
    @plainly
    def decide(
        context: dg.AssetExecutionContext, config: ReleaseConfig, delivery: dg.ResourceParam[Delivery]
    ) -> Iterator[dg.MaterializeResult]:
        ledger, tracking = delivery.doors.ledger, delivery.doors.tracking
        mechanism = releasing(thing, delivery.doors)
        about = newest(context.instance, thing.declared.name) if thing.partitioned else None
        candidate, outcome = _candidate(thing, about, ledger), None
        if config.adopt is not None:
            outcome = mechanism.adopt(config.adopt)
        elif answer := config.answer:
            decide_so = mechanism.approve if answer.decision == "approve" else mechanism.reject
            outcome = decide_so(answer.who, answer.why, answer.number)
        elif candidate:
            of = " of the newest data version" if thing.partitioned else ""
            outcome = mechanism.consider(candidate, "dagster", f"the newest candidate{of}")
        current = ledger.current(thing.name)
        if outcome:
            context.log.info(f"{outcome.result}: {outcome.why}")
        if waiting := [each.number for each in mechanism.held()]:
            context.log.warning(
                f"version {', '.join(map(str, waiting))} waits: `mlops approve {thing.name} --why ...`, or the job "
                f"{thing.word}_approve"
            )
        if current:  # also after a refusal: that is decided too, and leaves what is released as it was
            address = tracking.version_url(thing.name, current.number)
            context.log_event(aliases_seen(thing, tracking.aliases(thing.name)))
            yield dg.MaterializeResult(
                data_version=dg.DataVersion(current.digest), metadata=describe(current, outcome, waiting, address)
            )
        # A hand-moved alias was put back, and a run about an older data version is not to blame for the newest one.
        of_run = context.run.tags.get("dagster/partition", about) if thing.partitioned else None
        considered = config.adopt is None and candidate is not None and (not about or of_run == candidate.data_version)
        if outcome and outcome.result == "refused" and (considered or config.answer):
            raise dg.Failure(f"{thing.name}: {outcome.why}. What was released before stays released.")
        if current is None:
            context.log.warning(f"nothing of {thing.name} is released, so no endpoint is rolled out")

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


def _candidate(thing: Thing, version: str | None, ledger: Ledger) -> Candidate | None:
    """The newest candidate, of a data version where the thing has such."""
    candidates = ledger.candidates(thing.name, version) if version or not thing.partitioned else []
    return candidates[-1] if candidates else None
