"""What all endpoints share as ASGI applications: routes, versions, errors. No web framework stands in the way."""

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson

from workloads.sdk.artifacts import BrokenArtifacts
from workloads.sdk.serving.http.openapi import page
from workloads.sdk.serving.http.request import CLOSE, Headers, Message, Receive, Refusal, version_of
from workloads.sdk.serving.log.record import Record
from workloads.sdk.serving.replica import Replica
from workloads.sdk.serving.versions.cache import Busy
from workloads.sdk.serving.versions.loading import Loaded
from workloads.sdk.serving.versions.plan import Plan

logger = logging.getLogger(__name__)

Send = Callable[[Message], Awaitable[None]]
Response = tuple[int, Headers, bytes]

JSON: Headers = ((b"content-type", b"application/json"),)
RETRY: Headers = ((b"retry-after", b"1"),)
READING = ("GET", "HEAD")
MAX_HELD = 128 * 2**20  # bytes of bodies that are read or answered at once


class Service(ABC):
    """The application of one replica; a subclass adds routes of its own."""

    def __init__(self, replica: Replica):
        self.replica, self.metrics = replica, replica.metrics
        self.gets: dict[str, Callable[[], Response]] = {
            "/": self._index,
            "/health": self._health,
            "/versions": self._versions,
            "/metrics": self._metrics,
            "/docs": self._docs,
            "/openapi.json": self._schema,
        }
        self.of_version: dict[str, Callable[[Any], Response]] = {"/info": self._info}
        self._body_bytes = 0  # bytes of bodies

    @property
    @abstractmethod
    def openapi(self) -> dict[str, Any]:
        """The endpoint's OpenAPI text."""

    @abstractmethod
    async def own(
        self, path: str, scope: Message, receive: Receive, send: Send
    ) -> tuple[Response, Record | None] | None:
        """The answer at one of the subclass' own routes, and its row in the log; None where it was sent already.

        Raises:
            Refusal: it is not answered; 404 where there is nothing at the path.
            ConnectionError: the caller has gone.
        """

    @abstractmethod
    def described(self, now: Any) -> dict[str, Any]:
        """What `/info` says besides of the version in memory, None where there is none."""

    def example(self, now: Any) -> dict[str, Any] | None:
        """A request that the version in memory is known to answer, if one is known."""
        return None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1003})
        held = 0

        async def counted() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            if self._body_bytes + size > MAX_HELD:
                reason = f"bodies of {self._body_bytes} bytes are being answered; try again"
                raise Refusal(503, "busy", reason, headers=(*RETRY, *CLOSE))
            held += size
            self._body_bytes += size
            return message

        try:
            return await self._respond(scope, counted, send)
        finally:
            self._body_bytes -= held

    async def _respond(self, scope: Message, receive: Receive, send: Send) -> None:
        record = None
        try:
            path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
            if path in self.gets or path in self.of_version:
                if scope["method"] not in READING:
                    raise wrong_method("GET")
                if path in self.gets:
                    status, headers, body = self.gets[path]()
                else:
                    status, headers, body = self.of_version[path](await self.wanted(scope))
            else:
                answer = await self.own(path, scope, receive, send)
                if answer is None:
                    return
                (status, headers, body), record = answer
        except Refusal as refusal:
            status, headers, body = refusal.status, (*JSON, *refusal.headers), refusal.body
        except ConnectionError:
            return
        except Exception:
            logger.exception("endpoint %s failed at %s", self.replica.config.endpoint, scope["path"])
            status, headers, body = 500, JSON, internal().body
        if record is not None:
            self.replica.log.put(record)  # first: whatever a caller has got can be traced
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await asyncio.get_running_loop().run_in_executor(None, self.replica.close)
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    # --- versions ---

    async def wanted(self, scope: Message) -> Any:
        """The version that a request is about: the one that it names, else the live one, if any."""
        query = scope.get("query_string")
        return await self._asked(query) if query else self.replica.current

    async def _asked(self, query: bytes) -> Loaded:
        """The version that a request names (`?version=1.2.0`, `?version=7`), in memory."""
        name, cache = version_of(query), self.replica.cache
        version = cache.find(name)
        if version is None:
            known = ", ".join(one.version for one in cache.versions()[:20]) or "none yet"
            reason = f"there is no version {name}; there are {known} (all: /versions)"
            raise Refusal(404, "unknown_version", reason, "version")
        live = self.replica.current
        if live is not None and live.version.number == version.number:
            return live
        try:
            loaded = await asyncio.wrap_future(cache.take(version))
        except BrokenArtifacts as error:
            raise Refusal(409, "broken_version", f"version {name} cannot be served: {error}", "version") from None
        except Busy as busy:
            raise Refusal(503, "busy", str(busy), "version", headers=RETRY) from None
        except Exception as error:  # what is loaded may raise anything
            logger.warning("endpoint %s: version %s does not load: %s", self.replica.config.endpoint, name, error)
            reason = f"version {name} does not load: {type(error).__name__}: {error}"[:2000]
            raise Refusal(503, "not_loaded", reason, "version", headers=((b"retry-after", b"10"),)) from None
        # It may have been released since it was loaded.
        return loaded if loaded.version == version else replace(loaded, plan=Plan(0, version))

    def not_ready(self) -> Refusal:
        why = self.replica.error or {"loading": "the first one loads"}.get(self.replica.health, "none was published")
        return Refusal(503, "not_ready", f"no version is served: {why}", headers=RETRY)

    def keeps_inputs(self) -> bool:
        """Whether the log is to hold this request's body."""
        config = self.replica.config
        if config.log_inputs == "sample":
            return random.random() < config.log_sample  # noqa: S311
        return config.log_inputs == "all"

    # --- the routes that all have ---

    def _index(self) -> Response:
        route, now = self.replica.config.route.rstrip("/"), self.replica.current
        names = [*(path for path in self.openapi["paths"] if "{" not in path), "/docs", "/openapi.json"]
        return json(
            {
                "service": self.replica.config.endpoint,
                "version": now.version.version if now else None,
                "status": self.replica.health,
                "links": {path[1:]: route + path for path in names},
            }
        )

    def _health(self) -> Response:
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
        return json(text, 200 if replica.health == "healthy" else 503)

    def _info(self, now: Any) -> Response:
        replica = self.replica
        served = {} if now is None else {"plan": now.plan.number, **now.version.info, **now.version.json()}
        for name in ("info", "artifacts_uri"):
            served.pop(name, None)
        return json(
            {
                "service": replica.config.endpoint,
                "status": replica.health,
                **served,
                **self.described(now),
                "replica": replica.name,
                "log": replica.log.counts(),
            }
        )

    def _versions(self) -> Response:
        now = self.replica.current
        live = now.version.version if now else None
        versions = self.replica.cache.listed(live)
        return json({"service": self.replica.config.endpoint, "live": live, "versions": versions})

    def _metrics(self) -> Response:
        return 200, ((b"content-type", b"text/plain; version=0.0.4"),), self.metrics.text()

    def _docs(self) -> Response:
        now = self.replica.current
        version = now.version.version if now else None
        html = page(self.openapi, version, self.example(now))
        policy = b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
        return 200, ((b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", policy)), html

    def _schema(self) -> Response:
        return json(self.openapi)


def json(value: Any, status: int = 200) -> Response:
    return status, JSON, orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def wrong_method(*allowed: str) -> Refusal:
    names = ", ".join([*allowed, *(["HEAD"] if "GET" in allowed else [])])
    message = f"only {names} is answered here"
    return Refusal(405, "method_not_allowed", message, headers=((b"allow", names.encode()),))


def internal() -> Refusal:
    return Refusal(500, "internal", "the endpoint failed on this request; its log says why")
