"""All doors of one environment, opened when they are used."""

from functools import cached_property

from resources.compute import Compute
from resources.data_registry import DataRegistry
from resources.ledger import Ledger
from resources.prediction_log import PredictionLog
from resources.serving import Serving
from resources.settings import Settings
from resources.tracking import Tracking
from resources.vector_store import VectorStore


class Doors:
    """One object of each door; constructing them connects to nothing."""

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
