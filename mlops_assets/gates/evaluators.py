"""Which evaluator judges the candidates of a target; what decides about them is one mechanism for all kinds."""

from mlops_assets.gates.application import ComponentEvaluator
from mlops_assets.gates.index import IndexEvaluator
from mlops_assets.gates.model import ModelEvaluator
from mlops_assets.release.mechanism import Evaluator, Releasing
from mlops_assets.release.targets import ReleaseTarget
from resources.all import Resources
from workloads.sdk.contract import Workload
from workloads.sdk.contract.applications import Application, Index


def releasing(target: ReleaseTarget, resources: Resources) -> Releasing:
    """The mechanism of release for a target, with the evaluator of its kind."""
    evaluator: Evaluator
    match target.declared:
        case Workload():
            evaluator = ModelEvaluator(target.declared, resources)
        case Index():
            evaluator = IndexEvaluator(target.declared, resources)
        case Application():
            evaluator = ComponentEvaluator(target.declared, target.role, resources)
        case _:
            raise TypeError(f"nothing says how {target.name} is judged")
    return Releasing(target.name, resources.ledger, resources.tracking, evaluator)
