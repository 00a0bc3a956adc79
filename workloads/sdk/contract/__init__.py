"""The only interface between a workload and the platform.

A workload declares one `Workload` named `workload` in `<folder>/workload.py`. Everything else it names by reference
(`"train:train"` is the function `train` of the module `train.py` beside the declaration), so that loading a
declaration imports no machine-learning library. The platform knows rows, scores, metrics and artifacts; what a row
or a score means is the workload's own business.
"""

from workloads.sdk.contract.data import TEST, TRAIN, VALIDATION, Data, DataParameters, Fetched
from workloads.sdk.contract.gates import Gates, Metric, OnInconclusive, Parity, Slice, Verdict
from workloads.sdk.contract.prediction import Evaluation, InvalidInput, Predictor, Services
from workloads.sdk.contract.training import TIERS, Parameters, Tier, TrainingJob, TrainingResult, Trial
from workloads.sdk.contract.workload import DeclarationError, Declared, Workload

__all__ = [
    "TEST",
    "TIERS",
    "TRAIN",
    "VALIDATION",
    "Data",
    "DataParameters",
    "DeclarationError",
    "Declared",
    "Evaluation",
    "Fetched",
    "Gates",
    "InvalidInput",
    "Metric",
    "OnInconclusive",
    "Parameters",
    "Parity",
    "Predictor",
    "Services",
    "Slice",
    "Tier",
    "TrainingJob",
    "TrainingResult",
    "Trial",
    "Verdict",
    "Workload",
]
