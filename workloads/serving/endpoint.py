"""The endpoint as an ASGI application: routes, answers and errors. No web framework stands in the way of a request."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import orjson

from workloads.artifacts import BrokenArtifacts
from workloads.contract import InvalidInput
from workloads.serving.artifacts import Loaded
from workloads.serving.identity import uuid7
from workloads.serving.log import Record
from workloads.serving.openapi import openapi, page
from workloads.serving.plan import Plan
from workloads.serving.reading import Headers, Message, Reader, Receive, Refusal, read_body, version_of
from workloads.serving.replica import Replica
from workloads.serving.shelf import Busy

logger = logging.getLogger(__name__)

Send = Callable[[Message], Awaitable[None]]

INLINE_SECONDS = 0.002  # what takes longer is done in a thread, so that others' requests go on
INLINE_BYTES = 2**16
JSON: Headers = ((b"content-type", b"application/json"),)


class Endpoint:
    """The application of one replica."""

    def __init__(self, replica: Replica):
        self.replica = replica
        config = replica.config
        self._reader = Reader(replica.kind.Request)
        self._openapi = openapi(config.endpoint, config.route, replica.kind)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="predict")
        self._gets = {
            "/": self._index,
            "/health": self._health,
            "/versions": self._versions,
            "/docs": self._docs,
            "/openapi.json": self._schema,
        }
        self._of_version = {"/info": self._info, "/example": self._example}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1003})
        record = None
        try:
            path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
            if path == "/predict":
                if scope["method"] != "POST":
                    raise _wrong_method(b"POST")
                status, headers, body, record = await self._predict(scope, receive)
            elif path in self._gets or path in self._of_version:
                if scope["method"] != "GET":
                    raise _wrong_method(b"GET")
                if path in self._gets:
                    status, headers, body = self._gets[path]()
                else:
                    status, headers, body = self._of_version[path](await self._wanted(scope))
            else:
                raise Refusal(404, "not_found", f"there is nothing at {path}; see /docs")
        except Refusal as refusal:
            status, headers, body = refusal.status, (*JSON, *refusal.headers), refusal.body
        except ConnectionError:
            return None
        except Exception:
            logger.exception("endpoint %s failed at %s", self.replica.config.endpoint, scope["path"])
            failed = Refusal(500, "internal", "the endpoint failed on this request; its log says why")
            status, headers, body = 500, JSON, failed.body
        if record is not None:
            self.replica.log.put(record)  # first: whatever a caller has got can be traced
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": body})
        return None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await asyncio.get_running_loop().run_in_executor(None, self.replica.close)
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    # --- predictions ---

    async def _predict(self, scope: Message, receive: Receive) -> tuple[int, Headers, bytes, Record]:
        body = await read_body(scope, receive)
        started = perf_counter()
        loaded = await self._wanted(scope)
        if loaded is None:
            raise Refusal(503, "not_ready", f"no version is served: {self._why()}", headers=((b"retry-after", b"1"),))
        size = len(body).bit_length()
        if len(body) < INLINE_BYTES and loaded.pace[size] < INLINE_SECONDS:
            return self._answer(loaded, body, started)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, loaded, body, started)

    async def _wanted(self, scope: Message) -> Loaded | None:
        """The version that a request is about: the one that it names, else the live one, if any."""
        query = scope.get("query_string")
        return await self._asked(query) if query else self.replica.current

    async def _asked(self, query: bytes) -> Loaded:
        """The version that a request names (`?version=1.2.0`, `?version=7`), in memory."""
        name, shelf = version_of(query), self.replica.shelf
        version = shelf.find(name)
        if version is None:
            known = ", ".join(one.version for one in shelf.versions()[:20]) or "none yet"
            reason = f"there is no version {name}; there are {known} (all: /versions)"
            raise Refusal(404, "unknown_version", reason, "version")
        live = self.replica.current
        if live is not None and live.version.number == version.number:
            return live
        try:
            loaded = await asyncio.wrap_future(shelf.take(version))
        except BrokenArtifacts as error:
            raise Refusal(409, "broken_version", f"version {name} cannot be served: {error}", "version") from None
        except Busy as busy:
            raise Refusal(503, "busy", str(busy), "version", headers=((b"retry-after", b"1"),)) from None
        except Exception as error:  # a predictor's own `load` may raise anything
            logger.warning("endpoint %s: version %s does not load: %s", self.replica.config.endpoint, name, error)
            reason = f"version {name} does not load: {type(error).__name__}: {error}"[:2000]
            raise Refusal(503, "not_loaded", reason, "version", headers=((b"retry-after", b"10"),)) from None
        # It may have been released since it was loaded.
        return loaded if loaded.version == version else replace(loaded, plan=Plan(0, version))

    def _answer(self, loaded: Loaded, body: bytes, started: float) -> tuple[int, Headers, bytes, Record]:
        """All of a request's work, by one version."""
        begun = perf_counter()
        predictor, version = loaded.predictor, loaded.version
        try:
            inputs = predictor.inputs(self._reader.read(body))
        except InvalidInput as error:
            raise Refusal(422, "invalid_input", error.reason, error.field) from None
        answers = predictor.answers(predictor.outputs(inputs))
        predictions = orjson.dumps(answers, option=orjson.OPT_SERIALIZE_NUMPY)
        identity, at = uuid7(), datetime.now(UTC)
        ended = perf_counter()
        latency = round((ended - started) * 1000, 3)
        text = str(identity)
        rest = orjson.dumps(
            {
                "prediction_id": text,
                "version": version.version,
                "release_id": version.release_id,
                "model_uri": version.model_uri,
                "timestamp": at,
                "processing_time_ms": latency,
            }
        )
        # The smallest time seen, slowly forgotten: a wait for the processor is not the model's own time.
        size = len(body).bit_length()
        loaded.pace[size] = min(ended - begun, loaded.pace[size] * 1.02)
        record = Record(
            identity, version.release_id, version.version, loaded.plan.number, at, len(answers), latency,
            body if self._keeps_inputs() else None, predictions, version.number or None,
        )  # fmt: skip
        headers = (*loaded.headers, (b"x-prediction-id", text.encode()))
        return 200, headers, b'{"predictions":' + predictions + b"," + rest[1:], record

    def _keeps_inputs(self) -> bool:
        config = self.replica.config
        if config.log_inputs == "sample":
            return random.random() < config.log_sample  # noqa: S311
        return config.log_inputs == "all"

    # --- the rest ---

    def _why(self) -> str:
        return self.replica.error or {"loading": "the first one loads"}.get(self.replica.health, "none was published")

    def _index(self) -> tuple[int, Headers, bytes]:
        route, now = self.replica.config.route.rstrip("/"), self.replica.current
        names = ("predict", "versions", "health", "info", "example", "docs", "openapi.json")
        links = {name: f"{route}/{name}" for name in names}
        return _json(
            {
                "service": self.replica.config.endpoint,
                "version": now.version.version if now else None,
                "status": self.replica.health,
                "links": links,
            }
        )

    def _health(self) -> tuple[int, Headers, bytes]:
        replica, now = self.replica, self.replica.current
        text = {
            "status": replica.health,
            "model_loaded": now is not None,
            "model_uri": now.version.model_uri if now else None,
            "version": now.version.version if now else None,
            "uptime_seconds": round(time.monotonic() - replica.started, 1),
            "error": replica.error,
            "log": replica.log.counts(),
        }
        return _json(text, 200 if replica.health == "healthy" else 503)

    def _info(self, now: Loaded | None) -> tuple[int, Headers, bytes]:
        replica = self.replica
        served = {} if now is None else {"plan": now.plan.number, **now.version.info, **now.version.json()}
        for name in ("info", "artifacts_uri"):
            served.pop(name, None)
        request = replica.kind.Request.model_json_schema() if now is None else now.predictor.request_schema()
        return _json(
            {
                "service": replica.config.endpoint,
                "status": replica.health,
                **served,
                "request_schema": request,
                "prediction_schema": replica.kind.Prediction.model_json_schema(),
                "replica": replica.name,
                "log": replica.log.counts(),
            }
        )

    def _example(self, now: Loaded | None) -> tuple[int, Headers, bytes]:
        if now is None:
            raise Refusal(503, "not_ready", f"no version is served: {self._why()}", headers=((b"retry-after", b"1"),))
        return _json(now.example)

    def _versions(self) -> tuple[int, Headers, bytes]:
        now = self.replica.current
        live = now.version.version if now else None
        versions = self.replica.shelf.listed(live)
        return _json({"service": self.replica.config.endpoint, "live": live, "versions": versions})

    def _docs(self) -> tuple[int, Headers, bytes]:
        now = self.replica.current
        version = now.version.version if now else None
        html = page(self._openapi, version, now.example if now else None)
        policy = b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
        return 200, ((b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", policy)), html

    def _schema(self) -> tuple[int, Headers, bytes]:
        return _json(self._openapi)


def _json(value: Any, status: int = 200) -> tuple[int, Headers, bytes]:
    return status, JSON, orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _wrong_method(allowed: bytes) -> Refusal:
    message = f"only {allowed.decode()} is answered here"
    return Refusal(405, "method_not_allowed", message, headers=((b"allow", allowed),))
