"""The columns that batch predictions are written in, from the pydantic model of a workload's answers."""

import json
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from workloads.sdk.dataset import ROW_ID

OUTPUTS = "outputs"
PLAIN = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


class WrongAnswers(ValueError):
    """A predictor's answers are not what it declares."""


def arrow_type(annotation: Any) -> pa.DataType | None:
    """The type for a field of an answer; None where it has none of its own, and is written as JSON text."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in PLAIN:
        return PLAIN[annotation]
    if origin is Annotated:
        return arrow_type(inner[0])
    if origin is Literal:
        kinds = {type(value) for value in inner}
        return arrow_type(kinds.pop()) if len(kinds) == 1 else None
    if origin in (Union, UnionType) and NoneType in inner and len(inner) == 2:
        return arrow_type(next(kind for kind in inner if kind is not NoneType))
    if origin in (list, tuple, Sequence) and inner and (kind := arrow_type(inner[0])) is not None:
        return pa.list_(kind)
    if origin in (dict, Mapping) and inner[0] is str and (kind := arrow_type(inner[1])) is not None:
        return pa.map_(pa.string(), kind)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {name: arrow_type(field.annotation) for name, field in annotation.model_fields.items()}
        return pa.struct(list(fields.items())) if fields and None not in fields.values() else None
    return None


def table(ids: pa.ChunkedArray, outputs: Any, answers: list[dict[str, Any]], prediction: type[BaseModel]) -> pa.Table:
    """A row for each input row: `row_id`, the answer's fields, and `outputs`, the raw outputs (float32).

    Raises:
        WrongAnswers: outputs or answers are not one for each row, or a field is named as another column is.
    """
    if taken := {ROW_ID, OUTPUTS} & set(prediction.model_fields):
        raise WrongAnswers(f"the answers have a field {taken.pop()!r}, which is a column of every batch; rename it")
    if not len(ids) == len(outputs) == len(answers):
        raise WrongAnswers(f"{len(ids)} rows gave {len(outputs)} outputs and {len(answers)} answers")
    raw = np.asarray(outputs, dtype=np.float32).reshape(len(ids), -1)
    columns = {ROW_ID: ids}
    for name, field in prediction.model_fields.items():
        values, kind = [answer.get(name) for answer in answers], arrow_type(field.annotation)
        columns[name] = pa.array(list(map(json.dumps, values)) if kind is None else values, kind or pa.string())
    columns[OUTPUTS] = pa.FixedSizeListArray.from_arrays(pa.array(raw.reshape(-1)), raw.shape[1])
    return pa.table(columns)
