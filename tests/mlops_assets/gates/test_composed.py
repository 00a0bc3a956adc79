"""Prompts and language models judged by the answers that they lead to, on a small corpus in PostgreSQL.

The language model is a local server that speaks OpenAI's protocol; without one answers are quoted from the corpus.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_support import ASKED, UNKNOWN, write_questions
from rag_support import Model, composition, make_table, migrate, running

from mlops_assets.gates import model as gates
from mlops_assets.gates.application import CannotJudge, arrays, judge, rules
from resources.ledger.reports import Check, GateReport
from resources.serving.services import PlatformServices
from resources.settings import Settings
from workloads.rag.app import App
from workloads.rag.evaluate import evaluate, others
from workloads.rag.questions import Question, read
from workloads.sdk.contract import OnInconclusive
from workloads.sdk.contract.applications import Application, Composition
from workloads.sdk.contract.loading import declared_of

DECLARED = declared_of("workloads.rag")
RAG = replace(DECLARED, repeats=1, gates=replace(DECLARED.gates, latency_ms=600_000))  # a busy machine is no fault here
EXTRACTIVE = "the extractive answerer (no language model)"
ABSURD = {"refuse_below": 0.99}


@pytest.fixture(scope="module")
def questions(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    migrate(postgres)
    make_table(postgres, "corpus_judged")
    return write_questions(tmp_path_factory.mktemp("questions"))


@pytest.fixture(scope="module")
def services(postgres: Settings) -> PlatformServices:
    return PlatformServices("rag", postgres)


def prompt(number: int, **settings: Any) -> Composition:
    """A prompt with few passages, since the whole corpus has hardly more than many."""
    made = composition("corpus_judged", **{"top_k": 3, **settings})
    return replace(made, prompt=replace(made.prompt, number=number, digest=f"{number}" * 64))


def model(url: str, name: str) -> Composition:
    content = {"provider": "openai", "model": name, "url": url, "temperature": 0.0}
    made = composition("corpus_judged", model=content)
    return replace(made, language_model=replace(made.language_model, digest=name))


def check(report: GateReport, name: str) -> Check:
    return next(each for each in report.checks if each.name == name)


@pytest.fixture(scope="module")
def good(questions: Path, services: PlatformServices) -> GateReport:
    """A prompt of which nothing was released before, and which is as it should be."""
    return judge(RAG, "prompt", prompt(1), None, questions, services, "test")


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Model, str]]:
    says = "The lambda expression yields a function object, a debugging assertion, and nothing happens [1]."
    server = Model({"talker": says, "broken": 500, "judge": "4"})
    with running(server) as address:
        yield server, f"{address}/v1"


def test_a_good_prompt_passes_and_its_report_says_who_answered(good: GateReport, questions: Path) -> None:
    assert [each.name for each in good.checks] == [
        "load", "floor", "slices:category", "slices:answerable", "latency", "control", "champion",
    ]  # fmt: skip
    assert good.verdict == "pass", good.reasons()
    assert (good.thing, good.environment, good.n) == ("prompt/rag", "test", len(ASKED) + len(UNKNOWN))
    assert good.rules == rules(RAG, "prompt", prompt(7), good.test_digest)
    for name in ("load", "floor"):
        assert check(good, name).evidence["answered by"] == EXTRACTIVE
    assert EXTRACTIVE in check(good, "load").text
    assert EXTRACTIVE in check(good, "latency").text
    metrics = check(good, "floor").evidence["metrics"]
    assert set(metrics) == {metric.name for metric in RAG.metrics}
    assert metrics["recall"]["n"] == len(ASKED)
    assert metrics["recall"]["value"] > 0.8
    assert metrics["groundedness"]["value"] == 1
    assert metrics["refusal"]["n"] == good.n


def test_answers_from_other_passages_fail_the_gate(good: GateReport) -> None:
    control = check(good, "control")
    assert control.value is not None
    assert control.value < RAG.gates.floor < check(good, "floor").value
    assert "as they must" in control.text


def test_a_worse_prompt_is_refused_and_the_better_one_may_follow(questions: Path, services: PlatformServices) -> None:
    worse = judge(RAG, "prompt", prompt(2, **ABSURD), prompt(1), questions, services, "test")
    assert worse.verdict == "refuse"
    assert check(worse, "champion").verdict == "refuse"
    assert check(worse, "champion").evidence["champion_value"] > check(worse, "champion").evidence["candidate_value"]
    assert check(worse, "floor").verdict == "refuse"
    assert worse.champion_digest == "1" * 64
    assert gates.leads_to(worse, RAG.gates, RAG.approval) == OnInconclusive.REFUSE
    better = judge(RAG, "prompt", prompt(1), prompt(2, **ABSURD), questions, services, "test")
    assert check(better, "champion").value > 0.3
    assert gates.leads_to(better, RAG.gates, RAG.approval) == OnInconclusive.RELEASE


def test_an_evaluation_that_passes_with_any_passages_shows_nothing(questions: Path, services: PlatformServices) -> None:
    class Memory(App):
        """Looks up what was asked, whatever it is told to look for."""

        async def answer(self, question: str, session: Any = None, repeat: int = 0, search: Any = None) -> Any:
            return await super().answer(question, session, repeat)

    class Remembering(Application):
        def resolve(self, reference: str) -> Any:
            return Memory if reference == self.app else super().resolve(reference)

    application = Remembering(**{name: getattr(RAG, name) for name in RAG.__dataclass_fields__})
    report = judge(application, "prompt", prompt(1), None, questions, services, "test")
    assert report.verdict == "refuse"
    assert "shows nothing" in check(report, "control").text
    assert [each.name for each in report.checks if each.verdict == "refuse"] == ["control"]


def test_what_cannot_be_loaded_is_refused_with_the_reason(questions: Path, services: PlatformServices) -> None:
    made = prompt(3)
    empty = replace(made.prompt, content={"template": "Answer {question}", "settings": {}})
    for broken, said in (
        (replace(made, prompt=empty), "{context}"),
        (prompt(3, sentences=99), "sentences"),
    ):
        report = judge(RAG, "prompt", broken, prompt(1), questions, services, "test")
        assert (report.verdict, [each.name for each in report.checks]) == ("refuse", ["load"])
        assert said in report.checks[0].text
    report = judge(RAG, "prompt", prompt(1), replace(made, prompt=empty), questions, services, "test")
    assert check(report, "champion").verdict == "inconclusive"


def test_a_language_model_is_judged_under_its_own_name(
    questions: Path, services: PlatformServices, service: tuple[Model, str]
) -> None:
    server, url = service
    talker = model(url, "talker")
    report = judge(replace(RAG, repeats=2), "language_model", talker, prompt(1), questions, services, "test")
    assert check(report, "floor").evidence["answered by"] == "the language model talker"
    assert "language model talker" in check(report, "load").text
    assert EXTRACTIVE in check(report, "champion").text  # what it is compared with
    assert report.verdict == "refuse"
    assert report.thing == "language_model/rag"
    asked = [body for body in server.asked if body["model"] == "talker"]
    assert len({body.get("seed") for body in asked}) > 1  # repeats are not the same request again
    assert not any("Memory" in str(body) for body in asked)


def test_an_answer_that_fails_is_an_error_and_no_score(
    questions: Path, services: PlatformServices, service: tuple[Model, str]
) -> None:
    broken = model(service[1], "broken")
    with pytest.raises(CannotJudge, match=r"language_model/rag number 1 cannot be judged: .*3 of 3 answers failed"):
        judge(RAG, "language_model", broken, None, questions, services, "test")
    with pytest.raises(CannotJudge, match="answers failed"):
        judge(RAG, "language_model", prompt(1), broken, questions, services, "test")


def test_a_judge_gives_opinions_and_is_not_the_model_that_answers(
    questions: Path, postgres: Settings, service: tuple[Model, str]
) -> None:
    server, url = service

    def judged_by(name: str, composition: Composition) -> GateReport:
        chosen = postgres.model_copy(update={"judge_model": name, "judge_model_url": url, "judge_model_key": "secret"})
        return judge(RAG, "prompt", composition, None, questions, PlatformServices("rag", chosen), "test")

    report = judged_by("judge", prompt(1))
    judged = check(report, "floor").evidence["metrics"]["judged"]
    assert judged["n"] == len(ASKED)
    assert judged["value"] in (0.75, pytest.approx(0.75 * (len(ASKED) - 1) / len(ASKED)))  # one answer may be refused
    asked = [body["messages"][0]["content"] for body in server.asked if body["model"] == "judge"]
    assert any(" ".join(ASKED[0][2]) in text for text in asked)
    assert "Bearer secret" in server.keys
    with pytest.raises(CannotJudge, match="the judge is the model that answers, talker"):
        judged_by("talker", model(url, "talker"))
    with pytest.raises(CannotJudge, match="asked for a number from 1 to 5 and said 'The lambda"):
        judged_by("talker", prompt(1))
    with pytest.raises(CannotJudge, match="broken failed"):
        judged_by("broken", prompt(1))


def test_the_same_questions_get_the_same_scores(questions: Path, services: PlatformServices) -> None:
    async def scores() -> dict[str, Any]:
        app = App.load(prompt(1), services)
        try:
            return arrays(RAG, await evaluate(app, questions, 2, services=services)).arrays
        finally:
            await app.close()

    one, two = asyncio.run(scores()), asyncio.run(scores())
    assert {name for name in one if not (one[name] == two[name]).all() and one[name].dtype.kind == "U"} == set()
    for name in ("score/quality", "score/refusal"):
        assert (one[name] == two[name]).all()
    asked = read(questions)
    assert one["slice/answerable"].tolist() == ["answerable" if each.answerable else "unanswerable" for each in asked]
    assert one["slice/category"].tolist() == [each.category for each in asked]


@given(count=st.integers(2, 200), at=st.integers(0, 199))
def test_the_control_looks_for_other_questions_passages(count: int, at: int) -> None:
    asked = [Question(question=str(number), category="any", answerable=False) for number in range(count)]
    searched = others(asked, at % count)
    assert searched
    assert len(set(searched)) == len(searched)
    assert str(at % count) not in searched
    assert set(searched) <= {question.question for question in asked}
