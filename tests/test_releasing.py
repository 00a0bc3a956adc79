"""The mechanism of release on a real ledger and a real MLflow; processes are really killed between its steps."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from echo.workload import workload as echo
from mlflow.entities import RunInfo
from release_support import OpenDoors, artifacts, loads, numbers, opened
from typer.testing import CliRunner

from mlops_assets.bench import Bench
from mlops_assets.cli import app
from mlops_assets.commands import release as commands
from mlops_assets.promotion import promote
from mlops_assets.releasing import CannotRelease, Releasing
from resources.data_version import DataVersion
from resources.ledger import Candidate, NewCandidate
from resources.notifier import Notifier
from resources.settings import Settings
from resources.tracking import Tracking
from workloads.contract import OnInconclusive, Workload

pytest_plugins = ("tracking_server",)
ROWS = 2000
BAD = range(3, 1500)  # numbers that a bad model has wrong


@pytest.fixture(scope="module")
def doors(mlflow: Settings, tmp_path_factory: pytest.TempPathFactory) -> OpenDoors:
    settings = mlflow.model_copy(update={"env": "releasetest"})
    doors = opened(settings, numbers(tmp_path_factory.mktemp("splits"), ROWS))
    doors.ledger.migrate()
    return doors


@pytest.fixture(scope="module")
def run(doors: OpenDoors) -> RunInfo:
    return doors.tracking.client.get_run(doors.tracking.open_run("releasing", "key", "tests", {})).info


@dataclass
class Shop:
    """One thing, with a fresh name: candidates to make, and what is decided about them."""

    doors: OpenDoors
    run: RunInfo  # whose artifacts all models are
    thing: str
    workload: Workload = echo

    def __post_init__(self) -> None:
        self.numbers = count(1)
        self.releasing = self.of(self.workload)

    def of(self, workload: Workload) -> Releasing:
        return Releasing(self.thing, self.doors.ledger, self.doors.tracking, Bench(workload, self.doors))

    def train(self, wrong=(), **fields) -> Candidate:
        """A registered candidate, as the model asset makes them."""
        number = next(self.numbers)
        folder = Path(self.run.artifact_uri.removeprefix("file://")) / f"{self.thing}-{number}"
        manifest = artifacts(folder, wrong, str(number))
        uri, run = folder.as_uri(), self.run.run_id
        assert self.doors.tracking.register(self.thing, run, uri, {"digest": manifest.digest}) == number
        new = NewCandidate(
            thing=self.thing,
            number=number,
            digest=manifest.digest,
            run_id=run,
            artifacts_uri=uri,
            data_name="echo",
            data_version="1.0.0",
            data_digest="d1",
            signature=manifest.request_schema,
        )
        return self.doors.ledger.add_candidate(replace(new, **fields))

    def consider(self, candidate: Candidate):
        return self.releasing.consider(candidate, "test", "because")

    @property
    def aliases(self) -> dict[str, int]:
        return self.doors.tracking.aliases(self.thing)

    @property
    def live(self) -> int | None:
        current = self.doors.ledger.current(self.thing)
        return current.number if current else None

    @property
    def alerts(self) -> list[str]:
        return [alert.text for alert in self.doors.ledger.alerts() if alert.thing == self.thing]

    @property
    def settled(self) -> bool:
        return self.releasing.inspect() == [] and self.doors.ledger.pending_moves(self.thing) == []


@pytest.fixture
def shop(doors: OpenDoors, run: RunInfo, request: pytest.FixtureRequest) -> Shop:
    return Shop(doors, run, request.node.originalname.removeprefix("test_")[:60])


@pytest.fixture
def two(shop: Shop) -> Shop:
    """Two releases after each other."""
    for _ in range(2):
        assert shop.consider(shop.train()).result == "released"
    return shop


def test_candidates_are_released_and_shown_by_aliases(shop: Shop) -> None:
    first = shop.consider(one := shop.train(wrong=[7]))
    assert (first.result, first.release.version, first.report.verdict) == ("released", "1.0.0", "pass")
    assert shop.aliases == {"candidate": 1, "champion": 1}
    second = shop.consider(shop.train(data_version="1.1.0", data_digest="d2"))
    assert (second.release.version, second.release.previous) == ("1.1.0", first.release.id)
    assert second.report.champion_digest == one.digest
    assert shop.aliases == {"candidate": 2, "champion": 2, "previous": 1}
    tags = shop.doors.tracking.client.get_model_version(f"releasetest.{shop.thing}", "2").tags
    assert (tags["version"], tags["verdict"], tags["release"]) == ("1.1.0", "pass", str(second.release.id))
    assert shop.settled


def test_a_refused_candidate_changes_nothing_that_is_live(shop: Shop) -> None:
    shop.consider(shop.train())
    bad = shop.consider(shop.train(wrong=BAD))
    assert (bad.result, bad.release.number, bad.report.verdict) == ("refused", 1, "refuse")
    assert "floor" in bad.why
    assert shop.aliases == {"candidate": 2, "champion": 1}
    assert shop.alerts == []


def test_considering_again_changes_nothing(two: Shop) -> None:
    releases = two.doors.ledger.releases(two.thing)
    for candidate in two.doors.ledger.candidates(two.thing):
        assert two.consider(candidate).result == "unchanged"
    assert two.consider(two.train()).result == "released"
    newest = asdict(two.doors.ledger.candidates(two.thing)[-1])
    fields = {name: value for name, value in newest.items() if name not in ("id", "created_at")}
    again = two.doors.ledger.add_candidate(NewCandidate(**fields | {"number": 4}))  # trained to the same bytes
    assert two.consider(again).result == "unchanged"
    assert two.doors.ledger.releases(two.thing)[:-1] == releases


def test_a_report_holds_until_something_that_it_says_changes(shop: Shop) -> None:
    one, two, three = shop.train(wrong=[3]), shop.train(wrong=[4]), shop.train(wrong=[5])
    report = shop.releasing.report(two)
    assert report == shop.releasing.report(two) == shop.doors.ledger.report(two.id)
    shop.consider(one)
    judged = shop.consider(two)
    assert judged.report.champion_digest == one.digest
    assert judged.report.created_at > report.created_at
    strict = replace(echo, gates=replace(echo.gates, floor=0.9999))
    assert shop.releasing.report(three).verdict == "pass"
    assert shop.of(strict).consider(three, "test", "because").result == "refused"


def test_what_is_released_while_one_is_judged_is_compared_with(shop: Shop) -> None:
    one, two = shop.train(wrong=[3]), shop.train(wrong=[4])
    bench = shop.releasing.bench
    judged = []

    def judge(candidate: Candidate, champion: Candidate | None):
        if not judged:
            shop.of(echo).consider(one, "quicker", "because")
        judged.append(champion and champion.number)
        return bench.judge(candidate, champion)

    slow = SimpleNamespace(judge=judge, rules=bench.rules, leads_to=bench.leads_to)
    outcome = Releasing(shop.thing, shop.doors.ledger, shop.doors.tracking, slow).consider(two, "slower", "because")
    assert judged == [None, 1]
    assert (outcome.result, outcome.release.version, outcome.report.champion_digest) == (
        "released",
        "1.0.1",
        one.digest,
    )


def test_one_that_is_held_waits_for_a_person(shop: Shop, doors: OpenDoors, tmp_path: Path) -> None:
    few = opened(doors.settings, numbers(tmp_path, 30))
    shop.workload = replace(echo, gates=replace(echo.gates, on_inconclusive=OnInconclusive.HOLD))
    shop.doors = few
    shop.releasing = shop.of(shop.workload)
    shop.consider(shop.train(wrong=[4]))
    held = shop.consider(waiting := shop.train(wrong=[5]))
    assert (held.result, held.release.number, shop.live) == ("held", 1, 1)
    assert shop.releasing.held() == [waiting]
    with pytest.raises(CannotRelease, match="version 1 of"):
        shop.releasing.approve("somebody", "no reason", number=1)
    approved = shop.releasing.approve("somebody", "looked at it")
    assert (approved.result, approved.release.number) == ("released", 2)
    assert (approved.release.action, approved.release.actor, approved.release.why) == (
        "approve",
        "somebody",
        "looked at it",
    )
    assert shop.aliases["champion"] == 2
    with pytest.raises(CannotRelease, match="no candidate"):
        shop.releasing.approve("somebody", "again")


def test_rolling_back_needs_no_training(two: Shop) -> None:
    newest = two.doors.ledger.candidates(two.thing)[-1]
    before = [loads(two.doors.ledger.candidate(two.thing, number)) for number in (1, 2)]
    back = two.releasing.rollback("somebody", "it smells")
    assert (back.result, back.release.version, back.release.number, back.release.action) == (
        "released",
        "1.0.0",
        1,
        "rollback",
    )
    assert two.aliases == {"candidate": 2, "champion": 1, "previous": 2}
    assert [loads(two.doors.ledger.candidate(two.thing, number)) for number in (1, 2)] == before
    # What was rolled back from stays so, until a person asks for it.
    assert two.consider(newest).result == "unchanged"
    assert two.live == 1
    again = two.releasing.consider(newest, "somebody", "fixed", again=True)
    assert (again.result, again.release.version) == ("released", "1.0.1")
    assert two.releasing.rollback("somebody", "that one", to="1.0.0").release.number == 1
    assert two.releasing.rollback("somebody", "that one", to="1.0.0").result == "unchanged"
    assert two.settled


def test_there_must_be_something_to_go_back_to(shop: Shop) -> None:
    with pytest.raises(CannotRelease, match="nothing of"):
        shop.releasing.rollback("somebody", "why")
    shop.consider(shop.train())
    with pytest.raises(CannotRelease, match="first release"):
        shop.releasing.rollback("somebody", "why")
    with pytest.raises(CannotRelease, match=r"9\.9\.9 was never released; released so far: 1\.0\.0"):
        shop.releasing.rollback("somebody", "why", to="9.9.9")


def test_a_champion_moved_by_hand_is_released_if_its_gate_lets_it(two: Shop) -> None:
    two.train()
    two.doors.tracking.set_alias(two.thing, "champion", 3)
    (difference,) = two.releasing.inspect()
    assert (difference.alias, difference.ledger, difference.mlflow, difference.decides) == ("champion", 2, 3, True)
    assert two.releasing.repair(adopt=False).adopted == []
    repair = two.releasing.repair()
    assert [outcome.result for outcome in repair.adopted] == ["released"]
    now = two.doors.ledger.current(two.thing)
    assert (now.number, now.action, now.actor) == (3, "adopt", "mlflow")
    assert two.aliases == {"candidate": 3, "champion": 3, "previous": 2}
    assert (two.alerts, two.settled) == ([], True)


def test_a_champion_moved_by_hand_is_put_back_if_its_gate_refuses(two: Shop) -> None:
    bad = two.train(wrong=BAD)
    two.doors.tracking.set_alias(two.thing, "champion", 3)
    assert [outcome.result for outcome in two.releasing.repair().adopted] == ["refused"]
    assert (two.live, two.aliases["champion"]) == (2, 2)
    (decision,) = two.doors.ledger.decisions(bad.id)
    assert (decision.action, decision.actor) == ("refuse", "mlflow")
    assert "by hand" in decision.why
    (alert,) = two.alerts
    assert "version 3" in alert
    assert two.settled
    two.releasing.repair()
    assert len(two.alerts) == 1
    forced = two.releasing.override(bad, "somebody", "the demo needs it")
    assert (forced.result, two.live, two.aliases["champion"]) == ("released", 3, 3)
    assert (forced.release.action, forced.release.why) == ("override", "the demo needs it")


def test_a_champion_of_unknown_origin_is_put_back(two: Shop) -> None:
    client, name = two.doors.tracking.client, two.doors.settings.qualified(two.thing)
    first = client.get_model_version(name, "1")
    client.create_model_version(name, first.source, first.run_id)
    client.set_registered_model_alias(name, "champion", "3")
    assert [outcome.result for outcome in two.releasing.repair().adopted] == ["refused"]
    assert two.aliases["champion"] == 2
    assert "does not know" in two.alerts[0]


@pytest.mark.parametrize("alias", ["candidate", "champion", "previous"])
def test_a_removed_alias_is_put_back(doors: OpenDoors, run: RunInfo, alias: str) -> None:
    shop = Shop(doors, run, f"removed_{alias}")
    for _ in range(2):
        shop.consider(shop.train())
    before = shop.aliases
    shop.doors.tracking.set_alias(shop.thing, alias, None)
    shop.releasing.repair()
    assert shop.aliases == before
    assert len(shop.alerts) == 1
    assert f"@{alias} was removed" in shop.alerts[0]


def test_a_version_that_is_gone_is_said_once(two: Shop) -> None:
    client, name = two.doors.tracking.client, two.doors.settings.qualified(two.thing)
    client.delete_model_version(name, "1")
    for _ in range(3):
        two.releasing.repair()
    assert len(two.alerts) == 1
    assert "gone from MLflow" in two.alerts[0]
    assert (two.live, two.aliases["champion"]) == (2, 2)


def test_without_mlflow_the_decision_stands_and_its_aliases_follow(
    two: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = Tracking(two.doors.settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9"}))
    back = Releasing(two.thing, two.doors.ledger, away, two.releasing.bench).rollback("somebody", "it smells")
    assert (back.result, two.live, two.aliases["champion"]) == ("released", 1, 2)
    assert "MLOPS_MLFLOW_URL" in caplog.text
    assert two.releasing.inspect() == []  # pending, and nobody's doing
    assert two.releasing.repair().adopted == []
    assert two.aliases == {"candidate": 2, "champion": 1, "previous": 2}
    assert two.alerts == []


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
def killed(doors: OpenDoors, run: RunInfo) -> dict[str, Shop]:
    """For each step a thing with one release, whose second was cut off at that step by SIGKILL."""
    shops = {}
    for number, step in enumerate([*STEPS, *BY_HAND]):
        shop = shops[step] = Shop(doors, run, f"killed_{number}")
        shop.consider(shop.train())
        by_hand = step in BY_HAND
        shop.releasing.report(shop.train(wrong=BAD if by_hand else ()))
        shop.releasing.project()
        if by_hand:
            doors.tracking.set_alias(shop.thing, "champion", 2)
    victim = Path(__file__).with_name("release_victim.py")
    steps = json.dumps({shop.thing: step for step, shop in shops.items()})
    environment = {**os.environ, "MLOPS_ENV": doors.settings.env, "no_proxy": "*"}
    command = [sys.executable, str(victim), str(doors.registry.test), steps]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [word for shop in shops.values() for word in (shop.thing, str(-signal.SIGKILL))]
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
        assert shop.consider(shop.doors.ledger.candidates(shop.thing)[-1]).result == "released"
    assert shop.aliases == {"candidate": 2, "champion": 2, "previous": 1}
    assert [release.version for release in shop.doors.ledger.releases(shop.thing)] == ["1.0.0", "1.0.1"]
    assert shop.alerts == []  # nothing of this was taken for a person's doing
    assert shop.settled


@pytest.mark.parametrize("step", BY_HAND)
def test_a_repair_killed_at_any_step_is_mended_by_the_next_tick(killed: dict[str, Shop], step: str) -> None:
    shop = killed[step]
    for _ in range(2):
        shop.releasing.repair()
    assert (shop.live, shop.aliases["champion"]) == (1, 1)
    assert len(shop.alerts) == 1
    assert len(shop.doors.ledger.decisions(shop.doors.ledger.candidate(shop.thing, 2).id)) == 1
    assert shop.settled


def test_promoting_moves_no_alias_and_decides_nothing_there(two: Shop) -> None:
    data = DataVersion("echo", "1.0.0", "echo-v1.0.0", "c", "d1", "official", {}, [])
    two.doors.ledger.record_data(data)
    with pytest.raises(CannotRelease, match="already"):
        promote(two.thing, "releasetest", two.doors.ledger, two.doors.tracking)
    with pytest.raises(CannotRelease, match="no environment"):
        promote(two.thing, "no-environment", two.doors.ledger, two.doors.tracking)
    there = opened(two.doors.settings.model_copy(update={"env": "prodtest"}), two.doors.registry.test)
    for _ in range(2):
        copy = promote(two.thing, "prodtest", two.doors.ledger, two.doors.tracking)
    here = two.doors.ledger.candidate(two.thing, 2)
    assert there.ledger.candidates(two.thing) == [copy]
    assert (copy.digest, copy.number, copy.model_uri) == (here.digest, 1, f"models:/prodtest.{two.thing}/1")
    assert there.ledger.report(copy.id) == two.doors.ledger.report(here.id)
    assert there.ledger.data("echo") == [data]
    assert (there.tracking.aliases(two.thing), there.ledger.current(two.thing)) == ({}, None)
    # The other environment's platform judges for itself, against what is released there.
    outcome = Releasing(two.thing, there.ledger, there.tracking, Bench(echo, there)).consider(copy, "prod", "its own")
    assert (outcome.result, outcome.release.version) == ("released", "1.0.0")
    assert (outcome.report.environment, outcome.report.champion_digest) == ("prodtest", None)
    assert there.tracking.aliases(two.thing) == {"candidate": 1, "champion": 1}
    assert two.aliases["champion"] == 2


def test_an_alert_is_a_row_and_a_line(doors: OpenDoors, caplog: pytest.LogCaptureFixture) -> None:
    alert = Notifier(doors.settings).alert("a_thing", "moved-tag", "the tag moved")
    assert alert in doors.ledger.alerts()
    assert "a_thing: moved-tag: the tag moved" in caplog.text


@pytest.fixture
def mlops(two: Shop, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, object]]:
    """Runs `mlops <command> <thing> ...`; returns exit code and what was printed, read where it is JSON."""
    workload = replace(two.workload, name=two.thing)
    monkeypatch.setattr(commands, "_open", lambda thing: (workload, two.doors, two.of(workload)))

    def run(command: str, *arguments: str) -> tuple[int, object]:
        result = CliRunner().invoke(app, [command, two.thing, *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, json.loads(result.stdout) if "--json" in arguments else result.output

    run.shop = two
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
    shop.doors = opened(shop.doors.settings, numbers(tmp_path, 30))
    code, report = mlops("gate", "--json")
    assert (code, report["verdict"], report["n"]) == (2, "inconclusive", 30)


def test_an_unknown_thing_is_told_what_there_is(home_settings: Settings) -> None:
    result = CliRunner().invoke(app, ["live", "nothing"])
    assert result.exit_code == 3
    assert "wine" in result.output
