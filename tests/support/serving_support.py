"""What the tests of serving share: versions of the workload `shift`, replicas in this process, and calls to them."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from shift.predict import Predictor

from resources.database import connect
from resources.ledger import Ledger, NewCandidate
from resources.serving import Serving
from resources.serving.prediction_log import Prediction, PredictionLog
from resources.settings import Settings
from workloads.sdk.artifacts import Manifest, write_golden
from workloads.sdk.programs.training.run import NoServices
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.log import table
from workloads.sdk.serving.replica import Config, Replica
from workloads.sdk.serving.versions.plan import Version


def migrated(settings: Settings) -> Serving:
    """Serving, whose tables and those of the prediction log are there; asked twice, since that must change nothing."""
    serving = Serving(settings)
    for _ in range(2):
        serving.migrate()
        PredictionLog(settings).migrate()
    return serving


def version(folder: Path, shift: float, release_id: int = 1) -> Version:
    """A version whose answers carry `shift`; its artifacts stand in `folder/<shift>`."""
    artifacts = folder / str(shift)
    artifacts.mkdir(parents=True, exist_ok=True)
    (artifacts / "shift.txt").write_text(str(shift))
    write_golden(artifacts, Predictor.load(artifacts, NoServices()), [{"rows": [[1, 2], [3, 4]]}])
    manifest = Manifest.write(artifacts, "shift", Predictor)
    return Version(
        release_id=release_id,
        version=f"1.0.{release_id}",
        artifacts_uri=artifacts.as_uri(),
        digest=manifest.digest,
        model_uri=f"models:/dev.shift/{release_id}",
        run_id=f"run-{release_id}",
        data_version="1.0.0",
    )


def enter(settings: Settings, endpoint: str, versions: Iterable[Version]) -> None:
    """Enter versions into the ledger, as released ones those that have a release; it gives the release an id."""
    ledger = Ledger(settings)
    names = ("number", "digest", "artifacts_uri", "model_uri", "run_id", "data_version")
    for one in versions:
        candidate = ledger.candidates.add(NewCandidate(thing=endpoint, **{name: getattr(one, name) for name in names}))
        if one.release_id is not None:
            with ledger._store.transaction() as connection:
                text = """INSERT INTO decision (thing, candidate, action, actor, why)
                          VALUES (%s, %s, 'release', 'test', 'test') RETURNING id"""
                decision = connection.execute(text, [endpoint, candidate.id]).fetchone()
                text = (
                    "INSERT INTO release (thing, candidate, version, decision, changes) VALUES (%s, %s, %s, %s, '[]')"
                )
                connection.execute(text, [endpoint, candidate.id, one.version, decision[0]])


def recent(log: PredictionLog, endpoint: str, count: int = 100) -> list[Prediction]:
    """The last predictions of an endpoint, newest first."""
    text = "SELECT prediction_id FROM {predictions} WHERE endpoint = %s ORDER BY at DESC LIMIT %s"
    with connect(log.settings) as connection:
        found = connection.execute(table.statement(log.schema, text), [endpoint, count]).fetchall()
    return [prediction for (identity,) in found if (prediction := log.find(identity))]


def replica(serving: Serving, folder: Path, name: str, endpoint: str, **config: Any) -> Replica:
    """A replica in this process that follows the plan of `endpoint`."""
    serving._write_connection()
    chosen: Mapping[str, Any] = {
        "endpoint": endpoint,
        "package": "shift",
        "schema": serving.schema,
        "connection": str(serving._connection_file),
        "state": str(folder / "state"),
        "route": "/shift",
    } | config
    started = Replica(Config(**chosen), name)
    started.start()
    return started


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


def call(endpoint: Endpoint, method: str, path: str, body: Any = b"", headers: Mapping[str, str] = {}) -> Answer:
    """One request, as Serve hands it over: path under the route, body in two parts."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts = [content[:1], content[1:]]
    messages: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Mapping[str, Any]) -> None:
        messages.append(message)

    chosen = {"content-type": "application/json", "content-length": str(len(content)), **headers}
    path, _, query = path.partition("?")
    scope = {"type": "http", "method": method, "path": "/shift" + path, "root_path": "/shift"}
    scope["query_string"] = query.encode()
    scope["headers"] = [(name.encode(), value.encode()) for name, value in chosen.items()]
    asyncio.run(endpoint(scope, receive, send))
    start, end = messages
    return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, end["body"])
