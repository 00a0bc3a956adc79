"""Docstrings as texts: read from installed sources, of which nothing is imported or run.

Of a single docstring (`of_library`, `of_file`) what it says in words is kept: up to its first section, example or list
of parameters, on one line. Of a module (`modules`) all docstrings are one document in Markdown.
"""

import ast
import csv
import hashlib
import platform
import re
import sysconfig
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import islice
from pathlib import Path

from workloads.sdk.contract import Fetched

FILE = "docstrings.csv"
LONGEST, FEWEST_WORDS = 400, 6  # characters, and words, of a text
END = re.compile(  # where the words of a docstring end: a section, a field list, a directive, an example
    r"^[ \t]*(?:[-=~^*]{3,}[ \t]*$|>>>|\.\. |:\w+|@\w+|```|(?:Args?|Arguments|Attributes|Examples?|Notes?|Parameters|"
    r"Raises|References|Returns?|See Also|Usage|Warnings?|Yields?|Methods)[ \t]*:?[ \t]*$)",
    re.MULTILINE | re.IGNORECASE,
)
ROLE = re.compile(r":[\w:]+:`~?([^`]*)`")
UNDERLINED = re.compile(r"^(\S.*)\n[-=~^]{3,}$", re.MULTILINE)  # a docstring's own headings are of its text
FOREIGN = {"thirdparty_files", "vendored", "_vendor"}  # folders of other people's modules
LITTLE = 200  # characters of a module's docstrings
# Example data: packages of the standard library that every installation has, and that have something to say.
PACKAGES = ("asyncio", "email", "http", "importlib", "logging", "unittest", "xml")


@dataclass(frozen=True)
class Docstring:
    """A docstring's words, and the number of parameters of the function that it stands in; None outside of one."""

    text: str
    parameters: int | None


def of_library(name: str, package: str) -> tuple[str, Iterator[Docstring]]:
    """The installed version, and the docstrings of a library; files come in the order of their paths' digests, so
    that the first ones are a fair sample.

    Raises:
        ValueError: it is not installed.
    """
    found, order = _sources(name, package)
    return found.version, (each for file in order for each in of_file(_located(found, file)))


def modules(name: str, package: str, most: int | None = None) -> tuple[str, Iterator[tuple[str, str, str]]]:
    """The installed version, and of each module with something to say: path, title, and its docstrings.

    Modules come in the order of their paths' digests; `most` is how many at most.

    Raises:
        ValueError: it is not installed.
    """
    found, order = _sources(name, package)
    own = (file for file in order if not FOREIGN & set(Path(file).parts))
    documents = ((file, document_of(_located(found, file), _module(file))) for file in own)
    told = ((f"{Path(file).with_suffix('.md')}", _module(file), text) for file, text in documents if text)
    return found.version, islice(told, most)


def document_of(file: Path, module: str) -> str | None:
    """All docstrings of a module as Markdown, a heading for each class and function; None where they say little."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    parts = list(_parts(tree, module, ""))
    if sum(len(text) for _, text in parts) < LITTLE:
        return None
    return "\n\n".join(f"{heading}\n\n{text}".strip() for heading, text in parts)


def _parts(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str, above: str, depth: int = 1
) -> Iterator[tuple[str, str]]:
    """Headings, each with its docstring, of a node and of what is public in it."""
    text = UNDERLINED.sub(r"\1:", ROLE.sub(r"`\1`", ast.get_docstring(node) or ""))
    text = re.sub(r"^#", r"\\#", text, flags=re.MULTILINE).encode(errors="replace").decode()
    if text or depth == 1:
        yield f"{'#' * min(depth, 4)} {above}{name}", text
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for each in node.body:
        if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not each.name.startswith("_"):
            yield from _parts(each, each.name, f"{above}{name}." if isinstance(node, ast.ClassDef) else "", depth + 1)


def _sources(name: str, package: str) -> tuple[Distribution, list[str]]:
    """An installed distribution, and its package's files without tests, in the order of their paths' digests."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        raise ValueError(f"{name} is not installed; install requirements.lock, which pins it") from None
    files = [file for file in found.files or () if file.suffix == ".py" and file.parts[0] == package]
    chosen = [file for file in files if not {"tests", "testing"} & set(file.parts)]
    return found, sorted(map(str, chosen), key=lambda path: hashlib.sha256(path.encode()).digest())


def _located(found: Distribution, file: str) -> Path:
    return Path(str(found.locate_file(file)))


def _module(file: str) -> str:
    """Name of the module that a file holds."""
    return ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__")


def of_file(file: Path) -> Iterator[Docstring]:
    """The docstrings of a source file that have enough words; none of a file that is no Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = words_of(ast.get_docstring(node) or "")
            if text is not None:
                yield Docstring(text, _parameters(node))


def words_of(docstring: str) -> str | None:
    """What a docstring says in words; None where that is hardly anything."""
    text = textwrap.dedent(docstring)
    if (end := END.search(text)) is not None:
        head = text[: end.start()]
        # A line of dashes stands under its heading: the heading goes with it.
        text = head.rstrip().rpartition("\n")[0] if end.group().strip()[:1] in "-=~^*" else head
    text = " ".join(ROLE.sub(r"\1", text).replace("`", "").split())
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition(" ")[0]
    return text if len(re.findall(r"[A-Za-z]{2,}", text)) >= FEWEST_WORDS else None


def standard_library(target: str, out: Path) -> Fetched:
    """Put the docstrings of `PACKAGES` into `out`, as `<target>.csv` with the columns `text` and `target`.

    Args:
        target: `package` (which one it is of), or `parameters` (how many the documented function has).
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    with (out / f"{target}.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["text", "target"])
        for package in PACKAGES:
            for file in sorted((root / package).rglob("*.py")):
                for each in of_file(file):
                    if target == "package":
                        writer.writerow([each.text, package])
                    elif each.parameters is not None:
                        writer.writerow([each.text, each.parameters])
    return Fetched(source="docstrings", uri=f"Python {platform.python_version()}: {', '.join(PACKAGES)}")


def _parameters(node: ast.AST) -> int | None:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    given = node.args
    names = [each.arg for each in [*given.posonlyargs, *given.args, *given.kwonlyargs]]
    return len(names) - (names[:1] in (["self"], ["cls"])) + bool(given.vararg) + bool(given.kwarg)
