"""The texts: docstrings told by their library, or messages told by their emotion; a split's targets say which."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workloads.sdk.contract import Fetched
from workloads.sdk.kits.texts.texts import Texts, example, rows, targets
from workloads.text import emotion, libraries
from workloads.text.data_parameters import TextData

__all__ = ["classes_of", "describe", "example", "fetch", "process", "rows", "schema", "targets"]

SOURCES = {
    "docstrings": Texts(classes=list(libraries.LIBRARIES)),
    "emotion": Texts(classes=list(emotion.LABELS)),
}


def fetch(parameters: TextData, out: Path) -> Fetched:
    """Put the raw files of the chosen source into `out`; see there for the errors. None takes another's place."""
    return {"docstrings": libraries, "emotion": emotion}[parameters.source].fetch(out)


def process(parameters: TextData, raw: Path, out: Path) -> None:
    """Write `<split>.parquet` and `findings.json` (near-duplicates that were dropped, versions) into `out`."""
    texts = SOURCES[parameters.source]
    if parameters.source == "emotion":
        given, labels, splits = emotion.read(raw)
        texts.split(given, labels, parameters, out, splits)
    else:
        texts.process(parameters, raw, out, {"libraries": json.loads((raw / libraries.VERSIONS).read_text())})


def describe(parameters: TextData, processed: Path) -> dict[str, Any]:
    """Schema, splits, statistics, what was found while processing, and the libraries' versions."""
    return SOURCES[parameters.source].describe(parameters, processed)


def schema() -> Any:
    """What every split must satisfy (a pandera `DataFrameSchema`), whichever source it came from."""
    return Texts(classes=[name for texts in SOURCES.values() for name in texts.classes or ()]).schema()


def classes_of(split: Path) -> Sequence[str]:
    """All classes of the source that a split is of; column k of the outputs is class k."""
    there = set(targets(split).tolist())
    return next(texts.classes or () for texts in SOURCES.values() if there <= set(texts.classes or ()))
