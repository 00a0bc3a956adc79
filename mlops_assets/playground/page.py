"""The playground's page: what is live; of one endpoint, a version to ask, the answer, and where it came from.

streamlit run mlops_assets/playground/page.py
"""

import json

import streamlit as st

from mlops_assets.playground import answers, chat, chat_side, endpoints, lineage_tree, overview, widgets
from mlops_assets.playground.forms import body_of, concerned
from mlops_assets.playground.schemas import fields_of
from resources.database import DatabaseUnavailable
from resources.serving.api import ServingUnavailable

ENDPOINT = "endpoint"  # in the page's address
HALVES = (1, 1.15)  # of the page: what is asked, and the answer
AWAY = (endpoints.NotAnswering, ServingUnavailable, DatabaseUnavailable)


def main() -> None:
    st.set_page_config(page_title="Playground", page_icon="◇", layout="wide")
    st.html("<style>.block-container{padding-top:2.2rem;max-width:1240px}</style>")
    title, chooser = st.columns(HALVES, gap="large", vertical_alignment="bottom")
    title.title("Playground", anchor=False)
    endpoint_place, version_place = chooser.columns([1, 1.2])
    try:
        running = endpoints.names()
    except ServingUnavailable:
        running = []  # the overview says why
    wanted = st.query_params.get(ENDPOINT)
    if wanted in running:
        st.session_state.setdefault("endpoint", wanted)
    clear = st.query_params.clear
    chosen = endpoint_place.selectbox("endpoint", running, None, key="endpoint", placeholder="Choose", on_change=clear)
    if chosen is None:
        if wanted:
            st.info(f"No endpoint {chat_side.label(wanted)} runs here at the moment.")
        overview.show()
        return
    st.query_params[ENDPOINT] = chosen
    title.html('<a href="?" style="color: inherit">← Overview</a>')
    try:
        offered = endpoints.versions(chosen)
        live = next(iter(offered))
        key = f"version of {chosen}"
        version = version_place.selectbox("version", list(offered), key=key, format_func=lambda one: offered[one])
        address = endpoints.resources().serving.address(chosen)
        chooser.caption(f"[documentation]({address}/docs) · [metrics]({address}/metrics)")
        show(chosen, version, None if version == live else version)
    except AWAY as error:
        endpoints.names.clear()
        endpoints.versions.clear()
        st.warning(str(error))
        st.button("Look again")


def show(endpoint: str, version: str, asked: str | None) -> None:
    """A chat with an application; of a model, its form on the left, the answer and its trace on the right."""
    info, example = endpoints.about(endpoint, version, asked)
    if "parts" in info:
        chat.show(endpoint, asked, info)
        return
    fields = fields_of(info["request_schema"], example)
    left, right = st.columns(HALVES, gap="large")
    with left:
        values, below = widgets.form(endpoint, fields, example)
        send = st.button("Predict", type="primary", disabled=values is None, key=f"predict {endpoint}")
    key = f"answer of {endpoint} {version}"
    body = body_of(values or {})
    if send and values is not None:
        st.session_state[key] = (json.dumps(body), endpoints.predict(endpoint, asked, body))
    sent, answer = st.session_state.get(key, (None, None))
    with right:
        if answer is None:
            st.caption("Press Predict for the answer to what the form holds: an example, or what you fill in or draw. "
                       "Below it stands where it came from. Any version above may be asked.")  # fmt: skip
        elif sent != json.dumps(body):  # an answer belongs to its input
            st.caption("The input has changed since the last answer. Press Predict for that of this one.")
        elif answer.prediction is None:
            if wrong := concerned(fields, answer.field):
                widgets.said(answer.error, below[wrong.place])
            at = f"`{answer.field}`: " if answer.field else ""
            st.error(f"{at}{answer.error}")
        else:
            answers.show(info["prediction_schema"], answer)
            lineage_tree.show(answer.about.get("prediction_id", ""))


main()
