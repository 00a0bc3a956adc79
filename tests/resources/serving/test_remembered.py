"""What a home of an earlier version remembers of its endpoints goes on working."""

import json
from importlib import import_module
from pathlib import Path

from serving_support import version

from resources.serving.api import recall, remembered
from resources.settings import Settings
from workloads.sdk.serving.replica import Config, Replica

# As it was written when the server of endpoints lay in `workloads/serving`.
ENDPOINT = {
    "name": "shift",
    "route_prefix": "/shift",
    "import_path": "workloads.serving.app:build",
    "args": {"endpoint": "shift", "package": "shift", "serves": "predict:Predictor", "replicas": 1},
}
FOREIGN = {"name": "other", "route_prefix": "/other", "import_path": "other.app:build"}
PLAN = {"number": 7, "version": {"release_id": 1, "version": "1.0.1", "number": 3, "info": {"variant": ""}}}


def test_remembered_endpoints_are_built_by_the_code_of_today(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert recall(settings) == []
    remembered(settings).write_text(json.dumps([ENDPOINT, FOREIGN]))
    endpoint, foreign = recall(settings)
    assert foreign == FOREIGN
    args = endpoint.pop("args")
    assert {**endpoint, "import_path": "", "args": {}} == {**ENDPOINT, "import_path": "", "args": {}}
    assert args.items() >= ENDPOINT["args"].items()
    assert args["connection"] == str(tmp_path / "shift" / "serving" / "connection.json")
    assert (Path(args["paths"][0]) / "shift").is_dir()
    module, _, name = endpoint["import_path"].partition(":")
    assert callable(getattr(import_module(module), name))


def test_a_saved_plan_is_served(tmp_path: Path) -> None:
    entry = version(tmp_path, 1.0)
    plan = {**PLAN, "version": {**entry.json(), **PLAN["version"]}}
    (tmp_path / "shift.plan.json").write_text(json.dumps(plan))
    nowhere = tmp_path / "connection.json"
    nowhere.write_text(json.dumps({"database": "postgresql://127.0.0.1:1/mlops"}))
    config = Config(endpoint="shift", package="shift", schema="s", connection=str(nowhere), state=str(tmp_path))
    replica = Replica(config, "one")
    replica.start()
    try:
        assert replica.current is not None, replica.error
        assert (replica.current.plan.number, replica.current.version.number) == (7, 3)
        assert replica.current.version.digest == entry.digest
    finally:
        replica.close()
