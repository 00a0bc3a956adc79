"""Caches: what is used stays, what nobody used for a week goes, and can be had again."""

import os
import time
from pathlib import Path

from resources.cache import prune, used
from resources.registry import DataRegistry
from workloads.sdk.digests import digests


def age(path: Path) -> None:
    eight_days_ago = time.time() - 8 * 86400
    os.utime(path, (eight_days_ago, eight_days_ago))


def test_what_nobody_used_for_a_week_goes_and_can_be_had_again(spare: DataRegistry) -> None:
    old, new = spare.version("wine", "1.0.0"), spare.version("wine", "1.1.0")
    folders = [next(iter(spare.local(version).values())).parent for version in (old, new)]
    others = [spare.settings.path("artifacts", "a" * 64), spare.settings.path("artifacts", "b" * 64)]
    for folder in others:
        folder.mkdir(parents=True)
        (folder / "model").write_text("a model")
    scores = [spare.settings.path("evaluations", f"{name}.npz") for name in "ab"]
    for file in scores:
        file.parent.mkdir(exist_ok=True)
        file.write_text("scores")
    for path in [*folders, *others, *scores]:
        age(path)
    spare.local(new)
    used(others[1])
    used(scores[1])
    assert prune(spare.settings) == 3
    assert [path.exists() for path in [*folders, *others, *scores]] == [False, True] * 3
    digest = next(file.sha256 for file in old.files if file.split == "test")
    assert digests(spare.local(old)["test"])["sha256"] == digest
    assert prune(spare.settings) == 0
