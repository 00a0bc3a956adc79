"""How candidates of an application's prompt and language model are judged: by the answers that they lead to.

A candidate is put among the other parts as they are: what is released of each, or, before anything is, its newest
candidate.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_assets.gates import model as gates
from mlops_assets.release.composition import Chosen, chosen, composition
from mlops_assets.release.outcomes import CannotRelease
from resources.all import Resources
from resources.ledger import Candidate
from resources.ledger.reports import GateReport
from resources.registry.version import DataVersion
from workloads.sdk.artifacts import digest_of, sha256
from workloads.sdk.contract import OnInconclusive
from workloads.sdk.contract.applications import Application, Component, Composition


class ComponentEvaluator:
    """The evaluator of one role in an application, `prompt` or `language_model`."""

    def __init__(self, application: Application, role: str, resources: Resources) -> None:
        self.application = application
        self.role = role
        self.resources = resources

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        """Judge on the questions, which candidate and champion answer now.

        Raises:
            mlops_assets.release.composition.NothingReleased: another part is not there yet.
            mlops_assets.gates.application.CannotJudge: answers failed, so there are no figures.
        """
        return self._judge(self._around(candidate), champion)

    def try_out(self, content: Mapping[str, Any]) -> GateReport:
        """Judge content that is no candidate, against what is released; nothing is written down.

        Raises: as `judge`.
        """
        target = self.application.things()[self.role]
        others = chosen(self.application, self.resources, without=self.role)
        part = Component(target, None, "dry run", 0, digest_of(dict(content)), data="", content=content)
        release = self.resources.ledger.current(target)
        champion = self.resources.ledger.candidates.by_id(release.candidate) if release else None
        return self._judge(composition(self.application, others, self.resources, {self.role: part}), champion)

    def _judge(self, candidate: Composition, champion: Candidate | None) -> GateReport:
        from mlops_assets.gates import application as composed
        from resources.serving.services import PlatformServices

        return composed.judge(
            self.application,
            self.role,
            candidate,
            self._around(champion) if champion else None,
            self._questions(),
            PlatformServices(self.application.name, self.resources.settings),
            self.resources.settings.env,
        )

    def rules(self, candidate: Candidate) -> str:
        from mlops_assets.gates import application as composed

        return composed.rules(self.application, self.role, self._around(candidate), sha256(self._questions()))

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        return gates.leads_to(report, self.application.gates, self.application.approval)

    def _around(self, candidate: Candidate) -> Composition:
        others = chosen(self.application, self.resources, without=self.role)
        return composition(self.application, {**others, self.role: Chosen(candidate, None)}, self.resources)

    def _questions(self) -> Path:
        """The newest version of the questions: they are what it is judged by, not what it was made from."""
        version = questions(self.application, self.resources)
        return self.resources.registry.local(version)[self.application.data.splits[0]]


def questions(application: Application, resources: Resources) -> DataVersion:
    """The newest version of the questions that the ledger knows. Raises CannotRelease where there is none."""
    newest = resources.ledger.data.newest(application.data.name)
    if newest is None:
        raise CannotRelease(
            f"{application.name} has no questions to be judged by: `mlops data release {application.data.name}`, and "
            "where no sensor runs `mlops data sync`"
        )
    return newest
