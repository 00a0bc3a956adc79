"""The RAG application's endpoint by real HTTP, with PostgreSQL and without Ray: answers, streams, sessions."""

import asyncio
import json
from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from patience import until
from rag_support import Endpoint, chunks, composition, events, make_table, migrate

from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings
from workloads.sdk.serving.log import conversations
from workloads.sdk.serving.log.conversations import Conversations

QUESTION = "What does the lambda expression yield?"
NONSENSE = "Which railway line leads from Lisbon to the moon?"


@pytest.fixture(scope="module")
def rag(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Endpoint:
    migrate(postgres)
    make_table(postgres)
    return Endpoint(postgres, tmp_path_factory.mktemp("rag"), "rag_app", composition(citation="both"))


@pytest.fixture(scope="module")
def client(rag: Endpoint) -> Iterator[httpx.Client]:
    with rag.client() as client:
        yield client


def ask(client: httpx.Client, question: str = QUESTION, **more: object) -> httpx.Response:
    return client.post("/query", json={"question": question, **more})


def streamed(client: httpx.Client, question: str = QUESTION, **more: object) -> list[tuple[str, object]]:
    with client.stream("POST", "/query", json={"question": question, "stream": True, **more}) as response:
        assert response.headers["content-type"] == "text/event-stream"
        return list(events(response.iter_lines()))


# --- answers --------------------------------------------------------------------------------------------------------


def test_an_answer_says_what_it_rests_on_and_stands_in_the_log(client: httpx.Client, postgres: Settings) -> None:
    response = ask(client)
    answer = response.json()
    assert "yields a function object." in answer["answer"]
    assert not answer["refused"]
    assert [*answer][:2] == ["passage", "answer"], "what it rests on stands before what it says"
    shown = answer["passage"]
    assert (shown["number"], shown["path"], shown["heading"]) == (1, "lambda.md", "lambda")
    assert "yields a function object." in shown["content"]
    linked = client.get(f"/{shown['link']}").json()
    assert (linked["id"], linked["content"]) == (shown["id"], shown["content"])
    cited = answer["citations"][0]
    assert (cited["number"], cited["path"], cited["heading"], cited["source"]) == (1, "lambda.md", "lambda", "python")
    assert cited["id"] in answer["retrieved"]
    assert (answer["answerer"], answer["model"]) == ("extractive", "extractive")
    assert (answer["prompt_version"], answer["corpus_version"]) == ("1.0.1", "corpus-v1.0.0")
    assert {role: part["release"] for role, part in answer["parts"].items()} == {
        "index": 10, "prompt": 21, "language_model": 30,
    }  # fmt: skip
    assert response.headers["x-prediction-id"] == answer["prediction_id"]
    assert response.headers["x-model-version"] == answer["version"] == "1.0.1"
    log = PredictionLog(postgres)
    until(lambda: log.find(answer["prediction_id"]))
    logged = log.find(answer["prediction_id"])
    assert logged is not None
    assert (logged.endpoint, logged.release_id, logged.rows) == ("rag_app", 1, 1)
    assert logged.inputs == {"question": QUESTION}
    (row,) = logged.outputs
    assert {name: row[name] for name in ("answer", "citations", "parts")} == {
        name: answer[name] for name in ("answer", "citations", "parts")
    }


def test_a_stream_is_the_same_answer_and_survives_line_breaks(client: httpx.Client, postgres: Settings) -> None:
    found = streamed(client)
    assert [name for name, _ in found if name != "token"] == ["passage", "citations", "done"]
    assert found[0][0] == "passage"
    assert found[0][1] == found[-1][1]["passage"]
    tokens = [data for name, data in found if name == "token"]
    done = found[-1][1]
    assert "".join(tokens) == done["answer"] == ask(client).json()["answer"]
    assert "\n\nSources:\n[1] lambda.md > lambda" in done["answer"]
    assert found[-2][1] == done["citations"]
    until(lambda: PredictionLog(postgres).find(done["prediction_id"]))


def test_what_nothing_supports_is_refused_and_logged(client: httpx.Client, postgres: Settings) -> None:
    for answer in (ask(client, NONSENSE).json(), streamed(client, NONSENSE)[-1][1]):
        assert answer["refused"]
        assert answer["answer"] == "I found nothing in the corpus that answers this."
        assert answer["citations"] == []
        assert answer["support"] < 0.5
        until(lambda answer=answer: PredictionLog(postgres).find(answer["prediction_id"]))
    refused = [line for line in client.get("/metrics").text.splitlines() if 'outcome="refused"' in line]
    assert float(refused[0].split()[-1]) >= 2


def test_filters(client: httpx.Client) -> None:
    assert not ask(client, filters={"source": ["python", "docs"]}).json()["refused"]
    assert ask(client, filters={"path": "assert.md"}).json()["refused"]
    assert ask(client, filters={"path": "nowhere.md"}).json()["retrieved"] == []
    for stream in (False, True):
        wrong = ask(client, filters={"password": "x"}, stream=stream)
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "invalid_input")
        assert "password" in wrong.text


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"question": ""}, 422, "question"),
        ({"question": " \n "}, 422, "question"),
        ({"question": "a" * 1001}, 422, "question"),
        ({"question": "a" * 2**20}, 413, None),
        ({"question": "a\0b"}, 422, "question"),
        ({"question": 7}, 422, "question"),
        ({}, 422, "question"),
        ({"question": "a", "more": 1}, 422, "more"),
        ({"question": "a", "session_id": "mine"}, 422, "session_id"),
        ({"question": "a", "stream": "perhaps"}, 422, "stream"),
        ({"question": "a", "filters": {"source": {"a": 1}}}, 422, "filters"),
        ({"question": "a", "filters": {"source": ["a"] * 51}}, 422, "filters"),
        (b'{"question": "\xff"}', 400, None),
        (b'{"question": "\\ud800"}', 400, None),
        (b"", 400, None),
        ([1], 422, None),
    ],
)
def test_bad_input_is_refused_with_field_and_reason(client: httpx.Client, body, status, field) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body)
    answer = client.post("/query", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert (answer.json()["error"]["field"] or "").split(".")[0].split("[")[0] == (field or "")
    assert answer.json()["error"]["message"]


def test_routes(client: httpx.Client, rag: Endpoint) -> None:
    info = client.get("/info").json()
    assert (info["answerer"], info["prompt_version"], info["corpus_version"]) == (
        "extractive",
        "1.0.1",
        "corpus-v1.0.0",
    )
    assert info["prompt_settings"]["citation"] == "both"
    assert info["index"]["chunks"] == len(chunks())
    assert rag.serving.settings.postgres_password not in json.dumps(info)
    assert client.get("/health").json()["status"] == "healthy"
    assert client.get("/query").status_code == 405
    assert client.get("/session/create").status_code == 405
    assert client.get("/nothing").json()["error"]["code"] == "not_found"
    assert client.get("/").json()["links"]["query"] == "/rag/query"
    text = client.get("/openapi.json").json()
    assert text["paths"]["/debug/retrieval"]["post"]["security"] == [{"admin": []}]
    assert text["components"]["schemas"]["Query"]["properties"]["question"]["maxLength"] == 1000
    page = client.get("/docs").text
    assert not any(sign in page for sign in ("http:", "https:", "src=", "@import", "$title", "$server"))
    assert "What does the with statement do?" in page
    metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'mlops_requests_running{endpoint="rag_app",replica="rag_app-1"} 0.0' in metrics.text
    assert 'mlops_log_records{endpoint="rag_app",replica="rag_app-1",state="lost"} 0.0' in metrics.text


def test_debugging_asks_for_the_key(client: httpx.Client, postgres: Settings) -> None:
    body = {"question": QUESTION}
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic x"}):
        refused = client.post("/debug/retrieval", json=body, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    key = {"authorization": f"Bearer {postgres.admin_key}"}
    found = client.post("/debug/retrieval", json=body, headers=key).json()
    assert found["found"][0]["path"] == "lambda.md"
    assert found["found"][0]["scores"]["vector_rank"] == 1
    assert found["found"][0]["used"]
    assert 0 < found["context_tokens"] <= 2000
    assert found["sentences"][0]["support"] >= found["sentences"][1]["support"]


def test_a_chunk_is_shown_by_its_id(client: httpx.Client) -> None:
    cited = ask(client).json()["citations"][0]
    chunk = client.get(f"/chunk/{cited['id']}").json()
    assert "anonymous functions" in chunk["content"]
    assert (chunk["id"], chunk["path"], chunk["corpus"]) == (cited["id"], "lambda.md", "corpus-v1.0.0")
    for unknown in (uuid4(), "mine"):
        answer = client.get(f"/chunk/{unknown}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_chunk")


# --- sessions and thumbs --------------------------------------------------------------------------------------------


def test_a_session_remembers_and_can_be_ended(client: httpx.Client) -> None:
    session = client.post("/session/create").json()["session_id"]
    first = ask(client, session_id=session).json()
    second = streamed(client, "And what can it not contain?", session_id=session)[-1][1]
    assert not second["refused"], "it is understood together with the question before it"
    assert second["citations"][0]["path"] == "lambda.md"
    assert second["answer"] not in first["answer"], "what was said is not said again"
    unrelated = ask(client, "What is the capital of France?", session_id=session).json()
    assert unrelated["refused"], "it does not follow up"
    *turns, _ = client.get(f"/session/{session}/history").json()["turns"]
    assert [turn["prediction_id"] for turn in turns] == [first["prediction_id"], second["prediction_id"]]
    assert [turn["question"] for turn in turns] == [QUESTION, "And what can it not contain?"]
    assert turns[0]["answer"] == first["answer"]
    assert turns[0]["citations"] == first["citations"]
    assert turns[0]["passage"] == first["passage"]
    made_with = ("answerer", "prompt_version", "corpus_version", "model")
    assert [turns[0][name] for name in made_with] == [first[name] for name in made_with]
    client.post("/feedback", json={"prediction_id": second["prediction_id"], "thumbs": "down"})
    turns = client.get(f"/session/{session}/history").json()["turns"]
    assert [turn["thumbs"] for turn in turns] == [None, "down", None]
    assert client.delete(f"/session/{session}").json() == {"removed": session}
    for answer in (
        client.get(f"/session/{session}/history"),
        client.delete(f"/session/{session}"),
        client.get("/session/mine/history"),
        ask(client, session_id=session),
        ask(client, session_id=session, stream=True),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_session")


@pytest.mark.parametrize(
    "question",
    [
        "And who won the world cup?",
        "What time is it in Tokyo?",
        "How do I bake a bread?",
        "Can it rain tomorrow?",
        "Is that a good recipe for pancakes?",
        "What is the capital of France?",
        "How do they build ships?",
        "Why do cats purr?",
        "And what about the oil of my car?",
        "Where do these trains go?",
    ],
)
def test_an_unrelated_question_does_not_get_the_answer_before_it(client: httpx.Client, question: str) -> None:
    session = client.post("/session/create").json()["session_id"]
    assert not ask(client, session_id=session).json()["refused"]
    assert ask(client, question, session_id=session).json()["refused"]


@pytest.mark.parametrize(
    "question", ["And what can it not contain?", "Can they contain annotations?", "What does that behave like?"]
)
def test_a_question_that_follows_up_is_read_with_the_one_before(client: httpx.Client, question: str) -> None:
    session = client.post("/session/create").json()["session_id"]
    first = ask(client, session_id=session).json()
    second = ask(client, question, session_id=session).json()
    assert second["citations"][0]["path"] == "lambda.md"
    assert second["answer"] != first["answer"]
    assert ask(client, question).json()["support"] < second["support"]


def test_sessions_are_bounded_and_forgotten(postgres: Settings, client: httpx.Client) -> None:
    log = PredictionLog(postgres)
    mine = Conversations(log.schema, "bounded")

    async def talk() -> tuple[list[int], UUID]:
        async with await psycopg.AsyncConnection.connect(postgres.database("mlops"), autocommit=True) as connection:
            session = await mine.create(connection)
            lengths = []
            for number in range(conversations.MAX_TURNS + 5):
                await mine.add(connection, session, f"{number}?", {"answer": "a"}, uuid4())
            lengths.append(len(await mine.turns(connection, session)))
            for _ in range(3):
                await mine.add(connection, session, "long", {"answer": "b" * conversations.MAX_BYTES}, uuid4())
            lengths.append(len(await mine.turns(connection, session)))
            assert await Conversations(log.schema, "another").turns(connection, session) is None
            old = "UPDATE {sessions} SET used_at = now() - interval '400 days' WHERE session = %s"
            await connection.execute(conversations.statement(log.schema, old), [session])
            log.prune()
            lengths.append(await mine.turns(connection, session))
            return lengths

    assert asyncio.run(talk()) == [conversations.MAX_TURNS, 1, None]


def test_thumbs_are_kept_by_prediction(client: httpx.Client, postgres: Settings) -> None:
    answer = ask(client).json()
    given = {"prediction_id": answer["prediction_id"], "thumbs": "up"}
    assert client.post("/feedback", json=given).json() == given  # although it may not have reached the log yet
    assert client.post("/feedback", json={**given, "thumbs": "down", "comment": "too short"}).status_code == 200
    kept = PredictionLog(postgres).feedback(answer["prediction_id"])
    assert kept is not None
    assert (kept.thumbs, kept.comment) == ("down", "too short")
    unknown = client.post("/feedback", json={**given, "prediction_id": str(uuid4())})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_prediction")
    assert client.post("/feedback", json={**given, "thumbs": "sideways"}).json()["error"]["field"] == "thumbs"
