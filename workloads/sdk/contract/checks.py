"""Checks of a declaration, made when the definitions load: what is wrong is said with file and field.

First the types, read off the contract's own dataclasses; then what types cannot say. Modules beside the declaration are
read as text, so nothing heavy is imported.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from workloads.sdk.contract import TEST, TIERS, TRAIN, VALIDATION, DeclarationError, Declared, Gates, Workload
from workloads.sdk.contract.applications import Application, Index

WORD = re.compile(r"[a-z][a-z0-9_]*")
OWNER = re.compile(r"team:[A-Za-z0-9_-]+|[^@\s]+@[^@\s]+\.[^@\s]+")
Wrong = Iterator[tuple[str, str]]  # field, and what is wrong with it


def check(declared: Declared, file: Path) -> None:
    """Raises DeclarationError for the first thing that is wrong with what `file` declares."""
    of_kind: Sequence[Callable[[Any, Path], Wrong]] = RULES[type(declared)]
    for rules in (_types, _declared, *of_kind, _references):
        for field, why in rules(declared, file):
            raise DeclarationError(f"{file}: {field} {why}")


def check_together(declared: Sequence[Declared], folder: Path) -> None:
    """Raises DeclarationError where one declaration names another that is not there."""
    indexes = [one.name for one in declared if isinstance(one, Index)]
    for one in declared:
        if isinstance(one, Application) and one.index not in indexes:
            file, known = folder / one.name / "workload.py", ", ".join(indexes) or "none"
            raise DeclarationError(f"{file}: index is {one.index!r}, and the indexes that there are: {known}")


def _types(declared: Declared, file: Path) -> Wrong:
    yield from _typed(declared, "")


def _typed(value: Any, place: str) -> Wrong:
    """What of a dataclass, and of those that it holds, is of another type than its fields say; numbers are finite."""
    given = {field.name: getattr(value, field.name) for field in fields(value)}
    try:
        kind: type = type(value)
        _adapter(kind).validate_python(given)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            at = ".".join(str(part) for part in found["loc"])
            yield f"{place}{at}", f"is {found['input']!r}: {found['msg'][:1].lower()}{found['msg'][1:]}"
        return
    for name, inner in given.items():
        items = (
            inner.items() if isinstance(inner, Mapping) else enumerate(inner) if isinstance(inner, list | tuple) else ()
        )
        for key, one in [("", inner), *((f".{key}", one) for key, one in items)]:
            if is_dataclass(one) and not isinstance(one, type):
                yield from _typed(one, f"{place}{name}{key}.")


@cache
def _adapter(kind: type) -> TypeAdapter:
    """Validates the fields of a dataclass of the contract as they are declared, without converting anything."""
    make: Any = TypedDict  # at run time it takes any name
    shape = make(kind.__name__, get_type_hints(kind))
    shape.__pydantic_config__ = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    return TypeAdapter(shape)


def _declared(declared: Declared, file: Path) -> Wrong:
    if declared.name != file.parent.name:
        yield "name", f"is {declared.name!r}; it must be the folder's name, {file.parent.name!r}"
    for field, name in (("name", declared.name), ("data.name", declared.data.name)):
        if not WORD.fullmatch(name):
            yield field, f"is {name!r}; it must be lower-case letters, digits and _, beginning with a letter"
    for field, text in (("description", declared.description), ("data.description", declared.data.description)):
        if not text.strip():
            yield field, "is empty; say in one sentence what it is"
    if not declared.data.splits or len(set(declared.data.splits)) < len(declared.data.splits):
        yield "data.splits", f"is {list(declared.data.splits)}; it must name at least one split, and none twice"
    for number, owner in enumerate(declared.owners):
        if not OWNER.fullmatch(owner):
            yield f"owners.{number}", f"is {owner!r}; write team:<name> or an e-mail address"
    for kind in declared.kinds:
        if not WORD.fullmatch(kind):
            yield "kinds", f"has {kind!r}; a kind is lower-case letters, digits and _"
    yield from _defaults(declared.data.parameters, "data.parameters")


def _workload(workload: Workload, file: Path) -> Wrong:
    yield from _tier(workload, file)
    if workload.retrain_after_hours < 1:
        yield "retrain_after_hours", f"is {workload.retrain_after_hours}; it must be at least 1"
    if missing := {TRAIN, VALIDATION, TEST} - set(workload.data.splits):
        yield "data.splits", f"lacks {', '.join(sorted(missing))}, which a model needs"


def _endpoint(declared: Workload | Application, file: Path) -> Wrong:
    if declared.replicas is not None and declared.replicas < 1:
        yield "replicas", f"is {declared.replicas}; it must be at least 1"


def _tier(declared: Workload | Index, file: Path) -> Wrong:
    if declared.tier not in TIERS:
        yield "tier", f"is {declared.tier!r}, which is none of {', '.join(TIERS)}"


def _index(index: Index, file: Path) -> Wrong:
    yield from _defaults(index.parameters, "parameters")
    gates = index.gates
    for name in ("recall", "margin"):
        if not 0 < getattr(gates, name) <= 1:
            yield f"gates.{name}", f"is {getattr(gates, name)}; it must be above 0 and at most 1"
    for name in ("k", "queries", "latency_ms"):
        if getattr(gates, name) <= 0:
            yield f"gates.{name}", f"is {getattr(gates, name)}; it must be above 0"


def _application(application: Application, file: Path) -> Wrong:
    yield from _defaults(application.settings, "settings")
    if application.repeats < 1:
        yield "repeats", f"is {application.repeats}; it must be at least 1"
    if application.gates.floor is None:
        yield "gates.floor", "is None; there are no baselines of an application, so it needs a figure"
    if not (file.parent / application.prompt).is_file():
        yield "prompt", f"names {application.prompt!r}, which is not beside the declaration"


def _gates(workload: Workload | Application, file: Path) -> Wrong:
    names = [metric.name for metric in workload.metrics]
    for number, name in enumerate(names):
        if not WORD.fullmatch(name):
            yield f"metrics.{number}.name", f"is {name!r}; it must be lower-case letters, digits and _"
        if name in names[:number]:
            yield f"metrics.{number}.name", f"is {name!r}, as that of another metric"
    yield from _rules(workload.gates, "gates", names, file)
    if not isinstance(workload, Workload):
        return
    for source, gates in workload.gates_by_source.items():
        yield from _rules(gates, f"gates_by_source.{source}", names, file)
        if gates.metric != workload.gates.metric:
            yield (
                f"gates_by_source.{source}.metric",
                f"is {gates.metric!r}; it must be {workload.gates.metric!r} as well",
            )
    if workload.parity and workload.parity.tolerance < 0:
        yield "parity.tolerance", f"is {workload.parity.tolerance}; it must not be negative"


def _rules(gates: Gates, place: str, metrics: list[str], file: Path) -> Wrong:
    if gates.metric not in metrics:
        yield f"{place}.metric", f"is {gates.metric!r}, which is none of the declared metrics {metrics}"
    if gates.margin <= 0:
        yield f"{place}.margin", f"is {gates.margin}; it must be above 0: it is the difference that matters"
    if gates.latency_ms <= 0:
        yield f"{place}.latency_ms", f"is {gates.latency_ms}; it must be above 0"
    for number, cut in enumerate(gates.slices):
        if not cut.column:
            yield f"{place}.slices.{number}.column", "is empty"
        if cut.column in [other.column for other in gates.slices[:number]]:
            yield f"{place}.slices.{number}.column", f"is {cut.column!r}, as that of another slice"
        if cut.metric is not None and cut.metric not in metrics:
            yield (
                f"{place}.slices.{number}.metric",
                f"is {cut.metric!r}, which is none of the declared metrics {metrics}",
            )
        if cut.minimum_rows < 1:
            yield f"{place}.slices.{number}.minimum_rows", f"is {cut.minimum_rows}; it must be at least 1"
    if gates.golden is not None and (why := _golden(file.parent / gates.golden)):
        yield f"{place}.golden", f"names {gates.golden!r}, {why}"


def _golden(file: Path) -> str | None:
    """What is wrong with a file of golden rows, if anything."""
    if not file.is_file():
        return "which is not beside the declaration"
    try:
        rows = json.loads(file.read_text())
    except ValueError as error:
        return f"which is not JSON: {error}"
    if not isinstance(rows, list) or not rows:
        return "which is no list of rows"
    for number, row in enumerate(rows):
        if not (isinstance(row, dict) and isinstance(row.get("request"), dict) and isinstance(row.get("answer"), dict)):
            return f'whose row {number} is not {{"request": {{...}}, "answer": {{...}}}}'
    return None


def _parameters(workload: Workload, file: Path) -> Wrong:
    for name in ("tier", "variants"):
        if name in workload.parameters.model_fields:
            yield "parameters", f"must not have a `{name}`: the launchpad has one beside them"
    yield from _defaults(workload.parameters, "parameters")
    for name, values in workload.variants.items():
        if not WORD.fullmatch(name):
            yield f"variants.{name}", "must be named in lower-case letters, digits and _, beginning with a letter"
        yield from _allowed(workload.parameters, values, f"variants.{name}")


def _allowed(model: type[BaseModel], values: Mapping[str, Any], place: str) -> Wrong:
    """Values that the model refuses."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        yield f"{place}.{at}", f"is {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}"


def _defaults(model: type[BaseModel], place: str) -> Wrong:
    """Parameters without a default, or with one that they would refuse themselves."""
    for name, field in model.model_fields.items():
        if field.is_required():
            yield f"{place}.{name}", f"has no default; {model.__name__} must be complete by itself"
            return
    try:
        model.model_validate(model().model_dump())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        yield f"{place}.{at}", f"has the default {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}"


def _references(declared: Declared, file: Path) -> Wrong:
    parity = declared.parity if isinstance(declared, Workload) else None
    references = {
        **{name: getattr(declared, name) for name in REFERENCES[type(declared)]},
        "parity.reference": parity and parity.reference,
        **{f"data.{part}": getattr(declared.data, part) for part in ("fetch", "process", "describe", "schema")},
    }
    for field, reference in references.items():
        if reference is None:
            continue
        name, _, attribute = reference.partition(":")
        module = file.parent.joinpath(*name.split(".")).with_suffix(".py")
        if not attribute:
            yield field, f"is {reference!r}; it must be written `module:name`"
        elif not module.is_file() or attribute not in _top_level(module, module.stat().st_mtime_ns):
            yield field, f"is {reference!r}, which names nothing: no {attribute!r} in {module}"


@lru_cache
def _top_level(file: Path, changed: int) -> frozenset[str]:
    """The names that a module defines. `changed` is the file's time."""
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


RULES = {
    Workload: (_workload, _endpoint, _gates, _parameters),
    Index: (_tier, _index),
    Application: (_endpoint, _gates, _application),
}
REFERENCES = {
    Workload: ("train", "predictor", "rows", "evaluate", "plot", "example"),
    Index: ("chunk",),
    Application: ("app", "check", "evaluate"),
}
