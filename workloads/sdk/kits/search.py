"""What a search for good parameters tries: the parameters as given first, then others within the fields' bounds.

A field says what may be tried by `json_schema_extra={"search": ...}`: a list of values, or
`{"from": 1e-4, "to": 1e-2, "log": True}` (uniform, or uniform in the logarithm; whole numbers for an int field).
"""

from collections.abc import Collection
from typing import Any, TypeVar, get_args

import numpy as np

from workloads.sdk.contract import Parameters

P = TypeVar("P", bound=Parameters)


def space(kind: type[Parameters]) -> dict[str, Any]:
    """What may be tried of each field that may be searched."""
    fields = kind.model_fields.items()
    return {name: e["search"] for name, f in fields if isinstance(e := f.json_schema_extra, dict) and "search" in e}


def candidates(given: P, count: int, fixed: Collection[str] = ()) -> list[P]:
    """`count` sets of parameters, all different, the given ones first; they follow from the seed.

    A longer list begins with the shorter one. Where the space holds fewer, there are fewer. What is `fixed` stays.
    """
    generator = np.random.default_rng(given.seed)
    allowed = {name: kind for name, kind in space(type(given)).items() if name not in fixed}
    found = {given.model_dump_json(): given}
    for _ in range(20 * count):
        if len(found) == count:
            break
        tried = {name: _drawn(generator, kind, type(given), name) for name, kind in allowed.items()}
        candidate = type(given).model_validate({**given.model_dump(), **tried})
        found.setdefault(candidate.model_dump_json(), candidate)
    return list(found.values())


def tried(candidate: Parameters) -> dict[str, Any]:
    """What tells a candidate from the others."""
    return {name: getattr(candidate, name) for name in space(type(candidate))}


def _drawn(generator: np.random.Generator, kind: Any, model: type[Parameters], name: str) -> Any:
    if isinstance(kind, list):
        return kind[int(generator.integers(len(kind)))]
    annotation = model.model_fields[name].annotation
    low, high = kind["from"], kind["to"]
    if int in (annotation, *get_args(annotation)):
        high += 1  # the largest is as likely as the others
    value = generator.uniform(np.log(low), np.log(high)) if kind.get("log") else generator.uniform(low, high)
    value = float(np.exp(value) if kind.get("log") else value)
    return int(value) if int in (annotation, *get_args(annotation)) else float(f"{value:.4g}")
