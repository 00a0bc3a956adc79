"""A table's file as text cells, whatever wrote it: CSV and TSV of any dialect and encoding, Parquet, JSON lines.

What is wrong with it is said with the line where it stands. What the cells mean, `columns.py` says.
"""

from pathlib import Path

from workloads.sdk.contract.data import FETCHED
from workloads.sdk.kits.tables.cells import Cells
from workloads.sdk.kits.tables.delimited import decoded, delimited
from workloads.sdk.kits.tables.typed import json_lines, of_parquet

LARGEST_FILE = 2**30  # bytes; all of it is held in memory


def read(file: Path) -> Cells:
    """A file: Parquet or JSON lines by its ending (`.parquet`, `.jsonl`, `.ndjson`), else text with a header.

    Raises:
        ValueError: it is absent, no file, too large, cannot be decoded, has no proper header, no row, a row of another
            length, or cells that hold lists, objects, or what is no text.
    """
    content = _content(file)
    ending = file.suffix.lower()
    if ending in (".parquet", ".pq"):
        return of_parquet(file.name, content).checked()
    text, encoding = decoded(file.name, content)
    kind = json_lines if ending in (".jsonl", ".ndjson") else delimited
    return kind(file.name, text, encoding).checked()


def of(raw: Path) -> Path:
    """The table in a dataset's folder of raw files, beside which stands what is known of its source (JSON)."""
    files = [file for file in raw.iterdir() if file.name != FETCHED]
    found = [file for file in files if file.suffix != ".json"] or files
    if len(found) != 1:
        raise ValueError(f"{raw} holds {len(found)} files, and a table is one; let `fetch` put one file there")
    return found[0]


def _content(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if not file.is_file():
            what = "is a folder; name a file in it" if file.is_dir() else "is no file; name one"
            raise ValueError(f"{file} {what}")
        if size > LARGEST_FILE:
            raise ValueError(
                f"{file} has more than {LARGEST_FILE // 2**20} MiB; a table of this kind must fit in memory"
            )
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
