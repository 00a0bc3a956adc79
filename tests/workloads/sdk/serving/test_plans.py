"""What a rollout waits for, and that two at once do not undo each other."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from patience import until
from serving_support import migrated, replica, version
from shift.predict import Predictor

from resources import serving as serving_module
from resources.database import connect
from resources.serving import RolloutFailed, Serving
from resources.settings import Settings
from workloads.sdk.serving.versions import plan as plan_module


@pytest.fixture(scope="module")
def serving(postgres: Settings) -> Serving:
    return migrated(postgres)


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, Event]]:
    """Loading waits for the second event; the first one says that it has begun. Time runs faster than else."""
    began, go, load = Event(), Event(), Predictor.load

    def blocking(folder: Path, services: object) -> Predictor:
        began.set()
        assert go.wait(30)
        return load(folder, services)

    monkeypatch.setattr(Predictor, "load", blocking)
    monkeypatch.setattr(plan_module, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(plan_module, "ALIVE_SECONDS", 0.6)
    yield began, go
    go.set()


def heard(serving: Serving, endpoint: str, **state: object) -> None:
    """A replica of the endpoint, `fake-<endpoint>`, that lives and says this."""
    with connect(serving.settings, autocommit=True) as connection:
        serving.plans.heartbeat(connection, endpoint, f"fake-{endpoint}", state)


def acknowledged(serving: Serving, endpoint: str, number: int) -> None:
    heard(serving, endpoint)
    with connect(serving.settings, autocommit=True) as connection:
        serving.plans.acknowledge(connection, f"fake-{endpoint}", number, None)


def test_a_replica_that_loads_for_long_is_waited_for(
    serving: Serving, tmp_path: Path, blocked: tuple[Event, Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go = blocked
    go.set()
    entry, slow = version(tmp_path, 1.0), version(tmp_path, 2.0, release_id=2)
    one = replica(serving, tmp_path, "slow-1", "slow")
    try:
        serving.wait("slow", serving.publish("slow", entry))
        began.clear(), go.clear()
        number = serving.publish("slow", slow)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(serving.wait, "slow", number, 0.2)  # for silence
            assert began.wait(20)
            start = time.monotonic()
            until(lambda: time.monotonic() - start > 2 * plan_module.ALIVE_SECONDS)
            said = serving.live("slow")["slow-1"]
            assert (said.loading, said.version) == (True, "1.0.1")
            assert not waiting.done()
            assert one.current is not None
            assert one.current.version.version == "1.0.1"
            go.set()
            assert [ack.replica for ack in waiting.result(20)] == ["slow-1"]
        assert one.current.version.version == "1.0.2"
        until(lambda: not serving.live("slow")["slow-1"].loading)
    finally:
        one.close()


def test_a_replica_that_loads_can_be_closed(serving: Serving, tmp_path: Path, blocked: tuple[Event, Event]) -> None:
    began, go = blocked
    go.set()
    entry = version(tmp_path, 1.0)
    go.clear()
    serving.publish("closing", entry)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(replica, serving, tmp_path, "closing-1", "closing")
        assert began.wait(20)
        until(lambda: "closing-1" in serving.live("closing"))
        go.set()
        started.result(20).close()
    assert "closing-1" not in serving.live("closing")


def test_silence_and_endless_loading_fail(serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_module, "LOADING_SECONDS", 0.5)
    for release, (loading, why) in enumerate(
        [(False, "no answer within 0 s from fake-silent"), (True, "loads for longer")], 1
    ):
        number = serving.publish("silent", version(tmp_path, float(release), release))
        heard(serving, "silent", loading=loading)
        with pytest.raises(RolloutFailed, match=why):
            serving.wait("silent", number, timeout=0.2)
        assert serving.plan("silent") is None


def test_an_older_release_is_not_planned_after_a_newer_one(serving: Serving, tmp_path: Path) -> None:
    older, newer = version(tmp_path, 1.0, 1), version(tmp_path, 2.0, 2)
    with ThreadPoolExecutor(4) as pool:  # whichever comes first, the newer one stays
        numbers = list(pool.map(lambda one: serving.publish("order", one), [older, newer] * 4))
    assert serving.publish("order", older) == max(numbers)
    assert set(numbers) <= {max(numbers) - 1, max(numbers)}
    acknowledged(serving, "order", max(numbers))
    assert [ack.number for ack in serving.wait("order", numbers[1], 1)] == [max(numbers)]
    plan = serving.plan("order")
    assert plan is not None
    assert plan.version.release_id == 2
    # Going back is a new release of the older candidate.
    assert serving.publish("order", replace(older, release_id=3)) > max(numbers)


def test_a_rollout_that_is_overtaken_waits_for_the_newer(serving: Serving, tmp_path: Path) -> None:
    first = serving.publish("overtaken", version(tmp_path, 1.0, 1))
    second = serving.publish("overtaken", version(tmp_path, 2.0, 2))
    acknowledged(serving, "overtaken", second)
    assert [ack.number for ack in serving.wait("overtaken", first, 1)] == [second]


def test_the_end_of_one_rollout_does_not_withdraw_what_another_brought(serving: Serving, tmp_path: Path) -> None:
    serving.publish("shared", version(tmp_path, 1.0, 1))
    number = serving.publish("shared", version(tmp_path, 2.0, 2))
    assert serving.publish("shared", version(tmp_path, 2.0, 2)) == number
    acknowledged(serving, "shared", number)
    serving.wait("shared", number, 1)
    with connect(serving.settings, autocommit=True) as connection:
        serving.plans.heartbeat(connection, "shared", "new", {})  # silent
    with pytest.raises(RolloutFailed, match="no answer within 0 s from new"):
        serving.wait("shared", number, 0.2)
    plan = serving.plan("shared")
    assert plan is not None
    assert plan.number == number
