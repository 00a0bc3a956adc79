"""What the chat page asks of an application's endpoint: sessions, answers as they come, chunks, thumbs."""

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode

from mlops_assets.playground.endpoints import NotAnswering
from resources.http import NoAnswer, request, stream

SECONDS = 15  # that anything but an answer may take
STREAM_SECONDS = 120  # between two events of a stream
LONGEST_LINE = 2**22  # bytes of an event

Event = tuple[str, Any]


class Refused(Exception):
    """The endpoint answers, and refuses; the message is its own."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code

    @property
    def gone(self) -> bool:
        """Whether what was asked for is not there, or cannot be."""
        return self.status in (404, 422)


@dataclass(frozen=True)
class Conversations:
    """The conversations that an endpoint keeps.

    Every method raises `NotAnswering` where it does not answer, and `Refused` where it refuses.

    Attributes:
        address: URL of the endpoint.
        version: asked for by name; None: the live one.
    """

    address: str
    version: str | None = None

    def create(self) -> str:
        """A new session's id."""
        return self._ask("POST", "/session/create", {})["session_id"]

    def history(self, session: str) -> list[dict[str, Any]]:
        """The turns of a session, oldest first."""
        return self._ask("GET", f"/session/{quote(session, safe='')}/history")["turns"]

    def delete(self, session: str) -> None:
        self._ask("DELETE", f"/session/{quote(session, safe='')}")

    def chunk(self, identity: str) -> dict[str, Any]:
        return self._ask("GET", f"/chunk/{quote(identity, safe='')}")

    def rate(self, prediction: str, thumbs: Literal["up", "down"]) -> None:
        """Store thumbs for an answer."""
        self._ask("POST", "/feedback", {"prediction_id": prediction, "thumbs": thumbs})

    def ask(self, session: str, question: str) -> Generator[Event, None, None]:
        """The events of an answer as they come, the last one `done` or `error`; closing it hangs up."""
        body, ended = {"question": question, "session_id": session, "stream": True}, False
        try:
            with stream("POST", self._url("/query"), None, STREAM_SECONDS, body, Accept="text/event-stream") as answer:
                if answer.is_error:
                    raise _refused(answer.status_code, answer.read())
                for name, data in events(lines(answer.iter_bytes())):
                    ended = ended or name in ("done", "error")
                    yield name, data
        except NoAnswer as error:
            raise NotAnswering(f"the endpoint stopped answering ({error}); ask again") from None
        if not ended:
            raise NotAnswering("the endpoint broke off in the middle of its answer; ask again")

    def _ask(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        status, content = request(self._url(path), timeout=SECONDS, method=verb, body=body)
        if status == 0:
            raise NotAnswering("the endpoint does not answer; `mlops status` says what is wrong")
        if status >= 400:
            raise _refused(status, content)
        return json.loads(content or b"{}")

    def _url(self, path: str) -> str:
        return self.address + path + (f"?{urlencode({'version': self.version})}" if self.version else "")


def lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Each line with its end, from the parts of a body as they come; at most `LONGEST_LINE` of one are kept."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(rest) > LONGEST_LINE:
            raise NoAnswer("a line is too long")
    if rest:
        yield rest


def events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Server-sent events with JSON data, from the lines of a stream; one that was not ended by an empty line is left
    out, as the standard has it."""
    name, data = "message", b""
    for line in lines:
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode()
        elif field == b"data":
            data += value
        elif not field and not value and line.endswith(b"\n"):
            if data:
                yield name, json.loads(data)
            name, data = "message", b""


def _refused(status: int, content: bytes) -> Refused:
    try:
        error = json.loads(content)["error"]
        at = f"{error['field']}: " if error.get("field") else ""
        return Refused(status, error["code"], at + error["message"])
    except (ValueError, KeyError, TypeError):
        return Refused(status, "unknown", f"the endpoint answered with status {status}")
