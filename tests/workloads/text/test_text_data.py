"""The texts: masked, without near-duplicates, in splits that follow from the texts themselves; other sources."""

import filecmp
import json
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_support import TEXT, made

from workloads.sdk.dataset import ROW_ID, SPLITS, read_split
from workloads.sdk.kits import search
from workloads.sdk.kits.parameters import SplitParameters
from workloads.sdk.kits.texts import docstrings, duplicates
from workloads.sdk.kits.texts.duplicates import SIMILAR, groups, shingles, similarity
from workloads.sdk.kits.texts.texts import Texts, texts
from workloads.text import emotion, libraries, pretrained

WORDS = st.lists(st.sampled_from(["the", "node", "graph", "of", "value", "return", "axis"]), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("texts"))


def all_texts(folder: Path) -> list[str]:
    return [text for split in SPLITS for text in texts(folder / f"{split}.parquet")]


def test_no_text_names_its_library(splits: Path):
    found = all_texts(splits)
    assert len(found) > 1000
    for name in ("pandas", "sklearn", "scikit-learn", "scipy", "sympy", "mlflow", "dagster", "matplotlib", "networkx"):
        assert not [text for text in found if name in text.lower()], name
    assert sum(libraries.MASK in text for text in found) > 50
    counts = TEXT.resolve(TEXT.data.describe)(TEXT.data.parameters(), splits)["splits"]["train"]["target"]["counts"]
    assert set(counts) == set(libraries.LIBRARIES)
    assert max(counts.values()) < 2 * min(counts.values())


def test_no_two_texts_are_near_duplicates(splits: Path):
    sets = [shingles(text) for text in all_texts(splits)]
    holders: dict[int, list[int]] = {}
    for at, each in enumerate(sets):
        for shingle in each:
            holders.setdefault(shingle, []).append(at)
    pairs = {pair for held in holders.values() for pair in combinations(held, 2)}  # all that share anything
    assert len(pairs) > 500
    assert max(similarity(sets[one], sets[two]) for one, two in pairs) < SIMILAR


def test_pipeline_is_deterministic_and_says_versions(splits: Path, tmp_path: Path):
    again = made(tmp_path)
    for split in SPLITS:
        assert filecmp.cmp(splits / f"{split}.parquet", again / f"{split}.parquet", shallow=False)
    findings = TEXT.resolve(TEXT.data.describe)(TEXT.data.parameters(), splits)["findings"]
    assert findings["libraries"]["pandas"] == version("pandas")
    assert findings["near_duplicates_dropped"] > 0


def test_text_keeps_its_split_in_every_version(splits: Path, tmp_path: Path):
    where = {}
    for folder in (splits, made(tmp_path, each=60, rows=400)):
        for split in SPLITS:
            for row in read_split(folder / f"{split}.parquet", [ROW_ID])[ROW_ID].to_pylist():
                assert where.setdefault(row, split) == split


def test_schema_takes_the_splits_and_nothing_else(splits: Path):
    import pandera.errors

    frame = read_split(splits / "validation.parquet").to_pandas()
    schema = TEXT.resolve(TEXT.data.schema)()
    schema.validate(frame)
    for wrong in (frame.assign(target="numpy"), frame.assign(text=""), frame.drop(columns="text")):
        with pytest.raises(pandera.errors.SchemaError):
            schema.validate(wrong)


@given(st.lists(WORDS, min_size=1, max_size=25), st.randoms())
@settings(max_examples=60, deadline=None)
def test_every_near_duplicate_is_in_one_group(words: list[list[str]], random):
    changed = [[*each[:-1], random.choice("xyz")] for each in words if random.random() < 0.5]
    given_texts = [" ".join(each) for each in words + changed]
    found = groups(given_texts)
    assert sorted(at for group in found for at in group) == list(range(len(given_texts)))
    of = {at: number for number, group in enumerate(found) for at in group}
    sets = [shingles(text) for text in given_texts]
    for one, two in combinations(range(len(sets)), 2):
        if similarity(sets[one], sets[two]) >= 0.9:  # a pair just at the bound may be missed once in thousands
            assert of[one] == of[two]


def test_alike_with_different_targets_are_all_dropped(tmp_path: Path):
    names = [chr(97 + at % 26) + chr(97 + at // 26) for at in range(120)]
    words = [f"{name}la {name}mo {name}ti {name}ra {name}su {name}ne stand here" for name in names]
    clash = ["Missing associated documentation comment in .proto file."] * 2
    Texts(classes=["a", "b"]).split(words + clash, ["a", "b"] * 60 + ["a", "b"], TEXT.data.parameters(), tmp_path)
    found = json.loads((tmp_path / "findings.json").read_text())
    assert found["dropped_since_alike_with_another_target"] >= 2
    assert clash[0] not in all_texts(tmp_path)


@pytest.mark.parametrize(
    ("docstring", "words"),
    [
        (
            "Compute the mean of all values.\n\nParameters\n----------\nx : int",
            "Compute the mean of all values.",
        ),
        ("Compute the mean of all values.\n\nArgs:\n    x: one", "Compute the mean of all values."),
        ("See :class:`~a.B` for what is computed here.\n\n>>> 1", "See a.B for what is computed here."),
        ("Too short.", None),
    ],
)
def test_words_of_a_docstring(docstring: str, words: str | None):
    assert docstrings.words_of(docstring) == words


def test_library_that_is_not_installed_is_named():
    with pytest.raises(ValueError, match="nowhere-at-all is not installed"):
        docstrings.of_library("nowhere-at-all", "nowhere")


# --- the other source -----------------------------------------------------------------------------------------------


def test_hub_that_is_away_is_said_and_nothing_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(emotion, "URL", "http://127.0.0.1:9/emotion")
    monkeypatch.setattr(pretrained, "URL", "http://127.0.0.1:9/distilbert")
    with pytest.raises(ConnectionError, match="does not answer; try again later, or ask for the other source"):
        TEXT.resolve(TEXT.data.fetch)(TEXT.data.parameters(source="emotion"), tmp_path)
    with pytest.raises(ConnectionError, match="--network small"):
        pretrained.fetch(tmp_path / "network")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_emotion_keeps_the_publishers_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import pyarrow as pa
    from pyarrow import parquet

    monkeypatch.setattr(emotion, "ROWS", {"train": 40, "validation": 10, "test": 10})
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    out.mkdir()
    words = iter([f"i feel {a} {b} about the {c}" for a in "abcd" for b in "efgh" for c in "ijkl"])
    for split, rows in emotion.ROWS.items():
        given_texts = [next(words) for _ in range(rows)]
        if split == "train":
            given_texts[0] = "the very same message stands in test and in train too"
        if split == "test":
            given_texts[0] = "the very same message stands in test and in train too"
        parquet.write_table(pa.table({"text": given_texts, "label": [0] * rows}), raw / f"{split}.parquet")
    TEXT.resolve(TEXT.data.process)(TEXT.data.parameters(source="emotion"), raw, out)
    found = {split: texts(out / f"{split}.parquet") for split in SPLITS}
    assert "the very same message stands in test and in train too" in found["test"]
    assert not set(found["train"]) & set(found["test"])
    parquet.write_table(pa.table({"text": ["a"], "label": [0]}), raw / "test.parquet")
    with pytest.raises(ValueError, match="has 1 rows, expected 10"):
        TEXT.resolve(TEXT.data.process)(TEXT.data.parameters(source="emotion"), raw, out)


# --- what is tried --------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**31 - 1), st.integers(1, 40))
@settings(max_examples=25)
def test_candidates_follow_from_the_seed_and_stay_in_bounds(seed: int, count: int):
    asked = TEXT.parameters(seed=seed)
    found = search.candidates(asked, count)
    assert found[0] == asked
    assert found == search.candidates(asked, count + 5)[:count]
    assert len({each.model_dump_json() for each in found}) == count
    for each in found:
        assert 3e-4 <= each.learning_rate <= 3e-3
        assert (each.trials, each.epochs, each.seed) == (asked.trials, asked.epochs, seed)
    assert all(each.width == asked.width for each in search.candidates(asked, count, ["width"]))


def test_bands_rarely_miss(monkeypatch: pytest.MonkeyPatch):
    assert duplicates.BANDS * duplicates.ROWS == 60
    assert (1 - SIMILAR**duplicates.ROWS) ** duplicates.BANDS < 1 / 4000


def test_too_few_texts_are_refused_with_the_reason(tmp_path: Path) -> None:
    alike = ["the same six words stand before " + word for word in ("mountains", "rivers", "cities", "lakes")]
    with pytest.raises(ValueError, match=r"different rows are too few: .*; texts that begin alike share a split"):
        Texts(classes=["a", "b"]).split(alike, ["a", "b", "a", "b"], SplitParameters(), tmp_path)
