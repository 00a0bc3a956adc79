"""How good an application's answers to the questions are: a row for each question, and nothing that is not a score.

An answer that could not be given (a service that is away, a limit that was hit) is an error, never a low score: figures
that hold some would say nothing about the prompt. What is asked of the scores stands in `scorers.py`.
"""

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Protocol

from workloads.rag import scorers
from workloads.rag.answers import Answered
from workloads.rag.judging import Judge
from workloads.rag.questions import Question, read
from workloads.sdk.contract import Evaluation, Services
from workloads.sdk.contract.applications import Composition

AT_ONCE = 4  # questions that are asked beside each other, after the first round
TRIES = 6  # other questions that a control looks at, where the passages of the first hold the answer after all
MOST = 3  # answers that may fail before nothing more is asked


class Answerer(Protocol):
    """What is evaluated: `workloads.rag.app.App`."""

    composition: Composition

    async def answer(
        self, question: str, session: str | None = None, repeat: int = 0, search: str | None = None
    ) -> Answered: ...


class AnswererFailed(Exception):
    """Questions stayed without an answer; the message says how many and why. There is no evaluation then."""


async def evaluate(
    app: Answerer, questions: Path, repeats: int, shuffled: bool = False, services: Services | None = None
) -> Evaluation:
    """Ask every question, as often as is said; a row's score is the mean over the repeats.

    The first round asks one question after the other, which is when `milliseconds` are taken.

    Args:
        questions: a version of the data.
        shuffled: answer each from the passages of another question, as a control: an evaluation in which this does
            nearly as well does not measure whether answers rest on what was found. No judge is asked about that.
        services: what may name a judge model.

    Raises:
        AnswererFailed: some could not be answered; there is no evaluation then.
        workloads.rag.judging.JudgeFailed: nor is there without the judge's opinion, where one is configured.
    """
    judge = Judge.of(services, app.composition.language_model.content) if services and not shuffled else None
    asked = read(questions)
    searched = [others(asked, at) if shuffled else [None] for at in range(len(asked))]
    rows = [await _round(app, asked, searched, repeat, AT_ONCE if repeat else 1) for repeat in range(max(1, repeats))]
    scores: dict[str, list[float]] = {metric.name: [] for metric in scorers.METRICS}
    for at, question in enumerate(asked):
        each = [score(question, answers[at][0]) for answers in rows]
        for name in each[0]:
            applies = [one[name] for one in each if not math.isnan(one[name])]
            scores[name].append(sum(applies) / len(applies) if applies else scorers.NOT_APPLICABLE)
        scores["milliseconds"].append(rows[0][at][1])
        scores["judged"].append(await _judged(judge, question, [answers[at][0] for answers in rows]))
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
        "passage": scorers.passage(question, answered.passages, answered.citations),
        "refusal": scorers.refusal(question.answerable, answered.refused),
    }


async def _judged(judge: Judge | None, question: Question, answers: Sequence[Answered]) -> float:
    """The judge's mean opinion of the answers to a question; 0 for what was refused, without asking."""
    if judge is None or not question.answerable:
        return scorers.NOT_APPLICABLE
    opinions = [0.0 if answer.refused else await judge.score(question, answer.text) for answer in answers]
    return sum(opinions) / len(opinions)


def others(questions: Sequence[Question], at: int) -> list[str | None]:
    """The questions from whose passages one is to be answered as a control, best first: those that stand about half of
    the list away, so that they are seldom of the same kind; the same in every run."""
    count = len(questions)
    steps = [count // 2 + step for step in range(min(TRIES, count - count // 2))] if count > 1 else []
    return [questions[(at + step) % count].question for step in steps] or [None]


async def _round(
    app: Answerer, asked: Sequence[Question], searched: Sequence[Sequence[str | None]], repeat: int, at_once: int
) -> list[tuple[Answered, float]]:
    """Every question's answer, and the milliseconds that it took. A service that is away is not asked for each.

    Of what a question may be answered from, the first is taken that finds no gold passage by chance, or else the last.

    Raises:
        AnswererFailed: at the end, or as soon as `MOST` have failed.
    """
    room = asyncio.Semaphore(at_once)
    failed: list[tuple[str, Exception]] = []
    tried = 0

    async def ask(question: Question, searches: Sequence[str | None]) -> tuple[Answered, float] | None:
        nonlocal tried
        async with room:
            if len(failed) >= MOST:
                return None
            tried += 1
            for search in searches:
                start = perf_counter()
                try:
                    answered = await app.answer(question.question, repeat=repeat, search=search)
                except Exception as error:
                    failed.append((question.question, error))
                    return None
                milliseconds = 1000 * (perf_counter() - start)
                if not any(scorers.ranks(question.gold, answered.passages)):
                    break
            return answered, milliseconds

    answers = await asyncio.gather(*(ask(one, searches) for one, searches in zip(asked, searched, strict=True)))
    if failed:
        shown = "; ".join(f"{question!r}: {_sentence(error)}" for question, error in failed)
        raise AnswererFailed(f"{len(failed)} of {tried} answers failed, so there are no figures. {shown}")
    return [answer for answer in answers if answer]


def _sentence(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
