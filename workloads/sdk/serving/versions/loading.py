"""From a plan's version to what answers by it: its artifact folder is brought here, verified, loaded and tried.

A version is a model, or an application's composition (`composition.py`).
"""

import json
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from workloads.sdk.artifacts import BrokenArtifacts, Manifest, Served, in_parts, signature_of
from workloads.sdk.contract import Predictor, Services
from workloads.sdk.serving.versions.plan import Plan, Version

GOLDEN_TOLERANCE = 1e-4  # largest difference of any output


@dataclass(frozen=True)
class Loaded:
    """A version in memory. A request takes one and answers wholly by it, so that body, header and log agree."""

    plan: Plan

    @property
    def version(self) -> Version:
        return self.plan.version

    def retire(self) -> None:
        """No further request is given it: what it holds is given back once the last one that has it ends."""


@dataclass(frozen=True)
class LoadedModel(Loaded):
    """A model.

    Attributes:
        example: a request that it is known to answer.
        pace: seconds that a request of so many bits of body length takes, as measured.
    """

    predictor: Predictor
    example: dict[str, Any]
    pace: dict[int, float] = field(default_factory=lambda: defaultdict(lambda: float("inf")))

    @cached_property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"content-type", b"application/json"), (b"x-model-version", self.version.version.encode()))


def load(plan: Plan, kind: type[Predictor], services: Services, cache: Path) -> LoadedModel:
    """The plan's version, after every file was hashed again and the golden rows were answered as they were.

    Raises:
        BrokenArtifacts: the folder is not the plan's, a file is missing or changed, an answer differs, or the code
            that runs here reads other requests than the version was made for.
        Exception: whatever the predictor's own `load` raises.
    """
    version = plan.version
    folder, manifest = verified_folder(version.artifacts_uri, version.digest, kind, cache)
    predictor = kind.load(folder, services)
    golden = json.loads((folder / manifest.golden).read_bytes())
    _check_golden(folder, predictor, golden)
    return LoadedModel(plan, predictor, golden[0]["request"])


def verified_folder(uri: str, digest: str, kind: type[Served], cache: Path) -> tuple[Path, Manifest]:
    """The local folder of an artifact URI, every file of which was hashed again, with its manifest.

    Raises:
        BrokenArtifacts: it is not the digest's, a file is missing or changed, or `kind` reads other requests than what
            was stored.
    """
    folder = local_folder(uri, digest, cache)
    manifest = _verified(folder, digest)
    if manifest.request_schema != signature_of(kind):
        raise BrokenArtifacts(
            f"version {digest[:12]} was made for other requests than the code here reads; make it again"
        )
    return folder, manifest


def local_folder(uri: str, digest: str, cache: Path) -> Path:
    """The folder that a URI names: a path or file:// as it is, anything else copied once into `cache/<digest>`."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return Path(unquote(parts.path) if parts.scheme else uri)
    folder = cache / digest
    if not folder.is_dir():
        import fsspec

        cache.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=cache, prefix="part-"))
        try:
            files, root = fsspec.url_to_fs(uri)
            files.get(root.rstrip("/") + "/", f"{part}/", recursive=True)
            _verified(part, digest)
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another replica was quicker
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def _verified(folder: Path, digest: str) -> Manifest:
    manifest = Manifest.read(folder)
    if manifest.digest != digest:
        raise BrokenArtifacts(f"{folder} holds {manifest.digest[:12]}, and the plan names {digest[:12]}")
    manifest.verify(folder)
    return manifest


def _check_golden(folder: Path, predictor: Predictor, golden: list[dict[str, Any]]) -> None:
    """Raises `BrokenArtifacts` where a loaded model's outputs are not those that it was stored with."""
    import numpy as np

    if not golden:
        raise BrokenArtifacts(f"{folder} has no golden rows: nothing shows that the model is the one that was stored")
    for number, row in enumerate(golden):
        inputs = predictor.inputs(predictor.Request.model_validate(row["request"]))
        found, expected = in_parts(predictor.outputs, inputs), np.asarray(row["outputs"])
        if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=GOLDEN_TOLERANCE):
            raise BrokenArtifacts(
                f"{folder}: the outputs for golden row {number} are not those the model was stored with"
            )
