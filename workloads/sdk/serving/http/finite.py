"""An answer whose numbers are not finite is never given: it is found here, and which value of the request is to blame.

A fill value such as 1e20 passes for a number, and a model computes with it beyond what a number can be. JSON has no
NaN, so callers would be told `null`, beside a class that nothing speaks for.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np

from workloads.sdk.serving.http.request import Refusal

TRIED = 20  # values of a row that are taken for the cause, the largest first


def wrong_row(outputs: Any) -> int | None:
    """The first row of outputs, an array of shape (rows, ...), with a number that is not finite."""
    found = np.asarray(outputs)
    if found.dtype.kind != "f" or np.isfinite(found).all():
        return None
    return int(np.argwhere(~np.isfinite(found))[0][0])


def finite(value: Any) -> bool:
    """Whether all numbers of an answer, JSON-ready or of NumPy, are finite."""
    match value:
        case dict():
            return all(map(finite, value.values()))
        case list() | tuple():
            return all(map(finite, value))
        case float() | np.floating():
            return isfinite(value)
        case np.ndarray():
            return value.dtype.kind != "f" or bool(np.isfinite(value).all())
    return True


def refusal(content: dict[str, Any], row: int, answers: Callable[[dict[str, Any]], bool],
            schema: dict[str, Any]) -> Refusal:  # fmt: skip
    """Why a request has no finite answer, with the place of the value that it is due to, where one is found.

    Args:
        content: the request's body.
        row: the first of its rows that has none.
        answers: whether another body has a finite answer.
        schema: of such bodies; it may name the columns of a row that is a list.
    """
    field, rows = next((name, value) for name, value in content.items() if isinstance(value, list))
    given = rows[row]
    cells = dict(enumerate(given) if isinstance(given, list) else given.items() if isinstance(given, dict) else ())
    numbers = [key for key, cell in cells.items() if type(cell) in (int, float)]
    guilty: list[Any] = []
    for key in sorted(numbers, key=lambda key: -abs(cells[key]))[:TRIED]:
        guilty.append(key)
        tried = cells | dict.fromkeys(guilty, 0)
        if answers({field: [list(tried.values()) if isinstance(given, list) else tried]}):
            break
    else:
        return Refusal(422, "invalid_input", "the model has no finite answer to this row", f"{field}[{row}]")
    titles = schema.get("properties", {}).get(field, {}).get("items", {}).get("prefixItems", [])
    names = [titles[key]["title"] if isinstance(key, int) and key < len(titles) else key for key in guilty]
    told = ", ".join(f"{cells[key]:g} in column {name}" for key, name in zip(guilty, names, strict=True))
    place = f"{field}[{row}]" + (f"[{guilty[0]}]" if isinstance(guilty[0], int) else f".{guilty[0]}")
    reason = f"the model has no finite answer to {told}; where the value is missing, say so"
    return Refusal(422, "invalid_input", reason, place)
