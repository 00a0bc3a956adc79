"""What all commands have in common where something goes wrong: one sentence, and JSON for who asked for it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlops_assets.cli import app
from resources.settings import settings


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that cannot be one: below a file, or where nothing can be made."""
    (tmp_path / "file").touch()
    home = {"below a file": tmp_path / "file" / "home", "nowhere": Path("/proc/nothing")}[request.param]
    monkeypatch.setenv("MLOPS_HOME", str(home))
    settings.cache_clear()
    return home


@pytest.fixture(autouse=True)
def own_settings() -> object:
    yield
    settings.cache_clear()


@pytest.mark.parametrize("home", ["below a file", "nowhere"], indirect=True)
@pytest.mark.parametrize("command", [["status"], ["live"], ["up", "--once"], ["backup", "/tmp/never.tar.gz"]])
def test_a_home_that_cannot_be_used_is_one_sentence(home: Path, command: list[str]) -> None:
    result = CliRunner().invoke(app, command)
    assert result.exit_code in (1, 3)
    (line,) = result.output.splitlines()
    assert line.startswith(f"{home} cannot be used (")
    assert line.endswith("set MLOPS_HOME to a folder of your own")


def test_an_error_is_json_where_json_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    settings.cache_clear()
    result = CliRunner().invoke(app, ["data", "verify", "wine-v1.0.0", "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"].startswith("the data registry has no tag wine-v1.0.0")
