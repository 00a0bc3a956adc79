"""From a release to replicas that answer with it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_assets.code import serving_code
from resources.doors import Doors
from resources.ledger import Candidate, Release
from resources.serving import RolloutFailed
from workloads.contract import Workload

ACKNOWLEDGE_SECONDS = 60.0


class NothingReleased(Exception):
    """There is no release to serve; the message says what to do."""


@dataclass(frozen=True)
class Live:
    """What an endpoint answers with now; `seconds` is what the rollout took."""

    release: Release
    candidate: Candidate
    plan: int
    replicas: int
    url: str
    model_url: str
    seconds: float


class Delivery:
    """Rolls releases out to the endpoints of some workloads."""

    def __init__(self, workloads: Mapping[str, Workload], doors: Doors) -> None:
        self.workloads = workloads
        self.doors = doors

    def behind(self, thing: str) -> Release | None:
        """The current release, where the endpoint's plan is another; None where they agree or nothing is released."""
        release = self.doors.ledger.current(thing)
        if release is None:
            return None
        plan = self.doors.serving.plan(thing)
        return release if plan is None or plan.version.release_id != release.id else None

    def roll_out(self, thing: str, log: Callable[[str], Any] = lambda text: None) -> Live:
        """Make every live replica answer with the current release, and wait until each has said so.

        Raises:
            NothingReleased: the ledger holds no release of the thing.
            resources.serving.RolloutFailed: a replica could not load it; the old version goes on answering.
        """
        ledger, serving = self.doors.ledger, self.doors.serving
        release = ledger.current(thing)
        if release is None:
            raise NothingReleased(
                f"nothing of {thing} is released yet: train it, or decide with `mlops release {thing}`"
            )
        candidate = ledger.candidate_by_id(release.candidate)
        assert candidate is not None
        start = time.monotonic()
        workload = self.workloads[thing]
        offer(thing, self.doors)
        # The plan first: where the server's code changed, its new replicas must not start with the old version.
        number = serving.publish(thing, [plan_entry(candidate, release)])
        serving.deploy(workload.package, thing, workload.predictor, code_version=serving_code(workload))
        try:
            acks = serving.wait(thing, number, ACKNOWLEDGE_SECONDS)
        except RolloutFailed as failure:
            ledger.alert(thing, "rollout-failed", f"{thing} {release.version}: {failure}")
            raise
        live = Live(
            release=release,
            candidate=candidate,
            plan=number,
            replicas=len(acks),
            url=serving.address(thing),
            model_url=self.doors.tracking.version_url(thing, candidate.number),
            seconds=round(time.monotonic() - start, 3),
        )
        log(f"{thing} {release.version} is live on {live.replicas} replica(s), plan {number}, after {live.seconds} s")
        return live


def offer(thing: str, doors: Doors) -> None:
    """Let callers ask the endpoint for any version that the ledger knows. Idempotent: what is missing is added."""
    released = {release.candidate: release for release in doors.ledger.releases(thing)}  # the last one of each
    candidates = doors.ledger.candidates(thing)
    doors.serving.offer(thing, [plan_entry(candidate, released.get(candidate.id)) for candidate in candidates])


def plan_entry(candidate: Candidate, release: Release | None) -> dict[str, Any]:
    """A version as a plan's entry: all that a replica needs to load it, and to say where it came from."""
    return {
        "release_id": release.id if release else None,
        "version": release.version if release else str(candidate.number),
        "number": candidate.number,
        "variant": candidate.variant,
        "digest": candidate.digest,
        "artifacts_uri": candidate.artifacts_uri,
        "model_uri": candidate.model_uri,
        "run_id": candidate.run_id,
        "data_version": candidate.data_version,
        "data_digest": candidate.data_digest,
        "code_version": candidate.code_version,
        "trained_at": candidate.created_at.isoformat(),
        "share": 1.0,
    }
