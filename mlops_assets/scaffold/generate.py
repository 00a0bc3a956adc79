"""A new workload's folder, written from the templates of its kind (`templates/<kind>/<file>.j2`, Jinja).

A template may include or extend one of `templates/shared`, which kinds have in common.
A kind's `kind.yaml` says what it is, what its rows are (`table` or `texts`: a function of
`workloads/sdk/kits/tables/examine.py` looks at the file), and which of scikit-learn's datasets are its examples for
each task, where it has none of its own: the one that is called like the workload, else the first.
A template is handed: `name` (`house_prices`), `words` (`house prices`), `camel` (`HousePrices`), `package`
(`my_models`), `module` (`my_models.house_prices`), `kind`, `task`, `example` (a dataset's name, or none), `csv` (a
Python expression of the file's path, or none), and `data` (`examine.Examined`, or none).
"""

import ast
import keyword
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from workloads.sdk.errors import PlatformError
from workloads.sdk.kits.tables import examine
from workloads.sdk.kits.tables.examine import Examined, Task

TEMPLATES = Path(__file__).parent / "templates"
TASKS: tuple[str, ...] = get_args(Task)
LONGEST_NAME = 40
DEFINITIONS = """from pathlib import Path

from mlops_assets import build

defs = build(Path(__file__).parent / "{package}")
"""


class CannotGenerate(PlatformError):
    """A workload cannot be written; one sentence says why and what to do. Nothing was written."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        name: of workload, folder and dataset.
        kind: a folder of templates.
        task: one of `TASKS`.
        folder: the package that it is written into, made where it is missing.
        csv: the file with its data; None for the kind's own example.
        target: the column of the file that is to be told.
        columns: what a person says that columns hold, by name.
    """

    name: str
    kind: str
    task: Task
    folder: Path
    csv: Path | None = None
    target: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Generated:
    """What was written: the folder's files."""

    folder: Path
    files: list[str]


def kinds() -> dict[str, dict[str, Any]]:
    """The kinds that there are templates of, each with its `kind.yaml`."""
    import yaml

    return {file.parent.name: yaml.safe_load(file.read_text()) for file in sorted(TEMPLATES.glob("*/kind.yaml"))}


def generate(wanted: Wanted, tell: Callable[[Examined], Any] = lambda found: None) -> Generated:
    """Write a workload's folder, wholly or not at all.

    Args:
        tell: told what the file holds, before anything is written.

    Raises:
        CannotGenerate: a name, a kind, a task or the file is not what can be taken, or the folder is there.
    """
    _check(wanted)
    about = kinds()[wanted.kind]
    examples = [] if wanted.csv else about.get("examples", {}).get(wanted.task, [])
    example = wanted.name if wanted.name in examples else next(iter(examples), None)
    data = _examined(wanted, about["rows"], example)
    if data is not None:
        tell(data)
    package = wanted.folder.name
    texts = _render(
        wanted.kind,
        {
            "name": wanted.name,
            "words": wanted.name.replace("_", " "),
            "camel": "".join(part.capitalize() for part in wanted.name.split("_")),
            "package": package,
            "module": f"{package}.{wanted.name}",
            "kind": wanted.kind,
            "task": wanted.task,
            "example": example,
            "csv": _expression(wanted),
            "data": data,
        },
    )
    _write(wanted.folder, wanted.name, texts)
    return Generated(wanted.folder / wanted.name, sorted(texts))


def package_of(repository: Path) -> Path:
    """The folder of another repository that holds its workloads, or will.

    Raises:
        CannotGenerate: there are several.
    """
    found = sorted({file.parent.parent for file in repository.glob("*/*/workload.py")})
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise CannotGenerate(f"{repository} has several folders of workloads ({names}); set MLOPS_WORKLOADS to one")
    word = re.sub(r"\W+", "_", repository.name.lower()).strip("_")
    return found[0] if found else repository / (f"{word}_models" if word[:1].isalpha() else "team_models")


def add_location(folder: Path) -> Path:
    """The `definitions.py` beside a package, which makes it a code location; written where there is none."""
    file = folder.parent / "definitions.py"
    if not file.exists():
        file.write_text(DEFINITIONS.format(package=folder.name))
    return file


def _check(wanted: Wanted) -> None:
    name = wanted.name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or len(name) > LONGEST_NAME:
        raise CannotGenerate(
            f"{name!r} is no name for a workload: lower-case letters, digits and _, beginning with a letter, at most "
            f"{LONGEST_NAME}, for example house_prices"
        )
    if wanted.kind not in kinds():
        raise CannotGenerate(f"there is no kind {wanted.kind!r}; there are {', '.join(kinds())}")
    if wanted.task not in TASKS:
        raise CannotGenerate(f"there is no task {wanted.task!r}; there are {', '.join(TASKS)}")
    if (wanted.csv is None) != (wanted.target is None):
        raise CannotGenerate("--csv and --target belong together: the file, and the column that is to be told from it")
    if wanted.columns and wanted.csv is None:
        raise CannotGenerate("--column says what a column of your own file holds; name the file with --csv")
    package = wanted.folder.name
    if not package.isidentifier() or package in sys.stdlib_module_names:
        raise CannotGenerate(f"{wanted.folder} cannot be a Python package of its own: choose a folder of another name")
    if (wanted.folder / name).exists():
        raise CannotGenerate(f"{wanted.folder / name} is there already; choose another name, or remove it first")


def _examined(wanted: Wanted, rows: str, example: str | None) -> Examined | None:
    """What the workload's file holds, or the file that its example's pipeline would fetch."""
    from workloads.sdk.kits.tables.tabular import bundled
    from workloads.sdk.kits.texts.docstrings import standard_library

    fetch, look = {"table": (bundled, examine.table), "texts": (standard_library, examine.texts)}[rows]
    try:
        if wanted.csv is not None and wanted.target is not None:
            return look(wanted.csv, wanted.target, wanted.task, wanted.columns)
        if example is not None:
            with TemporaryDirectory() as folder:
                fetch(example, Path(folder))
                return look(Path(folder, f"{example}.csv"), "target", wanted.task)
    except ValueError as error:
        raise CannotGenerate(str(error)) from None
    return None


def _expression(wanted: Wanted) -> str | None:
    """The file's path as Python: relative to the code where it lies in the same repository, else absolute."""
    if wanted.csv is None:
        return None
    file, root = wanted.csv.resolve(), wanted.folder.resolve().parent
    if file.is_relative_to(root):
        return f"Path(__file__).parents[2] / {_text(file.relative_to(root).as_posix())}"
    return f"Path({_text(str(file))})"


def _render(kind: str, values: Mapping[str, Any]) -> dict[str, str]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([TEMPLATES / kind, TEMPLATES / "shared"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python is written, no HTML
    )
    environment.filters |= {"text": _text, "code": _code, "modules": _modules}
    texts = {"__init__.py": f'"""The workload {values["name"]}."""\n'}
    for file in sorted((TEMPLATES / kind).glob("*.j2")):
        text = environment.get_template(file.name).render(values)
        if file.stem.endswith(".py"):
            ast.parse(text, file.stem)
            text = _in_order(text)
        texts[file.stem] = text
    return texts


def _in_order(text: str) -> str:
    """Python whose blocks of imports are sorted: where the workload's own modules stand depends on its name."""
    blocks = groupby(text.splitlines(keepends=True), key=lambda line: line.startswith("from "))
    return "".join(
        line
        for imports, lines in blocks
        for line in (sorted(lines, key=lambda line: line.split()[1]) if imports else lines)
    )


def _text(value: Any) -> str:
    """A text as a Python literal, in double quotes."""

    def safe(sign: str) -> str:
        if sign in ('"', "\\"):
            return f"\\{sign}"
        return sign if sign.isprintable() else sign.encode("unicode_escape").decode()

    return f'"{"".join(map(safe, str(value)))}"'


def _code(column: Any) -> str:
    """A column as Python: what differs from the defaults, and for numbers the range that is taken for right."""
    given = []
    for each in sorted(fields(column), key=lambda each: each.name == "why"):  # why it is, last
        value = getattr(column, each.name)
        if each.default is not MISSING and value == each.default:
            continue
        text = f"({', '.join(map(_text, value))},)" if isinstance(value, tuple) else repr(value)
        text = _text(value) if isinstance(value, str) else text
        given.append(text if each.name in ("low", "high") else f"{each.name}={text}")
    return f"{type(column).__name__}({', '.join(given)})"


def _modules(data: Examined) -> Iterator[tuple[str, str]]:
    """The modules that a declaration's columns are of, each with the names."""
    used = [*(each.column for each in data.columns), *([] if data.classes else [data.number])]
    plain = [column for column in used if column is not data.number or _code(column) != "Number()"]
    for module in sorted({type(column).__module__ for column in plain}):
        names = {type(column).__name__ for column in plain if type(column).__module__ == module}
        yield module.rpartition(".")[2], ", ".join(sorted(names))


def _write(package: Path, name: str, texts: Mapping[str, str]) -> None:
    try:
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
        with TemporaryDirectory(dir=package, prefix=f".{name}-") as partial:
            folder = Path(partial, name)
            folder.mkdir()
            for file, text in texts.items():
                (folder / file).write_text(text, encoding="utf-8")
            folder.rename(package / name)
    except OSError as error:
        raise CannotGenerate(f"{package / name} cannot be written: {error.strerror}") from error
