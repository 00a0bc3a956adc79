"""Finds the workloads of a folder. Loading a declaration imports no machine-learning library."""

import sys
import traceback
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from workloads.sdk.contract import DeclarationError, Declared, Workload
from workloads.sdk.contract.checks import check, check_together


def load(folder: Path) -> list[Declared]:
    """What is declared in `<folder>/<name>/workload.py`, by name.

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
    found = [declared_of(f"{folder.name}.{file.parent.name}") for file in sorted(folder.glob("*/workload.py"))]
    if not found:
        raise DeclarationError(f"{folder} holds no workload: none of its folders has a workload.py")
    owners: dict[str, str] = {}
    for declared in found:
        other = owners.setdefault(declared.data.name, declared.name)
        if other != declared.name:
            file = folder / declared.name / "workload.py"
            raise DeclarationError(f"{file}: data.name is {declared.data.name!r}, as that of the workload {other!r}")
    check_together(found, folder)
    return found


def workload_of(package: str) -> Workload:
    """The workload that a package (`workloads.wine`) declares; raises as `declared_of`, and for another kind."""
    declared = declared_of(package)
    if not isinstance(declared, Workload):
        raise DeclarationError(f"{package} declares no Workload but an {type(declared).__name__}: nothing is trained")
    return declared


def declared_of(package: str) -> Declared:
    """What a package (`workloads.wine`) declares.

    Raises:
        DeclarationError: as `load`.
        ModuleNotFoundError: there is no such package.
    """
    spec = find_spec(f"{package}.workload")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} has no module workload.py", name=f"{package}.workload")
    file = Path(spec.origin)
    try:
        declared = getattr(import_module(f"{package}.workload"), "workload", None)
    except Exception as error:  # a declaration is code, which may raise anything
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        at = f", line {lines[-1]}" if lines else ""
        raise DeclarationError(f"{file}{at}: {type(error).__name__}: {' '.join(str(error).split())}") from error
    if not isinstance(declared, Declared):
        raise DeclarationError(f"{file}: no object named `workload` of type Workload, Index or Application")
    declared = replace(declared, package=package)
    check(declared, file)
    return declared
