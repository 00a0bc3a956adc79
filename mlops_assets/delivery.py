"""From a release to replicas that answer with it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mlops_assets.code import serving_code
from mlops_assets.composing import NothingReleased, composed
from mlops_assets.things import parts_of, served
from resources.doors import Doors
from resources.ledger import Candidate, Release
from resources.serving import RolloutFailed
from workloads.contract import Declared, Workload
from workloads.generative import Application

ACKNOWLEDGE_SECONDS = 60.0


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
    """Rolls releases out to the endpoints of some declarations."""

    def __init__(self, declared: Iterable[Declared], doors: Doors) -> None:
        self.declared = {one.name: one for one in served(declared)}
        self.doors = doors

    def behind(self, endpoint: str) -> list[Release]:
        """The current releases that an endpoint's plan has not: newest last; none where nothing can be served."""
        ledger = self.doors.ledger
        current = [ledger.current(thing) for thing in parts_of(self.declared[endpoint]).values()]
        releases = [release for release in current if release]
        plan = self.doors.serving.plan(endpoint)
        if len(releases) < len(current):
            return []
        serving = plan and plan.version.release_id and ledger.release(plan.version.release_id)
        candidate = ledger.candidate_by_id(serving.candidate) if serving else None
        planned = {serving.id, *candidate.parts.values()} if serving and candidate else set()
        return sorted((one for one in releases if one.id not in planned), key=lambda one: one.id)

    def roll_out(self, endpoint: str, log: Callable[[str], Any] = lambda text: None) -> Live:
        """Make every live replica answer with the current release, and wait until each has said so.

        Raises:
            NothingReleased: the ledger holds no release of the thing.
            resources.serving.RolloutFailed: a replica could not load it; the old version goes on answering.
        """
        start = time.monotonic()
        ledger, serving, declared = self.doors.ledger, self.doors.serving, self.declared[endpoint]
        release = self._release(declared)
        candidate = ledger.candidate_by_id(release.candidate)
        assert candidate is not None
        offer(endpoint, self.doors)
        # The plan first: where the server's code changed, its new replicas must not start with the old version.
        number = serving.publish(endpoint, [plan_entry(candidate, release)])
        what = declared.app if isinstance(declared, Application) else declared.predictor
        serving.deploy(declared.package, endpoint, what, code_version=serving_code(declared))
        try:
            acks = serving.wait(endpoint, number, ACKNOWLEDGE_SECONDS)
        except RolloutFailed as failure:
            ledger.alert(endpoint, "rollout-failed", f"{endpoint} {release.version}: {failure}")
            raise
        live = Live(
            release=release,
            candidate=candidate,
            plan=number,
            replicas=len(acks),
            url=serving.address(endpoint),
            model_url=self.doors.tracking.version_url(endpoint, candidate.number),
            seconds=round(time.monotonic() - start, 3),
        )
        log(
            f"{endpoint} {release.version} is live on {live.replicas} replica(s), plan {number}, after {live.seconds} s"
        )
        return live

    def _release(self, declared: Workload | Application) -> Release:
        """What its endpoint shall serve."""
        if isinstance(declared, Application):
            return composed(declared, self.doors)
        if release := self.doors.ledger.current(declared.name):
            return release
        name = declared.name
        raise NothingReleased(f"nothing of {name} is released yet: train it, or decide with `mlops release {name}`")


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
