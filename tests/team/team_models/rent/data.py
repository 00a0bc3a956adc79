"""Made-up flats, generated on the spot."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from workloads.contract import Fetched
from workloads.data import ROW_ID, TARGET, describe_splits, identity, read_split, split_of, write_split

COLUMNS = ("size", "age", "distance")


def fetch(parameters: Any, out: Path) -> Fetched:
    random = np.random.default_rng(7)
    flats = random.uniform((20, 0, 0), (150, 100, 30), (parameters.flats, 3))
    rents = flats @ (11, -2, -9) + 300 + random.normal(0, 20, parameters.flats)
    (out / "flats.json").write_text(json.dumps(np.column_stack([flats, rents]).round(3).tolist()))
    return Fetched(source="generated", uri="a formula")


def process(parameters: Any, raw: Path, out: Path) -> None:
    flats = np.asarray(json.loads((raw / "flats.json").read_text()), np.float32)
    ids = np.asarray([identity(flat.tobytes()) for flat in flats])
    splits = np.asarray([split_of(flat, {"train": 0.6, "validation": 0.1, "test": 0.3}) for flat in ids])
    for name in ("train", "validation", "test"):
        mine = flats[splits == name]
        columns = {column: mine[:, at] for at, column in enumerate(COLUMNS)}
        write_split({ROW_ID: ids[splits == name], **columns, TARGET: mine[:, 3]}, out / f"{name}.parquet")


def describe(parameters: Any, processed: Path) -> dict[str, Any]:
    return describe_splits(processed)


def schema() -> Any:
    from pandera import pandas as pa

    numbers = {name: pa.Column("float32") for name in (*COLUMNS, TARGET)}
    return pa.DataFrameSchema({ROW_ID: pa.Column(str, unique=True), **numbers}, strict=True)


def rows(split: Path) -> np.ndarray:
    table = read_split(split)
    return np.column_stack([table[name].to_numpy() for name in COLUMNS])


def rents(split: Path) -> np.ndarray:
    return read_split(split, [TARGET])[TARGET].to_numpy()


def example(split: Path, rows_: int) -> dict[str, Any]:
    return {"flats": rows(split)[:rows_].tolist()}
