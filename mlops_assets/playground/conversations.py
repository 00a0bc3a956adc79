"""What the chat page asks of an application's endpoint: sessions, answers as they come, chunks, thumbs."""

import json
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from mlops_assets.playground.endpoints import NotAnswering, error_of, json_of, url_of
from resources.http import NoAnswer, request, stream

SECONDS = 15  # that anything but an answer may take
STREAM_SECONDS = 120  # between two events of a stream
LONGEST = 2**22  # bytes of an event

Event = tuple[str, Any]


class Refused(Exception):
    """The endpoint answers, and refuses; the message is its own."""

    def __init__(self, status: int, content: bytes):
        error = error_of(json_of(content))
        at = f"{error['field']}: " if error.get("field") else ""
        super().__init__(at + (error.get("message") or f"the endpoint answered with status {status}"))
        self.gone = status in (404, 422)  # what was asked for is not there, or cannot be


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
        url, ended = url_of(f"{self.address}/query", self.version), False
        body = {"question": question, "session_id": session, "stream": True}
        try:
            with stream("POST", url, None, STREAM_SECONDS, body, Accept="text/event-stream") as answer:
                if answer.is_error:
                    raise Refused(answer.status_code, answer.read())
                for name, data in events(answer.iter_bytes()):
                    ended = ended or name in ("done", "error")
                    yield name, data
        except NoAnswer as error:
            raise NotAnswering(f"the endpoint stopped answering ({error}); ask again") from None
        if not ended:
            raise NotAnswering("the endpoint broke off in the middle of its answer; ask again")

    def _ask(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        status, content = request(url_of(self.address + path, self.version), None, SECONDS, verb, body)
        if status == 0:
            raise NotAnswering("the endpoint does not answer; `mlops status` says what is wrong")
        if status >= 400:
            raise Refused(status, content)
        return json.loads(content or b"{}")


def events(parts: Iterable[bytes]) -> Iterable[Event]:
    """Server-sent events with JSON data, from the parts of a body as they come; one that was not ended by an empty line
    is left out, as the standard has it."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n\n")
        for lines in whole:
            fields = dict(line.partition(b": ")[::2] for line in lines.split(b"\n"))
            if b"data" in fields:
                yield fields.get(b"event", b"message").decode(), json.loads(fields[b"data"])
        if len(rest) > LONGEST:
            raise NoAnswer("a line is too long")
