"""The RAG application with a language model: a local service that speaks OpenAI's protocol, asked by real HTTP."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from patience import until
from rag_support import Endpoint, Model, composition, events, make_table, migrate, running

from resources.serving.prediction_log import PredictionLog
from resources.serving.services import PlatformServices
from resources.settings import Settings
from workloads.rag import language_model
from workloads.rag.app import App
from workloads.sdk.contract.applications import Failed
from workloads.sdk.serving.http import disconnect as hangup

QUESTION = "What does the lambda expression yield?"
KEY = "sk-very-secret"
SAYS = {
    "good": "It yields a function object [1].\n\nIt holds no statements [1][2], and no data:\nannotations.",
    "unsure": "I found nothing in the corpus that answers this.",
    "careless": "It yields a function object.",
    "inventive": "It yields a function object [1], as others say too [77].",
    "mute": "",
    "denied": 401,
    "unknown": 404,
    "busy": 429,
    "broken": 500,
    "silent": 0,
    "endless": None,
}


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(SAYS)


@pytest.fixture(scope="module")
def url(model: Model) -> Iterator[str]:
    with running(model) as address:
        yield f"{address}/v1"


@pytest.fixture(scope="module")
def keyed(postgres: Settings) -> Iterator[Settings]:
    """The settings of somebody who has a key."""
    migrate(postgres)
    make_table(postgres)
    file = postgres.home / "secrets" / "language-model-key"
    file.write_text(f"{KEY}\n")
    yield postgres
    file.unlink()


def asked(name: str, url: str) -> dict:
    return {"provider": "openai", "model": name, "url": url, "temperature": 0.25}


def answer(settings: Settings, url: str, name: str, **more: object) -> dict:
    """What the application says without its endpoint."""
    app = App.load(composition(model=asked(name, url), **more), PlatformServices("rag_model", settings))

    async def ask() -> object:
        try:
            return await app.answer(QUESTION, repeat=3)
        finally:
            await app.close()

    return asyncio.run(ask())


def test_the_service_is_asked_as_the_prompt_says(keyed: Settings, url: str, model: Model) -> None:
    found = answer(keyed, url, "good")
    assert (found.text, found.refused) == (SAYS["good"], False)
    assert found.citations == [found.passages[0].id, found.passages[1].id]
    assert found.facts["answerer"] == "good"
    body = model.asked[-1]
    assert (body["temperature"], body["stream"], body["seed"]) == (0.25, True, 3)
    assert model.keys[-1] == f"Bearer {KEY}"
    (message,) = body["messages"]
    assert message["content"].endswith(
        f"Question: {QUESTION}\nOr say: I found nothing in the corpus that answers this."
    )
    assert "[1] lambda.md > lambda\n" in message["content"]


def test_an_answer_that_rests_on_nothing_is_a_refusal(keyed: Settings, url: str, model: Model) -> None:
    for name, notes in (("unsure", {}), ("careless", {"uncited": SAYS["careless"]})):
        found = answer(keyed, url, name)
        assert (found.text, found.refused, found.citations) == (SAYS["unsure"], True, [])
        assert found.facts["notes"] == notes
    found = answer(keyed, url, "inventive")
    assert found.citations == [found.passages[0].id]
    assert found.facts["notes"] == {"unknown_citations": [77]}
    before = len(model.asked)
    assert answer(keyed, url, "good", refuse_below=1.0).refused
    assert len(model.asked) == before, "where nothing supports an answer, no model is asked"


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("denied", 502, "refuses the key; correct MLOPS_LANGUAGE_MODEL_KEY"),
        ("unknown", 502, r"failed \(HTTP 404\)"),
        ("busy", 503, r"is busy \(HTTP 429\)"),
        ("broken", 502, r"failed \(HTTP 500\)"),
        ("mute", 502, "answered with no text"),
        ("silent", 503, "did not answer within 0.3 s"),
        ("away", 503, "does not answer on http://127.0.0.1:9/v1"),
    ],
)
def test_a_service_that_fails_is_an_error_and_never_an_answer(
    keyed: Settings, url: str, monkeypatch: pytest.MonkeyPatch, name: str, status: int, reason: str
) -> None:
    if name == "silent":
        monkeypatch.setattr(language_model, "TIMEOUT", 0.3)
    with pytest.raises(Failed, match=reason) as failed:
        answer(keyed, "http://127.0.0.1:9/v1" if name == "away" else url, name)
    assert failed.value.status == status
    assert KEY not in str(failed.value)


def test_streams_end_whole_or_with_an_error_or_not_at_all(
    keyed: Settings, url: str, model: Model, tmp_path: Path
) -> None:
    """One endpoint, three models: tokens as they come; an error that still has a status; a caller who hangs up."""
    log = PredictionLog(keyed)
    endpoint = Endpoint(keyed, tmp_path, "rag_model", composition(model=asked("good", url), citation="sources"))
    body = {"question": QUESTION, "stream": True}
    with endpoint.client() as client:
        assert client.get("/info").json()["answerer"] == "good"
        assert KEY not in client.get("/info").text
        with client.stream("POST", "/query", json=body) as response:
            found = list(events(response.iter_lines()))
        done = found[-1][1]
        said = "It yields a function object.\n\nIt holds no statements, and no data:\nannotations."
        assert done["answer"].startswith(f"{said}\n\nSources:\n[1] lambda.md > lambda\n[2] ")
        assert "".join(data for name, data in found if name == "token") == done["answer"]
        assert len(found) > 10
        assert (done["answerer"], done["model"]) == ("good", "good")

        number = endpoint.publish(composition(model=asked("broken", url)), 2)
        endpoint.serving.wait("rag_model", number)
        for stream in (True, False):
            refused = client.post("/query", json={**body, "stream": stream})
            assert (refused.status_code, refused.json()["error"]["code"]) == (502, "language_model_failed")

        number = endpoint.publish(composition(model=asked("endless", url)), 3)
        endpoint.serving.wait("rag_model", number)
        for leave in (leave_a_stream, leave_a_question):
            identity = leave(client, body)
            until(lambda: model.open == 0)
            until(lambda: endpoint.replica.current.use.count == 0)
            until(
                lambda: (
                    'requests_running{endpoint="rag_model",replica="rag_model-1"} 0.0' in client.get("/metrics").text
                )
            )
        identity = leave_a_stream(client, body)
        until(lambda: log.find(identity))
        (cut,) = log.find(identity).outputs
        assert cut["interrupted"]
        assert cut["answer"].startswith("Still Still")
        assert 'outcome="interrupted",replica="rag_model-1"} 2.0' in client.get("/metrics").text


def test_a_caller_who_hangs_up_ends_what_swallows_a_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hangup, "CANCEL_SECONDS", 0.05)
    swallowed = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed.append(1)
        await asyncio.sleep(60)

    async def receive() -> dict:
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    with pytest.raises(ConnectionError, match="hung up"):
        asyncio.run(asyncio.wait_for(hangup.unless_gone(work(), receive), 20))
    assert swallowed == [1]


def leave_a_stream(client: httpx.Client, body: dict) -> str:
    with client.stream("POST", "/query", json=body) as response:
        for number, _ in enumerate(events(response.iter_lines())):
            if number == 3:
                return response.headers["x-prediction-id"]
    raise AssertionError("the stream ended")


def leave_a_question(client: httpx.Client, body: dict) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post("/query", json={**body, "stream": False}, timeout=0.5)
