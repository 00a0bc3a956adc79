"""Texts, and what is to be told from each (the column `target`): a class or a number.

`Texts` is the pipeline of such data, from a CSV file or from lists. Of near-duplicates one is kept. A text's split
follows from its own first words, so that those which begin alike stay together; it is the same in every version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workloads.sdk import findings
from workloads.sdk.contract import TEST, Fetched
from workloads.sdk.dataset import ROW_ID, TARGET, describe_splits, identity, read_split, split_of, write_split
from workloads.sdk.kits import splits
from workloads.sdk.kits.parameters import SplitParameters
from workloads.sdk.kits.tables import tablefile
from workloads.sdk.kits.tables.tabular import copied, targets
from workloads.sdk.kits.texts import duplicates
from workloads.sdk.kits.words import alike

__all__ = ["Fetched", "Texts", "copied", "example", "rows", "targets", "texts"]

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
TEXT = "text"
FIRST_WORDS = 6  # texts with the same ones share a split


@dataclass(frozen=True)
class Texts:
    """What a set of texts holds, and its pipeline (`fetch` puts one CSV file into `raw`).

    Attributes:
        target: the column that is to be told, as the CSV file calls it; a split calls it `target`.
        text: the column of the texts; a split calls it `text`.
        classes: the values of the target; None where it is a number.
    """

    target: str = TARGET
    text: str = TEXT
    classes: Sequence[str] | None = None

    def process(
        self, parameters: SplitParameters, raw: Path, out: Path, known: Mapping[str, Any] | None = None
    ) -> None:
        """Write the splits of the table's file in `raw`. Raises ValueError naming the line that is wrong."""
        table = tablefile.read(tablefile.of(raw))
        given = table.numbers(self.target) if self.classes is None else table.texts(self.target)
        self.split(table.texts(self.text), given, parameters, out, known=known)

    def split(
        self,
        texts: Sequence[str],
        targets: Sequence[Any],
        parameters: SplitParameters,
        out: Path,
        published: Sequence[str] | None = None,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        """Write `<split>.parquet` and `findings.json` (what was dropped) into `out`.

        Args:
            targets: a string or number for each text.
            published: each text's split, where the publisher chose them.
            known: more findings.

        Raises:
            ValueError: a split would be empty.
        """
        chosen = dict(zip(texts, published, strict=True)) if published else {}
        # In this order, of texts alike in all letters, or nearly, the first is kept: one for the test before others.
        order = sorted((chosen.get(text) != TEST, identity(text.encode()), at) for at, text in enumerate(texts))
        ids = [row for _, row, _ in order]
        given, wanted = [texts[at] for *_, at in order], np.asarray([targets[at] for *_, at in order])
        kept = duplicates.unlike(given, None if self.classes is None else wanted.tolist())
        first = np.asarray(kept.first, np.int64)
        fates = [chosen.get(given[at]) or split_of(_beginning(given[at]), SHARES) for at in first]
        try:
            divided = list(splits.divide([ids[at] for at in first], wanted[first], fates, parameters, self.classes))
        except ValueError as error:
            why = f"texts that begin alike share a split, and of {len(texts)} texts {kept}"
            raise ValueError(f"{error}; {why}") from None
        for split in divided:
            columns = {TEXT: [given[at] for at in first[split.chosen]], TARGET: split.targets.tolist()}
            write_split({ROW_ID: split.ids, **columns}, out / f"{split.name}.parquet")
        found = {
            "rows_read": len(texts),
            "near_duplicates_dropped": kept.repeated,
            "dropped_since_alike_with_another_target": kept.contrary,
        }
        findings.keep(found | dict(known or {}), out)

    def describe(self, parameters: SplitParameters, processed: Path) -> dict[str, Any]:
        """Schema, splits, statistics, and what was found while processing."""
        return {**describe_splits(processed), "findings": findings.read(processed)}

    def schema(self) -> Any:
        """What every split must satisfy, a pandera `DataFrameSchema`."""
        from pandera import pandas as pa

        target = pa.Column("float64") if self.classes is None else pa.Column(str, pa.Check.isin(list(self.classes)))
        identities = pa.Column(str, pa.Check.str_length(64, 64), unique=True)
        text = pa.Column(str, pa.Check.str_length(min_value=1))
        return pa.DataFrameSchema({ROW_ID: identities, TEXT: text, TARGET: target}, strict=True)


def _beginning(text: str) -> str:
    """Identity of the first words; case, digits and signs do not count."""
    return identity(" ".join(alike(text)[:FIRST_WORDS]).encode())


# --- reading a split ------------------------------------------------------------------------------------------------


def texts(split: Path) -> list[str]:
    """The texts of a split."""
    return read_split(split, [TEXT])[TEXT].to_pylist()


rows = texts


def example(split: Path, rows: int) -> dict[str, Any]:
    """A request's body made of the first rows: `{"texts": [...]}`."""
    return {"texts": texts(split)[:rows]}
