"""Digests of files, and of a dataset as a set of files; the standard library alone, for every floor to use."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def digests(file: Path) -> dict[str, Any]:
    """`sha256`, `md5` (what DVC stores it under) and `size` in bytes of a file."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha256.update(block)
            md5.update(block)
            size += len(block)
    return {"sha256": sha256.hexdigest(), "md5": md5.hexdigest(), "size": size}


def dataset_digest(files: Iterable[tuple[str, str]]) -> str:
    """Digest of a dataset: sha256 over the canonical JSON of its (path, sha256) pairs, sorted by path."""
    canonical = json.dumps(sorted(map(list, files)), separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
