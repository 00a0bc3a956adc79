"""One row of the prediction log, as a replica holds it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(slots=True)
class Record:
    """One answered request, as it is queued; `inputs` and `outputs` are JSON texts."""

    prediction_id: UUID
    release_id: int | None
    version: str
    plan: int
    at: datetime
    rows: int
    latency_ms: float
    inputs: bytes | None
    outputs: bytes
    number: int | None = None

    @property
    def size(self) -> int:
        return len(self.outputs) + (len(self.inputs) if self.inputs else 0)
