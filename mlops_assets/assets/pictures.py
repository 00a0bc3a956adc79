"""Pictures in the Dagster UI: PNG files as markdown that holds them whole, since the UI serves no files of ours."""

import base64
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

LARGEST = 512 * 1024  # bytes of one picture; event rows are no place for more


def pictures(files: Iterable[Path]) -> dict[str, dg.MetadataValue]:
    """Metadata with one picture per PNG file, under the file's name."""
    return {file.stem.replace("_", " "): picture(file) for file in files if file.stat().st_size <= LARGEST}


def drawn(name: str, draw: Callable[[Path], object]) -> dict[str, dg.MetadataValue]:
    """Metadata with the picture that `draw` writes; one that fails costs a warning, never what it is of."""
    with TemporaryDirectory() as folder:
        file = Path(folder, f"{name}.png")
        try:
            draw(file)
        except Exception as error:
            dg.get_dagster_logger().warning(f"{file.name} could not be drawn: {' '.join(str(error).split())}")
            return {}
        return pictures([file])


def picture(file: Path) -> dg.MetadataValue:
    data = base64.b64encode(file.read_bytes()).decode()
    return dg.MetadataValue.md(f"![{file.stem}](data:image/png;base64,{data})")
