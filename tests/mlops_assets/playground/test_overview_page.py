"""The first page in a real browser, over a model's endpoint without Ray, and that an answer belongs to its input."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from browser_fixtures import needs_browser
from chat_support import Front, playground
from serving_support import migrated, recent, replica, version

from resources.ledger import Action, Candidate, Ledger, NewCandidate, Release
from resources.ledger.reports import GateReport
from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings
from workloads.sdk.serving.http.model import Endpoint

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs_browser

NAME = "overview_shift"
WHY = "better on <b>all</b> rows & quicker"


class Shown(NamedTuple):
    address: str
    live: Release
    log: PredictionLog


def candidate(ledger: Ledger, folder: Path, number: int, variant: str = "") -> Candidate:
    made = version(folder, float(number), number)
    return ledger.candidates.add(
        NewCandidate(thing=NAME, number=number, digest=made.digest, artifacts_uri=made.artifacts_uri,
                     data_name="shift", data_version="1.0.0", variant=variant)
    )  # fmt: skip


def decide(ledger: Ledger, subject: Candidate, action: Action, actor: str = "dagster", why: str = "its gate") -> None:
    ledger.decide(subject.id, action, actor=actor, why=why)


@pytest.fixture(scope="module")
def shown(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """An endpoint with a version of each state, an alert that stands, and one that is over."""
    folder = tmp_path_factory.mktemp("overview")
    serving, ledger = migrated(postgres), Ledger(postgres)
    made = [candidate(ledger, folder, number, variant="wide" if number == 2 else "") for number in range(1, 7)]
    decide(ledger, made[0], "release")
    decide(ledger, made[1], "release", "mara", WHY)
    decide(ledger, made[2], "hold", why="a person is to look at it")
    decide(ledger, made[3], "refuse")
    ledger.add_report(made[4].id, GateReport(thing=NAME, candidate_digest=made[4].digest, champion_digest=None,
                      test_digest="", n=1, smallest_difference=None, checks=(), verdict="pass"))  # fmt: skip
    ledger.alerts.add(NAME, "hold", "said where it waits", "3")
    ledger.alerts.add(NAME, "silent", "it does not answer <i>at all</i>")
    ledger.alerts.add(NAME, "restart", "it was away")
    ledger.alerts.resolve(["restart"], NAME)
    live = ledger.current(NAME)
    assert live is not None
    planned = serving.version(NAME, live.id)
    assert planned is not None
    serving.publish(NAME, planned)
    one = replica(serving, folder, f"{NAME}-1", NAME, route=f"/{NAME}")
    with playground(postgres, folder / "home", Front({NAME: Endpoint(one)})) as address:
        yield Shown(address, live, PredictionLog(postgres))
    one.close()
    ledger.alerts.resolve(["silent", "hold"], NAME)


def settled(page: "Page") -> None:
    page.locator('[data-test-script-state="notRunning"]').wait_for()


def test_what_is_live_and_what_can_be_tried_and_an_answer_that_stays_with_its_input(page: "Page", shown: Shown) -> None:
    page.goto(shown.address, wait_until="domcontentloaded")
    card = page.locator(f".endpoint#{NAME}")
    card.wait_for()
    said = card.inner_text()
    for word in (
        NAME,
        shown.live.version,
        "wide",
        "mara",
        WHY,
        "2 values",
        "sum, shift",
        f"{shown.live.created_at:%H:%M}",
    ):
        assert word in said, f"{word!r} is not in {said!r}"
    assert card.locator("b b, i").count() == 0  # what a person wrote is text
    waiting = page.locator(".waiting").filter(has_text=NAME).inner_text()
    assert "a person is to look at it" in waiting
    assert f"mlops approve {NAME} --version 3" in waiting
    alerts = page.locator(".alert").filter(has_text=NAME).all_inner_texts()
    assert len(alerts) == 1
    assert "it does not answer <i>at all</i>" in alerts[0]
    counted = card.get_by_role("link", name="metrics").get_attribute("href")
    assert counted
    assert counted.endswith(f"/{NAME}/metrics")

    card.get_by_role("link", name="Try it").click()
    page.get_by_text("Press Predict").wait_for()
    page.get_by_label("version").first.click()
    options = page.get_by_role("option").all_inner_texts()
    assert options == [
        f"{shown.live.version} · live · wide", "6 · not judged", "5 · judged", "4 · refused", "3 · held",
        "1.0.0 · released",
    ]  # fmt: skip
    page.keyboard.press("Escape")
    predict = page.get_by_role("button", name="Predict")
    predict.click()
    answer = page.get_by_test_id("stMetricValue")
    answer.wait_for()
    assert answer.inner_text() == "5"  # 1 + 2, and the version's own 2
    field = page.get_by_label("1", exact=True)
    field.fill("7")
    field.press("Enter")
    page.get_by_text("The input has changed").wait_for()
    settled(page)
    assert answer.count() == 0
    assert page.locator("ul.tree").count() == 0
    predict.click()
    answer.wait_for()
    assert answer.inner_text() == "11"

    field.fill("5000")  # the endpoint refuses it, and says so at this field until it is changed
    field.press("Enter")
    page.get_by_text("The input has changed").wait_for()
    predict.click()
    page.get_by_text("rows[0][0]").wait_for()
    settled(page)
    assert page.get_by_text("1000").count() >= 2  # beside the field, and where answers come
    field.fill("5")
    field.press("Enter")
    page.get_by_text("The input has changed").wait_for()
    settled(page)
    assert page.get_by_text("1000").count() == 0

    page.get_by_role("link", name="Overview").click()
    card.wait_for()
    assert "endpoint=" not in page.url
    assert len(recent(shown.log, NAME)) == 2
    figures = card.locator(".figures").inner_text()
    assert "requests 3 · 4xx 1 · 5xx 0" in figures
    assert "p95" in figures
