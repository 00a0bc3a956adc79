"""A model's artifact folder: its files' digests in `manifest.json`, and outputs to check it by in `golden.json`.

Written here when a training ends; `workloads/sdk/serving/versions/loading.py` checks both before a version serves.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from workloads.sdk.contract import Predictor
from workloads.sdk.errors import PlatformError

MANIFEST, GOLDEN = "manifest.json", "golden.json"
BASELINES = "baselines"  # a folder of simpler models, each as `Predictor.load` takes it, which the model must beat
CONSTANT = "constant"  # the one of these that says the same of every row
MEND = "put the file back, or train this version of the data again"


class BrokenArtifacts(PlatformError):
    """An artifact folder is not what its manifest says."""


def canonical(value: Any) -> str:
    """JSON with one spelling for equal values, as digests need it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest_of(value: Any) -> str:
    """SHA-256 (hexadecimal) of a JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


class Served(Protocol):
    """What an endpoint may serve: a `Predictor`, or an `App`."""

    @classmethod
    def forms(cls) -> list[type[BaseModel]]: ...


def signature_of(served: type[Served]) -> str:
    """Digest of the JSON schemas of requests and answers; it changes exactly when callers see a change."""
    return digest_of([form.model_json_schema() for form in served.forms()])


class File(BaseModel):
    """A file of the folder; `path` is relative to it, `size` in bytes."""

    path: str
    sha256: str
    size: int


class Manifest(BaseModel):
    """What an artifact folder holds.

    Attributes:
        files: every file but the manifest, by path.
        digest: SHA-256 of the canonical JSON of `files`: the model's identity.
        request_schema: digest of the schemas of request and prediction.
        package: Python package of the workload.
        golden: name of the file with outputs to check a loaded model by.
    """

    files: list[File]
    digest: str
    request_schema: str
    package: str
    golden: str = GOLDEN

    @classmethod
    def write(cls, folder: Path, package: str, served: type[Served] | None = None) -> "Manifest":
        """Describe what the folder holds now, in `manifest.json`; `served` is what callers see of it, if they do."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
        files = [
            File(path=path.relative_to(folder).as_posix(), sha256=sha256(path), size=path.stat().st_size)
            for path in paths
        ]
        digest = digest_of([file.model_dump() for file in files])
        manifest = cls(
            files=files, digest=digest, request_schema=signature_of(served) if served else "", package=package
        )
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        return manifest

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Raises `BrokenArtifacts` where there is none, or none that can be read."""
        try:
            return cls.model_validate_json((folder / MANIFEST).read_text())
        except (OSError, ValueError) as error:
            raise BrokenArtifacts(f"{folder} has no readable {MANIFEST}: {error}") from error

    def verify(self, folder: Path) -> None:
        """Compute every digest again; raises `BrokenArtifacts` naming the first file that is missing or changed."""
        if digest_of([file.model_dump() for file in self.files]) != self.digest:
            raise BrokenArtifacts(f"{folder / MANIFEST} was changed: its digest is not that of its list of files")
        for file in self.files:
            path = (folder / file.path).resolve()
            if not path.is_relative_to(folder.resolve()) or not path.is_file():
                raise BrokenArtifacts(f"{folder} lacks the file {file.path}; {MEND}")
            if path.stat().st_size != file.size or sha256(path) != file.sha256:
                raise BrokenArtifacts(f"{path} was changed: its SHA-256 is not the one in {MANIFEST}; {MEND}")


def write_golden(folder: Path, predictor: Predictor, requests: list[dict[str, Any]]) -> None:
    """Keep the model's own outputs (six digits) for a few requests."""
    golden = [{"request": request, "outputs": _outputs(predictor, request).round(6).tolist()} for request in requests]
    (folder / GOLDEN).write_text(json.dumps(golden) + "\n")


def _outputs(predictor: Predictor, request: dict[str, Any]) -> Any:
    import numpy as np

    return np.asarray(in_parts(predictor.outputs, predictor.inputs(predictor.Request.model_validate(request))))


def in_parts(outputs: Callable[[Any], Any], inputs: Any, rows: int = 1000) -> Any:
    """Outputs of many rows, computed some at a time, so that memory stays bounded; float32 array of shape (rows, k)."""
    import numpy as np

    return np.concatenate([np.asarray(outputs(inputs[at : at + rows])) for at in range(0, len(inputs), rows)])
