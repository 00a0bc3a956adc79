"""The settings: what follows from one another."""

import pytest
from pydantic import ValidationError

from resources.settings import PORTS, Settings


def ports() -> list[int]:
    chosen = Settings()
    return [getattr(chosen, name) for name in PORTS]


def test_one_setting_moves_all_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PORTS:
        monkeypatch.delenv(f"MLOPS_{name.upper()}", raising=False)
    before = ports()
    monkeypatch.setenv("MLOPS_PORTS", "9000")
    assert ports() == list(range(9000, 9000 + len(PORTS)))
    assert not set(before) & set(ports())
    monkeypatch.setenv("MLOPS_SERVE_PORT", "8000")
    assert (Settings().serve_port, Settings().mlflow_port) == (8000, 9001)


@pytest.mark.parametrize("first", ["80", "65530", "many"])
def test_a_first_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    monkeypatch.setenv("MLOPS_PORTS", first)
    with pytest.raises(ValidationError, match="ports"):
        Settings()


def test_every_setting_that_is_a_port_is_moved() -> None:
    assert {name for name in Settings.model_fields if name.endswith("_port")} == set(PORTS)
