"""Fashion-MNIST: 70,000 grey pictures of 28 x 28 pixels of ten kinds of clothing.

The column `image` holds 784 pixels (uint8, row by row), `target` the number of the kind. The publisher's test set is
the test split; the published training set is divided by the hash of each picture's pixels.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from workloads.contract import Fetched
from workloads.data import (
    ROW_ID,
    TARGET,
    describe_splits,
    first_rows,
    harmed,
    identity,
    read_split,
    split_of,
    write_split,
)
from workloads.fashion_mnist import sources
from workloads.fashion_mnist.data_parameters import FashionData

IMAGE, PIXELS = "image", 28 * 28
SHARES = {"train": 0.9, "validation": 0.1}
LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


# --- the pipeline ---------------------------------------------------------------------------------------------------


def fetch(parameters: FashionData, out: Path) -> Fetched:
    """Put the four verified IDX files into `out`; see `sources.fetch` for the errors."""
    return sources.fetch(parameters.source, out)


def process(parameters: FashionData, raw: Path, out: Path) -> None:
    """Write `<split>.parquet` and `findings.json` (duplicates that were dropped) into `out`.

    A picture that occurs twice is kept once, and one of the training set that stands in the test set too is dropped.
    """
    test_images, test_labels = _read_raw(raw, "t10k")
    test_ids, frozen = _identities(test_images)
    _write(out / "test.parquet", test_ids, test_images, test_labels, _in_order(frozen))
    images, labels = _read_raw(raw, "train")
    ids, first = _identities(images)
    learned = _in_order({row: position for row, position in first.items() if row not in frozen})
    kept = learned[first_rows([ids[i] for i in learned], parameters.rows)]
    splits = np.asarray([split_of(ids[i], SHARES) for i in kept])
    for split in SHARES:
        chosen = kept[splits == split]
        target = labels.copy()
        if parameters.corruption:
            names = [ids[i] for i in chosen]
            target[chosen] = harmed(names, labels[chosen], parameters.corruption, parameters.seed, range(len(LABELS)))
        _write(out / f"{split}.parquet", ids, images, target, chosen)
    findings = {
        "rows_read": len(ids) + len(test_ids),
        "duplicates_dropped": len(ids) - len(first) + len(test_ids) - len(frozen),
        "dropped_since_in_test": len(first) - len(learned),
    }
    (out / "findings.json").write_text(json.dumps(findings))


def _identities(pictures: np.ndarray) -> tuple[list[str], dict[str, int]]:
    """Each picture's identity, and the position of the first picture with each identity."""
    ids = [identity(picture.tobytes()) for picture in pictures]
    return ids, {row: position for position, row in reversed(list(enumerate(ids)))}


def _in_order(first: dict[str, int]) -> np.ndarray:
    return np.asarray([first[row] for row in sorted(first)], dtype=np.int64)


def _read_raw(raw: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 of shape (n, 784) and labels uint8 of shape (n,), from IDX files whose content was verified."""
    pixels = np.frombuffer((raw / f"{part}-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    labels = np.frombuffer((raw / f"{part}-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    return pixels.reshape(-1, PIXELS), labels


def _write(file: Path, ids: list[str], pictures: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> None:
    import pyarrow as pa

    pixels = pa.FixedShapeTensorArray.from_numpy_ndarray(pictures[chosen])  # Ray Data reads it as one array
    write_split({ROW_ID: [ids[i] for i in chosen], IMAGE: pixels, TARGET: labels[chosen]}, file)


def describe(parameters: FashionData, processed: Path) -> dict[str, Any]:
    """Schema, splits, statistics, the labels' names, and what was found while processing."""
    findings = json.loads((processed / "findings.json").read_text())
    return {**describe_splits(processed), "labels": list(LABELS), "findings": findings}


def schema() -> Any:
    """What every split must satisfy (a pandera `DataFrameSchema`); the column `image` holds arrays of 784 uint8."""
    from pandera import pandas as pa

    whole = pa.Check(
        lambda column: all(len(image) == PIXELS and image.dtype == np.uint8 for image in column),
        error=f"every image has {PIXELS} pixels of uint8",
    )
    return pa.DataFrameSchema(
        {
            ROW_ID: pa.Column(str, pa.Check.str_length(64, 64), unique=True),
            IMAGE: pa.Column(object, whole),
            TARGET: pa.Column("uint8", pa.Check.in_range(0, len(LABELS) - 1)),
        },
        strict=True,
    )


# --- reading --------------------------------------------------------------------------------------------------------


def images(split: Path) -> np.ndarray:
    """Pixels 0 to 255 as uint8 of shape (rows, 784); fast, a quarter of the memory of `features`."""
    column = read_split(split, [IMAGE])[IMAGE]
    return np.concatenate([part.to_numpy_ndarray() for part in column.chunks])


def table(split: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Pixels float32 of shape (rows, 784), labels uint8 of shape (rows,), and the pixels' names."""
    values, names = features(split)
    return values, targets(split), names


def features(split: Path) -> tuple[np.ndarray, list[str]]:
    """Pixels 0 to 255 as float32 of shape (rows, 784), and their names `pixel_0` to `pixel_783`."""
    return images(split).astype(np.float32), [f"pixel_{i}" for i in range(PIXELS)]


def targets(split: Path) -> np.ndarray:
    """Labels uint8 of shape (rows,): positions in `LABELS`."""
    return read_split(split, [TARGET])[TARGET].to_numpy()


def rows(split: Path) -> np.ndarray:
    """The whole split as model inputs: pixels 0 to 255 as uint8 of shape (rows, 784)."""
    return images(split)


def example(split: Path, rows: int) -> dict[str, Any]:
    """A request's body made of the first rows: `{"images": [[784 integers], ...]}`."""
    return {"images": images(split)[:rows].tolist()}
