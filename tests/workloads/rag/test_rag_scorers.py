"""Scores of answers: what they are of known cases, and what holds of them for any."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.rag import scorers
from workloads.rag.questions import Gold, Place, Question


@dataclass(frozen=True)
class Chunk:
    id: str
    path: str
    heading: str
    content: str = ""


WITH = Gold(path="with.md", heading="The with statement", also=(Place(path="all.md", heading="The with statement"),))
RAISE = Gold(path="raise.md", heading="The raise statement")
LETTERS = st.sampled_from(["a", "b", "c"])
CHUNKS = st.lists(st.builds(Chunk, st.uuids().map(str), LETTERS, LETTERS, st.text(max_size=40)), max_size=12)
GOLD = st.lists(st.builds(Gold, path=LETTERS, heading=LETTERS), min_size=1, max_size=3, unique=True)
QUESTIONS = st.builds(
    Question,
    question=st.just("?"),
    expected_answer=st.just("!"),
    key_concepts=st.lists(st.text("abc ", min_size=1, max_size=5), min_size=1, max_size=3),
    category=st.just("any"),
    answerable=st.just(True),
    gold=GOLD,
)


def chunk(id: str, gold: Place, content: str = "") -> Chunk:
    return Chunk(id, gold.path, f"Statements > {gold.heading} > Details", content)


def test_a_place_is_a_whole_heading_of_a_path() -> None:
    assert WITH.holds("with.md", "Statements > The with statement > Details")
    assert WITH.holds("with.md", "The with statement")
    assert WITH.found("all.md", "The with statement")
    assert not WITH.holds("all.md", "The with statement")
    assert not WITH.holds("with.md", "Not The with statement")
    assert Place(path="a", heading="B > C").holds("a", "A > B > C")


def test_retrieval_counts_a_passage_where_it_is_met_first() -> None:
    other = Chunk("o", "with.md", "Something else")
    found = [other, chunk("1", WITH.also[0]), chunk("2", WITH), chunk("3", RAISE)]
    assert scorers.ranks([WITH, RAISE], found) == [2, 4]
    assert scorers.recall([WITH, RAISE], found) == 1
    assert scorers.recall([WITH, RAISE], found, k=3) == 0.5
    assert scorers.reciprocal_rank([WITH, RAISE], found) == 0.5
    best = 1 + 1 / math.log2(3)
    assert scorers.ndcg([WITH, RAISE], found) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)
    assert scorers.ndcg([WITH], [chunk("2", WITH)]) == 1
    assert scorers.reciprocal_rank([WITH], [other]) == scorers.ndcg([WITH], [other]) == 0


def test_concepts_are_words_next_to_each_other() -> None:
    answer = 'Calls `__exit__()` with three "None" arguments,\nat pre-\nexisting 0.01.'
    assert scorers.coverage(["__exit__()", "None arguments", "pre-existing", "0.01"], answer) == 1
    assert scorers.coverage(["exit", "three arguments", "None"], answer) == pytest.approx(1 / 3)


def test_citations_are_judged_by_both_what_is_cited_and_what_should_be() -> None:
    passages = [chunk("1", WITH), chunk("2", WITH), Chunk("3", "other.md", "x"), chunk("4", RAISE)]
    assert scorers.citations([WITH], passages, ["1", "2"]) == 1
    assert scorers.citations([WITH], passages, ["1", "3"]) == pytest.approx(2 / 3)
    assert scorers.citations([WITH, RAISE], passages, ["1"]) == pytest.approx(2 / 3)
    assert scorers.citations([WITH], passages, ["1", "invented"]) == pytest.approx(2 / 3)
    assert scorers.citations([WITH], passages, []) == scorers.citations([WITH], passages, ["3"]) == 0


def test_a_sentence_is_grounded_where_one_cited_passage_holds_its_words_and_numbers() -> None:
    passage = chunk("1", WITH, "A tier of the training waits 60 seconds. Then the job fails.")
    assert scorers.groundedness("The training waits 60 seconds [1].", [passage]) == 1
    assert scorers.groundedness("The training waits 90 seconds [1].", [passage]) == 0
    assert scorers.groundedness("Then the job fails [1]. Bananas grow in Ecuador [1].", [passage]) == 0.5
    assert scorers.groundedness("Then the job fails.\n\nSources:\n[1] Bananas in Ecuador", [passage]) == 1
    assert scorers.groundedness("Then the job fails.", []) == scorers.groundedness(" ", [passage]) == 0


def test_quality_is_what_is_right_and_supported() -> None:
    asked = Question(
        question="?", expected_answer="60 s", key_concepts=["60 seconds", "MLOPS"], category="x", answerable=True,
        gold=[WITH],
    )  # fmt: skip
    passages = [chunk("1", WITH, "It waits 60 seconds."), Chunk("2", "o", "o", "Bananas.")]
    assert scorers.quality(asked, "It waits 60 seconds [1].", False, ["1"], passages) == pytest.approx(0.75)
    assert scorers.quality(asked, "It waits 60 seconds.", False, ["2"], passages) == 0
    assert scorers.quality(asked, "I do not know.", True, [], passages) == 0
    none = Question(question="?", category="x", answerable=False)
    assert scorers.quality(none, "Nothing.", True, [], passages) == 1
    assert scorers.quality(none, "It waits 60 seconds.", False, ["1"], passages) == 0


@given(asked=QUESTIONS, found=CHUNKS, answer=st.text(max_size=80), refused=st.booleans())
def test_scores_stay_between_0_and_1(asked: Question, found: list[Chunk], answer: str, refused: bool) -> None:
    cited = [each.id for each in found[:2]]
    values = [
        scorers.recall(asked.gold, found),
        scorers.reciprocal_rank(asked.gold, found),
        scorers.ndcg(asked.gold, found),
        scorers.coverage(asked.key_concepts, answer),
        scorers.citations(asked.gold, found, cited),
        scorers.groundedness(answer, found[:2]),
        scorers.quality(asked, answer, refused, cited, found),
    ]
    assert all(0 <= value <= 1 for value in values if not math.isnan(value))


@given(gold=GOLD, found=CHUNKS)
def test_retrieval_is_never_better_with_what_it_found_further_down(gold: list[Gold], found: list[Chunk]) -> None:
    worse = [Chunk("x", "elsewhere", "elsewhere"), *found]
    for measure in (scorers.recall, scorers.reciprocal_rank, scorers.ndcg):
        assert measure(gold, worse) <= measure(gold, found)
    full = [Chunk(str(at), one.path, one.heading) for at, one in enumerate(gold)]
    assert scorers.recall(gold, full) == scorers.reciprocal_rank(gold, full) == 1
    assert scorers.ndcg(gold, full) == pytest.approx(1)


@given(found=CHUNKS, gold=GOLD, more=st.text("xyz", min_size=1))
def test_another_citation_that_is_not_gold_never_helps(found: list[Chunk], gold: list[Gold], more: str) -> None:
    right = [each.id for each in found if any(one.found(each.path, each.heading) for one in gold)]
    assert scorers.citations(gold, found, [*right, f"{more}-is no id"]) <= scorers.citations(gold, found, right)


@given(answer=st.text("ab .!?\n[]1", max_size=60))
def test_what_is_quoted_word_for_word_is_grounded(answer: str) -> None:
    said = scorers.sentences(answer)
    text = Chunk("1", "p", "h", " ".join(said))
    if any(scorers.words(sentence) for sentence in said):
        assert scorers.groundedness(answer, [text]) == 1


def test_the_passage_that_is_shown_must_hold_the_answer() -> None:
    asked = Question(
        question="?", expected_answer="!", key_concepts=["it rains"], category="any", answerable=True, gold=[WITH]
    )
    right, other = chunk("1", WITH, "Then it rains."), chunk("2", WITH, "Then the sun shines.")
    elsewhere = chunk("3", RAISE, "Then it rains.")
    found = [right, other, elsewhere]
    assert scorers.passage(asked, found, ["1", "2"]) == 1
    assert [scorers.passage(asked, found, cited) for cited in (["2", "1"], ["3"], [], ["4"])] == [0, 0, 0, 0]
