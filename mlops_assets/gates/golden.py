"""Golden rows: requests whose answers are known, declared in a JSON file beside the workload."""

import json
from math import isclose
from pathlib import Path
from typing import Any

from mlops_assets.gates.scores import sentence
from resources.ledger.reports import Check
from workloads.sdk.contract import Predictor

TOLERANCE = 1e-3
SHOWN = 5


def compare(file: Path, predictor: Predictor) -> Check:
    """Each request's answer must contain the given fields; floats are equal within 1e-3."""
    rows = json.loads(file.read_text())
    wrong = []
    for number, row in enumerate(rows):
        try:
            answer = predictor.predict(predictor.Request.model_validate(row["request"]))[0]
        except Exception as error:
            wrong.append({"row": number, "error": sentence(error)[:300]})
            continue
        if not contains(answer, row["answer"]):
            found = {field: answer.get(field) for field in row["answer"]}
            wrong.append({"row": number, "expected": row["answer"], "found": _plain(found)})
    right = len(rows) - len(wrong)
    return Check(
        name="golden",
        verdict="refuse" if wrong or not rows else "pass",
        value=right,
        threshold=len(rows),
        unit="rows",
        n=len(rows),
        text=f"{right} of {len(rows)} golden rows are answered as declared" if rows else f"{file.name} has no rows",
        evidence={"wrong": wrong[:SHOWN]} if wrong else {},
    )


def contains(found: Any, expected: Any) -> bool:
    """Whether an answer holds what is expected: every field of an object, every item of a list, floats nearly."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            field in found and contains(found[field], value) for field, value in expected.items()
        )
    if isinstance(expected, list):
        sized = hasattr(found, "__len__") and not isinstance(found, str) and len(found) == len(expected)
        return sized and all(map(contains, found, expected))
    if isinstance(expected, float):
        number = not isinstance(found, str | bool) and hasattr(found, "__float__")
        return number and isclose(float(found), expected, rel_tol=0, abs_tol=TOLERANCE)
    return bool(found == expected)


def _plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    return json.loads(
        json.dumps(value, default=lambda other: other.tolist() if hasattr(other, "tolist") else str(other))
    )
