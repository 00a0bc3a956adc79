"""All resources of one environment, connected when they are used."""

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
        self.registry = DataRegistry(settings)
        self.compute = Compute(settings)
        self.tracking = Tracking(settings)
        self.ledger = Ledger(settings)
        self.serving = Serving(settings)
        self.vectors = VectorStore(settings)
        self.predictions = PredictionLog(settings)

    def migrate(self) -> None:
        """Bring the tables of the platform's own facts to this version; in an environment's first use, make them."""
        for resource in (self.ledger, self.predictions, self.serving):
            resource.migrate()

    def data(self, name: str, version: str) -> DataVersion:
        """A data version as the ledger holds it. A tag that it does not hold yet is read and entered; no other is.

        So all steps of a run speak of the same content, wherever the tag is moved meanwhile.
        """
        known = self.ledger.data.get(name, version)
        if known is None:
            known = self.registry.version(name, version)
            self.ledger.data.record(known)
        return known
