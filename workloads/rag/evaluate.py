"""How good an application's answers to the questions are: a row for each question, and nothing that is not a score.

An answer that could not be given (a service that is away, a limit that was hit) is an error, never a low score: figures
that hold some would say nothing about the prompt. What is asked of the scores stands in `scorers.py`.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Protocol

from workloads.contract import Evaluation
from workloads.rag import scorers
from workloads.rag.answers import Answered
from workloads.rag.questions import Question, read

AT_ONCE = 4  # questions that are asked beside each other, after the first round
SHOWN = 3  # errors that are told


class Answerer(Protocol):
    """What is evaluated: `workloads.rag.app.App`."""

    async def answer(
        self, question: str, session: str | None = None, repeat: int = 0, search: str | None = None
    ) -> Answered: ...


class AnswererFailed(Exception):
    """Questions stayed without an answer; the message says how many and why. There is no evaluation then."""


async def evaluate(app: Answerer, questions: Path, repeats: int, shuffled: bool = False) -> Evaluation:
    """Ask every question, as often as is said; a row's score is the mean over the repeats.

    The first round asks one question after the other, which is when `milliseconds` are taken.

    Args:
        questions: a version of the data.
        shuffled: answer each from the passages of another question, as a control: an evaluation in which this does
            nearly as well does not measure whether answers rest on what was found.

    Raises:
        AnswererFailed: some could not be answered.
    """
    asked = read(questions)
    searched = others(asked) if shuffled else [None] * len(asked)
    rows = [await _round(app, asked, searched, repeat, AT_ONCE if repeat else 1) for repeat in range(max(1, repeats))]
    failed = [
        (question.question, each)
        for answers in rows
        for question, (each, _) in zip(asked, answers, strict=True)
        if isinstance(each, Exception)
    ]
    if failed:
        shown = "; ".join(f"{question!r}: {_sentence(error)}" for question, error in failed[:SHOWN])
        raise AnswererFailed(
            f"{len(failed)} of {len(asked) * len(rows)} answers failed, so there is no figure of quality. {shown}"
        )
    scores: dict[str, list[float]] = {metric.name: [] for metric in scorers.METRICS}
    for at, question in enumerate(asked):
        answers = [round_[at][0] for round_ in rows]
        each = [score(question, answer) for answer in answers if isinstance(answer, Answered)]
        for name in each[0]:
            scores[name].append(sum(one[name] for one in each) / len(each))
        scores["milliseconds"].append(rows[0][at][1])
    return Evaluation(
        scores=scores,
        slices={
            "category": [question.category for question in asked],
            "answerable": ["answerable" if question.answerable else "unanswerable" for question in asked],
        },
    )


def score(question: Question, answered: Answered) -> dict[str, float]:
    """All scores of one answer, by metric; NaN where one does not apply."""
    cited = [each for each in answered.passages if each.id in answered.citations]
    given = question.answerable and not answered.refused
    nothing = 0.0 if question.answerable else scorers.NOT_APPLICABLE
    return {
        "quality": scorers.quality(question, answered.text, answered.refused, answered.citations, answered.passages),
        "recall": scorers.recall(question.gold, answered.passages),
        "reciprocal_rank": scorers.reciprocal_rank(question.gold, answered.passages),
        "ndcg": scorers.ndcg(question.gold, answered.passages),
        "coverage": scorers.coverage(question.key_concepts, answered.text) if given else nothing,
        "citations": scorers.citations(question.gold, answered.passages, answered.citations) if given else nothing,
        "groundedness": scorers.NOT_APPLICABLE if answered.refused else scorers.groundedness(answered.text, cited),
        "refusal": scorers.refusal(question.answerable, answered.refused),
    }


def others(questions: Sequence[Question]) -> list[str]:
    """For each question another one, whose passages it is to be answered from: half of the list further, so that it is
    seldom of the same kind, and the same in every run."""
    half = max(1, len(questions) // 2)
    return [questions[(at + half) % len(questions)].question for at in range(len(questions))]


async def _round(
    app: Answerer, asked: Sequence[Question], searched: Sequence[str | None], repeat: int, at_once: int
) -> list[tuple[Answered | Exception, float]]:
    """Every question's answer or error, and the milliseconds that it took."""
    room = asyncio.Semaphore(at_once)

    async def ask(question: str, search: str | None) -> tuple[Answered | Exception, float]:
        async with room:
            start = perf_counter()
            try:
                answered: Answered | Exception = await app.answer(question, repeat=repeat, search=search)
            except Exception as error:
                answered = error
            return answered, 1000 * (perf_counter() - start)

    return list(await asyncio.gather(*(ask(one.question, search) for one, search in zip(asked, searched, strict=True))))


def _sentence(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
