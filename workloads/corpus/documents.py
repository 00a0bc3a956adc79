"""What the sources yield: documents, and how a file becomes one."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from workloads.sdk.kits.retrieval.chunking import MARKDOWN
from workloads.sdk.kits.retrieval.markdown import title_of

KINDS = (*MARKDOWN, ".txt")
LARGEST = 10 * 2**20  # bytes of a document
POINTER = b"version https://git-lfs.github.com/spec/"  # begins a file that Git LFS keeps elsewhere


class Document(NamedTuple):
    """A document; its path begins with its source, but for this project's own.

    Attributes:
        asked: by path of headings, what people ask who are answered there, in words of theirs.
    """

    path: str
    source: str
    title: str
    text: str
    asked: Mapping[str, Sequence[str]] = MappingProxyType({})


def chosen(paths: Iterable[Any], most: int | None) -> list[Any]:
    """At most so many paths, chosen by their digests: a fair sample, the same each time; in their own order."""
    ordered = sorted(paths, key=lambda path: sha256(str(path).encode()).digest())
    return sorted(ordered[:most])


def texts(root: Path) -> list[Path]:
    """A folder's files of Markdown and text; hidden files and links are left out."""
    return [
        path
        for path in root.rglob("*")
        if path.suffix.lower() in KINDS
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
        and not path.is_symlink()
    ]


def read(file: Path, path: str, source: str) -> Document:
    """A file's document; it has no text where Git LFS left only a pointer to it. Raises ValueError naming the file."""
    if (size := file.stat().st_size) > LARGEST:
        raise ValueError(f"{path} has {size:,} bytes, more than {LARGEST:,}; divide it, or leave it out")
    content = file.read_bytes()
    if content.startswith(POINTER):
        return Document(path, source, file.stem, "")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); convert it, or leave it out") from None
    title = title_of(text) if file.suffix.lower() in MARKDOWN else ""
    return Document(path, source, title or file.stem, text)
