"""A tag is resolved once; what was made of it stays that content, and no later step asks Git."""

from dataclasses import replace
from pathlib import Path

import pytest

import resources.registry as module
from resources.all import Resources
from resources.ledger import Ledger
from resources.registry import DataRegistry
from resources.registry.git import git
from resources.settings import Settings


@pytest.fixture
def resources(postgres: Settings, spare: DataRegistry, request: pytest.FixtureRequest) -> Resources:
    spare.init()
    env = f"once{sum(request.node.name.encode()) % 10000}"
    found = Resources(postgres.model_copy(update={"env": env}))
    found.registry = spare
    found.ledger.migrate()
    return found


def test_a_tag_that_moves_between_steps_changes_nothing(resources: Resources, git_calls: Path) -> None:
    before = resources.data("wine", "1.0.0")
    bare = resources.registry.settings.home / "data-registry"
    git("tag", "--force", "wine-v1.0.0", "wine-v1.1.0^{}", folder=bare)
    git_calls.unlink()
    after = resources.data("wine", "1.0.0")
    files = resources.registry.local(after)
    assert not git_calls.exists()
    assert (after.digest, after.commit, after.rows) == (before.digest, before.commit, before.rows)
    assert {path.parent.name for path in files.values()} == {before.digest}


def test_a_local_file_is_hashed_again_only_when_it_changed(
    spare: DataRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    real = module.digests
    monkeypatch.setattr(module, "digests", lambda path: hashed.append(path.name) or real(path))
    version = spare.version("wine", "1.0.0")
    spare.local(version)  # copies them, each hashed before it has its name
    first = spare.local(version)
    hashed.clear()
    spare.local(version)
    assert hashed == []
    first["train"].chmod(0o644)
    content = bytearray(first["train"].read_bytes())
    content[100] ^= 1
    first["train"].write_bytes(content)
    assert real(spare.local(version)["train"])["sha256"] == next(f.sha256 for f in version.files if f.split == "train")
    hashed.clear()
    assert all(check.intact for check in spare.check(version))
    assert len(hashed) == len(version.files)  # the gate and `mlops trace` trust nothing that was seen before


def test_the_versions_before_one_are_bounded_and_by_content(resources: Resources) -> None:
    ledger: Ledger = resources.ledger
    one = resources.registry.version("wine", "1.0.0")

    def enter(version: str, digest: str) -> None:
        ledger.data.record(replace(one, version=version, tag=f"wine-v{version}", digest=digest, commit=digest * 5))

    for at in range(12):
        enter(f"1.{at}.0", f"{at:02d}" * 4)
    enter("1.10.1", "03" * 4)
    enter("2.0.0", "99" * 4)

    def before(version: str, most: int) -> list[str]:
        return [each.version for each in ledger.data.before("wine", version, most)]

    assert before("1.0.0", 25) == []
    assert before("1.2.0", 25) == ["1.1.0", "1.0.0"]
    assert before("1.12.0", 4) == ["1.11.0", "1.10.1", "1.10.0", "1.0.0"]
    assert before("1.12.0", 25)[:3] == ["1.11.0", "1.10.1", "1.10.0"]
    assert "1.3.0" not in before("1.12.0", 25)
    assert ledger.data.before("digits", "1.0.0", 25) == []
