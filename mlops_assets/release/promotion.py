"""Promotion: what is released here becomes a candidate in another environment, which decides by its own gate."""

from dataclasses import asdict

from mlops_assets.release.mechanism import CannotRelease
from resources.all import Resources
from resources.ledger import Candidate, Ledger, NewCandidate
from resources.settings import Settings
from resources.tracking import DIGEST, Tracking


def promote(target: str, environment: str, ledger: Ledger, tracking: Tracking) -> Candidate:
    """Copy the released version, with its data's entry and its gate report. No alias is moved there. Idempotent.

    Returns:
        The candidate that it is in the other environment.

    Raises:
        CannotRelease: nothing is released here, or the environment is this one or no environment's name.
    """
    settings = ledger.settings
    try:
        Settings(env=environment)
    except ValueError:
        raise CannotRelease(f"{environment!r} is no environment: one is a lower-case word such as ci or prod") from None
    if environment == settings.env:
        raise CannotRelease(f"{target} is in {environment} already; name another environment")
    release = ledger.current(target)
    if release is None:
        raise CannotRelease(f"nothing of {target} is released in {settings.env}, so there is nothing to promote")
    candidate = ledger.candidates.by_id(release.candidate)
    assert candidate is not None
    report = ledger.report(candidate.id)

    elsewhere = settings.model_copy(update={"env": environment})
    Resources(elsewhere).migrate()
    there = Ledger(elsewhere)
    if data := ledger.data.get(candidate.data_name, candidate.data_version):
        there.data.record(data)
    tags = {
        DIGEST: candidate.digest,
        "data": f"{candidate.data_name}-v{candidate.data_version}",
        "promoted_from": f"{settings.qualified(target)} {release.version}",
    } | ({"verdict_there": report.verdict} if report else {})
    number, _ = tracking.promote(target, candidate.number, environment, tags)
    fields = {field: value for field, value in asdict(candidate).items() if field not in ("id", "created_at")}
    address = Tracking(there.settings).registry.uri(target, number)
    copy = there.candidates.add(NewCandidate(**fields | {"number": number, "model_uri": address}))
    if report and there.report(copy.id) is None:
        there.add_report(copy.id, report)
    return copy
