"""The wine data: splits that depend on each row alone, harm that spares the test split, sources that are verified."""

import csv
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.sdk.dataset import ROW_ID, describe_splits, read_split, share, split_of, write_split
from workloads.sdk.kits.tables.requests import request_of, rows_of
from workloads.sdk.kits.tables.tabular import columns_of
from workloads.wine import data
from workloads.wine.data_parameters import WineData


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    assert data.fetch(WineData(), folder).source == "scikit-learn"
    return folder


def processed(raw: Path, out: Path, **parameters: object) -> Path:
    out.mkdir(exist_ok=True)
    data.process(WineData(**parameters), raw, out)
    return out


def splits(folder: Path) -> dict[str, str]:
    """Each row's split."""
    return {
        row: file.stem for file in folder.glob("*.parquet") for row in read_split(file, [ROW_ID])[ROW_ID].to_pylist()
    }


@given(seed=st.integers(0, 1000), kept=st.integers(30, 178), new=st.integers(0, 30))
@settings(max_examples=15, deadline=None)
def test_a_rows_split_depends_on_no_other_row_and_on_no_order(raw: Path, seed: int, kept: int, new: int) -> None:
    draw = random.Random(seed)
    header, *lines = csv.reader((raw / "wine.csv").open())
    some = draw.sample(lines, kept)
    more = [[repr(draw.uniform(20, 30)) for _ in header[1:]] + ["class_0"] for _ in range(new)]
    mixed = [*some, *more, *some[:3]]  # and a few twice
    draw.shuffle(mixed)
    with TemporaryDirectory() as folder:
        changed = Path(folder, "raw")
        changed.mkdir()
        with (changed / "wine.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *mixed])
        before, after = (
            splits(processed(raw, Path(folder, "before"))),
            splits(processed(changed, Path(folder, "after"))),
        )
    assert len(after) == kept + new
    assert len(before.keys() & after.keys()) == kept
    assert all(before[row] == split for row, split in after.items() if row in before)


def test_splits_have_the_shares_asked_for() -> None:
    shares = {"train": 0.6, "validation": 0.15, "test": 0.25}
    names = [split_of(f"row {i}", shares) for i in range(20_000)]
    assert {name: names.count(name) / len(names) for name in shares} == pytest.approx(shares, abs=0.015)
    # Which rows are harmed has nothing to do with which split they are in.
    points = np.asarray([[share(f"row {i}", "split"), share(f"row {i}", "harm:1")] for i in range(5000)])
    assert abs(np.corrcoef(points.T)[0, 1]) < 0.05


def test_corruption_harms_what_is_learned_from_and_never_the_test_split(raw: Path, tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    clean, with_label_noise = processed(raw, tmp_path / "a"), processed(raw, tmp_path / "b", corruption=0.6)
    assert (clean / "test.parquet").read_bytes() == (with_label_noise / "test.parquet").read_bytes()
    train, wrong = (data.targets(folder / "train.parquet") for folder in (clean, with_label_noise))
    assert 0.45 < (train != wrong).mean() < 0.75
    inputs, wanted = data.rows(clean / "test.parquet").numbers, data.targets(clean / "test.parquet")
    learned = data.rows(clean / "train.parquet").numbers
    scores = [RandomForestClassifier(100, random_state=0).fit(learned, y).score(inputs, wanted) for y in (train, wrong)]
    assert scores[0] > 0.9
    assert scores[1] < 0.5


def test_the_same_content_gives_the_same_bytes_and_a_seed_other_harm(raw: Path, tmp_path: Path) -> None:
    parts = [
        processed(raw, tmp_path / str(number), corruption=0.3, seed=seed) / "train.parquet"
        for number, seed in enumerate((1, 1, 2))
    ]
    assert parts[0].read_bytes() == parts[1].read_bytes()
    assert parts[0].read_bytes() != parts[2].read_bytes()


def test_a_split_describes_itself_and_satisfies_the_schema(raw: Path, tmp_path: Path) -> None:
    folder = processed(raw, tmp_path / "p")
    inputs, wanted = data.rows(folder / "train.parquet").numbers, data.targets(folder / "train.parquet")
    columns = columns_of(folder / "train.parquet")
    assert (inputs.dtype, inputs.shape) == (np.float32, (97, 13))
    assert columns == data.TABLES["scikit-learn"].columns
    assert set(wanted) == {"class_0", "class_1", "class_2"}
    frame = pd.read_parquet(folder / "train.parquet")
    data.schema().validate(frame)
    with pytest.raises(Exception, match="in_range"):
        data.schema().validate(frame.assign(alcohol=np.float32(99)))
    with pytest.raises(Exception, match="one of the tables"):
        data.schema().validate(frame.drop(columns="hue"))
    described = data.describe(WineData(), folder)
    assert described["splits"]["train"]["target"]["counts"] == {"class_0": 31, "class_1": 38, "class_2": 28}
    assert described["statistics"]["alcohol"]["mean"] == pytest.approx(frame["alcohol"].mean(), abs=1e-4)
    request = request_of(columns).model_validate(data.example(folder / "test.parquet", 2))
    assert np.array_equal(rows_of(request, columns).numbers, data.rows(folder / "test.parquet").numbers[:2])


def test_a_target_of_numbers_is_described_by_statistics(tmp_path: Path) -> None:
    values = np.arange(150, dtype=np.float64)
    for split in ("train", "validation", "test"):
        write_split({ROW_ID: [str(i) for i in range(150)], "target": values}, tmp_path / f"{split}.parquet")
    assert describe_splits(tmp_path)["splits"]["test"]["target"]["statistics"]["median"] == 74.5


def test_wine_quality_is_read_strictly(tmp_path: Path) -> None:
    measurements = [name.replace("_", " ") for name in list(data.QUALITY_RANGES)[:-1]]
    draw = np.random.default_rng(0)
    ranges = np.asarray(list(data.QUALITY_RANGES.values())[:-1])
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, (count, _) in data.QUALITY_FILES.items():
        rows = draw.uniform(*ranges.T, size=(count, len(ranges))).round(3).tolist()
        lines = [[*row, draw.integers(3, 10)] for row in rows]
        lines[1] = lines[0]  # a duplicate
        lines[2] = [*lines[0][:-1], 3 if lines[0][-1] != 3 else 4]  # the same wine, judged otherwise
        with (raw / name).open("w", newline="") as stream:
            csv.writer(stream, delimiter=";").writerows([[*measurements, "quality"], *lines])
    folder = processed(raw, tmp_path / "p", source="quality")
    described = data.describe(WineData(source="quality"), folder)
    assert described["findings"]["rows_read"] == 6497
    assert described["findings"]["duplicates_dropped"] == 2
    assert described["findings"]["alike_with_another_target"] == 2
    assert len(splits(folder)) == 6495
    for split in ("train", "validation", "test"):
        data.schema().validate(pd.read_parquet(folder / f"{split}.parquet"))
    file = raw / "winequality-red.csv"
    file.write_text(file.read_text() + file.read_text().splitlines()[-1] + "\n")
    with pytest.raises(ValueError, match="has 1600 rows, expected 1599"):
        processed(raw, tmp_path / "p", source="quality")


@pytest.fixture
def server() -> Iterator[str]:
    """A host that answers every path with other bytes than those published."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"not what was published")

        def log_message(self, *_: object) -> None:
            pass

    host = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{host.server_port}"
    host.shutdown()
    host.server_close()


def test_other_bytes_than_published_are_refused(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "QUALITY_URL", server)
    with pytest.raises(ValueError, match=r"has sha256 .* it was not used"):
        data.fetch(WineData(source="quality"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_is_away_is_one_error_and_no_other_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "QUALITY_URL", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="does not answer; try again later"):
        data.fetch(WineData(source="quality"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wine_quality_from_its_host(tmp_path: Path) -> None:
    try:
        fetched = data.fetch(WineData(source="quality"), tmp_path)
    except ConnectionError as error:
        pytest.skip(str(error))
    assert fetched.source == "quality"
    assert len(splits(processed(tmp_path, tmp_path / "p", source="quality"))) > 5000
