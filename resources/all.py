"""All resources of one environment, connected when they are used."""

from functools import cached_property

from resources.compute import Compute
from resources.ledger import Ledger
from resources.registry import DataRegistry
from resources.registry.version import DataVersion
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

    def data(self, name: str, version: str) -> DataVersion:
        """A data version as the ledger holds it. A tag that it does not hold yet is read and entered; no other is.

        So all steps of a run speak of the same content, wherever the tag is moved meanwhile.
        """
        known = self.ledger.data.get(name, version)
        if known is None:
            known = self.registry.version(name, version)
            self.ledger.data.record(known)
        return known
