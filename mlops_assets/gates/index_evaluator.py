"""How an index's candidates are judged: by their tables, asked now."""

from mlops_assets.gates import model as gates
from resources.all import Resources
from resources.ledger import Candidate
from resources.ledger.reports import GateReport
from workloads.sdk.contract import OnInconclusive
from workloads.sdk.contract.applications import Index


class IndexEvaluator:
    """The evaluator of one index."""

    def __init__(self, index: Index, resources: Resources) -> None:
        self.index = index
        self.resources = resources

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        from mlops_assets.gates import index as index_gates

        return index_gates.judge(self.index, candidate, champion, self.resources.settings)

    def rules(self, candidate: Candidate) -> str:
        from mlops_assets.gates import index as index_gates

        return index_gates.rules(self.index)

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        return gates.leads_to(report, self.index.gates, self.index.approval)
