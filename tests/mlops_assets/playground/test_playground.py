"""The playground's logic: forms made of schemas, pictures made fit for a model. The page itself: test_ui.py."""

import contextlib
import io
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pydantic import BaseModel, Field

from mlops_assets.playground.drawing import LARGEST_FILE, Frame, NoPicture, read
from mlops_assets.playground.forms import body_of, concerned, place_of, value_at
from mlops_assets.playground.overview import taken
from mlops_assets.playground.schemas import fields_of
from resources.settings import REPOSITORY, Settings
from workloads.sdk.arrays import either, matrix
from workloads.sdk.contract import Workload
from workloads.sdk.contract.loading import load
from workloads.sdk.kits.tables.columns import Number
from workloads.sdk.kits.tables.requests import request_of


class House(BaseModel):
    size: float = Field(ge=0, description="m²")
    rooms: int = Field(ge=1)
    kind: Literal["flat", "house"]
    garden: bool = False
    story: str | None = None


class Everything(BaseModel):
    numbers: matrix(["length (cm)", "width (cm)"], 0, 10)
    pictures: matrix(64, 0, 16, shape=(8, 8))
    texts: list[str] = Field(max_length=100)
    houses: list[House]
    top: int = Field(3, ge=1, le=10)
    odd: dict[str, list[int]]


EXAMPLE: dict[str, Any] = {
    "numbers": [[1.0, 2.0], [3.0, 4.0]],
    "pictures": [[0.0] * 64],
    "texts": ["one", "two"],
    "houses": [{"size": 30.0, "rooms": 1, "kind": "flat", "garden": True, "story": "old"}],
    "top": 5,
    "odd": {"a": [1]},
}


def first_rows(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value[:1] if isinstance(value, list) else value for name, value in body.items()}


def test_a_field_for_everything_that_a_request_may_hold() -> None:
    fields = {field.place: field for field in fields_of(Everything.model_json_schema(), EXAMPLE)}
    kinds = {".".join(map(str, place)): field.kind for place, field in fields.items()}
    assert kinds == {
        "numbers.0.0": "number", "numbers.0.1": "number", "pictures.0": "picture", "texts.0": "text",
        "houses.0.size": "number", "houses.0.rooms": "integer", "houses.0.kind": "choice", "houses.0.garden": "switch",
        "houses.0.story": "text", "top": "integer", "odd": "json",
    }  # fmt: skip
    assert (fields[("numbers", 0, 1)].title, fields[("numbers", 0, 1)].maximum) == ("width (cm)", 10)
    picture = fields[("pictures", 0)]
    assert (picture.shape, picture.minimum, picture.maximum, picture.whole) == ((8, 8), 0, 16, False)
    assert fields[("houses", 0, "kind")].choices == ("flat", "house")
    assert not fields[("houses", 0, "story")].required


def test_the_example_comes_back_as_it_was() -> None:
    fields = fields_of(Everything.model_json_schema(), EXAMPLE)
    assert body_of({field.place: value_at(EXAMPLE, field.place) for field in fields}) == first_rows(EXAMPLE)
    second = body_of({field.place: value_at(EXAMPLE, field.place, 1) for field in fields})
    assert (second["numbers"], second["texts"], second["top"]) == ([[3.0, 4.0]], ["two"], 5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=20, unique=True), st.data())
def test_columns_named_by_the_model_make_the_form_and_the_body(names: list[str], data: st.DataObject) -> None:
    schema = request_of({name: Number() for name in names}).model_json_schema()
    values = data.draw(st.lists(st.floats(-1e6, 1e6), min_size=len(names), max_size=len(names)))
    named = dict(zip(names, values, strict=True))
    fields = fields_of(schema, {"rows": [named]})
    assert [field.place for field in fields] == [("rows", 0, name) for name in names]
    assert body_of(dict(zip([field.place for field in fields], values, strict=True))) == {"rows": [named]}


class Anything(BaseModel):
    rows: matrix(None)


def test_a_width_that_only_the_example_knows() -> None:
    assert len(fields_of(Anything.model_json_schema(), {"rows": [[1, 2, 3]]})) == 3
    (field,) = fields_of(Anything.model_json_schema(), {"rows": [[0] * 1000]})
    assert (field.kind, field.place) == ("json", ("rows",))


class Several(BaseModel):
    rows: either(matrix(64, 0, 16, shape=(8, 8)), matrix(784, 0, 255, integer=True, shape=(28, 28)), matrix(["a", "b"]))


@pytest.mark.parametrize(("width", "kind", "shape"), [(64, "picture", (8, 8)), (784, "picture", (28, 28)),
                                                      (2, "number", None)])  # fmt: skip
def test_of_several_forms_the_examples_own_is_taken(width: int, kind: str, shape: tuple | None) -> None:
    field = fields_of(Several.model_json_schema(), {"rows": [[0] * width]})[0]
    assert (field.kind, field.shape) == (kind, shape)


def test_the_first_page_says_what_an_endpoint_takes() -> None:
    for model, row, said in (
        (Several, [0] * 64, "a picture of 8 × 8, drawn or uploaded"),
        (Several, [0] * 2, "2 values: a, b"),
        (Anything, [0] * 7, "7 values: 1, 2, 3, 4, 5 and 2 more"),
        (Anything, [0] * 1000, "one json"),
    ):
        assert taken(fields_of(model.model_json_schema(), {"rows": [row]})) == said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(JSON, st.text(max_size=20))
def test_no_example_and_no_error_breaks_a_form(example: Any, error: str) -> None:
    fields = fields_of(Everything.model_json_schema(), example if isinstance(example, dict) else {})
    for field in fields:
        value_at(example, field.place)
    concerned(fields, error)


def test_an_error_finds_its_field() -> None:
    fields = fields_of(Everything.model_json_schema(), EXAMPLE)
    assert place_of("numbers[0][1]") == ("numbers", 0, 1)
    for error, place in {
        "numbers[0][1]": ("numbers", 0, 1),
        "pictures[0][3][4]": ("pictures", 0),
        "houses[0].rooms": ("houses", 0, "rooms"),
        "numbers": ("numbers", 0, 0),
        "texts": ("texts", 0),
    }.items():
        assert (found := concerned(fields, error))
        assert found.place == place
    assert concerned(fields, None) is concerned(fields, "unknown") is None


# --- pictures ---


def drawn(size: int, thing: tuple[int, int, int, int], paper: int, ink: int) -> Image.Image:
    image = Image.new("L", (size, size), paper)
    ImageDraw.Draw(image).rectangle(thing, fill=ink)
    return image


@pytest.mark.parametrize("dark", [True, False])
def test_a_models_examples_say_its_background_and_how_much_a_thing_fills(dark: bool) -> None:
    pictures = np.zeros((5, 28, 28))
    pictures[:, 4:24, 10:18] = 255
    frame = Frame.of((28, 28), 0, 255, True, (pictures if dark else 255 - pictures).reshape(5, 784).tolist())
    assert (frame.dark, frame.fill) == (dark, 20 / 28)
    assert Frame.of((28, 28), 0, 255, True, [[1, 2]]) == Frame((28, 28))


@settings(max_examples=80, deadline=None)
@given(st.integers(40, 300), st.booleans(), st.booleans(), st.integers(4, 40), st.integers(4, 40), st.data())
def test_wherever_and_however_a_thing_is_drawn_it_comes_centred_on_the_models_background(
    size: int, dark: bool, inverted: bool, width: int, height: int, data: st.DataObject
) -> None:
    left, top = data.draw(st.integers(1, size - 3)), data.draw(st.integers(1, size - 3))
    thing = (left, top, min(left + width, size - 2), min(top + height, size - 2))
    paper, ink = (255, 0) if dark == inverted else (0, 255)
    if (thing[2] - thing[0] + 1) * (thing[3] - thing[1] + 1) > size * size / 2:
        return
    frame = Frame((28, 28), 0, 16, True, dark, 20 / 28)
    values = frame.fit(drawn(size, thing, paper, ink))
    assert values.shape == (28, 28)
    assert 0 <= values.min() <= values.max() <= 16
    assert np.array_equal(values, values.round())
    background = 0 if dark else 16
    assert values[0, 0] == values[-1, -1] == background
    lines, columns = np.nonzero(np.abs(values - background) > 2)
    assert max(np.ptp(lines), np.ptp(columns)) + 1 in range(17, 22)  # its longer side: 20 of 28
    assert abs((lines.min() + lines.max()) / 2 - 13.5) <= 1.5
    assert abs((columns.min() + columns.max()) / 2 - 13.5) <= 1.5


def test_what_is_transparent_is_paper_and_an_empty_picture_is_said() -> None:
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    with pytest.raises(NoPicture, match="the picture is empty"):
        Frame((28, 28)).fit(clear)
    ImageDraw.Draw(clear).ellipse((10, 10, 40, 40), fill=(0, 0, 0, 255))
    assert Frame((28, 28)).fit(clear)[14, 14] == 255  # ink on paper becomes bright on black


def file_of(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP"]), st.integers(0, 400))
def test_a_broken_file_is_one_sentence(noise: bytes, kind: str, cut: int) -> None:
    whole = file_of(drawn(30, (5, 5, 20, 20), 255, 0), kind)
    for content in (noise, whole[:cut], whole[:cut] + noise):
        with contextlib.suppress(NoPicture):  # nothing else may be raised
            read(content)


def test_uploads_are_bounded_before_they_are_decoded() -> None:
    with pytest.raises(NoPicture, match="at most 5 are taken"):
        read(b"\0" * (LARGEST_FILE + 1))
    bomb = file_of(Image.new("1", (6_000, 6_000)), "PNG")
    assert len(bomb) < LARGEST_FILE
    with pytest.raises(NoPicture, match="6000 x 6000 pixels"):
        read(bomb)
    with pytest.raises(NoPicture, match="no picture that can be read"):
        read(file_of(Image.new("L", (10, 10)), "TIFF"))
    assert read(file_of(Image.new("L", (10, 10)), "PNG")).size == (10, 10)


def test_every_workload_of_the_repository_has_a_form() -> None:
    """Without code of its own, and without a field that has to be typed as JSON."""
    for workload in load(REPOSITORY / "workloads"):
        if not isinstance(workload, Workload):  # an application is talked to, and an index is asked by one
            continue
        kind = workload.resolve(workload.predictor)
        schema = kind.Request.model_json_schema()
        example = {name: [[0.0] * 4] for name, each in schema["properties"].items() if each["type"] == "array"}
        if "oneOf" in schema:  # a table: rows by the names of their columns
            columns = schema["properties"]["rows"]["items"]["properties"]
            if not columns:  # only a model that is loaded knows them: see test_playground_page.py
                continue
            example = {"rows": [dict.fromkeys(columns, 0.0)]}
        kinds = {field.kind for field in fields_of(schema, example)}
        assert kinds, workload.name
        assert "json" not in kinds, workload.name


def test_a_page_whose_platform_is_away_says_so(home_settings: Settings) -> None:
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(str(REPOSITORY / "mlops_assets" / "playground" / "page.py"), default_timeout=60).run()
    assert not page.exception
    assert [title.value for title in page.title] == ["Playground"]
    (said,) = page.warning
    assert "does not answer" in said.value
    assert page.button[0].label == "Look again"
