"""Scoring without a cluster: the columns that answers become, and parts that a worker writes."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import BaseModel, Field
from workload_support import spec_of, splits_of_wine

from workloads.sdk.contract import TEST, TRAIN, Tier
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.dataset import ROW_ID
from workloads.sdk.programs.batch import score
from workloads.sdk.programs.batch.columns import OUTPUTS, WrongAnswers, arrow_type, table
from workloads.sdk.programs.batch.spec import BatchSpec, Scored
from workloads.sdk.programs.training.run import run


class Box(BaseModel):
    left: float
    words: list[str]


class Answer(BaseModel):
    label: Annotated[str, Field(description="x")]
    kind: Literal["a", "b"]
    scores: dict[str, float]
    box: Box | None
    anything: dict[str, str | float]


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (bool, pa.bool_()),
        (int, pa.int64()),
        (float | None, pa.float64()),
        (list[list[int]], pa.list_(pa.list_(pa.int64()))),
        (dict[str, float], pa.map_(pa.string(), pa.float64())),
        (Box, pa.struct({"left": pa.float64(), "words": pa.list_(pa.string())})),
        (Literal["a", 1], None),
        (str | int, None),
        (object, None),
    ],
)
def test_each_field_has_a_type_of_its_own(annotation: object, kind: pa.DataType | None) -> None:
    assert arrow_type(annotation) == kind


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 4))
def test_answers_are_read_as_they_were_written(rows: int, width: int) -> None:
    outputs = np.arange(rows * width, dtype=np.float32).reshape(rows, width)
    answers = [
        {
            "label": str(at),
            "kind": "a",
            "scores": {"x": at / 2},
            "box": {"left": 0.5, "words": ["w"] * at} if at % 2 else None,
            "anything": {"n": at, "s": "t"},
        }
        for at in range(rows)
    ]
    ids = pa.chunked_array([[f"row {at}" for at in range(rows)]])
    read = table(ids, outputs, answers, Answer).to_pylist(maps_as_pydicts="strict")
    assert [row[ROW_ID] for row in read] == ids.to_pylist()
    assert [row[OUTPUTS] for row in read] == outputs.tolist()
    for row, answer in zip(read, answers, strict=True):
        assert {name: row[name] for name in ("label", "kind", "scores", "box")} == {
            name: answer[name] for name in ("label", "kind", "scores", "box")
        }
        assert row["anything"] == f'{{"n": {answer["anything"]["n"]}, "s": "t"}}'


def test_answers_that_are_not_one_for_each_row_are_refused() -> None:
    with pytest.raises(WrongAnswers, match="2 rows gave 1 outputs and 1 answers"):
        table(pa.chunked_array([["a", "b"]]), np.zeros((1, 1)), [{"left": 1.0, "words": []}], Box)


@settings(deadline=None)
@given(groups=st.lists(st.integers(1, 50), min_size=1, max_size=20), least=st.integers(1, 60))
def test_parts_are_neighbours_and_hold_every_group_once(
    groups: list[int], least: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("groups") / "split.parquet"
    with parquet.ParquetWriter(file, pa.schema({"n": pa.int64()})) as writer:
        for rows in groups:
            writer.write_table(pa.table({"n": range(rows)}), row_group_size=rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score, "PART", least)
        parts = score.parts(file)
    assert [group for part in parts for group in part] == list(range(len(groups)))
    assert all(sum(groups[group] for group in part) >= least for part in parts[:-1])
    assert all(sum(groups[group] for group in part[:-1]) < least for part in parts)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> BatchSpec:
    """A scoring of wine's training and test rows with a small forest."""
    folder = tmp_path_factory.mktemp("batch")
    training = spec_of(splits_of_wine(folder))
    trained = run(training, folder / "out", lambda share, text: None)
    return BatchSpec(
        package="workloads.wine",
        data={split: training.data[split] for split in (TRAIN, TEST)},
        tier=Tier(memory_gib=0.1),
        artifacts_uri=str(folder / "out" / "artifacts"),
        model_digest=trained.digest,
        destination=folder / "scored",
    )


def test_a_worker_writes_what_the_model_answers_block_by_block(
    spec: BatchSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "BLOCK", 20)  # several blocks, the last one smaller
    worker = score.Scorer(spec.model_dump_json(), str(tmp_path))
    rows = worker.write(TEST, 3, [0])
    written = parquet.read_table(tmp_path / TEST / "part-00003.parquet")
    wine = workload_of(spec.package)
    inputs = wine.resolve(wine.rows)(spec.data[TEST].path)
    assert rows == len(written) == len(inputs)
    outputs = worker.predictor.outputs(inputs)
    assert np.array_equal(np.asarray(written[OUTPUTS].to_pylist(), np.float32), outputs)
    answers = worker.predictor.answers(outputs)
    assert written["label"].to_pylist() == [answer["label"] for answer in answers]
    assert written.to_pylist(maps_as_pydicts="strict")[0]["probabilities"] == answers[0]["probabilities"]
    assert written.schema.metadata[b"model"].decode() == spec.model_digest
    assert written[ROW_ID].equals(parquet.read_table(spec.data[TEST].path)[ROW_ID])


def test_a_split_appears_whole_or_not_at_all(spec: BatchSpec, tmp_path: Path) -> None:
    there = spec.model_copy(update={"destination": tmp_path / "there"})
    worker = score.Scorer(there.model_dump_json(), str(tmp_path / "partial"))
    (tmp_path / "partial").mkdir()
    there.destination.mkdir()
    rows = worker.write(TEST, 0, [0])
    assert there.scored() == {}
    score._publish(there, TEST, tmp_path / "partial" / TEST, rows)
    scored = there.scored()[TEST]
    assert (scored.rows, len(scored.parts), scored.source) == (rows, 1, spec.data[TEST].sha256)
    assert len(parquet.read_table(there.destination / TEST)) == rows  # the folder is read as one table
    part = there.destination / TEST / scored.parts[0].path
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    assert Scored.read(there.destination / TEST) is None  # so it is scored anew
    worker.write(TEST, 0, [0])
    score._publish(there, TEST, tmp_path / "partial" / TEST, rows)
    assert there.scored() == {TEST: scored}
