"""The chat page in a real browser, over the real application: answers stream in, are opened and rated."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import pytest
from browser_fixtures import needs_browser
from chat_support import Front, playground
from patience import until
from rag_support import Endpoint, Model, chunks, composition, make_table, migrate, running
from serving_support import recent

from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = needs_browser

QUESTION = "What does the with statement do?"
EXTRACTIVE = "the extractive answerer (no language model)"


class Chat(NamedTuple):
    address: str
    front: Front
    log: PredictionLog
    model: Model


@pytest.fixture(scope="module")
def chat(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """The page over applications: an extractive one, one whose language model fails, and one whose never ends."""
    folder = tmp_path_factory.mktemp("chat")
    migrate(postgres)
    make_table(postgres, "corpus_chat")
    model = Model({"broken": 500, "endless": None})
    with running(model) as url:
        toys = {name: {"provider": "openai", "model": name, "url": f"{url}/v1"} for name in model.says}
        made = {"chat": composition("corpus_chat")}
        made |= {f"chat_{name}": composition("corpus_chat", model=toy) for name, toy in toys.items()}
        endpoints = {name: Endpoint(postgres, folder / name, name, one) for name, one in made.items()}
        front = Front({name: endpoint.service for name, endpoint in endpoints.items()})
        with playground(postgres, folder / "home", front) as address:
            yield Chat(address, front, PredictionLog(postgres), model)
            for endpoint in endpoints.values():
                endpoint.replica.close()


def ask(page: "Page", question: str, endpoint: str = "chat") -> None:
    settled(page)
    field = page.get_by_placeholder(f"Ask {endpoint}", exact=True)
    field.fill(question)
    field.press("Enter")


def settled(page: "Page") -> None:
    page.locator('[data-test-script-state="notRunning"]').wait_for()


def last(page: "Page") -> "Locator":
    return page.get_by_test_id("stChatMessage").last


def test_an_answer_streams_in_and_is_opened_rated_and_found_again(page: "Page", chat: Chat) -> None:
    page.goto(f"{chat.address}/?endpoint=chat", wait_until="domcontentloaded")
    side = page.get_by_test_id("stSidebar")
    for word in ("chat 1.0.1", "prompt/rag 1.0.1", "index/corpus 2.0.0", "corpus-v1.0.0", EXTRACTIVE):
        side.get_by_text(word).wait_for()
    chat.front.free.clear()  # the answer stands still after its first sentence
    try:
        ask(page, QUESTION)
        last(page).get_by_text("▌").wait_for()
        begun = last(page).locator(".said").inner_text().removesuffix("▌").strip()
        assert begun
        assert page.get_by_text("where it came from").count() == 0
    finally:
        chat.front.free.set()
    last(page).get_by_text("where it came from").wait_for()
    settled(page)
    whole = last(page).locator(".said").inner_text()
    assert whole.startswith(begun)
    assert len(whole) > len(begun)
    assert "▌" not in whole
    shown = last(page).locator(".facts").inner_text()
    assert all(word in shown for word in ("prompt 1.0.1", "corpus-v1.0.0", EXTRACTIVE))

    shown = last(page).locator(".rests-on")
    assert shown.inner_text(), "the passage stands above what is said of it"
    assert shown.bounding_box()["y"] < last(page).locator(".said").bounding_box()["y"]
    last(page).get_by_text("with.md › with").click()
    drawer = page.get_by_role("dialog")
    passage = drawer.locator(".chunk").inner_text()
    assert passage in {content for _, content, _ in chunks()}
    assert "corpus-v1.0.0" in drawer.inner_text()
    page.keyboard.press("Escape")
    drawer.wait_for(state="hidden")

    (prediction,) = until(lambda: recent(chat.log, "chat"))
    thumbs = last(page).get_by_test_id("stFeedback").locator("button")
    thumbs.nth(1).click()
    until(lambda: (found := chat.log.feedback(prediction.prediction_id)) and found.thumbs == "down")
    settled(page)
    thumbs.nth(0).click()
    until(lambda: chat.log.feedback(prediction.prediction_id).thumbs == "up")

    page.reload()
    last(page).get_by_text("where it came from").wait_for()
    settled(page)
    assert page.locator(".asked").inner_text() == QUESTION
    assert last(page).locator(".said").inner_text() == whole
    assert EXTRACTIVE in last(page).locator(".facts").inner_text()
    thumbs.first.wait_for()
    assert [one.get_attribute("aria-checked") for one in thumbs.all()] == ["true", "false"]


def test_refusals_errors_and_sessions_that_are_gone_are_said(page: "Page", chat: Chat) -> None:
    page.goto(f"{chat.address}/?endpoint=chat", wait_until="domcontentloaded")
    ask(page, "What is the capital of France?")
    last(page).get_by_text("Refused:").wait_for()
    ask(page, "x" * 1001)
    last(page).get_by_text("question: String should have at most 1000 characters").wait_for()
    settled(page)
    session = page.url.rpartition("session=")[2]
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete this conversation").click()
    page.get_by_text("Ask something.").wait_for()
    settled(page)
    assert "session=" not in page.url

    page.goto(f"{chat.address}/?endpoint=chat&session={session}", wait_until="domcontentloaded")
    page.get_by_text(f"there is no session {session}").wait_for()
    page.get_by_role("button", name="Begin another conversation").click()
    page.get_by_text("Ask something.").wait_for()

    page.goto(f"{chat.address}/?endpoint=chat_broken", wait_until="domcontentloaded")
    page.get_by_test_id("stSidebar").get_by_text("the language model broken").wait_for()
    ask(page, QUESTION, "chat_broken")
    last(page).get_by_text("the language model broken failed (HTTP 500)").wait_for()


def test_an_answer_that_is_stopped_is_worked_on_no_more(page: "Page", chat: Chat) -> None:
    page.goto(f"{chat.address}/?endpoint=chat_endless", wait_until="domcontentloaded")
    ask(page, QUESTION, "chat_endless")
    last(page).get_by_text("Still Still").wait_for()
    assert chat.model.open == 1
    page.get_by_test_id("stChatInputStopButton").click()
    until(lambda: chat.model.open == 0)
    (logged,) = until(lambda: recent(chat.log, "chat_endless"))
    assert logged.outputs[0]["interrupted"]
    ask(page, "x" * 1001, "chat_endless")
    page.get_by_text("This answer was interrupted").wait_for()
    assert page.locator(".said").first.inner_text().startswith("Still Still")
