"""The playground in a real browser: draw, predict, read, and where the answer came from; what is wrong is said."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_fixtures import needs_browser
from graph_fixtures import Delivered, World
from patience import until

from workloads.sdk.contract.loading import workload_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.platform, needs_browser]


@pytest.fixture(scope="module")
def digits(world: World) -> Delivered:
    workload = workload_of("workloads.digits")
    version = world.release(workload)
    run = world.sensed(workload, version)
    assert run.is_success, world.said(run.run_id)
    return Delivered(workload, version, run)


def choose(page: "Page", world: World, endpoint: str) -> None:
    page.goto(world.settings.playground, wait_until="domcontentloaded")
    page.get_by_label("endpoint").first.click()
    page.get_by_role("option", name=endpoint, exact=True).click()


def answered(page: "Page", world: World) -> dict:
    """The page's answer as the prediction log has it: the trace names its id."""
    identity = page.locator("ul.tree b").first.inner_text()
    found = until(lambda: world.resources.predictions.find(identity))
    return {"inputs": found.inputs, **found.outputs[0], "version": found.version}


def test_a_drawn_digit_is_sent_as_shown_answered_and_traced(
    page: "Page", world: World, digits: Delivered, tmp_path: Path
) -> None:
    choose(page, world, "digits")
    canvas = page.locator("canvas").last
    canvas.wait_for()
    assert page.get_by_role("button", name="Predict").is_disabled()  # nothing is drawn yet
    page.wait_for_timeout(500)  # the canvas listens a moment after it is seen
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 140, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 135, box["y"] + 230, steps=10)
    page.mouse.up()
    page.get_by_text("what is sent: 8 × 8, from 0 to 16").wait_for()
    page.get_by_role("button", name="Predict").click()
    page.get_by_text("data/digits/processed/test.parquet").wait_for()
    found = answered(page, world)
    (picture,) = found["inputs"]["images"]
    middle = [max(line[3:5]) for line in picture]
    assert sum(level >= 8 for level in middle) >= 6  # a line from top to bottom, in the middle
    assert max(line[0] for line in picture) == max(line[7] for line in picture) == 0
    shown = page.get_by_test_id("stMetricValue").inner_text()
    assert shown == found["label"]
    assert page.locator("ul.tree .good").count() >= 4
    assert page.locator("ul.tree .bad").count() == 0
    assert f"digits-v{digits.version}" in page.locator("ul.tree").inner_text()
    assert page.locator("canvas.marks, .vega-embed canvas, .vega-embed svg").count() >= 1
    page.screenshot(path=tmp_path / "digits.png")
    assert (tmp_path / "digits.png").stat().st_size > 20_000
    page.mouse.move(box["x"] + 60, box["y"] + 140)  # another picture: the answer was not to this one
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 140, steps=10)
    page.mouse.up()
    page.get_by_text("The input has changed").wait_for()
    until(lambda: page.get_by_test_id("stMetricValue").count() == page.locator("ul.tree").count() == 0)


def test_any_registered_version_is_chosen_and_a_broken_file_is_said(
    page: "Page", world: World, digits: Delivered
) -> None:
    choose(page, world, "digits")
    current = world.resources.ledger.current("digits")
    assert current is not None
    page.get_by_label("version").first.click()
    options = page.get_by_role("option").all_inner_texts()
    ledger = world.resources.ledger
    variants = {one.number: one.variant for one in ledger.candidates.of("digits")}
    assert options[0] == f"{current.version} · live · {variants.pop(current.number)}"
    states = ledger.candidates.states("digits")
    names = {release.number: release.version for release in ledger.releases("digits")}
    newest_first = sorted(variants, reverse=True)
    assert options[1:] == [f"{names.get(one, one)} · {states[one]} · {variants[one]}" for one in newest_first]
    assert "not judged" in states.values()  # variants beside the best one
    page.get_by_role("option", name=options[1], exact=True).click()
    page.get_by_text("Example", exact=True).first.click()
    page.get_by_text("what is sent: 8 × 8").wait_for()
    page.get_by_role("button", name="Predict").click()
    page.get_by_text("data/digits/processed/test.parquet").wait_for()
    assert answered(page, world)["version"] == options[1].partition(" ")[0]
    page.get_by_text("Upload", exact=True).first.click()
    page.locator("input[type=file]").set_input_files(
        {"name": "broken.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\nno picture"}
    )
    page.get_by_text("the file is no picture that can be read").wait_for()
    assert page.get_by_role("button", name="Predict").is_disabled()


def test_a_value_that_the_model_refuses_is_named_at_its_field(page: "Page", world: World, live: Delivered) -> None:
    choose(page, world, "wine")
    field = page.get_by_label("alcohol", exact=True)
    field.wait_for()
    field.fill("1e39")
    field.press("Enter")
    page.get_by_role("button", name="Predict").click()
    page.get_by_text("rows[0].alcohol").wait_for()
    said = page.get_by_text("must be a number that float32 can hold").first
    said.wait_for()
    place, below = field.bounding_box(), said.bounding_box()
    assert place is not None
    assert below is not None
    assert 0 < below["y"] - place["y"] < 80
    assert abs(below["x"] - place["x"]) < 40
    field.fill("12.5")
    field.press("Enter")
    page.get_by_role("button", name="Predict").click()
    page.get_by_text("data/wine/raw/wine.csv").wait_for()
    found = answered(page, world)
    assert found["inputs"]["rows"][0]["alcohol"] == 12.5
    assert page.get_by_test_id("stMetricValue").inner_text() == found["label"]
