"""The plan of an endpoint: a numbered row that says which version its replicas serve.

A publisher adds a row; a notification tells the replicas at once, and each looks every second besides. A replica that
serves the plan's version acknowledges its number, and one that could not load it says why and goes on with what it
has. A withdrawn plan counts no more: the newest that is not withdrawn holds.
"""

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed

HEARTBEAT_SECONDS = 1  # between a replica's reports
ALIVE_SECONDS = 5  # a replica not heard of for longer is gone


@dataclass(frozen=True)
class Version:
    """What a replica must know of the version that it serves.

    Attributes:
        release_id: the release in the ledger; None: this version was never released.
        version: its semantic version; its number as text where it was never released.
        artifacts_uri: the model's artifact folder.
        digest: digest of the folder's manifest.
        number: its number in the registry.
        model_uri: address of the model version in the registry.
        share: part of the requests that it answers.
        info: whatever else `/info` shows.
    """

    release_id: int | None
    version: str
    artifacts_uri: str
    digest: str
    number: int = 0
    model_uri: str = ""
    share: float = 1.0
    run_id: str = ""
    data_version: str = ""
    data_digest: str = ""
    code_version: str = ""
    trained_at: str = ""
    info: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, entry: dict[str, Any]) -> "Version":
        """From a plan's JSON, also one of a later code that says more."""
        return cls(**{one.name: entry[one.name] for one in fields(cls) if one.name in entry})

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """A plan; number 0 stands for a version that was asked for by name, beside what is planned."""

    number: int
    version: Version


@dataclass(frozen=True)
class Ack:
    """A replica's word on a plan; `error` is None where it serves it."""

    replica: str
    number: int
    at: datetime
    error: str | None


@dataclass(frozen=True)
class LiveReplica:
    """A replica that was heard of within `ALIVE_SECONDS`, what it serves, and whether it loads another version.

    Attributes:
        requests: answered since it started, by HTTP status.
    """

    replica: str
    started_at: datetime
    seen_at: datetime
    plan: int | None
    release_id: int | None
    version: str | None
    digest: str | None
    error: str | None
    pid: int | None
    loading: bool
    log: dict[str, int]
    requests: dict[str, int]


class Plans:
    """The tables of plans, acknowledgements and replicas in one schema; every method takes the connection."""

    def __init__(self, schema: str):
        self.schema = schema
        self.channel = f"{schema}_plans"

    def _sql(self, text: str) -> "Composed":
        from psycopg import sql

        tables = ("plans", "acknowledgements", "replicas")
        names = {name: sql.Identifier(self.schema, name) for name in tables}
        return sql.SQL(text).format(schema=sql.Identifier(self.schema), **names)

    def migrate(self, connection: "Connection[Any]") -> None:
        """Idempotent; safe when several do it at once."""
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{self.schema} migrate"])
            connection.execute(self._sql(TABLES))

    def publish(self, connection: "Connection[Any]", endpoint: str, version: Version) -> int:
        """A new plan's number; the newest plan's own where that says the same, or is of a newer release."""
        from psycopg.types.json import Jsonb

        with connection.transaction():
            # Numbers of an endpoint become visible in their order.
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{self.schema} {endpoint}"])
            newest = self.newest(connection, endpoint, 1)
            if newest and newest[0].version == version:
                return newest[0].number
            if newest and (newest[0].version.release_id or 0) > (version.release_id or float("inf")):
                return newest[0].number  # ids of releases grow, also where one goes back
            text = "INSERT INTO {plans} (endpoint, versions) VALUES (%s, %s) RETURNING number"
            row = connection.execute(self._sql(text), [endpoint, Jsonb([version.json()])]).fetchone()
            assert row is not None
            connection.execute("SELECT pg_notify(%s, %s)", [self.channel, endpoint])
            return row[0]

    def served(self, connection: "Connection[Any]", number: int) -> bool:
        """Note that all replicas serve a plan, so that nobody withdraws it any more; False where somebody has."""
        text = "UPDATE {plans} SET served_at = coalesce(served_at, now()) WHERE number = %s AND withdrawn_at IS NULL"
        return connection.execute(self._sql(text), [number]).rowcount == 1

    def withdraw(self, connection: "Connection[Any]", number: int) -> None:
        """Let a plan hold no more, unless it was served by all replicas before: another rollout told so."""
        with connection.transaction():
            text = """UPDATE {plans} SET withdrawn_at = now()
                      WHERE number = %s AND withdrawn_at IS NULL AND served_at IS NULL"""
            connection.execute(self._sql(text), [number])
            connection.execute("SELECT pg_notify(%s, '')", [self.channel])

    def newest(self, connection: "Connection[Any]", endpoint: str, count: int) -> list[Plan]:
        """The newest plans that were not withdrawn, newest first."""
        text = """SELECT number, versions FROM {plans} WHERE endpoint = %s AND withdrawn_at IS NULL
                  ORDER BY number DESC LIMIT %s"""
        rows = connection.execute(self._sql(text), [endpoint, count]).fetchall()
        return [Plan(number, Version.of(versions[0])) for number, versions in rows]

    def acknowledge(self, connection: "Connection[Any]", replica: str, number: int, error: str | None) -> None:
        text = """INSERT INTO {acknowledgements} (number, replica, error) VALUES (%s, %s, %s)
                  ON CONFLICT (number, replica) DO UPDATE SET error = excluded.error, at = now()"""
        connection.execute(self._sql(text), [number, replica, error])

    def acks(self, connection: "Connection[Any]", number: int) -> list[Ack]:
        text = "SELECT replica, number, at, error FROM {acknowledgements} WHERE number = %s ORDER BY at"
        return [Ack(*row) for row in connection.execute(self._sql(text), [number])]

    def heartbeat(
        self, connection: "Connection[Any]", endpoint: str, replica: str, state: dict[str, Any]
    ) -> int | None:
        """Note that a replica lives and what it serves; the number of the plan that holds."""
        from psycopg.types.json import Jsonb

        text = """INSERT INTO {replicas} (replica, endpoint, state) VALUES (%s, %s, %s)
                  ON CONFLICT (replica) DO UPDATE SET seen_at = now(), state = excluded.state
                  RETURNING (SELECT max(number) FROM {plans} WHERE endpoint = %s AND withdrawn_at IS NULL)"""
        row = connection.execute(self._sql(text), [replica, endpoint, Jsonb(state), endpoint]).fetchone()
        return row[0] if row else None

    def leave(self, connection: "Connection[Any]", replica: str) -> None:
        connection.execute(self._sql("DELETE FROM {replicas} WHERE replica = %s"), [replica])

    def live(self, connection: "Connection[Any]", endpoint: str) -> list[LiveReplica]:
        """The replicas that live now; those long gone are forgotten."""
        text = "DELETE FROM {replicas} WHERE seen_at < now() - interval '1 hour'"
        connection.execute(self._sql(text))
        text = """SELECT replica, started_at, seen_at, state FROM {replicas}
                  WHERE endpoint = %s AND seen_at > now() - make_interval(secs => %s) ORDER BY started_at"""
        keys = ("plan", "release_id", "version", "digest", "error", "pid", "loading")
        return [
            LiveReplica(replica, started, seen, log=state.get("log", {}), requests=state.get("requests", {}),
                        **{key: state.get(key) for key in keys})
            for replica, started, seen, state in connection.execute(self._sql(text), [endpoint, ALIVE_SECONDS])
        ]  # fmt: skip


TABLES = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {plans} (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint text NOT NULL,
    versions jsonb NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    withdrawn_at timestamptz
);
ALTER TABLE {plans} ADD COLUMN IF NOT EXISTS served_at timestamptz;
CREATE INDEX IF NOT EXISTS plans_endpoint ON {plans} (endpoint, number DESC);
CREATE TABLE IF NOT EXISTS {acknowledgements} (
    number bigint NOT NULL REFERENCES {plans},
    replica text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    error text,
    PRIMARY KEY (number, replica)
);
CREATE TABLE IF NOT EXISTS {replicas} (
    replica text PRIMARY KEY,
    endpoint text NOT NULL,
    state jsonb NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);  -- rows are updated every second, in place
"""
