"""How the columns of a data version are distributed, beside the version before it: a picture of at most twelve panels.

What a column is follows from its parquet type alone: numbers become histograms, few values and texts become shares,
long texts their lengths, square arrays of bytes the mean picture, any other array the histogram of its elements. A
bounded sample is read, the same each time. Where there is a version before, the columns that changed most come first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ROWS = 4000  # of a version that are looked at
ROW_GROUPS = 4  # of a split that are read, at least; more where they are small
PANELS, IN_LINE = 12, 4
BINS = 24
MOST_VALUES = 12  # different values that are shown one by one
SMALLEST_PICTURE = 64  # elements
ROW_ID = "row_id"


@dataclass(frozen=True)
class Panel:
    """One column of two versions.

    Attributes:
        name: the column.
        kind: `values` (shares by name), `histogram` (shares by interval), `mean` (a mean picture).
        at: names, or the edges of the intervals, or the (lines, columns) of the picture.
        now, before: shares, or the mean of each pixel from 0 to 1; None where there was no such column.
    """

    name: str
    kind: Literal["values", "histogram", "mean"]
    at: Any
    now: "np.ndarray"
    before: "np.ndarray | None"

    @property
    def change(self) -> float:
        """From 0 to 1: half the sum of all differences of shares (total variation), or the mean one of pixels."""
        if self.before is None:
            return 1.0
        difference = abs(self.now - self.before)
        return float(difference.mean() if self.kind == "mean" else difference.sum() / 2)


def sample(files: Mapping[str, Path], rows: int = ROWS) -> "pa.Table":
    """Rows of all splits, spread evenly over each: a share of `rows` as large as the split's own, at least one."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    readers = {split: parquet.ParquetFile(file) for split, file in sorted(files.items())}
    total = sum(reader.metadata.num_rows for reader in readers.values())
    parts = []
    for reader in readers.values():
        many = max(ROW_GROUPS, ceil(rows * reader.num_row_groups / max(reader.metadata.num_rows, 1)))
        groups = sorted({int(at) for at in np.linspace(0, max(reader.num_row_groups - 1, 0), many)})
        table = reader.read_row_groups(groups) if reader.num_row_groups else reader.read()
        wanted = min(len(table), max(1, round(rows * reader.metadata.num_rows / max(total, 1))))
        parts.append(table.take(np.linspace(0, len(table) - 1, wanted).round().astype(np.int64)) if wanted else table)
    return pa.concat_tables(parts).combine_chunks()


def panels(now: "pa.Table", before: "pa.Table | None" = None) -> list[Panel]:
    """All columns that can be drawn; most changed first where there is a version before."""
    found = []
    for name in now.column_names:
        old = before[name] if before is not None and name in before.column_names else None
        if name != ROW_ID and (panel := _panel(name, now[name], old)) is not None:
            found.append(panel)
    return found if before is None else sorted(found, key=lambda panel: -panel.change)


def _panel(name: str, now: "pa.ChunkedArray", before: "pa.ChunkedArray | None") -> Panel | None:
    import pyarrow as pa

    if before is not None and before.type != now.type:
        before = None
    new, old = _plain(now.combine_chunks()), None if before is None else _plain(before.combine_chunks())
    if isinstance(now.type, pa.FixedShapeTensorType):
        shape = _picture(now.type)
        return _mean(name, new, old, shape) if shape else _histogram(name, _elements(new), _elements(old))
    kind = new.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        numbers = pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)
        return _histogram(name, _elements(new), _elements(old)) if numbers else None
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _values(name, new, old) or _histogram(name, _elements(new), _elements(old))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _values(name, new, old) or _lengths(name, new, old)
    return _values(name, new, old) if pa.types.is_boolean(kind) else None


def _plain(column: Any) -> Any:
    """An array without its dictionary or extension."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    return column.storage if isinstance(column.type, pa.BaseExtensionType) else column


def _picture(kind: Any) -> tuple[int, int] | None:
    """Lines and columns where an array is a picture: it has both, or it is a square of bytes."""
    import pyarrow as pa

    shape = tuple(kind.shape)
    if len(shape) == 2:
        return shape
    side = isqrt(shape[0]) if len(shape) == 1 else 0
    square = side * side == shape[0] and shape[0] >= SMALLEST_PICTURE
    return (side, side) if square and kind.value_type == pa.uint8() else None


def _elements(column: Any) -> "np.ndarray | None":
    """All finite numbers of a column or of its lists, float64 of shape (n,)."""
    import numpy as np

    if column is None:
        return None
    values = column.flatten() if hasattr(column.type, "value_type") else column
    values = values.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
    return values[np.isfinite(values)]


def _values(name: str, now: Any, before: Any) -> Panel | None:
    """Shares of single values, where these are few."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    def counted(column: Any) -> dict[Any, int]:
        known = column.filter(pc.is_finite(column)) if pa.types.is_floating(column.type) else column.drop_null()
        return {entry["values"]: entry["counts"] for entry in known.value_counts().to_pylist()}

    counts = [counted(column) for column in (now, before) if column is not None]
    names = set().union(*counts)
    if not 0 < len(names) <= MOST_VALUES:
        return None
    at = sorted(names)
    shares = [np.asarray([each.get(value, 0) for value in at], float) / max(sum(each.values()), 1) for each in counts]
    texts = [f"{value:g}" if type(value) in (int, float) else str(value) for value in at]
    return Panel(name, "values", texts, shares[0], shares[1] if before is not None else None)


def _lengths(name: str, now: Any, before: Any) -> Panel | None:
    import pyarrow.compute as pc

    lengths = [None if column is None else _elements(pc.utf8_length(column)) for column in (now, before)]
    return _histogram(f"{name}: characters", *lengths)


def _histogram(name: str, now: "np.ndarray | None", before: "np.ndarray | None") -> Panel | None:
    """Shares of intervals that both versions have in common; the outermost hundredths are put into the last ones."""
    import numpy as np

    if now is None or not len(now):
        return None
    both = now if before is None else np.concatenate([now, before])
    low, high = np.quantile(both, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)

    def shares(values: "np.ndarray") -> "np.ndarray":
        return np.histogram(values.clip(edges[0], edges[-1]), edges)[0] / max(len(values), 1)

    return Panel(name, "histogram", edges, shares(now), None if before is None else shares(before))


def _mean(name: str, now: Any, before: Any, shape: tuple[int, int]) -> Panel:
    import numpy as np

    def pixels(column: Any) -> "np.ndarray":
        return column.flatten().to_numpy(zero_copy_only=False).reshape(-1, *shape).astype(np.float64)

    new, old = pixels(now), None if before is None else pixels(before)
    low, high = new.min(initial=0), max(new.max(initial=0), 1e-9)
    mean = (new.mean(axis=0) - low) / (high - low)
    return Panel(name, "mean", shape, mean, None if old is None else (old.mean(axis=0) - low) / (high - low))


# --- drawing ---


def draw(found: list[Panel], now: str, before: str | None, file: Path) -> None:
    """Write the picture (PNG): `now` filled, `before` as a line."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from workloads.sdk.plots import COLOURS, STYLE, families

    shown = found[:PANELS]
    columns = min(IN_LINE, max(len(shown), 1))
    lines = -(-len(shown) // columns) or 1
    small = {"font.family": families(), "font.size": 8, "axes.titlesize": 9, "figure.dpi": 90}
    with rc_context({**STYLE, **small}):
        names = 0.25 * any(_slanted(panel) for panel in shown)  # room for those of the last line
        width, height = 2.75 * columns, 1.75 * lines + 0.75 + names  # inches
        picture = Figure(figsize=(width, height))
        FigureCanvasAgg(picture)
        grid = picture.subplots(lines, columns, squeeze=False)
        # Placed by hand: to have the layout computed takes longer than all the drawing.
        picture.subplots_adjust(0.6 / width, (0.3 + names) / height, 1 - 0.12 / width, 1 - 0.72 / height, 0.28, 0.62)
        for axis, panel in zip(grid.flat, shown, strict=False):
            _draw(axis, panel, COLOURS)
        for axis in grid.flat[len(shown) :]:
            axis.set_visible(False)
        title = f"{now}, beside {before} (line)" if before else now
        more = f"; {len(shown)} of {len(found)} columns" + (", those that changed most" if before else "")
        picture.suptitle(title + (more if len(found) > len(shown) else ""), x=0.012, y=0.985, ha="left", fontsize=11,
                         fontweight="bold")  # fmt: skip
        picture.savefig(file, metadata={"Software": None})


def _short(panel: Panel) -> list[str]:
    return [_cut(text, 10) for text in panel.at]


def _cut(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _slanted(panel: Panel) -> bool:
    """Whether the names below would run into each other."""
    return panel.kind == "values" and sum(map(len, _short(panel))) > 24


def _draw(axis: Any, panel: Panel, colours: tuple[str, ...]) -> None:
    import numpy as np

    if panel.kind == "mean":
        parts = [panel.now] if panel.before is None else [panel.before, panel.now]
        gap = np.full((panel.at[0], max(1, panel.at[1] // 14)), np.nan)
        axis.imshow(np.hstack([part for each in parts for part in (each, gap)][:-1]), cmap="gray_r", vmin=0)
        axis.set_axis_off()
        axis.set_title(f"mean of {_cut(panel.name, 25)}" + ("" if panel.before is None else ": before, now"))
        return
    axis.set_title(_cut(panel.name, 25))
    if panel.before is not None:
        changed = f"{panel.change:.0%} differ" if panel.change >= 0.005 else "as before"
        axis.text(1, 1.03, changed, transform=axis.transAxes, ha="right", fontsize=7, color="#666666")
    if panel.kind == "values":
        places = np.arange(len(panel.at))
        axis.bar(places, panel.now, 0.8, color=colours[0], alpha=0.75)
        if panel.before is not None:
            axis.hlines(panel.before, places - 0.4, places + 0.4, color=colours[1], linewidth=1.6)
        turned = {"rotation": 30, "ha": "right"} if _slanted(panel) else {"ha": "center"}
        axis.set_xticks(places, _short(panel), fontsize=7, **turned)
    else:
        axis.stairs(panel.now, panel.at, fill=True, color=colours[0], alpha=0.75)
        if panel.before is not None:
            axis.stairs(panel.before, panel.at, color=colours[1], linewidth=1.3)
    axis.grid(axis="x", visible=False)
    axis.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axis.locator_params(axis="y", nbins=4)
