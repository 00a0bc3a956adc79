"""Pictures in the Dagster UI: PNG files as markdown that holds them whole, since the UI serves no files of ours."""

import base64
from collections.abc import Iterable
from pathlib import Path

import dagster as dg

LARGEST = 512 * 1024  # bytes of one picture; event rows are no place for more


def pictures(files: Iterable[Path]) -> dict[str, dg.MetadataValue]:
    """Metadata with one picture per PNG file, under the file's name."""
    return {file.stem.replace("_", " "): picture(file) for file in files if file.stat().st_size <= LARGEST}


def picture(file: Path) -> dg.MetadataValue:
    data = base64.b64encode(file.read_bytes()).decode()
    return dg.MetadataValue.md(f"![{file.stem}](data:image/png;base64,{data})")
