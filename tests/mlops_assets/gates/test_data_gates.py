"""The gates of a dataset, each with what it must find planted."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.gates.data import GATES, GateResult, inspect, leakage_across_versions
from resources.registry import DataRegistry
from workloads.sdk.contract import Workload
from workloads.sdk.dataset import read_split, write_split


@pytest.fixture
def files(released: DataRegistry, tmp_path: Path) -> dict[str, Path]:
    """Copies of wine 1.1.0's splits, to plant faults in."""
    return {
        split: Path(shutil.copy(path, tmp_path / path.name)) for split, path in released.files("wine", "1.1.0").items()
    }


def change(file: Path, **columns: object) -> None:
    table = read_split(file)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    write_split({name: table[name] for name in table.column_names}, file)


def gates(workload: Workload, registry: DataRegistry, files: dict[str, Path]) -> dict[str, GateResult]:
    first, version = registry.version("wine", "1.0.0"), registry.version("wine", "1.1.0")
    results = inspect(workload, version, files, registry, [first])
    assert [result.name for result in results] == list(GATES)
    return {result.name: result for result in results}


def failed(results: dict[str, GateResult]) -> set[str]:
    return {name for name, result in results.items() if not result.passed}


def test_sound_versions_pass(wine: Workload, released: DataRegistry, files: dict[str, Path]) -> None:
    found = gates(wine, released, files)
    assert failed(found) == set()
    assert "compared with 1 earlier versions" in found["leakage_across_versions"].description


def test_a_row_in_two_splits_is_found(wine: Workload, released: DataRegistry, files: dict[str, Path]) -> None:
    train, test = read_split(files["train"]), read_split(files["test"])
    leaked = pa.concat_tables([train, test.slice(0, 2)])
    write_split({name: leaked[name] for name in leaked.column_names}, files["train"])
    found = gates(wine, released, files)
    assert failed(found) == {"checksums", "leakage", "leakage_across_versions"}
    assert found["leakage"].rows == found["leakage_across_versions"].rows == 2
    assert "test in wine-v1.0.0, now train" in found["leakage_across_versions"].examples[0]


def test_the_same_content_under_another_identity_is_found(
    wine: Workload, released: DataRegistry, files: dict[str, Path]
) -> None:
    for target in (files["test"], files["validation"]):
        other, rows = read_split(files["train"]), read_split(target)
        renamed = other.slice(0, 1).set_column(0, "row_id", pa.array(["f" * 64]))
        joined = pa.concat_tables([rows, renamed])
        write_split({name: joined[name] for name in joined.column_names}, target)
    found = gates(wine, released, files)
    assert failed(found) == {"checksums", "leakage"}
    assert found["leakage"].rows == 3  # train in both others, and these in each other


def test_twins_within_a_split_are_found(wine: Workload, released: DataRegistry, files: dict[str, Path]) -> None:
    rows = read_split(files["validation"])
    twice = pa.concat_tables([rows, rows.slice(0, 1)])
    write_split({name: twice[name] for name in twice.column_names}, files["validation"])
    found = gates(wine, released, files)
    assert failed(found) == {"checksums", "schema", "duplicates"}  # the schema asks for unique identities
    assert found["duplicates"].rows == 2
    assert found["duplicates"].examples[0].startswith("validation: row ")


def test_values_out_of_range_or_of_another_type_are_found(
    wine: Workload, released: DataRegistry, files: dict[str, Path]
) -> None:
    alcohol = read_split(files["train"])["alcohol"].to_numpy().copy()
    alcohol[:3] = [-1, np.nan, 900]  # one that is missing is answered, so it may be missing
    change(files["train"], alcohol=alcohol)
    change(files["test"], hue=read_split(files["test"])["hue"].to_numpy().astype(np.float64))
    found = gates(wine, released, files)
    assert failed(found) == {"checksums", "schema"}
    said = " ".join(found["schema"].examples)
    assert "train, alcohol: in_range(5, 20) (2 times" in said
    assert "test, hue: dtype('float32')" in said


def test_a_changed_byte_is_found(wine: Workload, spare: DataRegistry, files: dict[str, Path]) -> None:
    file = next(file for file in spare.version("wine", "1.1.0").files if file.split == "train")
    cached = spare.store.cached(file)
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes()[:-1] + b"!")
    found = gates(wine, spare, files)
    assert failed(found) == {"checksums"}
    assert found["checksums"].examples[0].startswith("data/wine/processed/train.parquet: ")


def test_a_file_that_cannot_be_read_fails_its_gates_not_the_run(
    wine: Workload, released: DataRegistry, files: dict[str, Path]
) -> None:
    files["train"].write_bytes(b"no parquet")
    assert failed(gates(wine, released, files)) == set(GATES)


def test_earlier_versions_are_read_where_they_lie_and_said_where_they_are_gone(
    spare: DataRegistry, files: dict[str, Path]
) -> None:
    first, version = spare.version("wine", "1.0.0"), spare.version("wine", "1.1.0")
    shutil.rmtree(spare.settings.home / "data")
    found = leakage_across_versions(version, files, spare, [first])
    assert "compared with 1 earlier versions" in found.description
    assert not list((spare.settings.home).glob("data/*"))  # nothing is copied
    for file in first.files:
        spare.store.cached(file).unlink(missing_ok=True)
    assert "compared with 1 earlier versions" in leakage_across_versions(version, files, spare, [first]).description
    assert not list((spare.settings.home / "data").iterdir())  # nor kept of what was fetched
    (spare.settings.home / "data-remote").rename(spare.settings.home / "away")
    found = leakage_across_versions(version, files, spare, [first])
    assert "compared with 0 earlier versions; no longer to be read: wine-v1.0.0" in found.description


def test_a_damaged_earlier_version_is_not_compared_with(spare: DataRegistry, files: dict[str, Path]) -> None:
    first, version = spare.version("wine", "1.0.0"), spare.version("wine", "1.1.0")
    cached = spare.store.cached(next(file for file in first.files if file.split == "train"))
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes()[:-1] + b"!")
    found = leakage_across_versions(version, files, spare, [first])
    assert "no longer to be read: wine-v1.0.0" in found.description
