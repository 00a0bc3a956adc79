"""How candidates of an application's prompt and language model are judged: by the answers that they lead to.

A candidate is put among the other parts as they are: what is released of each, or, before anything is, its newest
candidate.
"""

from typing import TYPE_CHECKING

from mlops_assets import gates
from mlops_assets.composing import Chosen, chosen, composition
from resources.data_version import version_order
from resources.ledger import Candidate
from resources.reports import GateReport
from workloads.artifacts import sha256
from workloads.contract import OnInconclusive
from workloads.generative import Application, Composition

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
        from mlops_assets import composed
        from resources.services import PlatformServices

        return composed.judge(
            self.application,
            self.role,
            self._around(candidate),
            self._around(champion) if champion else None,
            self._questions(candidate),
            PlatformServices(self.application.name, self.doors.settings),
            self.doors.settings.env,
        )

    def rules(self, candidate: Candidate) -> str:
        from mlops_assets import composed

        return composed.rules(self.application, self.role, self._around(candidate), sha256(self._questions(candidate)))

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        leads = gates.leads_to(report, self.application.gates)
        asks = leads == OnInconclusive.RELEASE and self.application.approval == "manual"
        return OnInconclusive.HOLD if asks else leads

    def _around(self, candidate: Candidate) -> Composition:
        others = chosen(self.application, self.doors, without=self.role)
        return composition(self.application, {**others, self.role: Chosen(candidate, None)}, self.doors)

    def _questions(self, candidate: Candidate) -> "Path":
        """The newest version of the questions: they are what it is judged by, not what it was made from."""
        name = self.application.data.name
        versions = [version.version for version in self.doors.ledger.data(name)] or [candidate.data_version]
        return self.doors.registry.files(name, max(versions, key=version_order))[self.application.data.splits[0]]
