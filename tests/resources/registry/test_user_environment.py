"""The data registry under what people have set for themselves, and after what a killed process left."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest
from data_homes import own_workload

from resources.registry import DataRegistry
from resources.registry.git import QUIET, Git, unlock
from resources.registry.version import DataError
from resources.settings import Settings


@pytest.fixture
def registry(tmp_path: Path) -> DataRegistry:
    return DataRegistry(Settings(home=tmp_path / "home"))


def releases(registry: DataRegistry, folder: Path, name: str = "rows") -> None:
    """A release works, and what was pushed can be read and verified."""
    workload = own_workload(folder, name, "pass")
    made = registry.release(workload).version
    assert [version.tag for version in registry.versions(name)] == [made.tag]
    assert all(check.intact for check in registry.verify(name, made.version))
    assert registry.files(name, made.version)


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with a configuration of Git that would break each step, and variables that lead elsewhere."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-commit", "commit-msg", "pre-push", "post-checkout"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    (tmp_path / "ignore").write_text("data/\npipelines/\n*.dvc\ndvc.*\nmetadata.json\n")
    (tmp_path / ".gitconfig").write_text(
        dedent(f"""
        [safe]
            bareRepository = explicit
        [core]
            excludesFile = {tmp_path}/ignore
            hooksPath = {hooks}
            autocrlf = true
        [commit]
            gpgsign = true
        [tag]
            gpgsign = true
        [gpg]
            program = /bin/false
        [init]
            templateDir = {tmp_path}/template
            defaultBranch = trunk
        [push]
            followTags = true
        [url "http://127.0.0.1:9/"]
            insteadOf = {tmp_path}
            pushInsteadOf = {tmp_path}
        """)
    )
    variables = {"HOME": tmp_path, "GIT_DIR": tmp_path / "none", "GIT_INDEX_FILE": tmp_path / "index",
                 "GIT_LITERAL_PATHSPECS": "1", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.bare",
                 "GIT_CONFIG_VALUE_0": "true", "SHELL": "/bin/false", "DVC_ROOT": tmp_path / "none",
                 "XDG_CONFIG_HOME": tmp_path / "xdg"}  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize("name", ["größe ü 数据", "with space", "x" * 60 + "/" + "y" * 78, "it's $HOME;#%"])
def test_a_home_of_any_name(tmp_path: Path, name: str) -> None:
    releases(DataRegistry(Settings(home=tmp_path / name)), tmp_path)


@pytest.mark.usefixtures("settled")
def test_the_users_git_and_shell_do_not_count(registry: DataRegistry, tmp_path: Path) -> None:
    releases(registry, tmp_path)


def test_a_home_whose_work_tree_was_configured_before_is_configured_again(
    registry: DataRegistry, tmp_path: Path, git_calls: Path
) -> None:
    registry.init()
    git = Git()
    git("config", "core.excludesFile", str(tmp_path / "ignore"), folder=registry.root)
    git("config", "mlops.configured", "before", folder=registry.root)
    registry.init()
    assert git("config", "core.excludesFile", folder=registry.root).decode().strip() == QUIET["core.excludesFile"]
    git_calls.unlink()
    registry.init()
    assert "excludesFile" not in git_calls.read_text()


def test_locks_of_a_killed_git_are_removed(registry: DataRegistry, tmp_path: Path) -> None:
    registry.init()
    bare = Path(registry.settings.registry)
    locks = [registry.root / ".git" / "index.lock", bare / "packed-refs.lock", bare / "refs" / "heads" / "main.lock"]
    for lock in locks:
        lock.touch()
    releases(registry, tmp_path)
    assert not [lock for lock in locks if lock.exists()]


@pytest.fixture
def working(registry: DataRegistry) -> Iterator[Path]:
    """A lock whose Git still works."""
    registry.init()
    lock = registry.root / ".git" / "index.lock"
    lock.touch()
    command = ["git", "-C", str(registry.root), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield lock
        process.kill()


def test_the_lock_of_a_git_that_works_stays(registry: DataRegistry, working: Path, tmp_path: Path) -> None:
    assert unlock(registry.root / ".git") == []
    with pytest.raises(DataError, match=r"index\.lock"):
        registry.release(own_workload(tmp_path, "waits", "pass"))
    assert working.exists()


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.8, 1.5, 3])
def test_an_init_that_was_killed_is_gone_on_with(registry: DataRegistry, tmp_path: Path, seconds: float) -> None:
    program = (
        "from pathlib import Path; from resources.settings import Settings; from resources.registry import DataRegistry"
        f"; print(flush=True); DataRegistry(Settings(home=Path({str(registry.settings.home)!r}))).init()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
    releases(registry, tmp_path)


def test_what_an_older_version_left_half_made_is_gone_on_with(registry: DataRegistry, tmp_path: Path) -> None:
    git = Git()
    git("init", "--quiet", "--bare", "--initial-branch=main", registry.settings.registry)
    git("clone", "--quiet", registry.settings.registry, str(registry.root))
    (registry.root / ".dvc").mkdir()
    (registry.root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    releases(registry, tmp_path)


def test_a_repository_that_is_none_is_kept_aside(registry: DataRegistry, tmp_path: Path) -> None:
    place = Path(registry.settings.registry)
    place.mkdir(parents=True)
    (place / "kept").write_text("this")
    releases(registry, tmp_path)
    (aside,) = place.parent.glob("data-registry.broken-*")
    assert (aside / "kept").read_text() == "this"
