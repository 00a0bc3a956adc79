"""The widgets of a form's fields, filled by the endpoint's own example."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from mlops_assets.playground.drawing import Frame, NoPicture, read
from mlops_assets.playground.forms import Field, Place, value_at

CANVAS = 280  # pixels
NUMBERS_IN_LINE = 3


def form(
    endpoint: str, fields: Sequence[Field], example: Mapping[str, Any]
) -> tuple[dict[Place, Any] | None, dict[Place, Any]]:
    """Draw the fields; what was filled in, or None where something is missing, and room for an error below each."""
    rows = max((len(value) for value in example.values() if isinstance(value, list)), default=1)
    number = st.session_state.setdefault(f"example of {endpoint}", 0)
    several = rows > 1 and not all(field.kind == "picture" for field in fields)
    if several and st.button("Another example", help="Fill in the next of the model's own examples."):
        st.session_state[f"example of {endpoint}"] = number = number + 1
    values: dict[Place, Any] = {}
    below: dict[Place, Any] = {}
    complete = True
    for group in dict.fromkeys(field.group for field in fields):
        members = [field for field in fields if field.group == group]
        columns = st.columns(NUMBERS_IN_LINE) if len(members) > 1 else [st.container()]
        for at, field in enumerate(members):
            with columns[at % len(columns)]:
                key = f"{endpoint} {field.place} {field.title} {number}"
                value = _widget(field, value_at(example, field.place, number), example, key)
                below[field.place] = st.empty()
                if value is None:
                    complete = complete and not field.required
                else:
                    values[field.place] = value
    return (values if complete else None), below


def _widget(field: Field, example: Any, examples: Mapping[str, Any], key: str) -> Any:
    """The value of one field; None where there is none (yet)."""
    value = field.default if example is None else example
    about: dict[str, Any] = {"key": key, "help": field.description or None}
    if field.kind == "number":
        return st.number_input(field.title, value=_number(value, float), format="%g", **about)
    if field.kind == "integer":
        return st.number_input(field.title, value=_number(value, int), step=1, **about)
    if field.kind == "text":
        text = st.text_area(field.title, str(value or ""), max_chars=field.longest, height=160, **about)
        if field.required and not text.strip():
            st.caption("Write something.")
            return None
        return text
    if field.kind == "choice":
        at = field.choices.index(value) if value in field.choices else 0
        return st.selectbox(field.title, field.choices, index=at, **about)
    if field.kind == "switch":
        return st.toggle(field.title, bool(value), **about)
    if field.kind == "picture":
        return _picture(field, examples, key)
    text = st.text_area(f"{field.title} (JSON)", json.dumps(value), height=160, **about)
    try:
        return json.loads(text)
    except ValueError as error:
        said(f"this is not JSON: {error}")
        return None


def said(text: str, place: Any = st) -> None:
    """What is wrong with the field above; the text may be anybody's."""
    place.html(f'<div style="color:#D55E00;font-size:.85rem;margin-top:-.6rem">{escape(text)}</div>')


def _number(value: Any, kind: type) -> Any:
    """A number to start from; a float32 that JSON shows as 4.309999942779541 is 4.31."""
    if not isinstance(value, int | float):
        return None
    return kind(value) if kind is int else float(str(np.float32(value)))


# --- pictures ---


def _picture(field: Field, examples: Mapping[str, Any], key: str) -> Any:
    """A picture that is drawn, uploaded, or one of the model's own examples; shown as it is sent."""
    assert field.shape is not None
    own = value_at(examples, field.place[:-1]) or []
    frame = Frame.of(field.shape, field.minimum or 0, field.maximum or 255, field.whole, own)
    st.caption(field.title, help=field.description or None)
    ways = ["Draw", "Upload", "Example"] if own else ["Draw", "Upload"]
    way = st.segmented_control("from", ways, default="Draw", key=f"{key} way", label_visibility="collapsed") or "Draw"
    given, sent = st.columns([CANVAS + 40, 180], gap="medium")
    try:
        with given:
            if way == "Draw":
                values = _drawn(frame, key)
            elif way == "Upload":
                values = _uploaded(frame, key)
            else:
                at = st.number_input("which", 1, len(own), 1, key=f"{key} which") - 1
                values = np.asarray(own[at], float).reshape(field.shape)
    except NoPicture as error:
        said(str(error))
        return None
    if values is None:
        return None
    height, width = field.shape
    sent.image(frame.image(values))
    sent.caption(f"what is sent: {height} × {width}, from {frame.low:g} to {frame.high:g}")
    return frame.numbers(values)


def _drawn(frame: Frame, key: str) -> Any:
    from PIL import Image
    from streamlit_drawable_canvas import st_canvas

    paper, ink = ("#000000", "#ffffff") if frame.dark else ("#ffffff", "#000000")
    canvas = st_canvas(
        stroke_width=max(CANVAS // 14, round(CANVAS / min(frame.shape) * 0.8)),
        stroke_color=ink,
        background_color=paper,
        height=CANVAS,
        width=CANVAS,
        return_image_data=True,
        key=f"{key} canvas",
    )
    pixels = canvas.image_data
    if pixels is None or not (canvas.json_data or {}).get("objects"):
        st.caption("Draw with mouse or finger.")
        return None
    drawn = Image.fromarray(pixels.astype(np.uint8), "RGBA")
    whole = Image.alpha_composite(Image.new("RGBA", drawn.size, paper), drawn)
    return frame.fit(whole.convert("RGB"))


def _uploaded(frame: Frame, key: str) -> Any:
    file = st.file_uploader("picture file", type=["png", "jpg", "jpeg", "webp", "bmp", "gif"], key=f"{key} file")
    if file is None:
        return None
    centre = st.toggle("cut out and centre", True, key=f"{key} centre", help="Scaled as the model's examples are.")
    return frame.fit(read(file.getvalue()), centre)
