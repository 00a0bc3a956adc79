"""The endpoint of an application: the routes that its `App` declares, with streams and an admin key.

A stream is server-sent events: `event: <name>` and `data: <JSON in one line>`, so that no line break of a text can end
an event. It ends with `done`, which holds the whole answer, or with `error`.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from hmac import compare_digest
from time import perf_counter
from typing import Any, cast

import orjson

from workloads.sdk.contract import InvalidInput
from workloads.sdk.contract.applications import App, Call, Failed, Reply, Route
from workloads.sdk.serving.http.disconnect import unless_gone
from workloads.sdk.serving.http.finite import finite
from workloads.sdk.serving.http.ids import uuid7
from workloads.sdk.serving.http.metrics import GONE, Seen
from workloads.sdk.serving.http.openapi_application import openapi
from workloads.sdk.serving.http.request import Headers, Message, Reader, Receive, Refusal, read_body
from workloads.sdk.serving.http.service import (
    JSON,
    RETRY,
    Response,
    Send,
    Service,
    internal,
    json,
    logger,
    wrong_method,
)
from workloads.sdk.serving.log.record import Record
from workloads.sdk.serving.replica import Replica
from workloads.sdk.serving.versions.composition import LoadedApp

MAX_BODY = 2**18  # bytes
MAX_ANSWERS = 256  # that are made at once
ANSWER_SECONDS = 300  # the longest that an answer may take, streams included
TRIES = 5  # to take a version that is not retired in that very moment
EVENTS: Headers = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class ApplicationEndpoint(Service):
    """The application of one replica of an `App`'s endpoint."""

    def __init__(self, replica: Replica):
        super().__init__(replica)
        config = replica.config
        kind = cast("type[App]", replica.kind)
        self._text = openapi(config.endpoint, config.route, kind)
        self._routes = [(pattern(route.path), route) for route in kind.routes]
        self._answering = 0
        self._readers = {route.path: Reader(route.request) for _, route in self._routes if route.request}

    @property
    def openapi(self) -> dict[str, Any]:
        return self._text

    def described(self, now: LoadedApp | None) -> dict[str, Any]:
        return {} if now is None else {"parts": now.parts, **now.app.info()}

    # --- one request ---

    async def own(
        self, path: str, scope: Message, receive: Receive, send: Send
    ) -> tuple[Response, Record | None] | None:
        route, values = self._match(path, scope["method"])
        with self.metrics.request(route.path) as seen:
            answer = await self._answer(route, values, scope, receive, send, seen)
            if answer is not None:
                seen.status = answer[0][0]
            return answer

    def _match(self, path: str, verb: str) -> tuple[Route, dict[str, str]]:
        """The route of a request, and what stands in its path."""
        found = [(match, route) for expression, route in self._routes if (match := expression.fullmatch(path))]
        found = [one for one in found if one[1].path == path] or found  # what has a name comes before placeholders
        if not found:
            raise Refusal(404, "not_found", f"there is nothing at {path[:200]}; see /docs")
        for match, route in found:
            if route.verb == ("GET" if verb == "HEAD" else verb):
                return route, match.groupdict()
        raise wrong_method(*(route.verb for _, route in found))

    async def _answer(self, route: Route, values: dict[str, str], scope: Message, receive: Receive, send: Send,
                      seen: Seen) -> tuple[Response, Record | None] | None:  # fmt: skip
        if route.admin:
            self._admit(scope)
        text = await read_body(scope, receive, MAX_BODY) if route.request or scope["method"] == "POST" else b""
        body = self._readers[route.path].read(text) if route.request else None
        started = perf_counter()
        async with self._held(scope) as loaded:
            call = Call(uuid7(), body, values)
            answering = getattr(loaded.app, route.method)(call)
            reply = await unless_gone(self._explained(answering), receive)
            if reply.stream is not None:
                await self._stream(loaded, call, reply, text, started, receive, send, seen)
                return None
            self._check(reply.body)
            if not reply.logged:
                return json(reply.body, reply.status), None
            self.metrics.answered("refused" if reply.body.get("refused") else "answered")
            facts = self._facts(loaded, call, started)
            headers = (*JSON, *self._named(loaded, call))
            record = self._record(loaded, call, {**reply.body, "parts": facts["parts"]}, text, started)
            return (reply.status, headers, orjson.dumps({**reply.body, **facts})), record

    def _admit(self, scope: Message) -> None:
        """Raises `Refusal` where the caller has not the admin key."""
        sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        key = self.replica.services.secret("admin_key") or ""
        if not key or not compare_digest(sent, f"Bearer {key}".encode()):
            challenge: Headers = ((b"www-authenticate", b"Bearer"),)
            raise Refusal(
                401, "no_key", "this asks for the admin key, as `Authorization: Bearer <key>`", headers=challenge
            )

    @asynccontextmanager
    async def _held(self, scope: Message) -> AsyncIterator[LoadedApp]:
        """The version that a request is about, kept open until its end."""
        if self._answering >= MAX_ANSWERS:
            raise Refusal(503, "busy", f"{MAX_ANSWERS} answers are being made; try again", headers=RETRY)
        for _ in range(TRIES):
            loaded = await self.wanted(scope)
            if loaded is None:
                raise self.not_ready()
            if loaded.use.enter():
                break
        else:
            raise Refusal(503, "busy", "versions are switched too often to answer now", headers=RETRY)
        self._answering += 1
        try:
            yield loaded
        finally:
            self._answering -= 1
            loaded.use.leave()

    async def _explained(self, answering: Coroutine[Any, Any, Any]) -> Any:
        """What the application answers, with its errors as this endpoint's."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answering
        except Exception as error:
            raise self._refused(error) from None

    # --- streams ---

    async def _stream(self, loaded: LoadedApp, call: Call, reply: Reply, text: bytes, started: float,
                      receive: Receive, send: Send, seen: Seen) -> None:  # fmt: skip
        events, body = reply.stream, reply.body
        assert events is not None
        outcome, begun = "interrupted", False

        async def sending() -> None:
            nonlocal outcome, begun
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    async for name, data in events:
                        if not begun:  # until the first event an error still has a status
                            await send({"type": "http.response.start", "status": 200, "headers": headers})
                            begun = True
                        await send(event(name, data))
                self._check(body)
                outcome = "refused" if body.get("refused") else "answered"
                self.replica.log.put(self._record(loaded, call, {**body, "parts": loaded.parts}, text, started))
                if not begun:
                    await send({"type": "http.response.start", "status": 200, "headers": headers})
                    begun = True
                await send(event("done", {**body, **self._facts(loaded, call, started)}))
            except Exception as error:
                refusal = self._refused(error)
                if not begun:
                    raise refusal from None
                seen.status = refusal.status
                await send(event("error", orjson.loads(refusal.body)["error"]))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        headers = [*EVENTS, *self._named(loaded, call)]
        seen.status = 200
        try:
            await unless_gone(sending(), receive)
        except ConnectionError:
            seen.status = GONE
        finally:
            with suppress(Exception):
                await events.aclose()  # type: ignore[attr-defined]
            if begun and outcome == "interrupted":  # its beginning may have been read, under its id
                cut = {**body, "interrupted": True, "parts": loaded.parts}
                self.replica.log.put(self._record(loaded, call, cut, text, started))
            if begun:
                self.metrics.answered(outcome)

    def _refused(self, error: Exception) -> Refusal:
        """An error of the application, or of sending what it answers, as this endpoint's."""
        match error:
            case Refusal():
                return error
            case InvalidInput():
                return Refusal(422, "invalid_input", error.reason, error.field)
            case Failed():
                headers = RETRY if error.status == 503 else ()
                return Refusal(error.status, error.code, str(error), headers=headers)
            case TimeoutError():
                return Refusal(504, "too_slow", f"the answer took longer than {ANSWER_SECONDS} s")
        logger.error("endpoint %s failed in an answer", self.replica.config.endpoint, exc_info=error)
        return internal()

    def _check(self, body: Any) -> None:
        """Raises `Refusal` where a number of an answer is not finite."""
        if not finite(body):
            logger.error("endpoint %s made an answer with a number that is not finite", self.replica.config.endpoint)
            raise internal()

    # --- what can be traced ---

    @staticmethod
    def _named(loaded: LoadedApp, call: Call) -> Headers:
        return ((b"x-model-version", loaded.version.version.encode()), (b"x-prediction-id", str(call.id).encode()))

    @staticmethod
    def _facts(loaded: LoadedApp, call: Call, started: float) -> dict[str, Any]:
        """What the server says of an answer."""
        version = loaded.version
        return {
            "prediction_id": str(call.id),
            "version": version.version,
            "release_id": version.release_id,
            "parts": loaded.parts,
            "timestamp": datetime.now(UTC).isoformat(),
            "processing_time_ms": milliseconds(started),
        }

    def _record(self, loaded: LoadedApp, call: Call, body: dict[str, Any], text: bytes, started: float) -> Record:
        version = loaded.version
        return Record(
            call.id, version.release_id, version.version, loaded.plan.number, datetime.now(UTC), 1,
            milliseconds(started), text if self.keeps_inputs() else None, orjson.dumps([body]), version.number or None,
        )  # fmt: skip


def pattern(path: str) -> re.Pattern[str]:
    """The paths that a route takes; a placeholder is one part of a path."""
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]{1,200})", re.escape(path)))


def event(name: str, data: Any) -> Message:
    text = b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))
    return {"type": "http.response.body", "body": text, "more_body": True}


def milliseconds(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)
