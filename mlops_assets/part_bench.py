"""How candidates of an application's prompt and language model are judged: by the answers that they lead to.

A candidate is put among the other parts as they are: what is released of each, or, before anything is, its newest
candidate.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_assets import gates
from mlops_assets.composing import Chosen, chosen, composition
from mlops_assets.outcomes import CannotRelease
from resources.data_version import DataVersion, version_order
from resources.ledger import Candidate
from resources.reports import GateReport
from workloads.artifacts import digest_of, sha256
from workloads.contract import OnInconclusive
from workloads.generative import Application, Composition, Part

if TYPE_CHECKING:
    from pathlib import Path

    from resources.doors import Doors


class PartBench:
    """The bench of one role in an application, `prompt` or `language_model`."""

    def __init__(self, application: Application, role: str, doors: "Doors") -> None:
        self.application = application
        self.role = role
        self.doors = doors

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        """Judge on the questions, which candidate and champion answer now.

        Raises:
            mlops_assets.composing.NothingReleased: another part is not there yet.
            mlops_assets.composed.CannotJudge: answers failed, so there are no figures.
        """
        return self._judge(self._around(candidate), champion)

    def try_out(self, content: Mapping[str, Any]) -> GateReport:
        """Judge content that is no candidate, against what is released; nothing is written down.

        Raises: as `judge`.
        """
        thing = self.application.things()[self.role]
        others = chosen(self.application, self.doors, without=self.role)
        part = Part(thing, None, "dry run", 0, digest_of(dict(content)), data="", content=content)
        release = self.doors.ledger.current(thing)
        champion = self.doors.ledger.candidate_by_id(release.candidate) if release else None
        return self._judge(composition(self.application, others, self.doors, {self.role: part}), champion)

    def _judge(self, candidate: Composition, champion: Candidate | None) -> GateReport:
        from mlops_assets import composed
        from resources.services import PlatformServices

        return composed.judge(
            self.application,
            self.role,
            candidate,
            self._around(champion) if champion else None,
            self._questions(),
            PlatformServices(self.application.name, self.doors.settings),
            self.doors.settings.env,
        )

    def rules(self, candidate: Candidate) -> str:
        from mlops_assets import composed

        return composed.rules(self.application, self.role, self._around(candidate), sha256(self._questions()))

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        return gates.leads_to(report, self.application.gates, self.application.approval)

    def _around(self, candidate: Candidate) -> Composition:
        others = chosen(self.application, self.doors, without=self.role)
        return composition(self.application, {**others, self.role: Chosen(candidate, None)}, self.doors)

    def _questions(self) -> "Path":
        """The newest version of the questions: they are what it is judged by, not what it was made from."""
        version = questions(self.application, self.doors)
        return self.doors.registry.files(version.name, version.version)[self.application.data.splits[0]]


def questions(application: Application, doors: "Doors") -> DataVersion:
    """The newest version of the questions that the ledger knows. Raises CannotRelease where there is none."""
    versions = doors.ledger.data(application.data.name)
    if not versions:
        raise CannotRelease(
            f"{application.name} has no questions to be judged by: `mlops data release {application.data.name}`, and "
            "where no sensor runs `mlops data sync`"
        )
    return max(versions, key=lambda each: version_order(each.version))
