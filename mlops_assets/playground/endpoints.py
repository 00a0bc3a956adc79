"""What the page asks of the endpoints: which there are, what each takes, and a prediction with its latency."""

import json
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import quote

from resources.all import Resources
from resources.http import request

SECONDS = 30  # that a prediction may take


class NotAnswering(Exception):
    """An endpoint does not answer as it should; the message says what to do."""


@dataclass(frozen=True)
class About:
    """What an endpoint says of one version: schemas of request and prediction, a request that it is known to answer.

    An application says what it is put together of instead.
    """

    info: dict[str, Any]
    example: dict[str, Any]

    @property
    def is_application(self) -> bool:
        return "parts" in self.info

    @property
    def request_schema(self) -> dict[str, Any]:
        return self.info["request_schema"]

    @property
    def prediction_schema(self) -> dict[str, Any]:
        return self.info["prediction_schema"]


@dataclass(frozen=True)
class Answer:
    """An endpoint's answer to one row, or its refusal.

    Attributes:
        milliseconds: from request to answer, as the caller sees it.
        prediction: the answer to the row; None where it was refused.
        about: the rest of the answer: prediction id, version, processing time.
        error: sentence, and the field that it is about, if any.
    """

    milliseconds: float
    prediction: dict[str, Any] | None
    about: dict[str, Any]
    error: str | None = None
    field: str | None = None


@dataclass(frozen=True)
class Client:
    """The endpoints of one environment, over HTTP."""

    resources: Resources

    def names(self) -> list[str]:
        """Endpoints that run, by name. Raises `ServingUnavailable` where Serve does not answer."""
        return sorted(name for name, status in self.resources.serving.status().items() if status == "RUNNING")

    def versions(self, endpoint: str) -> list[str]:
        """Versions that may be asked for: the live one, then the newest. Raises `NotAnswering` where none is live."""
        offered = self._get(endpoint, "versions")
        live = offered.get("live")
        if live is None:
            raise NotAnswering(f"{endpoint} runs and serves no version yet; release one, then look again")
        return [live, *(one["version"] for one in offered["versions"] if one["version"] != live)]

    def about(self, endpoint: str, version: str | None) -> About:
        """What a version (None: the live one) takes."""
        info = self._get(endpoint, "info", version)
        return About(info, {} if "parts" in info else self._get(endpoint, "example", version))

    def predict(self, endpoint: str, version: str | None, body: dict[str, Any]) -> Answer:
        """Ask for one prediction; a refusal is an answer too."""
        url = f"{self._address(endpoint)}/predict{_query(version)}"
        started = perf_counter()
        status, content = request(url, timeout=SECONDS, method="POST", body=body)
        milliseconds = (perf_counter() - started) * 1000
        if status == 0:
            raise NotAnswering(f"{endpoint} does not answer; `mlops status` says what is wrong")
        answer = _json(content)
        if status != 200 or not answer.get("predictions"):
            error: Any = answer["error"] if isinstance(answer.get("error"), dict) else {}
            said = error.get("message") or f"the endpoint answered with status {status}"
            return Answer(milliseconds, None, answer, said, error.get("field"))
        return Answer(milliseconds, answer.pop("predictions")[0], answer)

    def _address(self, endpoint: str) -> str:
        return self.resources.serving.address(endpoint)

    def _get(self, endpoint: str, what: str, version: str | None = None) -> dict[str, Any]:
        status, content = request(f"{self._address(endpoint)}/{what}{_query(version)}", timeout=SECONDS)
        answer = _json(content)
        if status != 200:
            said = (answer.get("error") or {}).get("message") or "`mlops status` says what is wrong"
            raise NotAnswering(f"{endpoint} does not tell its {what} (status {status}): {said}")
        return answer


def _query(version: str | None) -> str:
    return f"?version={quote(version, safe='')}" if version else ""


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
