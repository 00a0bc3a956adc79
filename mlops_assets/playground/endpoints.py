"""What the page asks of the endpoints: which there are, what each takes, and a prediction with its latency."""

import json
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from resources.all import Resources
from resources.database import DatabaseUnavailable
from resources.http import request
from resources.ledger import NoLedger
from resources.settings import settings

SECONDS = 30  # that a prediction may take


class NotAnswering(Exception):
    """An endpoint does not answer as it should; the message says what to do."""


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


@st.cache_resource
def resources() -> Resources:
    return Resources(settings())


@st.cache_data(ttl=10, show_spinner=False)
def names() -> list[str]:
    """Endpoints that run, by name. Raises `ServingUnavailable` where Serve does not answer."""
    return sorted(name for name, status in resources().serving.status().items() if status == "RUNNING")


@st.cache_data(ttl=10, show_spinner=False)
def versions(endpoint: str) -> dict[str, str]:
    """Versions that may be asked for, each with state and variant: the live one, then the newest.

    Raises `NotAnswering` where none is live.
    """
    offered = _get(endpoint, "versions")
    if (live := offered.get("live")) is None:
        raise NotAnswering(f"{endpoint} runs and serves no version yet; release one, then look again")
    try:
        states = resources().ledger.candidates.states(endpoint)
    except (DatabaseUnavailable, NoLedger):  # the endpoint answers all the same, and knows what was released
        states = {}
    found = {live: f"{live} · live"}
    for one in sorted(offered["versions"], key=lambda one: one["version"] != live):
        state = states.get(one["number"], "released" if one["released"] else "not released")
        words = (one["version"], "live" if one["version"] == live else state, one.get("variant"))
        found[one["version"]] = " · ".join(filter(None, words))
    return found


@st.cache_data(ttl=60, show_spinner=False, max_entries=50)
def about(endpoint: str, version: str, asked: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a version says of itself, and a request that it is known to answer; an application has none.

    Args:
        version: keeps what one said apart from what the next says.
        asked: None: the live one.
    """
    info = _get(endpoint, "info", asked)
    return info, {} if "parts" in info else _get(endpoint, "example", asked)


def predict(endpoint: str, version: str | None, body: dict[str, Any]) -> Answer:
    """Ask for one prediction; a refusal is an answer too."""
    started = perf_counter()
    status, answer = _ask(endpoint, "predict", version, body)
    milliseconds = (perf_counter() - started) * 1000
    if status == 0:
        raise NotAnswering(f"{endpoint} does not answer; `mlops status` says what is wrong")
    if status != 200 or not answer.get("predictions"):
        error = error_of(answer)
        said = error.get("message") or f"the endpoint answered with status {status}"
        return Answer(milliseconds, None, answer, said, error.get("field"))
    return Answer(milliseconds, answer.pop("predictions")[0], answer)


def _get(endpoint: str, what: str, version: str | None = None) -> dict[str, Any]:
    status, answer = _ask(endpoint, what, version)
    if status != 200:
        said = error_of(answer).get("message") or "`mlops status` says what is wrong"
        raise NotAnswering(f"{endpoint} does not tell its {what} (status {status}): {said}")
    return answer


def _ask(endpoint: str, what: str, version: str | None, body: Any = None) -> tuple[int, dict[str, Any]]:
    url = url_of(f"{resources().serving.address(endpoint)}/{what}", version)
    status, content = request(url, timeout=SECONDS, method="GET" if body is None else "POST", body=body)
    return status, json_of(content)


def url_of(address: str, version: str | None) -> str:
    """An address where a version (None: the live one) answers."""
    return address + (f"?{urlencode({'version': version})}" if version else "")


def json_of(content: bytes) -> dict[str, Any]:
    """An answer's JSON; empty where it is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def error_of(answer: dict[str, Any]) -> dict[str, Any]:
    """What an endpoint says of its refusal: code, message, and the field that it is about, if any."""
    return answer["error"] if isinstance(answer.get("error"), dict) else {}
