"""What makes an answer, without any service: sentences, marks, budgets, quotes, and prompts that cannot be used."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from workloads.rag.answers import Passage, Turn
from workloads.rag.budget import Budget
from workloads.rag.chain import answering
from workloads.rag.citing import MARK, cited, without_marks
from workloads.rag.extractive import Quote, Support, best, chosen, said
from workloads.rag.language_model import fill, is_refusal
from workloads.rag.naming import held
from workloads.rag.settings import BrokenPrompt, PromptSettings, check_template
from workloads.sdk.kits.retrieval.sentences import Statement, statements

TEMPLATE = "{context} {history} {question}"


# --- prompts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{context}", "lacks {question}"),
        ("no placeholder at all", "lacks {context} and {question}"),
        ("{context} {question} {name}", "{name}, which nothing fills"),
        ("{context} {question} {}", "which nothing fills"),
        ("{context} {question} {0}", "which nothing fills"),
        ("{context} {question", "braces do not pair"),
        ('{context} {question} {"a": 1}', "which nothing fills"),
        ("{context} {question.__class__}", "which nothing fills"),
        ("{context} {question!r}", "must be plain"),
        ("{context} {question:>99999999}", "must be plain"),
        ("{context} {question}" + " " * 20_000, "at most 20000"),
    ],
)
def test_a_prompt_that_cannot_be_filled_is_refused(template: str, reason: str) -> None:
    with pytest.raises(BrokenPrompt) as refused:
        check_template(template)
    assert reason in str(refused.value)


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_is_filled_in_is_not_looked_at(question: str, content: str) -> None:
    template = "{{literal}} {context} | {history} | {question} | {refusal} {sentences}"
    check_template(template)
    passage = Passage("a", "a.md", "A", "docs", content)
    text = fill(template, question, [passage], [Turn("before", "{question}")], PromptSettings())
    assert text.startswith("{literal} [1] a.md > A\n" + content)
    assert f"| User: before\nAssistant: {{question}} | {question} | I found nothing" in text


# --- marks --------------------------------------------------------------------------------------------


def test_marks_name_passages_or_nothing() -> None:
    assert cited("One [2]. Two [1, 3][2]; [9] and [0] and [x].", 3) == ([2, 1, 3], [9, 0])
    assert cited("None at all.", 3) == ([], [])


@given(st.lists(st.sampled_from(["a ", "[1]", " [2, 3]", "[", "]", "1", " ", "[x]", "b."]), max_size=20), st.data())
def test_marks_vanish_from_a_stream_however_it_is_cut(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    async def stream() -> AsyncIterator[str]:
        for piece in pieces:
            yield piece

    async def read() -> str:
        return "".join([piece async for piece in without_marks(stream())])

    assert asyncio.run(read()).rstrip() == MARK.sub("", text).rstrip()


def test_a_refusal_is_recognized_however_it_is_dressed() -> None:
    settings = PromptSettings()
    assert is_refusal(f'"{settings.refusal.upper()}"', settings)
    assert is_refusal(f"Sorry: {settings.refusal} Ask something else, please, about Python.", settings)
    assert not is_refusal("The with statement wraps a block [1].", settings)


# --- budgets --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def budget() -> Budget:
    return Budget()


def passages(*contents: str) -> list[Passage]:
    return [Passage(str(number), f"{number}.md", "H", "docs", content) for number, content in enumerate(contents)]


@examples(deadline=None, max_examples=50)
@given(contents=st.lists(st.text("ab .", max_size=40), max_size=6), most=st.integers(1, 40))
def test_a_budget_holds(budget: Budget, contents: list[str], most: int) -> None:
    given_ = passages(*contents)
    kept = budget.passages(given_, most)
    assert sum(budget.count(one.content) for one in kept) <= most
    assert [one.id for one in kept] == [one.id for one in given_[: len(kept)]]
    assert bool(kept) == bool(given_)
    turns = [Turn(content, content) for content in contents]
    remembered = budget.history(turns, 3, most)
    assert len(remembered) <= 3
    assert remembered == turns[len(turns) - len(remembered) :]
    assert sum(budget.count(one.question) * 2 for one in remembered) <= most


def test_the_first_passage_is_cut_to_fit(budget: Budget) -> None:
    (cut,) = budget.passages(passages("one two three four", "five"), 3)
    assert cut.content == "one two three"
    assert budget.count("a word " * 1000) == 2000, "a text is counted to its end, however long it is"


# --- quotes ---------------------------------------------------------------------------------------------------------


def by_letters(texts: list[str]) -> np.ndarray:
    """Vectors of a small encoder: how often each letter occurs."""
    counts = np.array([[text.lower().count(chr(97 + letter)) for letter in range(26)] for text in texts], np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def test_quotes_are_found_once_and_in_order() -> None:
    calls: list[int] = []

    def encode(texts: list[str]) -> np.ndarray:
        calls.append(len(texts))
        return by_letters(texts)

    support = Support(encode)
    given_ = passages("Zebras graze over there. A quiet lion sleeps here.", "", "Zebras graze over there. Also zebras.")
    first = support.quotes("Where do zebras graze?", given_)
    assert first == support.quotes("Where do zebras graze?", given_)
    assert calls == [4], "the question, two sentences and a heading, each once"
    assert (first[0].said.text, first[0].passage) == ("Zebras graze over there.", 0)
    assert support.quotes("Anything?", []) == []


def test_a_passage_is_chosen_by_what_it_is_said_to_answer_and_quotes_itself() -> None:
    plain, told = passages("Zzz zz z zz.", "Qqq qq q qq.")
    told = replace(told, asked=["Where do zebras graze?"])
    support = Support(by_letters)
    first, *_ = support.quotes("Where do zebras graze?", [plain, told])
    assert (first.said.text, first.passage) == ("Qqq qq q qq.", 1)
    assert first.support < 0.1
    assert best([first]) == first.backed == 1.0
    assert chosen([first], PromptSettings(refuse_below=0.9)) == [first]


def test_what_holds_the_things_that_are_named_backs_an_answer_more_and_what_is_unknown_less() -> None:
    support = Support(by_letters)

    def backed(asked: str, **scores: Any) -> float:
        (passage,) = passages("Zebras graze over there.")
        return best(support.quotes(asked, [replace(passage, scores=scores)]))

    anagram = "Where do brazes gaze?"  # of the same letters but one
    assert backed("Where do zebras graze?") > backed(anagram) + 0.2
    assert backed("Where do zebras graze?", unknown=["zebra"]) == pytest.approx(backed("Where do zebras graze?") - 0.15)
    assert held("Where do zebras graze?", "A zebra sleeps.") == 0.5
    assert held("Where do zebras graze?", "A zebra sleeps.", without={"graze"}) == 1.0
    assert held("Where is it?", "anything") == 0.0


def test_a_passage_s_own_vector_heading_and_words_decide_between_equal_statements() -> None:
    one, other = passages("Zebras graze over there.", "Zebras graze over there.")
    support = Support(by_letters)
    for better in (
        replace(other, scores={"similarity": 0.5}),
        replace(other, heading="Where zebras graze"),
        replace(other, scores={"text_score": 3.0}),
    ):
        assert support.quotes("Where do zebras graze?", [one, better])[0].passage == 1
        assert support.quotes("Where do zebras graze?", [better, one])[0].passage == 0


STATEMENTS = st.builds(
    Statement, st.sampled_from(["A b c.", "It d e f:", "So g h i."]), st.sampled_from(["A b c.", "- It d e f:"]),
    st.integers(0, 2), st.booleans(),
)  # fmt: skip
SUPPORTED = st.lists(st.tuples(STATEMENTS, st.integers(0, 3), st.floats(0, 1)), max_size=12)


@given(SUPPORTED, st.integers(1, 10), st.floats(0, 1), st.floats(0, 1))
def test_what_is_chosen_obeys_the_settings(
    given_: list[tuple[Statement, int, float]], most: int, least: float, within: float
) -> None:
    quotes = [Quote(one, number, at, value, backed=value) for at, (one, number, value) in enumerate(given_)]
    ranked = sorted(quotes, key=lambda quote: (-quote.support, quote.passage, quote.position))
    kept = chosen(ranked, PromptSettings(sentences=most, refuse_below=least, keep_within=within))
    assert bool(kept) == bool(ranked and ranked[0].support >= least)
    assert {quote.passage for quote in kept} <= {quote.passage for quote in ranked[:1]}
    assert [quote.position for quote in kept] == sorted({quote.position for quote in kept})
    if kept:
        assert ranked[0] in kept
        assert said(kept)[0] == kept[0].said.shown


PASSAGE = """**Go back.** Nothing is trained. It takes a second. Do this:

- `mlops rollback wine`, with a reason
- or in the page. That asks, too

The log says who it was. Nobody else is told of it.

| setting | instead of |
| --- | --- |
| `MLOPS_URL` | the one of this machine |
"""


@pytest.mark.parametrize(
    ("best", "answer"),
    [
        ("**Go back.** Nothing is trained.", "**Go back.** Nothing is trained."),
        ("It takes a second.", "**Go back.** Nothing is trained. It takes a second."),
        ("Do this:", "Do this:\n\n- `mlops rollback wine`, with a reason\n- or in the page. That asks, too"),
        ("`mlops rollback wine`, with a reason", "Do this:\n\n- `mlops rollback wine`, with a reason"),
        ("Nobody else is told of it.", "Nobody else is told of it."),
        ("setting: `MLOPS_URL`; instead of: the one of this machine",) * 2,
    ],
)
def test_an_answer_is_whole_statements_of_one_passage(best: str, answer: str) -> None:
    every = [Quote(one, 0, at, float(one.text == best), backed=1.0) for at, one in enumerate(statements(PASSAGE))]
    ranked = sorted(every, key=lambda quote: -quote.support)
    assert ranked[0].support == 1, [one.said.text for one in every]
    assert "".join(said(chosen(ranked, PromptSettings(keep_within=0)))) == answer


class Shelf(BaseRetriever):
    """Finds the same documents whatever is asked."""

    documents: list[Document]

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun, filters=None) -> list:
        return self.documents


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"sentences": 1}, "Zebras graze over there. [1]"),
        ({"sentences": 1, "citation": "sources"}, "Zebras graze over there.\n\nSources:\n[1] z.md > Z"),
        ({"sentences": 1, "citation": "both"}, "Zebras graze over there. [1]\n\nSources:\n[1] z.md > Z"),
        ({"sentences": 2, "keep_within": 1}, "Lions sleep in here.\n\nZebras graze over there. [1]"),
        ({"refuse_below": 1.0, "refusal": "No."}, "No."),
    ],
)
def test_the_chain_is_a_runnable_that_obeys_the_settings(budget: Budget, settings: dict, answer: str) -> None:
    document = Document(
        id="z",
        page_content="Lions sleep in here.\n\nZebras graze over there.",
        metadata={"path": "z.md", "heading": "Z"},
    )
    chain = answering(Shelf(documents=[document]), Support(by_letters), budget, TEMPLATE, PromptSettings(**settings))
    question = {"question": "Where do zebras graze?"}

    async def both() -> tuple[dict, list[dict]]:
        return await chain.ainvoke(question), [piece async for piece in chain.astream(question)]

    found, pieces = asyncio.run(both())
    assert found["answer"] == answer
    assert "".join(piece.get("token", "") for piece in pieces) == answer
    assert [piece["quoted"] for piece in pieces if "quoted" in piece] == ([] if found["refused"] else [1])
    assert found["refused"] or [*pieces[1]] == ["quoted"], "the passage comes before its sentences"
    assert found["refused"] == ("refusal" in settings)
    assert found["citations"] == ([] if found["refused"] else ["z"])
