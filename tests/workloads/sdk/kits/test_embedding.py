"""MiniLM by ONNX Runtime: the published weights, torch's vectors, and nothing of torch in the process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.sdk.kits.retrieval import embedder as embedding
from workloads.sdk.kits.retrieval.embedder import DIMENSIONS, Embedder, WrongWeights, batches, published, served

TEXTS = ["", "a", "How is a model released?", "A release is decided in the ledger.", "word " * 900, "🙂 東京"]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder.load(threads=1)


def test_vectors_are_torchs() -> None:
    from workloads.sdk.kits.retrieval import embedder_export as export

    assert export.difference(export.reference(published()), served(embedding.CACHE), published()) <= export.TOLERANCE


def test_a_vector_does_not_depend_on_its_neighbours(embedder: Embedder) -> None:
    together = embedder.encode(TEXTS)
    assert (together.shape, together.dtype) == ((len(TEXTS), DIMENSIONS), np.float32)
    np.testing.assert_allclose((together**2).sum(1), 1, atol=1e-5)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(embedder.encode([text])[0], vector, atol=1e-5)
    assert embedder.encode([]).shape == (0, DIMENSIONS)


def test_what_belongs_together_is_near(embedder: Embedder) -> None:
    question, answer, other = embedder.encode([TEXTS[2], TEXTS[3], "Sort the rows of a frame by a column."])
    assert question @ answer > question @ other + 0.2
    assert embedder.embed_query(TEXTS[2]) == pytest.approx(question.tolist(), abs=1e-6)


def test_tokens_are_counted_as_far_as_they_are_read(embedder: Embedder) -> None:
    assert embedder.tokens(["", "word " * 900]) == [2, embedding.LONGEST]


def test_whoever_embeds_loads_no_torch() -> None:
    code = (
        "import json, sys; from workloads.sdk.kits.retrieval.embedder import Embedder;"
        "Embedder.load(threads=1).encode(['a']);"
        "print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "sentence_transformers"} & set(json.loads(run.stdout))


def test_changed_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedding.FILES, "config.json", "0" * 64)
    with pytest.raises(WrongWeights, match=r"config\.json is not the published file"):
        Embedder.load(cache=tmp_path)


def test_a_damaged_form_is_not_used(tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written again; that this happens is seen by the exporter's being asked, since it takes half a minute."""
    folder = tmp_path / served(embedding.CACHE).parent.name
    folder.mkdir()
    for name in (embedding.SERVED, embedding.CHECKED):
        os.link(served(embedding.CACHE).with_name(name), folder / name)
    assert served(tmp_path) == folder / embedding.SERVED
    (folder / embedding.SERVED).unlink()
    (folder / embedding.SERVED).write_bytes(b"no model")
    asked: list[Path] = []
    monkeypatch.setattr(embedding, "_export", asked.append)
    served(tmp_path)
    assert asked == [folder]


@given(st.lists(st.integers(1, 256), max_size=200), st.integers(1, 1000))
def test_batches_hold_each_text_once_and_no_more_tokens_than_they_may(lengths: list[int], most: int) -> None:
    found = batches(lengths, most)
    assert sorted(at for batch in found for at in batch.tolist()) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[at] for at in batch) <= most
