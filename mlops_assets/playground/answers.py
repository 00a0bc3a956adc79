"""An answer on the page: names and numbers, shares by name as a plot, and how long it took."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from mlops_assets.playground.endpoints import Answer

MOST_BARS = 20
IN_LINE = 5  # figures
COLOUR = "#0072B2"  # of Okabe and Ito (2008)


def scores_of(schema: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The fields of a prediction that give a number for each name, by field."""
    properties = schema.get("properties", {})
    return {
        name: value
        for name, value in prediction.items()
        if isinstance(value, dict)
        and value
        and all(isinstance(each, int | float) for each in value.values())
        and properties.get(name, {}).get("type", "object") == "object"
    }


def show(schema: Mapping[str, Any], answer: Answer) -> None:
    """Draw an answer."""
    prediction = answer.prediction or {}
    scores = scores_of(schema, prediction)
    plain = {name: value for name, value in prediction.items() if name not in scores}
    texts = {name: value for name, value in plain.items() if isinstance(value, str)}
    # A name says more than its number: the headline is a text where there is one.
    if headline := next(iter(texts or plain), None):
        st.metric(_title(schema, headline), _short(plain.pop(headline)), help=_help(schema, headline))
    single = {name: value for name, value in plain.items() if isinstance(value, str | int | float | None)}
    figures = [(_title(schema, name), _short(value), _help(schema, name)) for name, value in single.items()]
    about = answer.about
    figures += [
        ("round trip", f"{answer.milliseconds:.1f} ms", "From request to answer, as this page sees it."),
        ("in endpoint", f"{about.get('processing_time_ms', 0):.2f} ms", "As the endpoint says of itself."),
        ("version", str(about.get("version", "")), "The one that answered."),
    ]
    for at in range(0, len(figures), IN_LINE):
        columns = st.columns(max(4, min(IN_LINE, len(figures))))
        for column, (label, value, help_) in zip(columns, figures[at : at + IN_LINE], strict=False):
            column.caption(label, help=help_ or None)
            column.markdown(f"**{value}**")
    for name, values in scores.items():
        st.caption(_title(schema, name), help=_help(schema, name))
        st.altair_chart(bars(values), width="stretch")
    if rest := {name: value for name, value in plain.items() if name not in single}:
        st.json(rest)


def bars(values: Mapping[str, float]) -> Any:
    """A horizontal bar for each name, the largest first, at most `MOST_BARS`."""
    import altair as alt
    import pandas as pd

    best = sorted(values.items(), key=lambda item: -item[1])[:MOST_BARS]
    shares = all(0 <= value <= 1 for value in values.values())
    frame = pd.DataFrame({"name": [name for name, _ in best], "value": [float(value) for _, value in best]})
    frame["text"] = [f"{value:.1%}" if shares else f"{value:.4g}" for value in frame["value"]]
    scale = alt.Scale(domain=[0, 1]) if shares else alt.Undefined
    base = alt.Chart(frame).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, ticks=False, domain=False)),
        x=alt.X("value:Q", title=None, scale=scale, axis=alt.Axis(format="%" if shares else "g", tickCount=5)),
        tooltip=["name", "value"],
    )
    marks = base.mark_bar(color=COLOUR, cornerRadiusEnd=2, height={"band": 0.65})
    # Grey of the middle: readable on the light page and on the dark one.
    labels = base.mark_text(align="left", dx=5, color="#808895", fontSize=12).encode(text="text")
    return (marks + labels).properties(height=26 * len(best) + 34)


def _title(schema: Mapping[str, Any], name: str) -> str:
    return str(schema.get("properties", {}).get(name, {}).get("title", name)).replace("_", " ").lower()


def _help(schema: Mapping[str, Any], name: str) -> str | None:
    return schema.get("properties", {}).get(name, {}).get("description")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
