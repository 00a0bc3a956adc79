"""Finds the workloads of a folder. Loading a declaration imports no machine-learning library."""

import sys
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from workloads.contract import TIERS, DeclarationError, Workload


def load(folder: Path) -> list[Workload]:
    """The workloads declared in `<folder>/<name>/workload.py`, by name.

    The folder is a Python package (its parent is put on the import path), so that a team's own repository can hold one
    under any name.

    Raises:
        DeclarationError: a declaration is missing or wrong; the message names file and field.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise DeclarationError(f"{folder} is not a folder of workloads")
    parent = str(folder.parent)
    if parent not in sys.path:
        sys.path.append(parent)
    spec = find_spec(folder.name)
    if [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()] != [folder]:
        raise DeclarationError(
            f"{folder} cannot be imported as {folder.name!r}, which names something else already, or it is no package "
            "(it needs an __init__.py); give the folder another name"
        )
    found = [workload_of(f"{folder.name}.{file.parent.name}") for file in sorted(folder.glob("*/workload.py"))]
    if not found:
        raise DeclarationError(f"{folder} holds no workload: none of its folders has a workload.py")
    return found


def workload_of(package: str) -> Workload:
    """The workload that a package (`workloads.wine`) declares.

    Raises:
        DeclarationError: as `load`.
    """
    module = import_module(f"{package}.workload")
    declared = getattr(module, "workload", None)
    if not isinstance(declared, Workload):
        raise DeclarationError(f"{module.__file__}: no object named `workload` of type Workload")
    workload = replace(declared, package=package)
    _check(workload, Path(str(module.__file__)))
    return workload


def _check(workload: Workload, file: Path) -> None:
    def refuse(field: str, why: str) -> None:
        raise DeclarationError(f"{file}: {field} {why}")

    if workload.name != file.parent.name:
        refuse("name", f"is {workload.name!r}; it must be the folder's name, {file.parent.name!r}")
    if not workload.name.isidentifier() or workload.name != workload.name.lower():
        refuse("name", f"{workload.name!r} must be a lower-case Python identifier")
    if workload.tier not in TIERS:
        refuse("tier", f"{workload.tier!r} is none of {', '.join(TIERS)}")
    if "tier" in workload.parameters.model_fields:
        refuse("parameters", "must not have a `tier`: the launchpad has one beside them")
    if workload.approval not in ("automatic", "manual"):
        refuse("approval", f"{workload.approval!r} is neither 'automatic' nor 'manual'")
    names = [metric.name for metric in workload.metrics]
    if workload.gates.metric not in names:
        refuse("gates.metric", f"{workload.gates.metric!r} is none of the declared metrics {names}")
    if workload.gates.margin <= 0:
        refuse("gates.margin", "must be above 0: it is the difference that matters")
    if workload.gates.golden and not (file.parent / workload.gates.golden).is_file():
        refuse("gates.golden", f"names {workload.gates.golden!r}, which is not beside the declaration")
    references = {
        "train": workload.train,
        "predictor": workload.predictor,
        "rows": workload.rows,
        "evaluate": workload.evaluate,
        "plot": workload.plot,
        "example": workload.example,
        "parity.reference": workload.parity and workload.parity.reference,
        **{f"data.{part}": getattr(workload.data, part) for part in ("fetch", "process", "describe", "schema")},
    }
    for field, reference in references.items():
        if reference is None:
            continue
        name, _, attribute = reference.partition(":")
        if not attribute:
            refuse(field, f"{reference!r} must be written `module:name`")
        if not _names(file.parent / f"{name}.py", attribute):
            refuse(field, f"{reference!r} names nothing: no {attribute!r} in {file.parent / f'{name}.py'}")


def _names(file: Path, attribute: str) -> bool:
    """Whether a module defines a name at its top level."""
    return file.is_file() and attribute in _top_level(file, file.stat().st_mtime_ns)


@lru_cache
def _top_level(file: Path, changed: int) -> frozenset[str]:
    """The names that a module defines, read as text: nothing heavy is imported. `changed` is the file's time."""
    import ast

    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
            case ast.Assign(targets=targets):
                found = [name for target in targets for name in getattr(target, "elts", [target])]  # also of a, b = ...
                names |= {name.id for name in found if isinstance(name, ast.Name)}
            case _:
                continue
    return frozenset(names)
