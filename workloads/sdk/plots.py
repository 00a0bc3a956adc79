"""Pictures that several workloads draw: learning curves, a matrix of confusions, bars by group, a search's trials.

All are PNG, drawn without a display. Colours are those of Okabe and Ito (2008), which the colour-blind can tell apart.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from workloads.sdk.contract import Trial

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.7}
STYLE = {
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "figure.dpi": 110,
    "font.size": 10,
    "grid.color": "#E6E6E6",
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be called `$`
    "xtick.color": "#444444",
    "ytick.color": "#444444",
}


# Families that have the letters which matplotlib's own font lacks; those are used that are installed.
FALLBACKS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC",
             "Arial Unicode MS", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai",
             "Noto Emoji")  # fmt: skip
LONGEST = 48  # characters of a name that a picture has room for
INCHES = 0.085  # that a character takes, at most


def drawable(name: object) -> str:
    """A name as it stands, on one line; the middle of a long one is left out."""
    text, half = " ".join(str(name).split()), LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}…{text[1 - half :]}"


def room(names: Sequence[str]) -> float:
    """Inches that the longest of some names takes beyond those of ten characters."""
    return INCHES * max(0, max(map(len, names), default=0) - 10)


def families() -> list[str]:
    """The fonts that letters are looked up in, one after the other."""
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in FALLBACKS if name in there)]


@contextmanager
def figure(file: Path, width: float, height: float, panels: int = 1) -> Iterator[Any]:
    """Axes to draw on (one, or an array of `panels` side by side); the picture is written when the block ends."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({**STYLE, "font.family": families()}):
        picture = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(picture)
        yield picture.subplots(1, panels)
        picture.savefig(file, metadata={"Software": None})


def learning_curves(curves: Mapping[str, Sequence[float]], file: Path) -> None:
    """A line per curve, a panel per quantity: `train_loss` and `validation_loss` share the panel `loss`."""
    from matplotlib.ticker import MaxNLocator

    panels: dict[str, list[str]] = {}
    for name in curves:
        panels.setdefault(name.rpartition("_")[2], []).append(name)
    with figure(file, 4.6 * len(panels), 3.4, len(panels)) as axes:
        for axis, (quantity, names) in zip(np.atleast_1d(axes), panels.items(), strict=True):
            for name, colour in zip(names, COLOURS, strict=False):
                values = curves[name]
                label = f"{name.removesuffix(f'_{quantity}').replace('_', ' ')} {values[-1]:.3f}"
                axis.plot(range(1, len(values) + 1), values, "o-", markersize=4, color=colour, label=label)
            axis.set_title(quantity)
            axis.set_xlabel("epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.legend()


def comparison(values: Mapping[str, Mapping[str, Sequence[float]]], file: Path) -> None:
    """How several trainings ran: a panel per curve, a line per training; bars where each curve is one value."""
    from matplotlib.ticker import MaxNLocator

    quantities, texts = list(next(iter(values.values()))), list(map(drawable, values))
    with figure(file, (4.6 + room(texts)) * len(quantities), 3.4, len(quantities)) as axes:
        for axis, quantity in zip(np.atleast_1d(axes), quantities, strict=True):
            ends = {name: curves[quantity][-1] for name, curves in values.items()}
            if all(len(curves[quantity]) == 1 for curves in values.values()):
                drawn = axis.barh(range(len(ends)), list(ends.values()), color=COLOURS[0])
                axis.set_yticks(range(len(ends)), texts)
                axis.bar_label(drawn, fmt="%.3f", padding=4)
                axis.grid(axis="y", visible=False)
                axis.invert_yaxis()
            else:
                for (name, curves), colour in zip(values.items(), COLOURS, strict=False):
                    line = curves[quantity]
                    label = f"{name} {ends[name]:.3f}"
                    axis.plot(range(1, len(line) + 1), line, "o-", markersize=4, color=colour, label=label)
                axis.set_xlabel("epoch")
                axis.xaxis.set_major_locator(MaxNLocator(integer=True))
                axis.legend()
            axis.set_title(quantity.replace("_", " "))


def confusion_matrix(true: Any, predicted: Any, names: Sequence[str], file: Path) -> None:
    """True names against predicted ones, arrays of shape (rows,) of indices into `names`: counts, coloured by share."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (true, predicted), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    texts = list(map(drawable, names))
    size = 2.2 + 0.62 * len(names) + room(texts)
    with figure(file, size + 1.2, size) as axis:
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axis.grid(False)
        axis.set_xticks(range(len(names)), texts, rotation=45, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(len(names)), texts)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else "#333333"
            axis.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=9)
        axis.set_xlabel("predicted")
        axis.set_ylabel("true")
        axis.set_title(f"Confusions on {counts.sum():,} rows")
        axis.figure.colorbar(
            image, ax=axis, shrink=0.8, format=lambda share, _: f"{share:.0%}", label="share of the true"
        )


def bars(values: Mapping[str, float], counts: Mapping[str, int], title: str, unit: str, file: Path) -> None:
    """A horizontal bar per group, in order of value, with its number of rows, and a line at the mean over all rows."""
    names = sorted(values, key=lambda name: values[name])
    mean = sum(values[name] * counts[name] for name in names) / max(sum(counts.values()), 1)
    texts = [f"{drawable(name)}  (n={counts[name]:,})" for name in names]
    with figure(file, 6.4 + room(texts), 1.5 + 0.34 * len(names)) as axis:
        drawn = axis.barh(range(len(names)), [values[name] for name in names])  # two names may look alike
        axis.set_yticks(range(len(names)), texts)
        for bar in drawn:
            bar.set_color(COLOURS[0] if bar.get_width() >= mean else COLOURS[5])
        axis.bar_label(drawn, fmt="%.3f", padding=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
        axis.axvline(mean, color=COLOURS[1], linewidth=1.2)
        axis.grid(axis="y", visible=False)
        axis.set_xlim(0, max(1, *values.values()) * 1.12)
        axis.set_xlabel(unit)
        axis.set_title(f"{title}; mean {mean:.3f}")


def baselines(values: Mapping[str, float], metric: str, rows: int, file: Path) -> None:
    """A horizontal bar for each of some models, the first at the top, by a metric on so many rows."""
    texts = list(map(drawable, values))
    with figure(file, 6.4 + room(texts), 1.4 + 0.4 * len(values)) as axis:
        drawn = axis.barh(
            range(len(values)), list(values.values()), color=[COLOURS[0], *[COLOURS[5]] * (len(values) - 1)]
        )
        axis.set_yticks(range(len(values)), texts)
        axis.bar_label(drawn, fmt="%.3f", padding=4)
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.margins(x=0.18)
        axis.set_xlabel(f"{metric} on {rows:,} test rows")
        axis.set_title("The model beside its baselines")


def estimates(true: Any, estimated: Any, name: str, file: Path) -> None:
    """Estimates against true values, arrays of shape (rows,), and how the errors (true - estimated) are distributed."""
    true, estimated = np.asarray(true, np.float64), np.asarray(estimated, np.float64)
    errors = true - estimated
    with figure(file, 9.4, 4.0, 2) as (left, right):
        ends = [min(true.min(), estimated.min()), max(true.max(), estimated.max())]
        left.plot(ends, ends, color="#888888", linewidth=1)
        left.scatter(true, estimated, s=14, color=COLOURS[0], alpha=0.6, linewidths=0, rasterized=True)
        left.set_xlabel(f"true {drawable(name)}")
        left.set_ylabel(f"estimated {drawable(name)}")
        left.set_title(f"Estimates of {len(true):,} rows")
        right.hist(errors, bins=30, color=COLOURS[0])
        right.axvline(errors.mean(), color=COLOURS[1], linewidth=1.2)
        right.set_xlabel("true - estimated")
        right.set_ylabel("rows")
        right.set_title(f"Errors; mean {errors.mean():.3g}, std {errors.std():.3g}")


def parallel_coordinates(trials: Sequence[Trial], metric: str, higher_is_better: bool, file: Path) -> None:
    """A line per trial through an axis per parameter that varies, and the metric's at the right.

    Coloured by the metric, the best bold, those that ended early faint and dashed. A trial without the metric (it
    failed before it had one) has no line, and is counted in the title.
    """
    shown = sorted(
        (t for t in trials if metric in t.metrics), key=lambda t: t.metrics[metric], reverse=higher_is_better
    )
    names = dict.fromkeys(name for trial in trials for name in trial.parameters)
    columns = {name.replace("_", " "): [trial.parameters.get(name) for trial in shown] for name in names}
    scales = {name: Scale(values) for name, values in columns.items() if len({repr(value) for value in values}) > 1}
    scales[metric.replace("_", " ")] = found = Scale([trial.metrics[metric] for trial in shown], logarithmic=False)
    states = Counter(trial.state for trial in trials)
    title = ", ".join(f"{states[state]} {state}" for state in ("finished", "stopped", "failed") if states[state])
    with figure(file, 2.4 + 1.55 * (len(scales) - 1), 4.2) as axis:
        from matplotlib import colormaps

        for at in range(len(shown) - 1, -1, -1):  # the best last, on top
            trial, whole = shown[at], shown[at].state == "finished"
            share = found.places[at] if higher_is_better else 1 - found.places[at]
            colour, heights = colormaps["viridis_r"](share), [scale.places[at] for scale in scales.values()]
            look = {"linewidth": 3.2 if trial.best else 1.4, "alpha": 1 if trial.best else 0.8 if whole else 0.3}
            axis.plot(heights, "-" if whole or trial.best else "--", color=colour, marker="o", markersize=3, **look)
        for at, scale in enumerate(scales.values()):
            axis.axvline(at, color="#888888", linewidth=0.8, zorder=0)
            for place, text in scale.ticks:
                axis.text(at + 0.04, place, text, fontsize=8, va="center", color="#333333", bbox=LABEL)
        axis.set_xticks(range(len(scales)), list(map(drawable, scales)))
        axis.set_yticks([])
        axis.set_xlim(-0.1, len(scales) - 1 + 0.45)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        axis.set_title(f"{len(trials)} trials: {title}")


class Scale:
    """An axis of `parallel_coordinates`: where its values lie from 0 to 1, and its marks (place, text).

    Numbers lie as they are, or by their logarithm where the largest is more than twenty times the smallest; anything
    else (names, None among numbers) is spread evenly.
    """

    def __init__(self, values: Sequence[Any], logarithmic: bool = True):
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        if numbers:
            array = np.asarray(values, float)
            if logarithmic and array.size and array.min() > 0 and array.max() > 20 * array.min():
                array = np.log(array)
        else:
            names = sorted({str(value) for value in values})
            array = np.asarray([names.index(str(value)) for value in values], float)
        low, high = (array.min(), array.max()) if array.size else (0, 0)
        self.places = ((array - low) / (high - low) if high > low else np.full(len(array), 0.5)).tolist()
        marks = dict(zip(self.places, values, strict=True))
        if numbers and len(marks) > 6:
            marks = {min(marks, key=lambda place: abs(place - share)): None for share in (0, 0.25, 0.5, 0.75, 1)}
            marks = {place: values[self.places.index(place)] for place in marks}
        self.ticks = [(place, f"{value:.3g}" if numbers else drawable(value)) for place, value in marks.items()]


def gallery(pictures: Any, notes: Sequence[str], title: str, file: Path) -> None:
    """Grey pictures, uint8 (n, height, width), side by side in one row, a note under each."""
    with figure(file, 1.25 * len(pictures), 2.5, len(pictures)) as axes:
        cells = np.atleast_1d(axes)
        for axis, picture, note in zip(cells, pictures, notes, strict=True):
            axis.imshow(picture, cmap="gray_r", vmin=0, vmax=255)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(False)
            axis.spines[:].set_visible(False)
            axis.set_xlabel(note, fontsize=8)
        cells[0].figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
