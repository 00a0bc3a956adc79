"""Fashion-MNIST: 70,000 grey pictures of 28 x 28 pixels of ten kinds of clothing.

The column `image` holds 784 pixels (uint8, row by row), `target` the number of the kind. The publisher's test set is
the test split; the published training set is divided by the hash of each picture's pixels.
"""

from pathlib import Path
from typing import Any

from workloads.fashion_mnist import sources
from workloads.fashion_mnist.data_parameters import FashionData
from workloads.sdk.contract import Fetched
from workloads.sdk.kits.images import idx, pictures
from workloads.sdk.kits.images.pictures import IMAGE, example, images, targets

__all__ = ["IMAGE", "LABELS", "describe", "example", "fetch", "images", "process", "rows", "schema", "targets"]

PIXELS = 28 * 28
SHARES = {"train": 0.9, "validation": 0.1}
LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def fetch(parameters: FashionData, out: Path) -> Fetched:
    """Put the four verified IDX files into `out`; see `sources.fetch` for the errors."""
    return sources.fetch(parameters.source, out)


def process(parameters: FashionData, raw: Path, out: Path) -> None:
    """Write `<split>.parquet` and `findings.json` (duplicates that were dropped) into `out`.

    A picture that occurs twice is kept once, and one of the training set that stands in the test set too is dropped.
    """
    pictures.split(idx.read(raw, "train"), idx.read(raw, "t10k"), SHARES, LABELS, parameters, out)


def describe(parameters: FashionData, processed: Path) -> dict[str, Any]:
    """Schema, splits, statistics, the labels' names, and what was found while processing."""
    return pictures.describe(processed, LABELS)


def schema() -> Any:
    """What every split must satisfy (a pandera `DataFrameSchema`); the column `image` holds arrays of 784 uint8."""
    return pictures.schema(LABELS, [PIXELS])


rows = images
