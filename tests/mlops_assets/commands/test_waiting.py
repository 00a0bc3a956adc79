"""`mlops data release --wait` on the real platform: steps as they come, then what is live, or why not."""

import json
import subprocess
import sys

import pytest
from graph_fixtures import Delivered, World
from patience import until

from sensors.tick import trigger_tick

pytestmark = pytest.mark.platform


def release(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`mlops data release wine`, as a person calls it."""
    command = [sys.executable, "-m", "mlops_assets.cli", "data", "release", "wine", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_release_of_data_is_followed_until_it_is_live(world: World, live: Delivered) -> None:
    answer = release("--set", "rows=120", "--bump", "minor", "--wait")
    assert answer.returncode == 0, answer.stderr
    candidate = world.resources.ledger.candidates.of("wine")[-1]
    assert candidate.dagster_run != live.run.run_id
    current = world.resources.ledger.current("wine")
    assert current
    assert current.candidate == candidate.id
    lines = answer.stdout.splitlines()
    tag = f"wine-v{candidate.data_version}"
    assert lines[-1] == f"wine {current.version}, made from {tag}, is live"
    assert f"wine {candidate.data_version}: the sensor looks for new tags" in lines
    assert f"wine {candidate.data_version}: the run is over: success" in lines
    again = release("--set", "rows=120", "--wait")  # the same content makes no tag, and nothing is waited for
    assert again.returncode == 0, again.stderr


def test_where_it_does_not_become_live_the_reason_is_said_and_alerted(world: World, live: Delivered) -> None:
    before = world.resources.ledger.current("wine")
    answer = release("--set", "rows=120", "--set", "corruption=0.7", "--wait", "--json")
    assert answer.returncode == 1
    said = json.loads(answer.stdout)["error"]
    assert said.startswith("floor: accuracy")
    assert "What was live stays live. The run: " in said
    assert world.resources.ledger.current("wine") == before

    def alerted() -> list[str]:
        trigger_tick(world.instance, "registry")
        standing = world.resources.ledger.alerts.standing("failed-run")
        return [alert.text for alert in standing if alert.thing == "wine"]

    (text,) = until(alerted, seconds=150)  # a minute after its end it is settled that no other run goes on with it
    assert "floor: accuracy" in text
