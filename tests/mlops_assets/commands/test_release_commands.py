"""`mlops gate|release|approve|reject|rollback|live|promote`: what they print, and their exit codes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from release_shop import BAD, Shop
from release_support import numbers, opened
from typer.testing import CliRunner

from mlops_assets.cli import app
from mlops_assets.commands import release as commands
from mlops_assets.release.rollout import Delivery
from resources.settings import Settings


@pytest.fixture
def mlops(pair: Shop, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, object]]:
    """Runs `mlops <command> <thing> ...`; returns exit code and what was printed, read where it is JSON."""
    workload = replace(pair.workload, name=pair.target)
    monkeypatch.setattr(commands, "_open", lambda thing: (Delivery([workload], pair.resources), pair.of(workload)))
    monkeypatch.setattr(commands, "_ledger", lambda thing: pair.resources.ledger)

    def run(command: str, *arguments: str) -> tuple[int, object]:
        result = CliRunner().invoke(app, [command, pair.target, *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, json.loads(result.stdout) if "--json" in arguments else result.output

    run.shop = pair
    return run


def test_the_commands(mlops: Callable[..., tuple[int, object]]) -> None:
    shop = mlops.shop
    code, live = mlops("live", "--json")
    assert (code, live["version"], live["candidate"]["number"], live["by"], live["why"]) == (
        0,
        "1.0.1",
        2,
        "test",
        "because",
    )
    assert "1.0.1" in mlops("live")[1]
    code, report = mlops("gate", "--json")
    assert (code, report["verdict"], report["candidate_digest"]) == (0, "pass", live["candidate"]["digest"])
    shop.train(wrong=BAD)
    code, text = mlops("gate")
    assert code == 1
    assert "refuse" in text
    assert "floor" in text
    assert mlops("gate", "--version", "1")[0] == 0
    assert mlops("gate", "--version", "9")[0] == 3
    assert mlops("release", "--no-roll-out")[0] == 1
    assert mlops("release", "--force", "--no-roll-out")[0] == 2  # why is missing
    code, outcome = mlops("release", "--force", "--why", "for the test", "--no-roll-out", "--json")
    assert (code, outcome["result"], outcome["number"]) == (0, "released", 3)
    code, outcome = mlops("rollback", "--no-roll-out", "--json")
    assert (code, outcome["result"], outcome["version"]) == (0, "released", "1.0.1")
    code, text = mlops("approve", "--why", "nothing waits", "--no-roll-out")
    assert code == 3
    assert "waits for approval" in text
    code, promoted = mlops("promote", "--to", "clitest", "--json")
    assert (code, promoted["environment"], promoted["number"]) == (0, "clitest", 1)


def test_gates_exit_code_is_the_verdict(mlops: Callable[..., tuple[int, object]], tmp_path: Path) -> None:
    shop = mlops.shop
    shop.train(wrong=[3])
    shop.resources = opened(shop.resources.settings, numbers(tmp_path, 30))
    code, report = mlops("gate", "--json")
    assert (code, report["verdict"], report["n"]) == (2, "inconclusive", 30)


def test_a_person_says_yes_or_no(mlops: Callable[..., tuple[int, object]], monkeypatch: pytest.MonkeyPatch) -> None:
    shop = mlops.shop
    workload = replace(shop.workload, name=shop.target, approval="manual")
    monkeypatch.setattr(commands, "_open", lambda thing: (Delivery([workload], shop.resources), shop.of(workload)))
    for number, (answer, result, live) in enumerate((("reject", "rejected", 2), ("approve", "released", 4)), 3):
        shop.of(workload).consider(shop.train(), "test", "because")
        assert mlops("live", "--json")[1]["waiting_for_approval"] == [number]
        assert f"version {number} waits for `mlops approve" in mlops("live")[1].replace("\n", " ")
        assert mlops(answer)[0] == 2  # why is missing
        code, outcome = mlops(answer, "--why", "I looked", "--json", *(["--no-roll-out"] * (answer == "approve")))
        assert (code, outcome["result"], outcome["number"]) == (0, result, live)
        assert (
            shop.resources.ledger.decisions(shop.resources.ledger.candidates.get(shop.target, number).id)[-1].why
            == "I looked"
        )


def test_an_unknown_thing_is_told_what_there_is(home_settings: Settings) -> None:
    result = CliRunner().invoke(app, ["live", "nothing"])
    assert result.exit_code == 3
    assert "wine" in result.output
