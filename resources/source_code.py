"""Which files some code consists of: modules, and what they import from their own packages, found without importing.

The data registry copies them beside a dataset's pipeline, and the digests of `mlops_assets/lineage/code.py` are theirs.
"""

import re
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# An import statement, which begins a line; text that only looks like one adds a file too many, never one too few.
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([\w., \t]+))", re.M
)
NAME = re.compile(r"(\w+)(?:[ \t]+as[ \t]+\w+)?")
DOTTED = re.compile(r"([\w.]+)(?:[ \t]+as[ \t]+\w+)?")


def closure(modules: Iterable[str], without: str = "") -> dict[str, Path]:
    """Modules and all that they import, directly or not, from the top-level packages that they are of.

    Packages that hold them are among it. Imports of modules whose names begin with `without` are not followed.

    Returns:
        File of each, by the path that it is imported by: `workloads/wine/data.py`.
    """
    left = list(modules)
    roots, given = {name: _places(name) for name in {module.partition(".")[0] for module in left}}, set(left)
    found: dict[str, Path] = {}
    seen: set[str] = set()
    while left:
        module = left.pop()
        if module in seen or (without and module.startswith(without) and module not in given):
            continue
        seen.add(module)
        if parent := module.rpartition(".")[0]:
            left.append(parent)
        root, *below = module.split(".")
        if (file := _located(roots[root], tuple(below))) is None:
            continue  # an attribute of a module
        path = module.replace(".", "/")
        package = file.name == "__init__.py"
        found[f"{path}/__init__.py" if package else f"{path}.py"] = file
        names = imports(file, file.stat().st_mtime_ns, module if package else parent)
        left += [name for name in names if name.partition(".")[0] in roots]
    return found


def modules_in(package: str, folder: Path) -> list[str]:
    """Names of all modules in a package's folder and below it."""
    files = (file.relative_to(folder).with_suffix("") for file in sorted(folder.rglob("*.py")))
    return [".".join([package, *(part for part in file.parts if part != "__init__")]) for file in files]


def _places(package: str) -> tuple[Path, ...]:
    """Where a top-level package lies now."""
    spec = find_spec(package)
    return tuple(Path(place) for place in (spec and spec.submodule_search_locations) or ())


@cache
def _located(places: tuple[Path, ...], below: tuple[str, ...]) -> Path | None:
    """The file of a module, named by its place below a top-level package that lies at `places`."""
    for place in places:
        path = place.joinpath(*below)
        for file in (path.with_suffix(".py"), path / "__init__.py") if below else (path / "__init__.py",):
            if file.is_file():
                return file
    return None


@cache
def imports(file: Path, changed: int, package: str) -> tuple[str, ...]:
    """Names that a module imports, absolute; of `from a import b` both `a` and `a.b`, as `b` may be a module.

    Args:
        changed: the file's time, so that a changed one is read again.
        package: that it is of.
    """
    names: list[str] = []
    for origin, several, plain in IMPORT.findall(file.read_text(encoding="utf-8")):
        if plain:
            names += DOTTED.findall(plain)
            continue
        dots = len(origin) - len(origin.lstrip("."))
        above = package.split(".")[: len(package.split(".")) - dots + 1] if dots else []
        base = ".".join([*above, origin.lstrip(".")] if origin.lstrip(".") else above)
        names += [base, *(f"{base}.{name}" for name in NAME.findall(several))]
    return tuple(names)
