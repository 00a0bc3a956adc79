"""Processes that release or repair are really killed between their steps; the next tick mends what they left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.entities import RunInfo
from release_shop import BAD, Shop
from release_support import OpenResources

STEPS = [
    "inside the decision",
    "after the decision",
    "before previous is set",
    "after previous is set",
    "after previous is marked",
    "before champion is set",
    "after champion is set",
    "after champion is marked",
]
BY_HAND = ["repair: after the decision", "repair: before champion is set", "repair: after champion is set"]


@pytest.fixture(scope="module")
def killed(open_resources: OpenResources, model_run: RunInfo) -> dict[str, Shop]:
    """For each step a target with one release, whose second was cut off at that step by SIGKILL."""
    shops = {}
    for number, step in enumerate([*STEPS, *BY_HAND]):
        shop = shops[step] = Shop(open_resources, model_run, f"killed_{number}")
        shop.consider(shop.train())
        by_hand = step in BY_HAND
        shop.releasing.report(shop.train(wrong=BAD if by_hand else ()))
        shop.releasing.aliases.project()
        if by_hand:
            open_resources.tracking.registry.set_alias(shop.target, "champion", 2)
    victim = Path(__file__).parents[2] / "support" / "release_victim.py"
    steps = json.dumps({shop.target: step for step, shop in shops.items()})
    environment = {**os.environ, "MLOPS_ENV": open_resources.settings.env, "no_proxy": "*"}
    command = [sys.executable, str(victim), str(open_resources.registry.test), steps]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [word for shop in shops.values() for word in (shop.target, str(-signal.SIGKILL))]
    return shops


@pytest.mark.parametrize("step", STEPS)
def test_a_release_killed_at_any_step_is_mended_by_the_next_tick(killed: dict[str, Shop], step: str) -> None:
    shop = killed[step]
    decided = step != STEPS[0]
    assert shop.live == (2 if decided else 1)
    assert shop.settled is (step in (STEPS[0], STEPS[-1]))
    assert shop.releasing.repair().adopted == []
    if not decided:
        assert shop.aliases == {"candidate": 2, "champion": 1}
        assert shop.consider(shop.resources.ledger.candidates.of(shop.target)[-1]).result == "released"
    assert shop.aliases == {"candidate": 2, "champion": 2, "previous": 1}
    assert [release.version for release in shop.resources.ledger.releases(shop.target)] == ["1.0.0", "1.0.1"]
    assert shop.alerts == []  # nothing of this was taken for a person's doing
    assert shop.settled


@pytest.mark.parametrize("step", BY_HAND)
def test_a_repair_killed_at_any_step_is_mended_by_the_next_tick(killed: dict[str, Shop], step: str) -> None:
    shop = killed[step]
    for _ in range(2):
        shop.releasing.repair()
    assert (shop.live, shop.aliases["champion"]) == (1, 1)
    assert len(shop.alerts) == 1
    assert len(shop.resources.ledger.decisions(shop.resources.ledger.candidates.get(shop.target, 2).id)) == 1
    assert shop.settled
