"""From the bytes of a request to a validated one, and the refusals on that way."""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from json import loads as lenient_loads
from typing import Any
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ValidationError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Headers = tuple[tuple[bytes, bytes], ...]

MAX_BODY = 16 * 2**20
READ_SECONDS = 20  # the longest that a whole body may take to arrive
CLOSE: Headers = ((b"connection", b"close"),)
VERSION = re.compile(r"[0-9]{1,9}|[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}")


class Refusal(Exception):
    """A request is not answered: HTTP status, short code, reason, and the field where there is one."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None, headers: Headers = ()):
        super().__init__(message)
        self.status, self.headers = status, headers
        # A message may quote what was sent, and JSON can spell half a character.
        said = {"code": code, "message": _text(message), "field": None if field is None else _text(field)}
        self.body = orjson.dumps({"error": said})


async def read_body(scope: Message, receive: Receive, limit: int | None = None) -> bytes:
    """The whole body, of a kind and size (bytes) that is taken.

    Raises:
        Refusal: it is not.
        ConnectionError: the caller has gone.
    """
    most = limit or MAX_BODY
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise _too_large(most)
        if name == b"content-type":
            kind = value.split(b";", 1)[0].strip().lower()
            if kind and kind != b"application/json" and not kind.endswith(b"+json"):
                reason = f"send application/json instead of {kind.decode('latin-1')}"
                raise Refusal(415, "unsupported_media_type", reason)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise Refusal(415, "unsupported_media_type", "send the body without content-encoding")
    parts, size, more = [], 0, True
    try:
        async with asyncio.timeout(READ_SECONDS):
            while more:
                part = await receive()
                if part["type"] == "http.disconnect":
                    raise ConnectionError
                parts.append(part.get("body", b""))
                size += len(parts[-1])
                if size > most:
                    raise _too_large(most)
                more = part.get("more_body", False)
    except TimeoutError:
        reason = f"the body did not arrive within {READ_SECONDS} s; send it at once, or less of it"
        raise Refusal(408, "request_timeout", reason, headers=CLOSE) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def version_of(query: bytes) -> str:
    """The version that a query string asks for, as it is spelled: `1.2.0` or `7`.

    Raises:
        Refusal: it asks for something else, twice, or for what is no version.
    """
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        pairs = [("?", "")]
    if [name for name, _ in pairs] != ["version"]:
        raise Refusal(422, "invalid_input", "the only thing to ask for after the `?` is one `version=`", "version")
    text = pairs[0][1]
    if not VERSION.fullmatch(text):
        reason = "must be a released version such as 1.2.0, or the number of a registered one such as 7"
        raise Refusal(422, "invalid_input", reason, "version")
    return text


def _too_large(most: int) -> Refusal:
    message = f"the body may have {most} bytes; send less at a time"
    return Refusal(413, "too_large", message, headers=CLOSE)


def _text(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


class Reader:
    """Reads the requests of one model: JSON, no field too many, and what the model itself says of each field."""

    def __init__(self, model: type[BaseModel]):
        self._model = model
        self._names = [field.alias or name for name, field in model.model_fields.items()]
        self._known = {*self._names, *model.model_fields}
        self._closed = model.model_config.get("extra") != "allow"

    def read(self, body: bytes) -> BaseModel:
        """The request of a body; raises `Refusal` with field and reason."""
        refusal = None
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            reason = f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
            refusal = Refusal(400, "not_json", reason)
            if b"NaN" not in body and b"Infinity" not in body and "infinity" not in error.msg:
                raise refusal from None
            # JSON but for numbers out of range, perhaps: validation can name the field.
            try:
                content = lenient_loads(body)
            except (ValueError, RecursionError):
                raise refusal from None
        request = self.validate(content)
        if refusal is not None:
            raise refusal
        return request

    def validate(self, content: Any) -> BaseModel:
        """The request that some JSON is; raises `Refusal` with field and reason."""
        if not isinstance(content, dict):
            raise Refusal(422, "invalid_input", "the body must be a JSON object")
        if self._closed and not content.keys() <= self._known:
            name = min(content.keys() - self._known)
            raise Refusal(422, "invalid_input", f"is not a field; the fields are {', '.join(self._names)}", name)
        try:
            return self._model.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise Refusal(422, "invalid_input", first["msg"], _place(first["loc"])) from None


def _place(location: tuple[int | str, ...]) -> str | None:
    """`features[2][7]`"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or None
