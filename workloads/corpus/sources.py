"""Documents of one's own: those of a folder, and of a Git repository."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from workloads.corpus.documents import KINDS, Document, chosen, read, texts

CLONE_SECONDS = 300
TRANSPORTS = "https:ssh:file"


def folder(root: Path, most: int | None, name: str = "") -> Iterator[Document]:
    """A folder's documents; hidden files and links are left out. Raises ValueError where it holds none."""
    name = name or root.name
    if not root.is_dir():
        raise ValueError(f"{root} is no folder")
    files = [path.relative_to(root) for path in texts(root)]
    if not files:
        raise ValueError(f"{root} holds no file that ends in {', '.join(KINDS)}")
    for path in chosen(files, most):
        yield read(root / path, f"{name}/{path.as_posix()}", name)


def repository(address: str, most: int | None) -> tuple[str, list[Document]]:
    """The commit of a Git repository's default branch, and its documents.

    Raises:
        ConnectionError: it cannot be cloned.
        ValueError: as `folder`.
    """
    name = re.split(r"[/:]", address.rstrip("/"))[-1].removesuffix(".git")
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": TRANSPORTS}
    with tempfile.TemporaryDirectory(prefix="corpus-") as place:
        clone = ["git", "clone", "--quiet", "--depth=1", "--no-recurse-submodules", "--", address, f"{place}/clone"]
        try:
            run = subprocess.run(
                clone, env=environment, capture_output=True, text=True, timeout=CLONE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise ConnectionError(f"{address} could not be cloned within {CLONE_SECONDS} s") from None
        if run.returncode:
            said = (run.stderr.strip() or "no answer").splitlines()[-1]
            raise ConnectionError(f"{address} could not be cloned: {said}")
        head = ["git", "-C", f"{place}/clone", "rev-parse", "HEAD"]
        commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
        return commit, list(folder(Path(place, "clone"), most, name))
