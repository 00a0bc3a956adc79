"""`mlops gate|approve|reject|rollback|release|live|history|promote`: one grammar for everything that is released."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops_assets.commands import release_views as views
from mlops_assets.commands.shared import WIDE, AsJson, add, show
from mlops_assets.release.mechanism import CannotRelease, Outcome
from resources.all import Resources
from resources.ledger import Candidate, Ledger, NoLedger
from resources.serving import Serving
from resources.settings import settings
from workloads.sdk.contract.applications import Application
from workloads.sdk.contract.loading import load

if TYPE_CHECKING:
    from mlops_assets.release.mechanism import Releasing
    from mlops_assets.release.rollout import Delivery

ReleaseTarget = Annotated[
    str, typer.Argument(help="What it is about, for example wine, index/corpus or prompt/rag.", show_default=False)
]
Version = Annotated[int | None, typer.Option("--version", min=1, help="Number of the candidate; default: the newest.")]
Why = Annotated[str, typer.Option("--why", help="Why; kept in the ledger.", show_default=False)]
Waiting = Annotated[int | None, typer.Option("--version", min=1, help="Default: the newest that waits.")]
RollOut = Annotated[bool, typer.Option(help="Also let the endpoint follow, and wait until it does.")]
EXIT = {"pass": 0, "refuse": 1, "inconclusive": 2}
FAILED = 3


def register(app: typer.Typer) -> None:
    """Add the commands to the root application."""
    add(app, gate, release, approve, reject, rollback, live, history, promote, failed=FAILED, panel="Releases")


def gate(target: ReleaseTarget, version: Version = None, as_json: AsJson = False) -> None:
    """Show a candidate's gate report; judge it where no report holds any more.

    The exit code is the verdict: 0 pass, 1 refuse, 2 inconclusive; 3 where it could not be judged.
    """
    _, releasing = _open(target)
    candidate = _candidate(releasing, version)
    report = releasing.report(candidate)
    show(report.model_dump(mode="json"), as_json, lambda: views.report(report, f"{target} {candidate.number}"))
    raise typer.Exit(EXIT[report.verdict])


def release(
    target: ReleaseTarget,
    version: Version = None,
    force: Annotated[bool, typer.Option("--force", help="Release it whatever its gate says. Needs --why.")] = False,
    why: Why = "",
    roll_out: RollOut = True,
    as_json: AsJson = False,
) -> None:
    """Release a candidate if its gate lets it. Exit code 1: it was not released."""
    if force and not why:
        raise typer.BadParameter("say why the gate is overridden; it is kept in the ledger", param_hint="--why")
    delivery, releasing = _open(target)
    candidate = _candidate(releasing, version)
    if force:
        outcome = releasing.override(candidate, views.user(), why)
    else:
        outcome = releasing.consider(candidate, views.user(), why or "asked for by hand", again=True)
    _finish(delivery, releasing, outcome, roll_out, as_json)


def approve(
    target: ReleaseTarget,
    why: Why,
    version: Waiting = None,
    roll_out: RollOut = True,
    as_json: AsJson = False,
) -> None:
    """Release a candidate that waits for a person. Exit code 1: its gate refuses it now."""
    delivery, releasing = _open(target)
    _finish(delivery, releasing, releasing.approve(views.user(), why, version), roll_out, as_json)


def reject(
    target: ReleaseTarget,
    why: Why,
    version: Waiting = None,
    as_json: AsJson = False,
) -> None:
    """Refuse a candidate that waits for a person; what is released stays."""
    delivery, releasing = _open(target)
    _finish(delivery, releasing, releasing.reject(views.user(), why, version), False, as_json)


def rollback(
    target: ReleaseTarget,
    to: Annotated[
        str | None, typer.Option("--to", help="A released version, 1.0.0; default: the previous one.")
    ] = None,
    why: Why = "rolled back by hand",
    roll_out: RollOut = True,
    as_json: AsJson = False,
) -> None:
    """Release what was released before, again. Nothing is trained or judged."""
    delivery, releasing = _open(target)
    _finish(delivery, releasing, releasing.rollback(views.user(), why, to), roll_out, as_json)


def live(
    target: Annotated[
        str | None, typer.Argument(help="What it is about; without it all, in all environments.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What is live now: version, data, since when, by whom and why. Exit code 1: nothing."""
    if target is None:
        everywhere = _everywhere()
        show(everywhere, as_json, lambda: views.everywhere(everywhere), WIDE)
        raise typer.Exit(0 if everywhere else 1)
    ledger = _ledger(target)
    current = ledger.current(target)
    waiting = [each.number for each in ledger.candidates.waiting(target)]
    if current is None:
        nothing = {"thing": target, "version": None, "waiting_for_approval": waiting}
        said = f"nothing of {target} is released yet" + (f"\n{views.waits(target, waiting)}" if waiting else "")
        show(nothing if waiting else None, as_json, lambda: said)
        raise typer.Exit(1)
    candidate = ledger.candidates.by_id(current.candidate)
    assert candidate is not None
    facts = views.facts(current, candidate, ledger.previous(target), ledger.report(current.candidate)) | {
        "aliases_pending": [move.alias for move in ledger.aliases.pending(target)],
        "waiting_for_approval": waiting,
        "replicas": [{"version": one.version, "error": one.error} for one in Serving(settings()).live(target).values()],
    }
    show(facts, as_json, lambda: views.live(facts))


def _everywhere() -> list[dict[str, Any]]:
    """What is released of each target in each environment, and what its endpoint answers with, where it has one."""
    found = []
    for env in Ledger(settings()).environments():
        chosen = settings().model_copy(update={"env": env})
        serving = Serving(chosen)
        for release in Ledger(chosen).all_current():
            replicas = serving.live(release.thing).values()
            found.append({
                "environment": env, "thing": release.thing, "version": release.version, "since": release.created_at,
                "by": release.actor, "why": release.why, "answers": sorted({one.version or "" for one in replicas}),
                "url": serving.address(release.thing) if replicas else None,
            })  # fmt: skip
    return found


def history(target: ReleaseTarget, as_json: AsJson = False) -> None:
    """All that was decided about it, newest first: what was released, refused or rolled back, by whom and why."""
    decided = _ledger(target).history(target)[::-1]
    nothing = f"nothing was decided about {target} yet"
    show(list(map(asdict, decided)), as_json, lambda: views.history(decided) if decided else nothing)


def promote(
    target: ReleaseTarget,
    to: Annotated[str, typer.Option("--to", help="The other environment, for example prod.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Make what is released here a candidate in another environment, with its report. That one decides by itself."""
    from mlops_assets.release.promotion import promote as copy

    _, releasing = _open(target)
    candidate = copy(target, to, releasing.ledger, releasing.tracking)
    facts = {"environment": to, "number": candidate.number, "model_uri": candidate.model_uri}
    show(facts, as_json, lambda: f"{candidate.model_uri} is a candidate in {to}; its own gate decides there")


def _open(target: str) -> "tuple[Delivery, Releasing]":
    """How a target is released, and how what follows it is served."""
    from mlops_assets.gates.evaluators import releasing
    from mlops_assets.release.rollout import Delivery
    from mlops_assets.release.targets import find, targets_of

    declared = load(settings().workloads)
    resources = Resources(settings())
    if found := find(target, declared):
        return Delivery(declared, resources), releasing(found, resources)
    for one in declared:
        if isinstance(one, Application) and one.name == target:
            parts = ", ".join(one.things().values())
            raise CannotRelease(f"{target} is put together of {parts}, and follows them: name one of these")
    raise _unknown(target, [each.name for one in declared for each in targets_of(one)])


def _ledger(target: str) -> Ledger:
    """The ledger, where it knows of the target, or can: another code location's is known once it is made."""
    from mlops_assets.release.targets import served, targets_of

    declared, ledger = load(settings().workloads), Ledger(settings())
    names = dict.fromkeys(each.name for one in declared for each in [*targets_of(one), *served([one])])
    if target not in names:
        with suppress(NoLedger):
            if ledger.candidates.newest(target) is not None:
                return ledger
        raise _unknown(target, names)
    return ledger


def _unknown(target: str, known: Iterable[str]) -> CannotRelease:
    where, names = settings().workloads, ", ".join(known)
    return CannotRelease(f"there is no {target!r} in {where}, only {names}; MLOPS_WORKLOADS names another folder")


def _candidate(releasing: "Releasing", number: int | None) -> Candidate:
    found = releasing.ledger.candidates.of(releasing.target)
    if not found:
        raise CannotRelease(f"{releasing.target} has no candidate yet: a data tag makes one (`mlops data list`)")
    if wanted := [candidate for candidate in found if number in (None, candidate.number)]:
        return wanted[-1]
    numbers = ", ".join(str(candidate.number) for candidate in found[-10:])
    raise CannotRelease(f"{releasing.target} has no candidate {number}; the newest are {numbers}")


def _finish(delivery: "Delivery", releasing: "Releasing", outcome: Outcome, roll_out: bool, as_json: bool) -> None:
    """Let endpoints that are behind follow, say what came of it, exit with 1 where nothing was released."""
    from mlops_assets.release.targets import served_targets

    following = [name for name, one in delivery.declared.items() if releasing.target in served_targets(one).values()]
    wanted = following if roll_out and outcome.release else []
    switched = [delivery.roll_out(name) for name in wanted if delivery.behind(name)]
    endpoint = {name: getattr(switched[0], name) for name in ("url", "plan", "seconds")} if switched else None
    facts = {
        "result": outcome.result,
        "why": outcome.why,
        "version": outcome.release.version if outcome.release else None,
        "release": outcome.release.id if outcome.release else None,
        "number": outcome.release.number if outcome.release else None,
        "verdict": outcome.report.verdict if outcome.report else None,
        "endpoint": endpoint,
    }
    show(facts, as_json, lambda: views.outcome(releasing.target, outcome, endpoint))
    if outcome.result in ("held", "refused"):
        raise typer.Exit(1)
