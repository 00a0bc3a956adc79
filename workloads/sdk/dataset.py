"""What the data pipelines of all workloads share: identities, splits, parquet files, descriptions.

A row's split is a function of the row's own content and of nothing else: not of the other rows, their order, the
parameters or a random generator. So a row keeps its split in every later version of its dataset, and a test row
can never come to be trained on.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = ("train", "validation", "test")
ROW_ID, TARGET = "row_id", "target"
ABOUT, NAMES = b"about", "names"  # in a file's own metadata
ROWS_PER_GROUP = 8192  # row groups small enough that several readers share one file


def identity(*parts: bytes) -> str:
    """Identity of a row from its content: 64 hexadecimal digits. Parts are kept apart by their lengths."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def share(row: str, purpose: str) -> float:
    """A number in [0, 1) that depends on the row's identity and on the purpose only, uniform over rows.

    Different purposes (the split, the choice of rows to harm) give independent numbers.
    """
    digest = hashlib.sha256(f"{purpose}:{row}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_of(row: str, shares: Mapping[str, float]) -> str:
    """The split of the row with this identity, given each split's share of all rows (they sum to 1)."""
    point, upper = share(row, "split"), 0.0
    for name, part in shares.items():
        upper += part
        if point < upper:
            return name
    return name


def first_rows(ids: Sequence[str], rows: int | None = None) -> np.ndarray:
    """Positions of the `rows` first rows in the order of their identities (all of them for None), int64.

    The order is as good as random and depends on no other row, so that a smaller sample is part of every larger one.
    """
    order = np.argsort(np.asarray(ids, dtype="U64"), kind="stable")
    return order if rows is None else order[:rows]


def with_label_noise(
    ids: Sequence[str], targets: np.ndarray, part: float, seed: int, values: Sequence[Any]
) -> np.ndarray:
    """Targets with about `part` of them replaced by the next of `values`, as if their encoding had slipped by one.

    Which rows are harmed depends on their identity and the seed only. Never hand it a test split.
    """
    following = dict(zip(values, [*values[1:], values[0]], strict=True))
    chosen = [share(row, f"harm:{seed}") < part for row in ids]
    changed = [following[target] if hit else target for target, hit in zip(targets.tolist(), chosen, strict=True)]
    return np.asarray(changed, dtype=targets.dtype)


def write_split(
    columns: Mapping[str, Any],
    file: Path,
    rows: int = ROWS_PER_GROUP,
    about: Mapping[str, Any] | None = None,
    names: Sequence[str] = (),
) -> None:
    """Write columns (arrays, or arrow arrays) as parquet, `rows` in a row group.

    Equal content gives equal bytes with the same pyarrow.

    Args:
        about: what the file says of itself (JSON), for `about_split`.
        names: columns that only name their rows, as an order's number does.
    """
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(dict(columns))
    if about or names:
        table = table.replace_schema_metadata({ABOUT: json.dumps({**(about or {}), NAMES: list(names)})})
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, file, row_group_size=rows, compression="zstd", version="2.6")


def about_split(file: Path) -> dict[str, Any]:
    """What `write_split` was told about a split."""
    from pyarrow import parquet

    return json.loads((parquet.read_schema(file).metadata or {}).get(ABOUT, b"{}"))


def read_split(file: Path, columns: Sequence[str] | None = None) -> Any:
    """A split's columns as a pyarrow table."""
    from pyarrow import parquet

    return parquet.read_table(file, columns=list(columns) if columns else None, memory_map=True)


def download(url: str) -> bytes:
    """What stands at an address; 5 s to connect, 30 s without an answer. Raises ConnectionError with one sentence."""
    import requests

    try:
        response = requests.get(url, timeout=(5, 30))
        response.raise_for_status()
        return response.content
    except requests.RequestException as error:
        reason = error.response.reason if error.response is not None else "the host does not answer"
        raise ConnectionError(f"{url} could not be read: {reason}") from error


def contents(file: Path) -> tuple[list[str], list[str], list[str]]:
    """Of each row of a split its identity (`row_id`), a digest of what a model sees of it, and one of all of it.

    Two rows with the same look are the same to a model, whatever they are called and whatever is to be told of them.
    """
    table = read_split(file).combine_chunks()
    beside = {TARGET, *about_split(file).get(NAMES, ())} & {*table.column_names}
    seen = _bytes(table, sorted({*table.column_names} - {ROW_ID} - beside))
    whole = np.concatenate([seen, _bytes(table, sorted(beside))], axis=1)
    return table[ROW_ID].to_pylist(), *(
        [hashlib.blake2b(row.tobytes(), digest_size=16).hexdigest() for row in rows] for rows in (seen, whole)
    )


def _bytes(table: Any, names: Sequence[str]) -> np.ndarray:
    """What columns hold in each row, uint8 of shape (rows, bytes)."""
    import pyarrow as pa

    parts = []
    for name in names:
        column = table[name].combine_chunks()
        if isinstance(column.type, pa.FixedShapeTensorType):
            column = column.to_numpy_ndarray()
        elif (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) and not column.null_count:
            column = column.to_numpy(zero_copy_only=False)
        else:
            held = [hashlib.blake2b(repr(value).encode(), digest_size=16).digest() for value in column.to_pylist()]
            column = np.frombuffer(b"".join(held), np.uint8).reshape(-1, 16)
        parts.append(np.ascontiguousarray(column).reshape(len(table), -1).view(np.uint8))
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(table), 0), np.uint8)


def describe_splits(processed: Path) -> dict[str, Any]:
    """Schema, rows and (where there are any) targets per split, and statistics per column of the first: train.

    A target with at most 100 distinct values is counted by value, any other gets statistics; list columns are
    described over all their elements.
    """
    names = {file.stem for file in processed.glob("*.parquet")}
    ordered = [*(name for name in SPLITS if name in names), *sorted(names - set(SPLITS))]
    splits: dict[str, Any] = {}
    for name in ordered:
        targets = {}
        if TARGET in _columns(processed / f"{name}.parquet"):
            targets = {TARGET: _describe_target(read_split(processed / f"{name}.parquet", [TARGET])[TARGET])}
        splits[name] = {"rows": read_split(processed / f"{name}.parquet", [ROW_ID]).num_rows, **targets}
    first = read_split(processed / f"{ordered[0]}.parquet")
    schema = {field.name: {"dtype": _dtype(field.type)} for field in first.schema}
    statistics = {name: _statistics(first[name]) for name in schema if name not in (ROW_ID, TARGET)}
    return {"schema": schema, "splits": splits, "statistics": {k: v for k, v in statistics.items() if v}}


def _columns(file: Path) -> list[str]:
    from pyarrow import parquet

    return parquet.read_schema(file).names


def _dtype(type_: Any) -> str:
    """An arrow type's name: `float`, `string`; `uint8[784]` for an array of 784 in every row."""
    shape = getattr(type_, "shape", None)
    return f"{type_.value_type}[{','.join(map(str, shape))}]" if shape else str(type_)


def _describe_target(column: Any) -> dict[str, Any]:
    counts = sorted(column.value_counts().to_pylist(), key=lambda entry: entry["values"])
    if len(counts) <= 100:
        return {"counts": {str(entry["values"]): entry["counts"] for entry in counts}}
    return {"statistics": _statistics(column)}


def _statistics(column: Any) -> dict[str, float] | None:
    """Mean, standard deviation, extremes and median of a numeric or list column; None for others."""
    import pyarrow as pa

    column = column.combine_chunks()
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if pa.types.is_fixed_size_list(column.type) or pa.types.is_list(column.type):
        column = column.flatten()
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return None
    values = column.to_numpy(zero_copy_only=False).astype(np.float64)
    held = values[~np.isnan(values)]
    if not len(held):
        return None
    absent = {"missing": round(1 - len(held) / len(values), 6)} if len(held) < len(values) else {}
    values = held
    figures = {
        "mean": values.mean(dtype=np.float64),
        "std": values.std(dtype=np.float64),
        "min": values.min(),
        "max": values.max(),
        "median": np.median(values),
    }
    return {name: round(float(value), 6) for name, value in figures.items()} | absent
