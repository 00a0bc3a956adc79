"""How a workload's models are judged: by its declared gates, on the test split of the data that they were made from."""

from typing import TYPE_CHECKING

from mlops_assets import gates
from mlops_assets.releasing import Releasing
from resources.ledger import Candidate
from resources.reports import GateReport
from workloads.contract import TEST, OnInconclusive, Workload
from workloads.training import NoServices

if TYPE_CHECKING:
    from resources.doors import Doors


class Bench:
    """The bench of one workload's models."""

    def __init__(self, workload: Workload, doors: "Doors") -> None:
        self.workload = workload
        self.doors = doors

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        """Judge on the candidate's frozen test rows, which it and the champion answer now."""
        test = self.doors.registry.files(candidate.data_name, candidate.data_version)[TEST]
        workload = self.declared(candidate)
        return gates.judge(workload, candidate, champion, test, NoServices(), self.doors.settings)

    def rules(self, candidate: Candidate) -> str:
        return gates.rules(self.declared(candidate))

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        leads = gates.leads_to(report, self.declared(candidate).gates)
        asks = leads == OnInconclusive.RELEASE and self.workload.approval == "manual"
        return OnInconclusive.HOLD if asks else leads

    def declared(self, candidate: Candidate) -> Workload:
        """The workload, with the gates that hold for the source of the candidate's data."""
        versions = self.doors.ledger.data(candidate.data_name)
        source = next((each.source for each in versions if each.version == candidate.data_version), "")
        return self.workload.for_source(source)


def releasing(workload: Workload, doors: "Doors") -> Releasing:
    """The mechanism of release for a workload's models."""
    return Releasing(workload.name, doors.ledger, doors.tracking, Bench(workload, doors))
