"""How an index's candidates are judged: by their tables, asked now."""

from typing import TYPE_CHECKING

from mlops_assets import gates
from resources.ledger import Candidate
from resources.reports import GateReport
from workloads.contract import OnInconclusive
from workloads.generative import Index

if TYPE_CHECKING:
    from resources.doors import Doors


class IndexBench:
    """The bench of one index."""

    def __init__(self, index: Index, doors: "Doors") -> None:
        self.index = index
        self.doors = doors

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        from mlops_assets import index_gates

        return index_gates.judge(self.index, candidate, champion, self.doors.settings)

    def rules(self, candidate: Candidate) -> str:
        from mlops_assets import index_gates

        return index_gates.rules(self.index)

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        return gates.leads_to(report, self.index.gates, self.index.approval)
