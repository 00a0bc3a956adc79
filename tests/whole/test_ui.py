"""What a person sees in Dagster's UI, in a real browser: graph, pictures, and the launchpad with its parameters."""

from typing import TYPE_CHECKING

import pytest
from browser_fixtures import needs_browser
from graph_fixtures import Delivered, World

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.platform, needs_browser]


def test_the_graph_shows_every_workload(page: "Page", world: World, live: Delivered) -> None:
    page.goto(f"{world.settings.dagster}/asset-groups", wait_until="domcontentloaded")
    for group in ("wine", "fashion_mnist"):
        page.get_by_text(group, exact=True).first.wait_for()


def test_a_model_shows_its_pictures(page: "Page", world: World, live: Delivered) -> None:
    partition = f"?view=partitions&partition={live.version}"
    page.goto(f"{world.settings.dagster}/assets/wine/models{partition}", wait_until="domcontentloaded")
    page.get_by_text("test_accuracy").wait_for()
    page.get_by_role("row", name="confusion matrix").get_by_text("[Show Markdown]").click()
    picture = page.get_by_alt_text("confusion_matrix")
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 300


def test_the_launchpad_describes_the_parameters(page: "Page", world: World, live: Delivered) -> None:
    page.goto(f"{world.settings.dagster}/assets/wine/models", wait_until="domcontentloaded")
    button = page.get_by_role("button", name="Materialize").first
    button.wait_for()
    page.locator("button:right-of(:text('Materialize'))").first.click()
    page.get_by_text("Open launchpad").click()
    editor = page.locator(".CodeMirror").first
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text("ops:\n  wine__models:\n    config:\n      trees: 30")
    page.get_by_text("Number of trees. (≥ 1, ≤ 1000)").wait_for()
