"""The data registry on real Git and DVC: releases, reading, what is damaged, moved or away."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from data_homes import own_workload

from resources.registry import DataRegistry
from resources.registry.git import git
from resources.registry.version import DataError, DataUnavailable, next_version
from resources.settings import REPOSITORY, Settings
from workloads.sdk.contract import Workload
from workloads.sdk.dataset import ROW_ID, read_split
from workloads.sdk.digests import dataset_digest, digests


def ids(registry: DataRegistry, version: str) -> dict[str, set[str]]:
    files = registry.files("wine", version)
    return {split: set(read_split(file, [ROW_ID])[ROW_ID].to_pylist()) for split, file in files.items()}


def harm(file: Path) -> None:
    """Change one byte."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)


def test_init_is_idempotent_and_names_its_remote(tmp_path: Path) -> None:
    registry = DataRegistry(Settings(home=tmp_path))
    assert registry.tags() == {}
    assert registry.init()
    assert not registry.init()
    assert registry.tags() == {}
    config = git("show", "main:.dvc/config", folder=tmp_path / "data-registry").decode()
    assert str(tmp_path / "data-remote") in config


def test_a_tag_holds_everything_about_its_data(released: DataRegistry) -> None:
    assert find_spec("hydra") is None  # DVC runs without it
    version = released.version("wine", "1.0.0")
    assert (version.tag, version.source, version.rows) == ("wine-v1.0.0", "scikit-learn", 178)
    assert released.tags("wine")["wine-v1.0.0"] == version.commit
    assert released.tags("fashion_mnist") == {}
    bare = released.settings.home / "data-registry"
    assert git("cat-file", "-t", "wine-v1.0.0", folder=bare) == b"tag\n"  # annotated
    kept = git("ls-tree", "-r", "--name-only", "wine-v1.0.0", folder=bare).decode().splitlines()
    code = REPOSITORY / "workloads" / "wine" / "data.py"
    assert "pipelines/wine/dvc.lock" in kept
    assert "pipelines/wine/code/workloads/sdk/programs/data_pipeline.py" in kept
    assert git("show", "wine-v1.0.0:pipelines/wine/code/workloads/wine/data.py", folder=bare) == code.read_bytes()
    assert version.metadata["dataset"]["parameters"] == {
        "source": "scikit-learn", "rows": None, "seed": 42, "corruption": 0.0, "duplicates": "drop",
    }  # fmt: skip
    assert version.metadata["schema"]["alcohol"] == {"dtype": "float"}
    assert sum(version.metadata["splits"]["test"]["target"]["counts"].values()) == 56
    assert version.digest == dataset_digest((f.path, f.sha256) for f in version.files if f.split)
    files = released.files("wine", "1.0.0")
    assert {f.split: f.sha256 for f in version.files if f.split} == {k: digests(v)["sha256"] for k, v in files.items()}


def test_unchanged_content_makes_no_tag(released: DataRegistry, wine: Workload) -> None:
    before = released.tags()
    same = released.release(wine, bump="major", parameters={"seed": 7})  # harms no row, so it changes nothing
    assert not same.created
    assert same.version.tag == "wine-v1.0.0"
    assert "no new tag" in str(same)
    assert released.tags() == before
    assert git("status", "--porcelain", folder=released.root) == b""


def test_parameters_make_a_second_version_with_the_same_frozen_test_split(released: DataRegistry) -> None:
    first, second = (released.version("wine", number) for number in ("1.0.0", "1.1.0"))
    assert first.digest != second.digest
    assert [version.version for version in released.versions("wine")] == ["1.0.0", "1.1.0"]
    of = [{file.split: file.sha256 for file in version.files} for version in (first, second)]
    assert of[0]["test"] == of[1]["test"]
    assert of[0]["train"] != of[1]["train"]
    assert ids(released, "1.0.0") == ids(released, "1.1.0")
    kept = git("show", "wine-v1.1.0:pipelines/wine/params.yaml", folder=released.settings.home / "data-registry")
    assert b"corruption: 0.6" in kept


def test_a_smaller_sample_moves_no_row_and_an_old_content_can_be_made_the_newest(
    spare: DataRegistry, wine: Workload
) -> None:
    spare.release(wine, parameters={"rows": 50})
    whole, sample = ids(spare, "1.0.0"), ids(spare, "1.1.1")
    assert sample["test"] == whole["test"]
    assert all(sample[split] <= whole[split] for split in whole)
    assert len(sample["train"] | sample["validation"]) == 50
    again = spare.release(wine, again=True)
    assert (again.created, again.version.version) == (True, "1.1.2")
    assert again.version.digest == spare.version("wine", "1.0.0").digest
    assert not spare.release(wine, again=True).created


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"corruption": 2}, "corruption=2: input should be less than or equal to 1"),
        ({"rows": "many"}, "rows='many'"),
        ({"source": "moon"}, "'scikit-learn' or 'quality'"),
        ({"colour": "red"}, "there is no parameter 'colour'"),
    ],
)
def test_a_wrong_parameter_is_named(released: DataRegistry, wine: Workload, values: dict, said: str) -> None:
    with pytest.raises(DataError, match="parameters: rows, seed, corruption, duplicates, source") as error:
        released.release(wine, parameters=values)
    assert said in str(error.value)


def test_a_changed_byte_in_the_cache_is_found_and_never_read(spare: DataRegistry) -> None:
    file = next(file for file in spare.version("wine", "1.0.0").files if file.split == "train")
    assert all(check.intact for check in spare.verify("wine", "1.0.0"))
    harm(spare.store.cached(file))
    assert [check.path for check in spare.verify("wine", "1.0.0") if not check.intact] == [file.path]
    local = spare.files("wine", "1.0.0")["train"]
    harm(local)
    assert digests(spare.files("wine", "1.0.0")["train"])["sha256"] == file.sha256  # from the remote
    assert all(check.intact for check in spare.verify("wine", "1.0.0"))  # and so is the cache
    harm(spare.store.cached(file))
    remote = spare.settings.home / "data-remote" / "files" / "md5" / file.md5[:2] / file.md5[2:]
    harm(remote)
    local.unlink()
    with pytest.raises(DataError, match=r"train\.parquet of wine-v1\.0\.0 has sha256"):
        spare.files("wine", "1.0.0")
    assert not local.exists()


def test_what_the_cache_lacks_comes_from_the_remote_or_is_gone(spare: DataRegistry) -> None:
    spare.init()
    file = next(file for file in spare.version("wine", "1.0.0").files if file.split == "test")
    spare.store.cached(file).unlink()
    spare.files("wine", "1.0.0")["test"].unlink()
    assert all(check.intact for check in spare.verify("wine", "1.0.0"))
    assert digests(spare.files("wine", "1.0.0")["test"])["sha256"] == file.sha256
    spare.files("wine", "1.0.0")["test"].unlink()
    (spare.settings.home / "data-remote").rename(spare.settings.home / "away")
    assert [check.path for check in spare.verify("wine", "1.0.0") if check.actual is None] == [file.path]
    with pytest.raises(DataUnavailable, match=r"test\.parquet is not in the local cache"):
        spare.files("wine", "1.0.0")


def test_a_moved_tag_shows_another_commit(spare: DataRegistry) -> None:
    before = spare.version("wine", "1.0.0")
    git("tag", "--force", "wine-v1.0.0", "wine-v1.1.0^{}", folder=spare.settings.home / "data-registry")
    assert spare.tags()["wine-v1.0.0"] != before.commit
    moved = spare.version("wine", "1.0.0")
    assert moved.commit == spare.tags()["wine-v1.0.0"]
    assert moved.digest == spare.version("wine", "1.1.0").digest


def test_an_unknown_version_names_those_there_are(released: DataRegistry) -> None:
    with pytest.raises(DataError, match=r"no tag wine-v3\.0\.0; its versions are 1\.0\.0, 1\.1\.0"):
        released.version("wine", "3.0.0")
    with pytest.raises(DataError, match="is no data tag"):
        released.version("wine", "../1")


def test_an_external_registry_is_read_and_released_to(spare: DataRegistry, wine: Workload, tmp_path: Path) -> None:
    url = str(spare.settings.home / "data-registry")
    spare.init()
    remote = str(spare.settings.home / "data-remote")
    other = DataRegistry(Settings(home=tmp_path / "other", registry_url=url, data_remote=remote))
    assert other.tags() == spare.tags()
    assert other.version("wine", "1.1.0") == spare.version("wine", "1.1.0")
    assert ids(other, "1.1.0") == ids(spare, "1.1.0")
    made = other.release(wine, parameters={"rows": 60}).version
    assert spare.version("wine", "1.1.1") == made
    assert ids(spare, "1.1.1") == ids(other, "1.1.1")
    git("tag", "--force", "wine-v1.1.1", "wine-v1.0.0^{}", folder=spare.settings.home / "data-registry")
    assert other.version("wine", "1.1.1") != made  # moved there, so read again


def test_a_registry_or_a_remote_that_is_away_is_one_error(spare: DataRegistry, wine: Workload, tmp_path: Path) -> None:
    nowhere = DataRegistry(Settings(home=tmp_path / "other", registry_url=str(tmp_path / "nothing")))
    with pytest.raises(DataUnavailable, match="registry does not answer"):
        nowhere.tags()
    (tmp_path / "file").write_text("no folder")
    home = spare.settings.home
    away = DataRegistry(Settings(home=home, data_remote=str(tmp_path / "file" / "remote")))
    before = away.tags()
    with pytest.raises(DataUnavailable, match="remote does not take the data"):
        away.release(wine, parameters={"rows": 90})
    assert away.tags() == before
    assert DataRegistry(Settings(home=home)).release(wine, parameters={"rows": 90}).created


def test_a_source_that_is_away_tags_nothing(tmp_path: Path) -> None:
    registry = DataRegistry(Settings(home=tmp_path / "home"))
    workload = own_workload(tmp_path, "away", "raise ConnectionError('the host of the rows does not answer')")
    with pytest.raises(DataUnavailable, match=r"^the host of the rows does not answer$"):
        registry.release(workload)
    assert registry.tags() == {}


def test_a_killed_release_leaves_nothing_half_done(tmp_path: Path) -> None:
    home = tmp_path / "home"
    wait = f"import os, pathlib, time; flag = pathlib.Path({str(tmp_path / 'slow')!r}); time.sleep(60 * flag.exists())"
    workload = own_workload(tmp_path, "slow", wait)
    (tmp_path / "slow").touch()
    program = (
        "import sys; from resources.settings import Settings; from resources.registry import DataRegistry\n"
        "from workloads.sdk.contract.loading import workload_of\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"DataRegistry(Settings(home={str(home)!r})).release(workload_of('theirs.slow'), progress=print)\n"
    )
    command = [sys.executable, "-u", "-c", program]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert any("fetching" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGKILL)
    (tmp_path / "slow").unlink()
    registry = DataRegistry(Settings(home=home))
    assert registry.tags() == {}
    assert registry.release(workload).version.version == "1.0.0"
    assert list(registry.tags()) == ["slow-v1.0.0"]


def test_the_code_that_a_stage_imports_is_kept_and_a_change_of_it_runs_the_stage(tmp_path: Path) -> None:
    registry = DataRegistry(Settings(home=tmp_path / "home"))
    workload = own_workload(tmp_path, "rowsof", "pass")
    first = registry.release(workload).version
    assert first.metadata["splits"]["train"]["rows"] == 1
    (tmp_path / "theirs" / "rowsof" / "rows.py").write_text("ROWS = {'train': 'd', 'validation': 'b', 'test': 'c'}\n")
    second = registry.release(workload, bump="major").version
    assert second.version == "2.0.0"
    assert second.digest != first.digest
    bare = registry.settings.home / "data-registry"
    assert b"'d'" in git("show", "rowsof-v2.0.0:pipelines/rowsof/code/theirs/rowsof/rows.py", folder=bare)


def test_ten_thousand_tags(tmp_path: Path) -> None:
    registry = DataRegistry(Settings(home=tmp_path))
    registry.init()
    bare = tmp_path / "data-registry"
    commit = git("rev-parse", "main", folder=bare).decode().strip()
    numbers = sorted(f"1.{minor}.{patch}" for minor in range(100) for patch in range(100))
    names = [*(f"wine-v{number}" for number in numbers), "zzz"]
    lines = (f"{commit} refs/tags/{name}\n" for name in names)
    (bare / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + "".join(lines))
    began = time.perf_counter()
    tags = registry.tags()
    print(f"10,000 tags in {time.perf_counter() - began:.2f} s")
    assert len(tags) == 10_000
    assert set(tags.values()) == {commit}
    with pytest.raises(DataError, match=r"no whole data/wine/metadata\.json"):
        registry.version("wine", "1.99.99")


@pytest.mark.parametrize(("bump", "expected"), [("major", "2.0.0"), ("minor", "1.11.0"), ("patch", "1.10.3")])
def test_the_next_version_follows_the_highest_number(bump: str, expected: str) -> None:
    assert next_version([], bump) == "1.0.0"
    assert next_version(["1.9.9", "1.10.2", "1.2.0"], bump) == expected


def test_the_command_line(spare: DataRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer
    from typer.testing import CliRunner

    from mlops_assets.commands import data
    from resources.settings import settings

    told = []
    app = typer.Typer()
    monkeypatch.setattr(data, "_trigger_tick", lambda: told.append("told") or "told")
    data.register(app)
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").touch()
    monkeypatch.setenv("MLOPS_HOME", str(spare.settings.home))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    settings.cache_clear()
    try:
        run = CliRunner().invoke
        listed = json.loads(run(app, ["data", "list", "--json"]).stdout)
        assert [row["tag"] for row in listed] == ["wine-v1.0.0", "wine-v1.1.0"]
        assert json.loads(run(app, ["data", "sync", "--json"]).stdout)["wine"] == ["1.0.0", "1.1.0"]
        assert json.loads(run(app, ["data", "sync", "--json"]).stdout)["wine"] == []
        assert "wine-v1.0.0" in run(app, ["data", "release", "wine"]).stdout
        assert told == []
        shown = run(app, ["data", "release", "wine", "--set", "rows=50"]).stdout
        assert shown.splitlines()[-2].startswith("released wine-v1.1.1 (")
        assert (told, shown.splitlines()[-1]) == (["told"], "told")
        refused = run(app, ["data", "release", "wine", "--set", "rows=1"])
        assert refused.exit_code == 1
        assert "rows=1: input should be greater than or equal to 20" in refused.output
        assert run(app, ["data", "verify", "wine-v1.1.1"]).exit_code == 0
        harm(spare.store.cached(spare.version("wine", "1.1.1").files[1]))
        assert run(app, ["data", "verify", "wine-v1.1.1"]).exit_code == 1
    finally:
        settings.cache_clear()
