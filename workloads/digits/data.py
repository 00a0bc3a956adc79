"""Handwritten digits: grey pictures of 8 x 8 (Alpaydin and Kaynak, 1998) or, asked for, MNIST's of 28 x 28.

Of the first, whose strokes were counted in blocks of 4 x 4, a pixel is from 0 to 16, of MNIST from 0 to 255. MNIST's
own test set is its test split.
"""

from pathlib import Path
from typing import Any

import numpy as np

from workloads.digits.data_parameters import DigitsData
from workloads.sdk.contract import Fetched
from workloads.sdk.kits.images import idx, pictures
from workloads.sdk.kits.images.pictures import example
from workloads.sdk.kits.images.pictures import images as rows

__all__ = ["LABELS", "describe", "example", "fetch", "process", "rows", "schema"]

LABELS = tuple("0123456789")
SHARES = {"train": 0.65, "validation": 0.15, "test": 0.2}
MNIST_SHARES = {"train": 0.9, "validation": 0.1}
HOSTS = ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist")
MNIST = {
    "train-images-idx3-ubyte": idx.File(
        "f68b3c2dcbeaaa9fbdd348bbdeb94873", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": idx.File(
        "d53e105ee54ea40749a09fcbcd1e9432", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": idx.File(
        "9fb629c4189551a2d022fa330f9573f3", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": idx.File(
        "ec29112dd5afa0611ce80d1b7f02629c", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}


def fetch(parameters: DigitsData, out: Path) -> Fetched:
    """Put the raw files of the source into `out`.

    Raises:
        ConnectionError: MNIST is asked for, and none of its hosts answers.
        ValueError: a file is not what was published.
    """
    if parameters.source == "mnist":
        try:
            return Fetched(source="mnist", uri=idx.fetch(HOSTS, MNIST, out))
        except ConnectionError as error:
            raise ConnectionError(f"MNIST could not be got: {error}. Or take the source scikit-learn") from None
    import sklearn
    from sklearn.datasets import load_digits

    digits = load_digits()
    np.save(out / "images.npy", digits.data.astype(np.uint8))
    np.save(out / "labels.npy", digits.target.astype(np.uint8))
    return Fetched(source="scikit-learn", uri=f"sklearn.datasets.load_digits (scikit-learn {sklearn.__version__})")


def process(parameters: DigitsData, raw: Path, out: Path) -> None:
    """Write `<split>.parquet` and `findings.json` (duplicates that were dropped) into `out`."""
    if (raw / "images.npy").exists():
        own, frozen, shares = (np.load(raw / "images.npy"), np.load(raw / "labels.npy")), None, SHARES
    else:
        own, frozen, shares = idx.read(raw, "train"), idx.read(raw, "t10k"), MNIST_SHARES
    pictures.split(own, frozen, shares, LABELS, parameters, out)


def describe(parameters: DigitsData, processed: Path) -> dict[str, Any]:
    """Schema, splits, statistics, the labels' names, and what was found while processing."""
    return pictures.describe(processed, LABELS)


def schema() -> Any:
    """What every split must satisfy."""
    return pictures.schema(LABELS, (8 * 8, 28 * 28))
