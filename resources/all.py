"""All resources of one environment, connected when they are used."""

from functools import cached_property

from resources.compute import Compute
from resources.ledger import Ledger
from resources.registry import DataRegistry
from resources.serving import Serving
from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings
from resources.tracking import Tracking
from resources.vectors import VectorStore


class Resources:
    """One object of each resource; constructing them connects to nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def registry(self) -> DataRegistry:
        return DataRegistry(self.settings)

    @cached_property
    def compute(self) -> Compute:
        return Compute(self.settings)

    @cached_property
    def tracking(self) -> Tracking:
        return Tracking(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.settings)

    @cached_property
    def serving(self) -> Serving:
        return Serving(self.settings)

    @cached_property
    def vectors(self) -> VectorStore:
        return VectorStore(self.settings)

    @cached_property
    def predictions(self) -> PredictionLog:
        return PredictionLog(self.settings)
