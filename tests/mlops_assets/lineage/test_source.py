"""The commit that code is said to be of, whatever the user has set, and whoever owns the checkout."""

import os
import shutil
from pathlib import Path

import pytest

from mlops_assets.lineage.code import source
from resources.registry.git import Git


@pytest.fixture
def checkout(tmp_path: Path) -> tuple[Path, str]:
    """A checkout with a commit, and the commit."""
    git, folder = Git(), tmp_path / "checkout"
    git("init", "--quiet", str(folder))
    (folder / "train.py").write_text("pass\n")
    git("add", "--all", folder=folder)
    git("commit", "--quiet", "--message", "one", folder=folder)
    return folder, git("rev-parse", "HEAD", folder=folder).decode().strip()


def test_a_checkout_is_named_by_its_commit_and_by_whether_files_differ(checkout: tuple[Path, str]) -> None:
    folder, commit = checkout
    assert source(folder) == (commit, False)
    (folder / "train.py").write_text("raise\n")
    assert source(folder) == (commit, True)
    assert source(folder.parent) == ("", False)


def test_what_leads_git_elsewhere_does_not_count(checkout: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, commit = checkout
    monkeypatch.setenv("GIT_DIR", str(folder.parent / "none"))
    assert source(folder) == (commit, False)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a checkout to somebody else")
def test_a_checkout_that_somebody_else_owns_is_in_git_too(checkout: tuple[Path, str]) -> None:
    folder, commit = checkout
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, "nobody")
    assert source(folder) == (commit, False)
