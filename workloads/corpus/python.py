"""Python's reference as an installed Python has it: the language's, as its `help` shows it, and docstrings of the
standard library."""

import inspect
import re
import textwrap
import warnings
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

from workloads.corpus.documents import Document, chosen

SOURCE = "python"
UNDERLINE = "*=-~"  # of a heading in CPython's reference, outermost first
HEADING = re.compile(rf"^(\S.*)\n([{re.escape(UNDERLINE)}])\2{{3,}}$", re.MULTILINE)
LITTLE = 200  # characters of a module
# What programs use: without tools that read Python themselves, what has been superseded, and graphical interfaces.
MODULES = (
    "abc", "argparse", "array", "asyncio", "atexit", "base64", "binascii", "bisect", "builtins", "bz2", "calendar",
    "cmath", "cmd", "collections", "collections.abc", "colorsys", "concurrent.futures", "configparser", "contextlib",
    "contextvars", "copy", "csv", "ctypes", "curses", "dataclasses", "datetime", "decimal", "difflib", "doctest",
    "email", "email.message", "enum", "errno", "fcntl", "filecmp", "fileinput", "fnmatch", "fractions", "ftplib",
    "functools", "gc", "getopt", "getpass", "gettext", "glob", "graphlib", "grp", "gzip", "hashlib", "heapq", "hmac",
    "html", "html.parser", "http", "http.client", "http.cookiejar", "http.cookies", "http.server",
    "importlib.metadata", "importlib.resources", "inspect", "io", "ipaddress", "itertools", "json", "keyword",
    "linecache", "locale", "logging", "logging.config", "logging.handlers", "lzma", "mailbox", "marshal", "math",
    "mimetypes", "mmap", "multiprocessing", "multiprocessing.shared_memory", "numbers", "operator", "os", "os.path",
    "pathlib", "pdb", "pickle", "pkgutil", "platform", "plistlib", "poplib", "pprint", "pwd", "queue", "random", "re",
    "readline", "reprlib", "resource", "runpy", "sched", "secrets", "select", "selectors", "shelve", "shlex",
    "shutil", "signal", "site", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "stat", "statistics", "string",
    "struct", "subprocess", "sys", "sysconfig", "tarfile", "tempfile", "termios", "textwrap", "threading", "time",
    "timeit", "traceback", "tracemalloc", "tty", "types", "typing", "unicodedata", "unittest", "unittest.mock",
    "urllib.error", "urllib.parse", "urllib.request", "urllib.robotparser", "uuid", "venv", "warnings", "weakref",
    "webbrowser", "wsgiref", "xml.dom", "xml.dom.minidom", "xml.etree.ElementTree", "xml.sax", "xmlrpc.client",
    "xmlrpc.server", "zipapp", "zipfile", "zlib", "zoneinfo",
)  # fmt: skip


def language(most: int | None) -> Iterator[Document]:
    """CPython's language reference, a document for each topic; none that only puts others together."""
    from pydoc_data.topics import topics

    def within(topic: str) -> bool:
        return sum(_body(topics[each]) in topics[topic] for each in topics if each != topic) > 1

    for name in chosen((topic for topic in topics if not within(topic)), most):
        text = HEADING.sub(lambda found: f"{'#' * (UNDERLINE.index(found[2]) + 1)} {found[1]}\n", topics[name])
        title = text.partition("\n")[0].lstrip("# ").strip()
        yield Document(f"python/topics/{name}.md", SOURCE, title, _with_code(text))


def _body(topic: str) -> str:
    """A topic's beginning, below its heading."""
    return topic.split("\n", 3)[-1].strip()[:400]


def _with_code(topic: str) -> str:
    """A topic whose grammar and examples, which its reader knows by their indentation, stand in fences."""
    found: list[str] = []
    for block in re.split(r"\n{2,}", topic):
        announced = bool(found) and found[-1].rstrip().endswith(":")
        if all(line.startswith("   ") for line in block.split("\n")) and ("::=" in block or announced):
            block = f"```\n{textwrap.dedent(block)}\n```"
        found.append(block)
    return "\n\n".join(found)


def library(most: int | None) -> Iterator[Document]:
    """The standard library's docstrings, a document for each module."""
    for name in chosen(MODULES, most):
        try:
            with warnings.catch_warnings(action="ignore"):  # some will be gone in a later version
                module = import_module(name)
        except ImportError:  # of another system, or left out where Python was built
            continue
        text = "\n\n".join(part.strip() for part in _sections(module, name))
        if len(text) >= LITTLE:
            yield Document(f"python/library/{name}.md", SOURCE, name, text)


def _sections(module: ModuleType, name: str) -> Iterator[str]:
    """A module's docstring, and those of its public classes and functions, with what the methods of a class do."""
    yield f"# {name}\n\n{_told(module)}"
    for each in sorted(_public(module)):
        value = getattr(module, each, None)
        if not (inspect.isclass(value) or inspect.isroutine(value)) or not (text := _told(value)):
            continue
        called = each if name == "builtins" else f"{name}.{each}"
        yield f"## {called}\n\n{text}"
        if inspect.isclass(value) and not issubclass(value, BaseException):
            for method, what in sorted(vars(value).items()):
                if method.startswith("_") or not (does := _told(what)):
                    continue
                if name == "builtins":  # what everybody uses
                    yield f"### {each}.{method}\n\n{does}"
                else:
                    yield f"`{each}.{method}`: " + " ".join(does.partition("\n\n")[0].split())


def _public(module: ModuleType) -> list[str]:
    """Names that a module is used for: those it lists, or else what it defines itself."""
    if named := getattr(module, "__all__", None):
        return list(named)
    own = module.__name__.partition(".")[0].lstrip("_")
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (getattr(value, "__module__", None) or own).partition(".")[0].lstrip("_") == own
    ]


def _told(value: object) -> str:
    """A docstring, none of whose lines is a heading."""
    return re.sub(r"^#", r"\\#", inspect.getdoc(value) or "", flags=re.MULTILINE)
