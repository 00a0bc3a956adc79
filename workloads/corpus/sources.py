"""Where the corpus' documents come from: folders, Git repositories, CPython's reference, docstrings of libraries.

Each source yields its documents, at most as many as it may, chosen by digests of their paths: a fair sample, which is
the same each time. What has headings is Markdown.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from workloads.sdk.kits.retrieval.chunking import MARKDOWN

KINDS = (*MARKDOWN, ".txt")
LARGEST = 10 * 2**20  # bytes of a document
CLONE_SECONDS = 300
TRANSPORTS = "https:ssh:file"
UNDERLINE = "*=-~"  # of a heading in CPython's reference, outermost first
HEADING = re.compile(rf"^(\S.*)\n([{re.escape(UNDERLINE)}])\2{{3,}}$", re.MULTILINE)


class Document(NamedTuple):
    """A document; its path begins with its source, but for this project's own."""

    path: str
    source: str
    title: str
    text: str


def chosen(paths: Iterable[Any], most: int | None) -> list[Any]:
    """At most so many paths, in their own order."""
    ordered = sorted(paths, key=lambda path: sha256(str(path).encode()).digest())
    return sorted(ordered[:most])


def project(root: Path, most: int | None) -> Iterator[Document]:
    """A checkout's README and docs, by their paths in it. Raises ValueError where there is no README."""
    if not (root / "README.md").is_file():
        raise ValueError(f"project={root} has no README.md; name a checkout of this project, or set project=null")
    files = [Path("README.md"), *(path.relative_to(root) for path in _texts(root / "docs"))]
    for path in chosen(files, most):
        yield _read(root / path, path.as_posix(), "docs")


def folder(root: Path, most: int | None, name: str = "") -> Iterator[Document]:
    """A folder's documents; hidden files and links are left out. Raises ValueError where it holds none."""
    name = name or root.name
    if not root.is_dir():
        raise ValueError(f"{root} is no folder")
    files = [path.relative_to(root) for path in _texts(root)]
    if not files:
        raise ValueError(f"{root} holds no file that ends in {', '.join(KINDS)}")
    for path in chosen(files, most):
        yield _read(root / path, f"{name}/{path.as_posix()}", name)


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


def reference(most: int | None) -> Iterator[Document]:
    """CPython's language reference as its `help` has it, a document for each topic."""
    from pydoc_data.topics import topics

    for name in chosen(topics, most):
        text = HEADING.sub(lambda found: f"{'#' * (UNDERLINE.index(found[2]) + 1)} {found[1]}\n", topics[name])
        title = text.partition("\n")[0].lstrip("# ").strip()
        yield Document(f"python/topics/{name}.md", "python", title, text)


def _texts(root: Path) -> list[Path]:
    return [
        path
        for path in root.rglob("*")
        if path.suffix.lower() in KINDS
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
        and not path.is_symlink()
    ]


def _read(file: Path, path: str, source: str) -> Document:
    if (size := file.stat().st_size) > LARGEST:
        raise ValueError(f"{path} has {size:,} bytes, more than {LARGEST:,}; divide it, or leave it out")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); convert it, or leave it out") from None
    heading = re.search(r"^# +(.+)$", text, re.MULTILINE) if file.suffix.lower() in MARKDOWN else None
    return Document(path, source, heading[1].strip() if heading else file.stem, text)
