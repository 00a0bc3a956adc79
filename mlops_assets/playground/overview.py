"""The first page: what can be tried, what is live and how it does, what waits for a person, which alerts stand."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from jinja2 import Environment, StrictUndefined, Template

from mlops_assets.playground import endpoints
from mlops_assets.playground.forms import Field
from mlops_assets.playground.schemas import fields_of
from resources.all import Resources
from resources.database import DatabaseUnavailable
from resources.ledger import NoLedger, Release
from resources.serving.api import ServingUnavailable

SECONDS = 10  # between two looks
NAMED = 5  # values of a request whose names are said


@st.fragment(run_every=SECONDS)
def show() -> None:
    """Draw the page, and draw it anew while somebody looks at it."""
    found = gather(endpoints.resources())
    if found["faults"]:
        st.warning("\n\n".join(found["faults"]))
        st.button("Look again", on_click=endpoints.names.clear)
    st.html(_template().render(found))


@cache
def _template() -> Template:
    """All that is put in is escaped: reasons and alerts may be anybody's words."""
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["time"] = lambda at: f"{at.astimezone():%Y-%m-%d %H:%M}"
    return environment.from_string((Path(__file__).parent / "overview.html.j2").read_text())


def gather(store: Resources) -> dict[str, Any]:
    """What the page says; what does not answer is one of `faults`, and the rest is there all the same."""
    found: dict[str, Any] = {"faults": [], "released": {}, "waiting": [], "alerts": [], "doing": {}, "running": {}}
    try:
        found["running"] = dict(sorted(store.serving.status().items()))
    except ServingUnavailable as error:
        found["faults"].append(str(error))
    try:
        ledger = store.ledger
        found["released"] = {release.thing: release for release in ledger.all_current()}
        found["waiting"] = [
            (each, ledger.decisions(each.id)[-1])
            for target in ledger.candidates.targets()
            for each in ledger.candidates.waiting(target)
        ]
        found["alerts"] = [one for one in ledger.alerts.standing()[::-1] if one.kind != "hold"]  # those are `waiting`
        found["doing"] = {name: doing(store, name, found["released"].get(name)) for name in found["running"]}
    except (DatabaseUnavailable, NoLedger) as error:
        found["faults"].append(str(error))
    offers = {name: offer(name) for name, state in found["running"].items() if state == "RUNNING"}
    return found | {"settings": store.settings, "address": store.serving.address, "offers": offers}


def doing(store: Resources, endpoint: str, release: Release | None) -> dict[str, Any]:
    """How an endpoint does: requests that all its replicas have answered, how fast, and with what instead."""
    replicas = list(store.serving.live(endpoint).values())
    counted = Counter[str]()
    for one in replicas:
        counted.update({status[0]: count for status, count in one.requests.items()})
    return {
        "requests": counted.total(),
        "refused": counted["4"],
        "failed": counted["5"],
        "since": min((one.started_at for one in replicas), default=None),
        "pace": store.predictions.pace(endpoint),
        "instead": sorted({one.version or "nothing" for one in replicas} - {release and release.version}),
    }


def offer(endpoint: str) -> dict[str, str]:
    """What can be tried with an endpoint: what it takes and answers; or what is wrong with it."""
    try:
        version, name = next(iter(endpoints.versions(endpoint).items()))
        info, example = endpoints.about(endpoint, version, None)
    except endpoints.NotAnswering as problem:
        return {"version": "", "text": str(problem)}
    if "parts" in info:
        return {"version": name, "text": "Takes questions, in a conversation; shows what each answer rests on."}
    takes = taken(fields_of(info["request_schema"], example))
    answers = ", ".join(info["prediction_schema"].get("properties", {}))
    return {"version": name, "text": f"Takes {takes}; answers {answers}."}


def taken(fields: Sequence[Field]) -> str:
    """What a form asks for, in a few words: `13 values: alcohol, malic acid, ash and 10 more`."""
    if pictures := [field.shape for field in fields if field.shape]:
        return f"a picture of {pictures[0][0]} × {pictures[0][1]}, drawn or uploaded"
    if len(fields) == 1:
        return f"one {fields[0].kind}"
    names = ", ".join(field.title for field in fields[:NAMED])
    return f"{len(fields)} values: {names}" + (f" and {len(fields) - NAMED} more" if len(fields) > NAMED else "")
