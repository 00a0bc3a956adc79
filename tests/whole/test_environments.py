"""From dev to another environment by the commands that the README names; nothing of one is the other's."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from graph_fixtures import Delivered, World

from resources.all import Resources
from resources.database import connect
from resources.http import send

pytestmark = pytest.mark.platform


def mlops(env: str, *arguments: str) -> tuple[int, Any]:
    command = [sys.executable, "-m", "mlops_assets.cli", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "MLOPS_ENV": env})
    return done.returncode, json.loads(done.stdout or "null")


def test_what_is_promoted_is_judged_released_and_served_there(world: World, live: Delivered) -> None:
    here = world.resources.ledger.current("wine")
    assert here is not None
    assert mlops("dev", "promote", "wine", "--to", "staging")[0] == 0
    code, outcome = mlops("staging", "release", "wine")
    assert (code, outcome["result"], outcome["version"]) == (0, "released", "1.0.0"), outcome
    there = Resources(world.settings.model_copy(update={"env": "staging"}))
    try:
        url = there.serving.address("wine")
        assert url.endswith("/staging/wine")
        assert outcome["endpoint"]["url"] == url
        body = send("GET", f"{url}/example").json()
        answer = send("POST", f"{url}/predict", body=body, timeout=30).json()
        assert answer["version"] == "1.0.0"
        code, everywhere = mlops("dev", "live")
        shown = {(one["environment"], one["thing"]): (one["version"], one["answers"]) for one in everywhere}
        assert shown["dev", "wine"] == (here.version, [here.version])
        assert shown["staging", "wine"] == ("1.0.0", ["1.0.0"])
        assert world.resources.ledger.current("wine") == here
    finally:
        there.serving.remove("wine")


def test_an_environment_has_a_dagster_of_its_own(world: World) -> None:
    program = "import dagster as dg; dg.DagsterInstance.get().add_dynamic_partitions('of_ci', ['1']); print('done')"
    env = {**os.environ, "MLOPS_ENV": "ci", "DAGSTER_HOME": str(world.settings.home / "dagster")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=env)
    assert "done" in done.stdout, done.stderr
    assert not world.instance.get_dynamic_partitions("of_ci")
    with connect(world.settings, "postgres") as connection:
        names = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
    assert {"dagster", "dagster_ci"} <= names
