"""How the candidates of each kind of target are judged; what decides about them is one mechanism for all.

A workload's models are judged by its declared gates, on the test split of the data that they were made from.
"""

from mlops_assets.gates import model as gates
from mlops_assets.release.mechanism import Evaluator, Releasing
from mlops_assets.release.targets import ReleaseTarget
from resources.all import Resources
from resources.ledger import Candidate
from resources.ledger.reports import GateReport
from workloads.sdk.contract import TEST, OnInconclusive, Workload
from workloads.sdk.contract.applications import Application, Index
from workloads.sdk.programs.training.run import NoServices


class ModelEvaluator:
    """The evaluator of one workload's models."""

    def __init__(self, workload: Workload, resources: Resources) -> None:
        self.workload = workload
        self.resources = resources

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        """Judge on the candidate's frozen test rows, which it and the champion answer now."""
        test = self.resources.registry.local(self.resources.data(candidate.data_name, candidate.data_version))[TEST]
        workload = self.declared(candidate)
        return gates.judge(workload, candidate, champion, test, NoServices(), self.resources.settings)

    def rules(self, candidate: Candidate) -> str:
        return gates.rules(self.declared(candidate))

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        return gates.leads_to(report, self.declared(candidate).gates, self.workload.approval)

    def declared(self, candidate: Candidate) -> Workload:
        """The workload, with the gates that hold for the source of the candidate's data."""
        data = self.resources.ledger.data.get(candidate.data_name, candidate.data_version)
        return self.workload.for_source(data.source if data else "")


def evaluator(target: ReleaseTarget, resources: Resources) -> Evaluator:
    """The evaluator of a target's kind."""
    match target.declared:
        case Workload():
            return ModelEvaluator(target.declared, resources)
        case Index():
            from mlops_assets.gates.index_evaluator import IndexEvaluator

            return IndexEvaluator(target.declared, resources)
        case Application():
            from mlops_assets.gates.component_evaluator import ComponentEvaluator

            return ComponentEvaluator(target.declared, target.role, resources)
    raise TypeError(f"nothing says how {target.name} is judged")


def releasing(target: ReleaseTarget, resources: Resources) -> Releasing:
    """The mechanism of release for a target."""
    return Releasing(target.name, resources.ledger, resources.tracking, evaluator(target, resources))
