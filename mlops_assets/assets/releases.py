"""`<target>/releases`: which candidate is current, decided by the gates or by a person, and written in the ledger.

By itself only the newest data version's newest candidate is considered: retraining an old tag releases nothing, and a
backfill over all tags releases at most one. A target without data versions of its own (a prompt) has its newest one.
"""

from collections.abc import Iterator
from typing import Literal

import dagster as dg
from pydantic import Field

from mlops_assets.assets.errors import clean_errors
from mlops_assets.assets.launchpad import LaunchpadConfig
from mlops_assets.assets.partitions import newest
from mlops_assets.gates.evaluators import releasing
from mlops_assets.release.mechanism import Outcome
from mlops_assets.release.rollout import Delivery
from mlops_assets.release.targets import ReleaseTarget
from resources.ledger import Release
from resources.ledger.reports import GateReport


class Answer(LaunchpadConfig):
    """A person's answer to a candidate that waits for one."""

    decision: Literal["approve", "reject"] = Field("approve", description="Release it, or refuse it for good.")
    why: str = Field(min_length=1, description="Why; kept in the ledger.")
    who: str = Field(min_length=1, description="Who decides; kept in the ledger.")
    number: int | None = Field(None, ge=1, description="Number of the candidate; the newest that waits, if empty.")


class RollBack(LaunchpadConfig):
    """What a person goes back to."""

    to: str | None = Field(None, description="A released version, such as 1.0.0; the one before, if empty.")
    why: str = Field(min_length=1, description="Why; kept in the ledger.")
    who: str = Field(min_length=1, description="Who decides; kept in the ledger.")


class ReleaseConfig(LaunchpadConfig):
    """What a person asks for; left empty, the newest data version's newest candidate is considered."""

    adopt: int | None = Field(None, ge=1, description="Number of the version that @champion was moved to by hand.")
    answer: Answer | None = Field(None, description="An answer to a candidate that waits for approval.")
    rollback: RollBack | None = Field(None, description="Release again what was released before.")


def adopt_config(target: ReleaseTarget, number: int) -> dict:
    """Run configuration that enters a hand-moved alias as that person's decision."""
    return {"ops": {_op(target): {"config": {"adopt": number}}}}


def answering(target: ReleaseTarget) -> dg.ConfigMapping:
    """The launchpad of a job that answers: the fields of `Answer`, handed on to the release."""

    @dg.config_mapping
    def answer(config: Answer) -> dict:
        return {"ops": {_op(target): {"config": {"answer": config.model_dump(exclude_none=True)}}}}

    return answer


def going_back(target: ReleaseTarget) -> dg.ConfigMapping:
    """The launchpad of a job that goes back: the fields of `RollBack`, handed on to the release."""

    @dg.config_mapping
    def back(config: RollBack) -> dict:
        return {"ops": {_op(target): {"config": {"rollback": config.model_dump(exclude_none=True)}}}}

    return back


def _op(target: ReleaseTarget) -> str:
    return "__".join(target.released.path)


def aliases_of(target: ReleaseTarget) -> dg.AssetSpec:
    """The registry's aliases, which people may move outside Dagster; the registry sensor reports each move."""
    return dg.AssetSpec(
        key=target.aliases,
        group_name=target.declared.name,
        description="`@candidate`, `@champion` and `@previous` in MLflow: a projection of the ledger.",
        deps=[target.released],
        kinds={"aliases", "mlflow"},
        owners=list(target.declared.owners),
    )


def aliases_seen(target: ReleaseTarget, aliases: dict[str, int]) -> dg.AssetMaterialization:
    """What is reported when a decision has been projected: the version of each alias."""
    return dg.AssetMaterialization(target.aliases, metadata={f"@{name}": aliases[name] for name in aliases})


def release(target: ReleaseTarget) -> dg.AssetsDefinition:
    """The asset of what is released; its data version is the released digest: a refused candidate changes nothing."""
    newest_made = dg.AssetDep(target.made, partition_mapping=dg.LastPartitionMapping() if target.partitioned else None)

    @dg.asset(
        key=target.released,
        group_name=target.declared.name,
        description=f"Which version of {target.name} is released, and why, as `mlops live {target.name}` says.",
        deps=[newest_made],
        kinds={"release", "postgres", "mlflow"},
        owners=list(target.declared.owners),
        output_required=False,
    )
    @clean_errors
    def decide(
        context: dg.AssetExecutionContext, config: ReleaseConfig, delivery: dg.ResourceParam[Delivery]
    ) -> Iterator[dg.MaterializeResult]:
        ledger, tracking = delivery.resources.ledger, delivery.resources.tracking
        mechanism = releasing(target, delivery.resources)
        about = newest(context.instance, target.declared.name, ledger) if target.partitioned else None
        of_version = {"data_version": about} if target.partitioned else {}
        candidate, outcome = ledger.candidates.newest(target.name, **of_version), None
        if config.adopt is not None:
            outcome = mechanism.adopt(config.adopt)
        elif answer := config.answer:
            decide_so = mechanism.approve if answer.decision == "approve" else mechanism.reject
            outcome = decide_so(answer.who, answer.why, answer.number)
        elif back := config.rollback:
            outcome = mechanism.rollback(back.who, back.why, back.to)
        elif candidate:
            of = " of the newest data version" if target.partitioned else ""
            outcome = mechanism.consider(candidate, "dagster", f"the newest candidate{of}")
        current = ledger.current(target.name)
        if outcome:
            context.log.info(f"{outcome.result}: {outcome.why}")
        if waiting := [each.number for each in mechanism.held()]:
            context.log.warning(
                f"version {', '.join(map(str, waiting))} waits: `mlops approve {target.name} --why ...`, or the job "
                f"{target.word}_approve"
            )
        if current:  # also after a refusal: that is decided too, and leaves what is released as it was
            address = tracking.registry.url(target.name, current.number)
            context.log_event(aliases_seen(target, tracking.registry.aliases(target.name)))
            yield dg.MaterializeResult(
                data_version=dg.DataVersion(current.digest), metadata=describe(current, outcome, waiting, address)
            )
        # A hand-moved alias was put back, and a run about an older data version is not to blame for the newest one.
        of_run = context.run.tags.get("dagster/partition", about) if target.partitioned else None
        considered = config.adopt is None and candidate is not None and (not about or of_run == candidate.data_version)
        if outcome and outcome.result == "refused" and (considered or config.answer):
            raise dg.Failure(f"{target.name}: {outcome.why}. What was released before stays released.")
        if current is None:
            context.log.warning(f"nothing of {target.name} is released, so no endpoint is rolled out")

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
        **({"gate report": _table(outcome.report)} if outcome and outcome.report else {}),
        "why": current.why,
        "by": current.actor,
        "since": dg.MetadataValue.timestamp(current.created_at),
        "changes": dg.MetadataValue.md("\n".join(f"- {change}" for change in current.changes)),
        "registered version": dg.MetadataValue.url(address),
    }


def _table(report: GateReport) -> dg.MarkdownMetadataValue:
    """A gate report as a person reads it who decides."""
    rows = [f"| {check.name} | {check.verdict} | {check.text.replace('|', chr(92) + '|')} |" for check in report.checks]
    head = f"**{report.verdict}**, {report.n} test rows\n\n| check | verdict | what was found |\n| --- | --- | --- |\n"
    return dg.MetadataValue.md(head + "\n".join(rows))
