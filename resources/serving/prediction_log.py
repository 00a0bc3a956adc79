"""The prediction log, as the graph reads it. The endpoints write it (`workloads/sdk/serving/log/writer.py`)."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from resources.database import connect
from resources.settings import Settings
from workloads.sdk.serving.log import conversations, table


@dataclass(frozen=True)
class Prediction:
    """One answered request.

    Attributes:
        release_id: None where the version was never released.
        inputs: the request's body, None where it was not kept.
        outputs: one answer for each row.
        number: of the version in the registry; None in rows older than the log's keeping it.
    """

    prediction_id: UUID
    endpoint: str
    release_id: int | None
    version: str
    plan: int
    at: datetime
    rows: int
    latency_ms: float
    inputs: dict[str, Any] | None
    outputs: list[Any]
    number: int | None


@dataclass(frozen=True)
class Feedback:
    """What somebody thought of an answer: thumbs `up` or `down`."""

    thumbs: str
    comment: str | None
    at: datetime


@dataclass(frozen=True)
class Usage:
    """How many requests some releases answered, and when; `first` and `last` are None where none."""

    count: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True)
class Pace:
    """How fast an endpoint was in its last answers: milliseconds within which half and 95 % of them were made."""

    p50: float
    p95: float
    last: datetime


class PredictionLog:
    """The log of one environment. Every method raises `DatabaseUnavailable` where PostgreSQL does not answer."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.schema = settings.schema_of("predictions")
        self._database = partial(connect, settings, autocommit=True, application_name="mlops prediction log")

    def migrate(self) -> None:
        """Create the tables, those of conversations too; idempotent."""
        with self._database() as connection:
            table.migrate(connection, self.schema)
            conversations.migrate(connection, self.schema)

    def find(self, prediction_id: UUID | str) -> Prediction | None:
        """The prediction of an id; None for one that is not there, or is no id."""
        try:
            identity = UUID(str(prediction_id))
        except ValueError:
            return None
        text = table.statement(self.schema, "SELECT {columns} FROM {predictions} WHERE prediction_id = %s")
        with self._database() as connection:
            row = connection.execute(text, [identity]).fetchone()
        return row and Prediction(*[*row[:8], None if row[8] is None else json.loads(row[8]), *row[9:]])

    def usage(self, releases: list[int], versions: list[tuple[str, int]]) -> Usage:
        """How much some releases (ids) were used, and some versions (endpoint, number) beside any release."""
        text = table.statement(
            self.schema,
            """SELECT count(*), min(at), max(at) FROM {predictions} WHERE release_id = ANY(%s) OR (release_id IS NULL
               AND (endpoint, number) IN (SELECT * FROM unnest(%s::text[], %s::int[])))""",
        )
        endpoints, numbers = [endpoint for endpoint, _ in versions], [number for _, number in versions]
        with self._database() as connection:
            row = connection.execute(text, [releases, endpoints, numbers]).fetchone()
        assert row is not None
        return Usage(*row)

    def pace(self, endpoint: str, answers: int = 1000) -> Pace | None:
        """How fast the last answers of an endpoint were; None where there is none."""
        text = table.statement(
            self.schema,
            """SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY latency_ms), max(at) FROM (SELECT
               latency_ms, at FROM {predictions} WHERE endpoint = %s ORDER BY at DESC LIMIT %s) AS latest""",
        )
        with self._database() as connection:
            row = connection.execute(text, [endpoint, answers]).fetchone()
        return Pace(row[0][0], row[0][1], row[1]) if row and row[0] else None

    def prune(self) -> int:
        """Drop what is older than `log_retention_days`, conversations too; the number of predictions that went."""
        days = self.settings.log_retention_days
        with self._database() as connection:
            table.add_days(connection, self.schema)
            conversations.prune(connection, self.schema, days)
            return table.drop_days(connection, self.schema, days)

    def feedback(self, prediction_id: UUID | str) -> Feedback | None:
        """What somebody thought of an answer, if anybody said."""
        text = "SELECT thumbs, comment, at FROM {feedback} WHERE prediction_id = %s"
        with self._database() as connection:
            row = connection.execute(conversations.statement(self.schema, text), [prediction_id]).fetchone()
        return Feedback(*row) if row else None
