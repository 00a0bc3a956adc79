"""Which evaluator judges the candidates of a target; what decides about them is one mechanism for all kinds."""

from mlops_assets.gates.application import ComponentEvaluator
from mlops_assets.gates.index import IndexEvaluator
from mlops_assets.gates.model import ModelEvaluator
from mlops_assets.release.mechanism import Evaluator, Releasing
from mlops_assets.release.targets import ReleaseTarget
from resources.all import Resources
from workloads.sdk.contract import Workload
from workloads.sdk.contract.applications import Application, Index


def evaluator(target: ReleaseTarget, resources: Resources) -> Evaluator:
    """The evaluator of a target's kind."""
    match target.declared:
        case Workload():
            return ModelEvaluator(target.declared, resources)
        case Index():
            return IndexEvaluator(target.declared, resources)
        case Application():
            return ComponentEvaluator(target.declared, target.role, resources)
    raise TypeError(f"nothing says how {target.name} is judged")


def releasing(target: ReleaseTarget, resources: Resources) -> Releasing:
    """The mechanism of release for a target."""
    return Releasing(target.name, resources.ledger, resources.tracking, evaluator(target, resources))
