"""The ledger's batch predictions: which model scored which data version, and where the scores lie."""

from dataclasses import asdict, dataclass
from datetime import datetime

from resources.ledger.store import Store


@dataclass(frozen=True, kw_only=True)
class NewBatch:
    """A data version, scored.

    Attributes:
        thing: what scored it, for example `wine`.
        release, candidate: ids of what was released then, and of its model.
        data_name, data_version, data_digest: what was scored.
        uri: where the scores lie.
        digest: their identity.
        rows: how many there are.
        tier, seconds: what it took.
        dagster_run: the run that did it.
    """

    thing: str
    release: int
    candidate: int
    data_name: str
    data_version: str
    data_digest: str
    uri: str
    digest: str
    rows: int
    tier: str
    seconds: float
    dagster_run: str


@dataclass(frozen=True, kw_only=True)
class Batch(NewBatch):
    """A batch as the ledger holds it."""

    id: int
    created_at: datetime


class Batches:
    """Batches, entered once for each release that they were asked of."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, new: NewBatch) -> None:
        """Enter a batch; the same scores of the same release are entered already, and stay as they are."""
        self._store.insert("batch", asdict(new), "ON CONFLICT (uri, digest, release) DO NOTHING")

    def of(self, data_name: str, data_version: str) -> list[Batch]:
        """Batches that a data version is in: as what was scored, or as what the model was made from; oldest first."""
        return self._store.query(
            Batch,
            "SELECT * FROM batch WHERE (data_name, data_version) = (%(name)s, %(version)s) OR candidate IN"
            " (SELECT id FROM candidate WHERE (data_name, data_version) = (%(name)s, %(version)s)) ORDER BY id",
            {"name": data_name, "version": data_version},
        )
