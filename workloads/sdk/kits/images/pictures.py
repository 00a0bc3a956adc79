"""Small grey pictures with one of some labels: the pipeline from arrays to splits, and what reads a split.

The column `image` holds a picture's pixels (uint8, line by line), `target` the number of its label. A picture's
identity is its pixels, so one that occurs twice is kept once.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workloads.sdk import findings, plots
from workloads.sdk.contract import TEST
from workloads.sdk.dataset import ROW_ID, TARGET, describe_splits, identity, read_split, split_of, write_split
from workloads.sdk.kits import splits
from workloads.sdk.kits.parameters import SplitParameters

IMAGE = "image"
Pictures = tuple[np.ndarray, np.ndarray]  # pixels uint8 (n, k), and labels uint8 (n,)


def split(
    pictures: Pictures, frozen: Pictures | None, shares: Mapping[str, float], labels: Sequence[str],
    parameters: SplitParameters, out: Path,
) -> None:  # fmt: skip
    """Write `<split>.parquet` and `findings.json` (duplicates that were dropped) into `out`.

    Args:
        frozen: a published test set; a picture of it that is among the others too is dropped there. None: the test
            split is a share of all.
        shares: each split's share of `pictures`.
    """
    images, wanted = pictures
    ids, first = _identities(images)
    tests = _test_rows(frozen, out) if frozen else set()
    own = sorted(row for row in first if row not in tests)
    at = np.asarray([first[row] for row in own], dtype=np.int64)
    fates = [split_of(row, shares) for row in own]
    for each in splits.divide(own, wanted[at], fates, parameters, range(len(labels)), tuple(shares)):
        _write(out / f"{each.name}.parquet", each.ids, images[at[each.chosen]], each.targets)
    found = {
        "rows_read": len(ids) + (len(frozen[1]) if frozen else 0),
        "duplicates_dropped": len(ids) - len(first) + (len(frozen[1]) - len(tests) if frozen else 0),
        "dropped_since_in_test": len(first) - len(own),
    }
    findings.keep(found, out)


def _test_rows(frozen: Pictures, out: Path) -> set[str]:
    images, wanted = frozen
    _, first = _identities(images)
    rows = sorted(first)
    chosen = np.asarray([first[row] for row in rows], dtype=np.int64)
    _write(out / f"{TEST}.parquet", rows, images[chosen], wanted[chosen])
    return set(rows)


def _identities(images: np.ndarray) -> tuple[list[str], dict[str, int]]:
    """Each picture's identity, and the position of the first picture with each identity."""
    ids = [identity(image.tobytes()) for image in images]
    return ids, {row: position for position, row in reversed(list(enumerate(ids)))}


def _write(file: Path, rows: list[str], images: np.ndarray, target: np.ndarray) -> None:
    import pyarrow as pa

    pixels = pa.FixedShapeTensorArray.from_numpy_ndarray(images)  # Ray Data reads it as one array
    write_split({ROW_ID: rows, IMAGE: pixels, TARGET: target}, file)


def describe(processed: Path, labels: Sequence[str]) -> dict[str, Any]:
    """Schema, splits, statistics, the labels' names, and what was found while processing."""
    return {**describe_splits(processed), "labels": list(labels), "findings": findings.read(processed)}


def schema(labels: Sequence[str], pixels: Collection[int]) -> Any:
    """What every split must satisfy, a pandera `DataFrameSchema`; `pixels`: how many a picture may have."""
    from pandera import pandas as pa

    whole = pa.Check(
        lambda column: {(len(image), image.dtype) for image in column} in [{(n, np.dtype(np.uint8))} for n in pixels],
        error=f"every image has {' or '.join(map(str, pixels))} pixels of uint8",
    )
    return pa.DataFrameSchema(
        {
            ROW_ID: pa.Column(str, pa.Check.str_length(64, 64), unique=True),
            IMAGE: pa.Column(object, whole),
            TARGET: pa.Column("uint8", pa.Check.in_range(0, len(labels) - 1)),
        },
        strict=True,
    )


# --- reading a split ------------------------------------------------------------------------------------------------


def images(split: Path) -> np.ndarray:
    """Pixels as uint8 of shape (rows, k): the whole split as model inputs."""
    column = read_split(split, [IMAGE])[IMAGE]
    return np.concatenate([part.to_numpy_ndarray() for part in column.chunks])


def targets(split: Path) -> np.ndarray:
    """Numbers of the labels, uint8 of shape (rows,)."""
    return read_split(split, [TARGET])[TARGET].to_numpy()


def names(split: Path, labels: Sequence[str]) -> np.ndarray:
    """The labels themselves, strings of shape (rows,)."""
    return np.asarray(labels)[targets(split)]


def example(split: Path, rows: int) -> dict[str, Any]:
    """A request's body made of the first rows: `{"images": [[k integers], ...]}`."""
    return {"images": images(split)[:rows].tolist()}


def surest_mistakes(outputs: np.ndarray, split: Path, labels: Sequence[str], file: Path) -> None:
    """Draw the ten pictures that a model was surest of and wrong about; nothing where it is right throughout."""
    true, predicted = targets(split).astype(np.int64), outputs.argmax(axis=1)
    wrong = np.flatnonzero(predicted != true)
    surest = wrong[np.argsort(-outputs.max(axis=1)[wrong], kind="stable")][:10]
    if len(surest):
        pixels = images(split)
        side = int(np.sqrt(pixels.shape[1]))
        grey = (pixels[surest] * (255 / max(int(pixels.max()), 1))).astype(np.uint8).reshape(-1, side, side)
        names = list(map(plots.drawable, labels))
        notes = [f"{names[true[at]]},\ntaken for\n{names[predicted[at]]}" for at in surest]
        plots.gallery(grey, notes, "Mistakes that the model was surest of", file)
