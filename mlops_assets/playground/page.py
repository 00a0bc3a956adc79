"""The playground's page: choose an endpoint and a version, fill in or draw, read the answer and where it came from.

streamlit run mlops_assets/playground/page.py
"""

import streamlit as st

from mlops_assets.playground import answers, chat, endpoints, lineage_tree, widgets
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
    endpoint_place, version_place = chooser.columns([1.4, 1])
    try:
        running = endpoints.names()
        if not running:
            st.info("No endpoint runs yet. Release data, for example with `mlops demo`, and look here again.")
            return
        if (before := st.query_params.get(ENDPOINT)) in running:
            st.session_state.setdefault("endpoint", before)
        chosen = endpoint_place.selectbox("endpoint", running, key="endpoint", on_change=st.query_params.clear)
        st.query_params[ENDPOINT] = chosen
        offered = endpoints.versions(chosen)
        version = version_place.selectbox(
            "version",
            offered,
            key=f"version of {chosen}",
            format_func=lambda one: f"{one} · live" if one == offered[0] else one,
        )
        show(chosen, version, None if version == offered[0] else version)
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
    key = f"answer of {endpoint} {version}"
    answer: endpoints.Answer | None = st.session_state.get(key)
    wrong = concerned(fields, answer.field) if answer else None
    with left:
        values = widgets.form(endpoint, fields, example, wrong, answer.error if answer and wrong else None)
        send = st.button("Predict", type="primary", disabled=values is None, key=f"predict {endpoint}")
    if send and values is not None:
        answer = endpoints.predict(endpoint, asked, body_of(values))
        st.session_state[key] = answer
        if answer.field or wrong:
            st.rerun()  # the message belongs beside a field that was drawn above
    with right:
        if answer is None:
            st.caption("The answer comes here, and below it where it came from.")
        elif answer.prediction is None:
            at = f"`{answer.field}`: " if answer.field else ""
            st.error(f"{at}{answer.error}")
        else:
            answers.show(info["prediction_schema"], answer)
            lineage_tree.show(answer.about.get("prediction_id", ""))


main()
