"""The ledger on a real PostgreSQL: every fact once, decisions whole or not at all."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import psycopg
import pytest

from resources.ledger import Candidate, ChampionMoved, Ledger, MovedTag, NewCandidate, NoLedger
from resources.ledger.reports import Check, GateReport, overall
from resources.registry.version import DataFile, DataVersion, SemanticVersion, following
from resources.settings import Settings

DIGEST = "a" * 64


@pytest.fixture
def add(ledger: Ledger, target: str) -> Callable[..., Candidate]:
    """Adds the next candidate of the target."""
    numbers = count(1)

    def add(**fields) -> Candidate:
        number = next(numbers)
        new = NewCandidate(thing=target, number=number, digest=f"{number:064x}", data_version="1.0.0", data_digest="d1")
        return ledger.candidates.add(replace(new, **fields))

    return add


def report(candidate: Candidate, verdict: str = "pass", champion: str | None = None) -> GateReport:
    check = Check(name="floor", verdict=verdict, value=0.9, threshold=0.8, n=36, evidence={"interval": [0.8, 1.0]})
    return GateReport(
        thing=candidate.thing,
        candidate_digest=candidate.digest,
        champion_digest=champion,
        test_digest=DIGEST,
        n=36,
        smallest_difference=0.1,
        checks=(check,),
        verdict=overall((check,)),
    )


def release(ledger: Ledger, candidate: Candidate, **how):
    return ledger.decide(candidate.id, "release", actor="test", why="because", report=report(candidate), **how)


def data_version(name: str, digest: str = DIGEST, commit: str = "c1") -> DataVersion:
    files = [
        DataFile(f"data/{name}/train.parquet", "train", "1" * 64, "2" * 32, 100),
        DataFile(f"data/{name}/raw.csv", None, "3" * 64, "4" * 32, 200),
    ]
    return DataVersion(name, "1.0.0", f"{name}-v1.0.0", commit, digest, "official", {"rows": 3}, files)


def test_a_missing_ledger_says_what_to_do(postgres: Settings) -> None:
    with pytest.raises(NoLedger, match="mlops up"):
        Ledger(postgres.model_copy(update={"env": "empty"})).current("x")


def test_migrating_again_keeps_everything(ledger: Ledger, add) -> None:
    candidate = add()
    ledger.migrate()
    assert ledger.candidates.of(candidate.thing) == [candidate]


def test_data_is_entered_once_and_found_by_any_digest(ledger: Ledger, target: str) -> None:
    version = data_version(target, digest="b" * 64)
    ledger.data.record(version)
    ledger.data.record(version)
    assert ledger.data.versions(target) == [version]
    for digest in ("b" * 64, "1" * 64, "4" * 32, "1" * 6, "B" * 8):
        assert version in ledger.data.by_file(digest)
    assert ledger.data.by_file("1" * 5) == []
    assert ledger.data.by_file("%" * 8) == []
    assert ledger.data.by_file("9" * 64) == []


@pytest.mark.parametrize("change", [{"commit": "c2"}, {"digest": "c" * 64}])
def test_a_moved_tag_is_refused(ledger: Ledger, change: dict[str, str]) -> None:
    name = f"moved_{next(iter(change))}"
    ledger.data.record(data_version(name))
    with pytest.raises(MovedTag, match="immutable"):
        ledger.data.record(data_version(name, **change))
    assert ledger.data.versions(name) == [data_version(name)]


def test_a_candidate_is_entered_once(ledger: Ledger, target: str) -> None:
    new = NewCandidate(
        thing=target, number=1, digest=DIGEST, parameters={"depth": None}, metrics={"m": 0.5, "nan": float("nan")}
    )
    candidate = ledger.candidates.add(new)
    assert ledger.candidates.add(new) == candidate == ledger.candidates.get(target, 1)
    assert candidate.parameters == {"depth": None}
    assert candidate.metrics == {"m": 0.5, "nan": None}
    with pytest.raises(ValueError, match="already"):
        ledger.candidates.add(replace(new, digest="b" * 64))


def test_reports_come_back_as_they_were(ledger: Ledger, add) -> None:
    candidate = add()
    assert ledger.report(candidate.id) is None
    first = report(candidate)
    number = ledger.add_report(candidate.id, first)
    assert ledger.report(candidate.id) == first
    assert ledger.add_report(candidate.id, first) == number
    second = report(candidate, "refuse")
    assert ledger.add_report(candidate.id, second) > number
    assert ledger.report(candidate.id) == second


def test_a_release_is_whole(ledger: Ledger, add, target: str) -> None:
    one, two = add(), add()
    first = release(ledger, one, against=None)
    assert (first.version, first.previous, first.number, first.actor, first.why) == (
        "1.0.0",
        None,
        1,
        "test",
        "because",
    )
    second = release(ledger, two, against=one.id)
    assert (second.version, second.previous) == ("1.0.1", first.id)
    assert ledger.current(target) == second
    assert ledger.previous(target) == first
    assert ledger.releases(target) == [first, second] == ledger.releases_of_candidates([two.id, one.id])
    assert ledger.aliases.expected(target) == {"candidate": 2, "champion": 2, "previous": 1}
    assert ledger.report(two.id) is not None


def test_deciding_for_what_is_current_changes_nothing(ledger: Ledger, add, target: str) -> None:
    one = add()
    first = release(ledger, one)
    moves = ledger.aliases.pending(target)
    assert release(ledger, one, against=None) == first
    assert ledger.decide(one.id, "override", actor="x", why="y") == first
    assert (ledger.releases(target), ledger.aliases.pending(target)) == ([first], moves)
    assert len(ledger.decisions(one.id)) == 1


def test_a_decision_on_an_old_champion_is_refused_and_leaves_nothing(ledger: Ledger, add, target: str) -> None:
    one, two = add(), add()
    release(ledger, one)
    with pytest.raises(ChampionMoved):
        release(ledger, two, against=None)
    assert ledger.report(two.id) is None
    assert ledger.decisions(two.id) == []
    assert ledger.current(target).candidate == one.id


def test_hold_and_refuse_release_nothing_and_are_not_repeated(ledger: Ledger, add, target: str) -> None:
    one = add()
    on = report(one, "refuse")
    for _ in range(2):
        assert ledger.decide(one.id, "hold", actor="a", why="b", report=on) is None
    assert [candidate.number for candidate in ledger.candidates.waiting(target)] == [1]
    for _ in range(2):
        assert ledger.decide(one.id, "refuse", actor="a", why="b", report=on) is None
    assert [decision.action for decision in ledger.decisions(one.id)] == ["hold", "refuse"]
    assert ledger.candidates.waiting(target) == []
    assert ledger.aliases.expected(target)["champion"] is None


def test_versions_say_what_changed(ledger: Ledger, add) -> None:
    releases = [
        release(ledger, add(signature="s1", parameters={"depth": 3})),
        release(ledger, add(signature="s1", parameters={"depth": 4})),
        release(ledger, add(signature="s1", data_version="1.1.0", data_digest="d2", parameters={"depth": 4})),
        release(ledger, add(signature="s2", data_version="1.1.0", data_digest="d2", parameters={"depth": 4})),
    ]
    assert [each.version for each in releases] == ["1.0.0", "1.0.1", "1.1.0", "2.0.0"]
    assert releases[1].changes == ["depth 3 -> 4"]
    assert releases[2].changes == ["data 1.0.0 -> 1.1.0"]
    assert "requests or answers" in releases[3].changes[0]


def test_no_version_is_given_twice(ledger: Ledger, add) -> None:
    one, two = add(), add()
    first, second = release(ledger, one), release(ledger, two)
    back = ledger.decide(one.id, "rollback", actor="a", why="b", against=two.id)
    assert (back.version, back.previous, back.id > second.id) == (first.version, first.previous, True)
    assert release(ledger, add()).version == "1.0.2"


def test_nothing_in_the_ledger_can_be_changed(ledger: Ledger, add, target: str) -> None:
    release(ledger, add())
    ledger.data.record(data_version(target))
    ledger.alerts.add(target, "test", "text")
    with psycopg.connect(ledger.settings.database("mlops"), autocommit=True) as connection:
        connection.execute(f"SET search_path TO {ledger.settings.schema_of('ledger')}")
        connection.execute("SET session_replication_role = replica")
        for table in ("candidate", "report", "decision", "release", "data_version", "data_file", "alert", "alias_move"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(f"DELETE FROM {table}")
            with pytest.raises(psycopg.errors.RaiseException, match=r"TRUNCATE of \w+ is refused"):
                connection.execute(f"TRUNCATE {table} CASCADE")
        changes = ("candidate SET digest = ''", "decision SET why = ''", "release SET candidate = 1",
                   "alias_move SET number = 7", "alert SET kind = ''")  # fmt: skip
        for change in changes:
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(f"UPDATE {change}")


def test_moves_are_asked_for_and_done_once(ledger: Ledger, add, target: str) -> None:
    one, two = add(), add()
    release(ledger, one)
    release(ledger, two)
    moves = ledger.aliases.pending(target)
    asked = [(move.alias, move.number) for move in moves]
    assert asked == [
        ("candidate", 1),
        ("candidate", 2),
        ("previous", None),
        ("champion", 1),
        ("previous", 1),
        ("champion", 2),
    ]
    ledger.aliases.mark_moved(moves[1])
    ledger.aliases.mark_moved(moves[-1])
    assert [move.alias for move in ledger.aliases.pending(target)] == ["previous", "previous"]
    assert all(move.thing == target for move in ledger.aliases.pending(target))


def test_many_deciding_at_once_release_one_after_the_other(ledger: Ledger, add, target: str) -> None:
    candidates = [add() for _ in range(8)]
    threads = [threading.Thread(target=release, args=(ledger, candidate)) for candidate in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    releases = ledger.releases(target)
    assert len({each.version for each in releases}) == len(candidates)
    assert [each.previous for each in releases] == [None, *(each.id for each in releases[:-1])]
    assert ledger.current(target) == releases[-1]


def test_a_process_killed_while_it_decides_leaves_nothing(ledger: Ledger, add, target: str) -> None:
    candidate = add()
    program = (
        "import os, signal, sys\n"
        "from resources.ledger import Ledger\n"
        "from resources.settings import Settings\n"
        "class Dying(Ledger):\n"
        "    def _release(self, *arguments):\n"
        "        super()._release(*arguments)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "Dying(Settings()).decide(int(sys.argv[1]), 'release', actor='a', why='b')\n"
    )
    environment = {**os.environ, "MLOPS_ENV": ledger.settings.env}
    ended = subprocess.run([sys.executable, "-c", program, str(candidate.id)], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert ledger.current(target) is None
    assert ledger.decisions(candidate.id) == []
    assert release(ledger, candidate).version == "1.0.0"


@pytest.mark.parametrize(
    ("current", "bump", "given", "expected"),
    [
        (None, "patch", [], "1.0.0"),
        (None, "minor", ["1.0.0"], "2.0.0"),
        ("1.0.3", "patch", ["1.0.6", "2.0.0"], "1.0.7"),
        ("1.0.3", "minor", ["1.4.9", "2.7.0"], "1.5.0"),
        ("1.0.3", "major", ["2.7.0"], "3.0.0"),
    ],
)
def test_the_following_version(current: str | None, bump: str, given: list[str], expected: str) -> None:
    before = SemanticVersion.parse(current) if current else None
    assert str(following(before, bump, [SemanticVersion.parse(each) for each in given])) == expected


@pytest.mark.parametrize("text", ["1.0", "1.0.0.0", "a.b.c", "", "1.0.-1"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError):
        SemanticVersion.parse(text)


def test_one_version_of_data_is_found_and_the_newest_by_its_number(ledger: Ledger, target: str) -> None:
    versions = {
        version: replace(data_version(target), version=version, tag=f"{target}-v{version}")
        for version in ("1.9.0", "1.10.0", "1.2.30")
    }
    ledger.data.record(*versions.values())
    assert ledger.data.newest(target) == versions["1.10.0"]
    assert ledger.data.get(target, "1.2.30") == versions["1.2.30"]
    assert ledger.data.get(target, "1.2.3") is None
    assert ledger.data.newest("nothing") is None


def test_the_newest_candidate_is_found_by_data_and_by_digest(ledger: Ledger, add, target: str) -> None:
    assert ledger.candidates.newest(target) is None
    one, two, three = add(digest="d"), add(digest="d", data_version="1.1.0"), add()
    assert ledger.candidates.newest(target) == three
    assert ledger.candidates.newest(target, data_version="1.1.0") == two
    assert ledger.candidates.newest(target, digest="d") == two
    assert ledger.candidates.newest(target, digest="d", number=1) == one
    assert ledger.candidates.newest(target, digest="e") is None


def test_what_the_latest_trainings_took_is_told_by_tier_and_variant(ledger: Ledger, add, target: str) -> None:
    splits = {"splits": {"train": {"rows": 100}, "test": {"rows": 20}}}
    ledger.data.record(replace(data_version(target), metadata=splits))
    for seconds, variant in ((1.0, "small"), (2.0, "large"), (3.0, "small"), (None, "small")):
        add(data_name=target, tier="cpu-small", seconds=seconds, variant=variant)
    add(data_name=target, tier="gpu-bronze", seconds=9.0)
    assert ledger.candidates.durations(target, "cpu-small", 2) == [(120, 3.0), (120, 2.0)]
    assert ledger.candidates.durations(target, "cpu-small", 9, "small") == [(120, 3.0), (120, 1.0)]
    assert ledger.candidates.durations(target, "cpu-small", 9, "huge") == []
    assert ledger.candidates.durations(target, "cpu-large", 9) == []


def test_the_state_of_each_candidate_is_that_of_its_last_decision(ledger: Ledger, target: str, add) -> None:
    assert ledger.candidates.states(target) == {}
    once, live, held, refused, rejected, judged, fresh = (add() for _ in range(7))
    release(ledger, once)
    release(ledger, live)
    for candidate, actions in ((held, ("refuse", "hold")), (refused, ("refuse",)), (rejected, ("hold", "reject"))):
        for action in actions:
            ledger.decide(candidate.id, action, actor="test", why="because")
    ledger.decide(once.id, "refuse", actor="test", why="it was released, and can be gone back to")
    ledger.add_report(judged.id, report(judged))
    expected = ["released", "released", "held", "refused", "refused", "judged", "not judged"]
    of = [once, live, held, refused, rejected, judged, fresh]
    assert ledger.candidates.states(target) == {one.number: state for one, state in zip(of, expected, strict=True)}
