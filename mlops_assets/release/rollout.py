"""From a release to replicas that answer with it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mlops_assets.lineage.code import serving_code
from mlops_assets.release.composition import NothingReleased, compose
from mlops_assets.release.targets import served, served_targets
from resources.all import Resources
from resources.ledger import Candidate, Release
from resources.serving import RolloutFailed
from workloads.sdk.contract import Declared, Workload
from workloads.sdk.contract.applications import Application

ACKNOWLEDGE_SECONDS = 60.0


@dataclass(frozen=True)
class RolledOut:
    """What an endpoint answers with now; `seconds` is what the rollout took, None where nobody timed it."""

    release: Release
    candidate: Candidate
    plan: int
    replicas: int
    url: str
    model_url: str
    seconds: float | None


class Delivery:
    """Rolls releases out to the endpoints of some declarations."""

    def __init__(self, declared: Iterable[Declared], resources: Resources) -> None:
        self.declared = {one.name: one for one in served(declared)}
        self.resources = resources

    def behind(self, endpoint: str) -> list[Release]:
        """The current releases that an endpoint's plan has not: newest last; none where nothing can be served."""
        ledger = self.resources.ledger
        current = [ledger.current(target) for target in served_targets(self.declared[endpoint]).values()]
        releases = [release for release in current if release]
        plan = self.resources.serving.plan(endpoint)
        if len(releases) < len(current):
            return []
        serving = plan and plan.version.release_id and ledger.release(plan.version.release_id)
        candidate = ledger.candidates.by_id(serving.candidate) if serving else None
        planned = {serving.id, *candidate.parts.values()} if serving and candidate else set()
        return sorted((one for one in releases if one.id not in planned), key=lambda one: one.id)

    def deviation(self, endpoint: str) -> str | None:
        """What replicas answer with instead of what is planned, since that did not load; None where all serve it."""
        plan = self.resources.serving.plan(endpoint)
        fallen = [one for one in self.resources.serving.live(endpoint).values() if one.error and not one.loading]
        if plan is None or not fallen:
            return None
        instead = ", ".join(sorted({one.version or "nothing" for one in fallen}))
        return (
            f"{endpoint} answers with {instead} on {len(fallen)} replica(s), since {plan.version.version} does not "
            f"load there ({fallen[0].error}); mend that, or `mlops rollback {endpoint} --why ...`"
        )

    def roll_out(self, endpoint: str, log: Callable[[str], Any] = lambda text: None) -> RolledOut:
        """Make every live replica answer with the current release, and wait until each has said so.

        Raises:
            NothingReleased: the ledger holds no release of the target.
            resources.serving.RolloutFailed: a replica could not load it; the old version goes on answering.
        """
        start = time.monotonic()
        ledger, serving, declared = self.resources.ledger, self.resources.serving, self.declared[endpoint]
        release = self._release(declared)
        candidate = ledger.candidates.by_id(release.candidate)
        assert candidate is not None
        # The plan first: where the server's code changed, its new replicas must not start with the old version.
        version = serving.version(endpoint, release.id)
        assert version is not None
        number = serving.publish(endpoint, version)
        what = declared.app if isinstance(declared, Application) else declared.predictor
        replicas = declared.replicas or self.resources.settings.replicas
        serving.deploy(declared.package, endpoint, what, code_version=serving_code(declared), replicas=replicas)
        try:
            acks = serving.wait(endpoint, number, ACKNOWLEDGE_SECONDS)
        except RolloutFailed as failure:
            ledger.alerts.add(endpoint, "rollout-failed", f"{endpoint} {release.version}: {failure}")
            raise
        ledger.alerts.resolve(["rollout-failed"], endpoint)
        planned = serving.plan(endpoint)
        if planned and planned.version.release_id and planned.version.release_id > release.id:
            # A newer release was rolled out at the same time: what is served is that one.
            release = ledger.release(planned.version.release_id) or release
            candidate = ledger.candidates.by_id(release.candidate) or candidate
        live = RolledOut(
            release=release,
            candidate=candidate,
            plan=number,
            replicas=len(acks),
            url=serving.address(endpoint),
            model_url=self.resources.tracking.registry.url(endpoint, candidate.number),
            seconds=round(time.monotonic() - start, 3),
        )
        log(
            f"{endpoint} {release.version} is live on {live.replicas} replica(s), plan {number}, after {live.seconds} s"
        )
        return live

    def _release(self, declared: Workload | Application) -> Release:
        """What its endpoint shall serve."""
        if isinstance(declared, Application):
            return compose(declared, self.resources)
        if release := self.resources.ledger.current(declared.name):
            return release
        name = declared.name
        raise NothingReleased(f"nothing of {name} is released yet: train it, or decide with `mlops release {name}`")
