"""The Fashion-MNIST data: verified sources, duplicates found, a frozen test split."""

import gzip
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workloads.fashion_mnist import data, sources
from workloads.fashion_mnist.data_parameters import FashionData
from workloads.sdk.dataset import ROW_ID, read_split
from workloads.sdk.kits.images import idx


def write_raw(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    header = np.asarray([2051, len(images), 28, 28], ">u4").tobytes()
    (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(
        np.asarray([2049, len(labels)], ">u4").tobytes() + labels.tobytes()
    )


def ids(file: Path) -> list[str]:
    return read_split(file, [ROW_ID])[ROW_ID].to_pylist()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 and 100 pictures of noise; one twice in the training set, one of it in the test set too."""
    folder, draw = tmp_path_factory.mktemp("raw"), np.random.default_rng(0)
    images, tests = (draw.integers(0, 256, (count, 784), np.uint8) for count in (500, 100))
    images[1], images[2] = images[0], tests[0]
    write_raw(folder, "train", images, draw.integers(0, 10, 500).astype(np.uint8))
    write_raw(folder, "t10k", tests, draw.integers(0, 10, 100).astype(np.uint8))
    return folder


def processed(raw: Path, out: Path, **parameters: object) -> Path:
    out.mkdir()
    data.process(FashionData(**parameters), raw, out)
    return out


def test_duplicates_are_dropped_and_stated(raw: Path, tmp_path: Path) -> None:
    folder = processed(raw, tmp_path / "p")
    found = data.describe(FashionData(), folder)["findings"]
    assert found == {"rows_read": 600, "duplicates_dropped": 1, "dropped_since_in_test": 1}
    rows = {split: ids(folder / f"{split}.parquet") for split in ("train", "validation", "test")}
    assert len(rows["test"]) == 100
    assert len({*rows["train"], *rows["validation"], *rows["test"]}) == 598
    for split in rows:
        data.schema().validate(pd.read_parquet(folder / f"{split}.parquet"))


def test_pictures_and_labels_stay_together(raw: Path, tmp_path: Path) -> None:
    folder = processed(raw, tmp_path / "p")
    test = folder / "test.parquet"
    pixels = np.frombuffer((raw / "t10k-images-idx3-ubyte").read_bytes(), np.uint8, offset=16).reshape(-1, 784)
    labels = np.frombuffer((raw / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    known = {picture.tobytes(): label for picture, label in zip(pixels, labels, strict=True)}
    images, targets = data.images(test), data.targets(test)
    assert (images.shape, images.dtype) == ((100, 784), np.uint8)
    assert [known[image.tobytes()] for image in images] == targets.tolist()
    assert np.asarray(data.example(test, 3)["images"]).tolist() == images[:3].tolist()


def test_samples_and_harm_leave_splits_and_test_alone(raw: Path, tmp_path: Path) -> None:
    whole, sample = processed(raw, tmp_path / "a"), processed(raw, tmp_path / "b", rows=200)
    with_label_noise = processed(raw, tmp_path / "c", corruption=1)
    for split in ("train", "validation"):
        assert set(ids(sample / f"{split}.parquet")) < set(ids(whole / f"{split}.parquet"))
        assert ids(with_label_noise / f"{split}.parquet") == ids(whole / f"{split}.parquet")
        before, after = (data.targets(folder / f"{split}.parquet") for folder in (whole, with_label_noise))
        assert (before != after).all()
    assert len({(folder / "test.parquet").read_bytes() for folder in (whole, sample, with_label_noise)}) == 1


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted, out = tmp_path / "planted", tmp_path / "out"
    planted.mkdir()
    out.mkdir()
    for name in sources.FILES:
        (planted / f"{name}.gz").write_bytes(gzip.compress(b"other bytes"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=planted)) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        monkeypatch.setattr(sources, "OFFICIAL", f"http://127.0.0.1:{host.server_port}")
        with pytest.raises(ValueError, match=r"has MD5 .* expected 8d4fb7e6c68d591d4c3dfef9ec88bf0d; it was not used"):
            sources.fetch("auto", out)  # and Debian's package is not tried in its place
        host.shutdown()
    with pytest.raises(ValueError, match=r"has sha256 .* it was not used"):
        sources._read_folder(planted, out)
    assert list(out.iterdir()) == []


def test_no_source_at_all_is_one_error_that_names_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "OFFICIAL", "http://127.0.0.1:9")
    monkeypatch.setattr(sources, "INSTALLED", Path("nowhere"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConnectionError, match=r"official: .* does not answer; debian: .* needs apt-get") as error:
        sources.fetch("auto", tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["official", "debian"])
def test_the_real_data(source: str, tmp_path: Path) -> None:
    try:
        fetched = sources.fetch(source, tmp_path)
    except ConnectionError as error:
        pytest.skip(str(error))
    assert fetched.source == source
    images, labels = idx.read(tmp_path, "train")
    assert images.shape == (60_000, 784)
    assert np.bincount(labels).tolist() == [6000] * 10
    assert images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
