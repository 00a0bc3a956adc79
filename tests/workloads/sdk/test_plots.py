"""Pictures: whatever classes, columns and models are called, their names are drawn as they stand."""

import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.text import Text

from workloads.sdk import plots
from workloads.sdk.contract import TrainingResult, Trial
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.distributions import draw, panels
from workloads.sdk.kits import classification, regression
from workloads.sdk.programs.training.pictures import draw as draw_all

# Signs of TeX, of formats and of Python; one that is long, and two that are alike where they are cut.
NAMES = ["$", "$$", "$ per $", "$x^2", "%", "%s %d", "_", "__init__", "\\", "\\alpha", "{}", "a\nb", "ä ß", "x" * 300,
         "y" * 30 + "1" + "y" * 300, "y" * 30 + "2" + "y" * 300]  # fmt: skip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """All texts of the pictures that are made meanwhile."""
    found: set[str] = set()
    once = Text.draw

    def noting(self: Text, renderer: object) -> None:
        found.add(self.get_text())
        once(self, renderer)

    monkeypatch.setattr(Text, "draw", noting)
    return found


def test_names_of_classes_are_drawn_as_they_stand(tmp_path: Path, drawn: set[str]) -> None:
    true = np.asarray([NAMES[at % len(NAMES)] for at in range(96)])
    outputs = np.random.default_rng(0).random((96, len(NAMES))).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing collapses, no letter is missing
        classification.plot(outputs, true, NAMES, tmp_path)
        regression.plot(outputs[:, :1], outputs[:, 1].astype(float), tmp_path, "$ per $")
        plots.baselines(dict.fromkeys(NAMES, 0.5), "$_metric", 96, tmp_path / "baselines.png")
        curves = {f"{name}_loss": [1.0, 0.5] for name in NAMES[:4]}
        plots.learning_curves(curves, tmp_path / "curves.png")
        plots.comparison({name: {"$": [0.5]} for name in NAMES}, tmp_path / "comparison.png")
        trials = [Trial(name=str(at), parameters={"$ p": name}, metrics={"m": at}) for at, name in enumerate(NAMES)]
        plots.parallel_coordinates(trials, "m", True, tmp_path / "trials.png")
    assert len(list(tmp_path.glob("*.png"))) == 7
    for name in ("$", "$$", "$ per $", "$x^2", "%", "%s %d", "_", "__init__", "\\", "\\alpha", "{}", "a b", "ä ß"):
        assert name in drawn
        assert f"{name}  (n=6)" in drawn
    assert "true $ per $" in drawn
    long = [text for text in drawn if text.startswith("xxx")]
    assert long
    assert all(len(text) <= plots.LONGEST + len("  (n=6)") for text in long)
    # Bars stand apart, though two names look alike once they are cut.
    assert plots.drawable(NAMES[-1]) == plots.drawable(NAMES[-2].replace("1", "2"))


def test_names_of_columns_and_values_are_drawn_as_they_stand(tmp_path: Path, drawn: set[str]) -> None:
    cells = [NAMES[at % 8] for at in range(80)]
    table = pa.table({"$ per $": cells, "%_\\": np.linspace(0, 1, 80), "x" * 300: np.arange(80) % 3, "$": cells})
    draw(panels(table), "wine-v1.0.0", None, tmp_path / "columns.png")
    assert {"$ per $", "%_\\", "$", "$$", "%s %d"} <= drawn
    assert any(text.startswith("xxx") and text.endswith("…") for text in drawn)


def test_letters_that_no_font_has_cost_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "FALLBACKS", ())
    iris = workload_of("workloads.iris")
    file = tmp_path / "b.png"
    monkeypatch.setattr("workloads.iris.evaluate.plot", lambda *_: plots.bars({"水": 1.0}, {"水": 2}, "", "", file))
    (warning,) = draw_all(iris, np.zeros((2, 3)), tmp_path, TrainingResult(metrics={}), {}, tmp_path)
    assert warning.startswith("evaluate:plot has boxes for 1 letters that no font here has")
    assert file.is_file()


def test_installed_fonts_are_asked_for_letters_that_the_first_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "FALLBACKS", ("No such font", "DejaVu Serif"))
    assert plots.families() == ["DejaVu Sans", "DejaVu Serif"]
