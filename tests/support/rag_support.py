"""What the tests of the RAG application share: a small corpus in PostgreSQL, compositions written by hand, a server of
its endpoint, and a language model's service that says what it is told to."""

import asyncio
import hashlib
import json
import pydoc_data.topics
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import numpy as np
import uvicorn
from psycopg import sql

from resources.database import connect
from resources.embedded.network import free_ports
from resources.serving import Serving
from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings
from workloads.rag.app import App, shared
from workloads.sdk.artifacts import Manifest
from workloads.sdk.contract.applications import Component, Composition
from workloads.sdk.kits.retrieval.sql import in_sql
from workloads.sdk.serving.http.application import ApplicationEndpoint
from workloads.sdk.serving.replica import Config, Replica
from workloads.sdk.serving.versions.plan import Version

TOPICS = ("with", "lambda", "assert", "del", "pass", "raise", "global")
SCHEMA = "dev_vectors"
TEMPLATE = "Answer from these:\n{context}\n\n{history}\n\nQuestion: {question}\nOr say: {refusal}"
COLUMNS = ("langchain_id", "content", "embedding", "langchain_metadata", "source", "path", "heading", "position",
           "document", "text_digest")  # fmt: skip
TABLE = """CREATE TABLE {table} (
    langchain_id uuid PRIMARY KEY, content text NOT NULL, embedding vector(384) NOT NULL, langchain_metadata json,
    source text NOT NULL, path text NOT NULL, heading text NOT NULL, position integer NOT NULL, document text NOT NULL,
    text_digest text NOT NULL,
    search tsvector GENERATED ALWAYS AS (to_tsvector('english', content)) STORED)"""


@cache
def chunks() -> list[tuple[str, str, int]]:
    """(topic, content, position): about 700 characters of Python's own documentation each."""
    found = []
    for topic in TOPICS:
        content, position = "", 0
        for part in pydoc_data.topics.topics[topic].split("\n\n"):
            if content and len(content) + len(part) > 700:
                found.append((topic, content, position))
                content, position = "", position + 1
            content = f"{content}\n\n{part}".strip()
        found.append((topic, content, position))
    return found


@cache
def vectors() -> np.ndarray:
    return shared()[0].encode([f"{topic}: {content}" for topic, content, _ in chunks()])


def make_table(settings: Settings, table: str = "corpus_rag") -> None:
    name = sql.Identifier(SCHEMA, table)
    with connect(settings, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
        connection.execute(sql.SQL(TABLE).format(table=name))
        text = sql.SQL("COPY {} ({}) FROM STDIN").format(name, sql.SQL(", ").join(map(sql.Identifier, COLUMNS)))
        with connection.cursor().copy(text) as copy:
            for (topic, content, position), vector in zip(chunks(), vectors(), strict=True):
                identity = uuid5(NAMESPACE_URL, f"{topic}/{position}")
                digest = hashlib.sha256(pydoc_data.topics.topics[topic].encode()).hexdigest()
                row = (identity, content, in_sql(vector), "{}", "python", f"{topic}.md", topic, position, digest)
                copy.write_row((*row, hashlib.sha256(content.encode()).hexdigest()))
        connection.execute(sql.SQL("CREATE INDEX ON {} USING hnsw (embedding vector_cosine_ops)").format(name))
        connection.execute(sql.SQL("CREATE INDEX ON {} USING gin (search)").format(name))
        connection.execute(sql.SQL("ANALYZE {}").format(name))


def composition(
    table: str = "corpus_rag", release: int = 1, model: Mapping[str, Any] | None = None, **settings: Any
) -> Composition:
    """A composition whose prompt has these settings; without a `model` it answers extractively."""
    embedder = shared()[0]
    version = f"1.0.{release}"
    index = {
        "schema": SCHEMA,
        "table": table,
        "embedder": {"name": embedder.name, "digest": embedder.digest},
        "dimensions": embedder.dimensions,
        "type": "vector",
        "chunks": len(chunks()),
        "corpus": "corpus-v1.0.0",
    }
    answerer = model or {"provider": "extractive", "model": "", "url": "", "temperature": 0.0}
    parts = {
        "index": Component("index/corpus", 10, "2.0.0", 1, "1" * 64, "corpus-v1.0.0", index),
        "prompt": Component(
            "prompt/rag", 20 + release, version, release, "2" * 64, "rag_questions-v1.0.0",
            {"template": TEMPLATE, "settings": settings},
        ),
        "language_model": Component("language_model/rag", 30, "1.0.0", 1, "3" * 64, "rag_questions-v1.0.0", answerer),
    }  # fmt: skip
    return Composition("rag", **parts)


def version(folder: Path, made: Composition, release: int = 1) -> Version:
    """A composition as a version; its artifacts stand in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made.write(folder)
    return Version(
        release_id=release,
        version=f"1.0.{release}",
        number=release,
        artifacts_uri=folder.as_uri(),
        digest=Manifest.write(folder, "workloads.rag", App).digest,
        model_uri=f"models:/dev.rag/{release}",
        data_version="1.0.0",
    )


def with_part(made: Composition, role: str, **content: Any) -> Composition:
    """The composition with something else in the content of a part."""
    part = getattr(made, role)
    return replace(made, **{role: replace(part, content={**part.content, **content})})


def config(settings: Settings, folder: Path, endpoint: str, **values: Any) -> Config:
    """What a replica is told; secrets as a deployed one has them."""
    serving = Serving(settings)
    serving._write_connection()
    return Config(
        endpoint=endpoint,
        package="workloads.rag",
        serves="app:App",
        schema=serving.schema,
        connection=str(serving._connection_file),
        state=str(folder / "state"),
        route="/rag",
        **values,
    )


def migrate(settings: Settings) -> None:
    Serving(settings).migrate()
    PredictionLog(settings).migrate()


@contextmanager
def running(app: Any, root_path: str = "") -> Iterator[str]:
    """Serve an ASGI application on loopback in a thread; its address."""
    (port,) = free_ports(1)
    server = uvicorn.Server(
        uvicorn.Config(app, "127.0.0.1", port, root_path=root_path, log_level="warning", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(f"{address}/health", trust_env=False)
            break
        except httpx.TransportError:
            assert thread.is_alive()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(10)


class Endpoint:
    """A replica of the application, answering by real HTTP."""

    def __init__(self, settings: Settings, folder: Path, name: str, made: Composition, **values: Any):
        self.serving, self.folder, self.name = Serving(settings), folder, name
        self.entries: dict[int, Version] = {}
        self.publish(made)
        self.replica = Replica(config(settings, folder, name, **values), f"{name}-1")
        self.replica.start()
        self.service = ApplicationEndpoint(self.replica)

    def publish(self, made: Composition, release: int = 1) -> int:
        self.entries[release] = version(self.folder / str(release), made, release)
        return self.serving.publish(self.name, self.entries[release])

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        with running(self.service) as address, httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            yield client


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Server-sent events, read as the specification says."""
    name, data = "message", []
    for line in lines:
        if not line:
            if data:
                yield name, json.loads("\n".join(data))
            name, data = "message", []
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))


class Model:
    """A service that speaks OpenAI's protocol of chat completions; it answers each model's name with its text.

    Attributes:
        says: text by model name; a number is an HTTP status, 0 is silence; None: it never ends.
        asked: the bodies of all requests.
        open: requests that it answers now.
    """

    def __init__(self, says: Mapping[str, str | int | None]):
        self.says = says
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return None
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message.get("body", b"")
        if not scope["path"].endswith("/chat/completions"):
            return await self._reply(send, 404, {"error": {"message": "there is nothing here"}})
        asked = json.loads(body)
        self.asked.append(asked)
        self.keys.append(dict(scope["headers"]).get(b"authorization", b"").decode())
        says = self.says[asked["model"]]
        if says == 0:
            return await self._gone(receive)
        if isinstance(says, int):
            return await self._reply(send, says, {"error": {"message": "as you like", "type": "t", "code": "c"}})
        self.open += 1
        gone = asyncio.ensure_future(self._gone(receive))
        try:
            await self._stream(send, asked["model"], says, gone)
        finally:
            gone.cancel()
            self.open -= 1
        return None

    async def _stream(self, send: Any, model: str, says: str | None, gone: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        pieces = [says[at : at + 7] for at in range(0, len(says), 7)] if says is not None else ["Still "] * 100_000
        for piece in pieces:
            delta = {"role": "assistant", "content": piece}
            await self._event(send, model, {"index": 0, "delta": delta, "finish_reason": None})
            if gone.done():
                return
            await asyncio.sleep(0 if says is not None else 0.02)
        await self._event(send, model, {"index": 0, "delta": {}, "finish_reason": "stop"})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})

    async def _event(self, send: Any, model: str, choice: dict[str, Any]) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
        body = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        await send({"type": "http.response.body", "body": body, "more_body": True})

    @staticmethod
    async def _gone(receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    @staticmethod
    async def _reply(send: Any, status: int, body: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})
