"""The mechanism of release on a real ledger and a real MLflow."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from echo.workload import workload as echo
from mlflow.entities import RunInfo
from release_shop import BAD, Shop
from release_support import OpenResources, loads, numbers, opened

from mlops_assets.gates.model import ModelEvaluator
from mlops_assets.release.mechanism import CannotRelease, Releasing
from mlops_assets.release.promotion import promote
from resources.ledger import Candidate, NewCandidate
from resources.registry.version import DataVersion
from resources.tracking import Tracking, TrackingUnavailable
from workloads.sdk.contract import OnInconclusive


def test_candidates_are_released_and_shown_by_aliases(shop: Shop) -> None:
    first = shop.consider(one := shop.train(wrong=[7]))
    assert (first.result, first.release.version, first.report.verdict) == ("released", "1.0.0", "pass")
    assert shop.aliases == {"candidate": 1, "champion": 1}
    second = shop.consider(shop.train(data_version="1.1.0", data_digest="d2"))
    assert (second.release.version, second.release.previous) == ("1.1.0", first.release.id)
    assert second.report.champion_digest == one.digest
    assert shop.aliases == {"candidate": 2, "champion": 2, "previous": 1}
    tags = shop.resources.tracking.client.get_model_version(f"releasetest.{shop.target}", "2").tags
    assert (tags["version"], tags["verdict"]) == ("1.1.0", "pass")
    assert shop.settled


def test_a_refused_candidate_changes_nothing_that_is_live(shop: Shop) -> None:
    shop.consider(shop.train())
    bad = shop.consider(shop.train(wrong=BAD))
    assert (bad.result, bad.release.number, bad.report.verdict) == ("refused", 1, "refuse")
    assert "floor" in bad.why
    assert shop.aliases == {"candidate": 2, "champion": 1}
    assert shop.alerts == []


def test_considering_again_changes_nothing(pair: Shop) -> None:
    releases = pair.resources.ledger.releases(pair.target)
    for candidate in pair.resources.ledger.candidates.of(pair.target):
        assert pair.consider(candidate).result == "unchanged"
    assert pair.consider(pair.train()).result == "released"
    newest = asdict(pair.resources.ledger.candidates.of(pair.target)[-1])
    fields = {name: value for name, value in newest.items() if name not in ("id", "created_at")}
    again = pair.resources.ledger.candidates.add(NewCandidate(**fields | {"number": 4}))  # trained to the same bytes
    assert pair.consider(again).result == "unchanged"
    assert pair.resources.ledger.releases(pair.target)[:-1] == releases


def test_a_report_holds_until_something_that_it_says_changes(shop: Shop) -> None:
    one, two, three = shop.train(wrong=[3]), shop.train(wrong=[4]), shop.train(wrong=[5])
    report = shop.releasing.report(two)
    assert report == shop.releasing.report(two) == shop.resources.ledger.report(two.id)
    shop.consider(one)
    judged = shop.consider(two)
    assert judged.report.champion_digest == one.digest
    assert judged.report.created_at > report.created_at
    strict = replace(echo, gates=replace(echo.gates, floor=0.9999))
    assert shop.releasing.report(three).verdict == "pass"
    assert shop.of(strict).consider(three, "test", "because").result == "refused"


def test_what_is_released_while_one_is_judged_is_compared_with(shop: Shop) -> None:
    one, two = shop.train(wrong=[3]), shop.train(wrong=[4])
    evaluator = shop.releasing.evaluator
    judged = []

    def judge(candidate: Candidate, champion: Candidate | None):
        if not judged:
            shop.of(echo).consider(one, "quicker", "because")
        judged.append(champion and champion.number)
        return evaluator.judge(candidate, champion)

    slow = SimpleNamespace(judge=judge, rules=evaluator.rules, leads_to=evaluator.leads_to)
    outcome = Releasing(shop.target, shop.resources.ledger, shop.resources.tracking, slow).consider(
        two, "slower", "because"
    )
    assert judged == [None, 1]
    assert (outcome.result, outcome.release.version, outcome.report.champion_digest) == (
        "released",
        "1.0.1",
        one.digest,
    )


def while_judged(shop: Shop, act: Callable[[], Any]) -> Releasing:
    """The mechanism of a shop, in which something is done each time that a candidate has just been judged."""
    evaluator = shop.releasing.evaluator

    def judge(candidate: Candidate, champion: Candidate | None):
        report = evaluator.judge(candidate, champion)
        act()
        return report

    slow = SimpleNamespace(judge=judge, rules=evaluator.rules, leads_to=evaluator.leads_to)
    return Releasing(shop.target, shop.resources.ledger, shop.resources.tracking, slow)


def test_nothing_is_decided_while_mlflow_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    one = shop.train()

    def away(*_: Any) -> Any:
        raise TrackingUnavailable("MLflow does not answer")

    with monkeypatch.context() as patch:
        patch.setattr("mlops_assets.release.intact.Manifest.read", away)
        with pytest.raises(TrackingUnavailable):
            shop.consider(one)
    assert shop.resources.ledger.report(one.id) is None
    assert shop.resources.ledger.decisions(one.id) == []
    assert shop.consider(one).result == "released"


def test_a_rejection_while_one_is_judged_stands(shop: Shop) -> None:
    rejected_meanwhile(shop, again=False)


def test_a_rejection_while_one_is_judged_that_a_person_asked_for_stands(shop: Shop) -> None:
    rejected_meanwhile(shop, again=True)


def rejected_meanwhile(shop: Shop, again: bool) -> None:
    careful = shop.of(replace(echo, approval="manual"))
    one = shop.train()
    assert careful.consider(one, "test", "because").result == "held"
    strict = replace(echo, gates=replace(echo.gates, floor=0.5))  # other rules: it is judged anew
    shop.releasing = shop.of(strict)
    slow = while_judged(shop, lambda: careful.reject("a person", "it smells"))
    outcome = slow.consider(one, "dagster", "the newest candidate", again=again)
    assert (outcome.result, shop.live) == ("unchanged", None)
    assert "a person has rejected it (it smells)" in outcome.why
    assert [each.action for each in shop.resources.ledger.decisions(one.id)] == ["hold", "reject"]
    assert shop.of(echo).consider(one, "a person", "after all", again=True).result == "released"


def test_of_two_answers_to_one_candidate_the_first_counts(shop: Shop) -> None:
    careful = shop.of(replace(echo, approval="manual"))
    one = shop.train()
    careful.consider(one, "test", "because")
    shop.releasing = shop.of(replace(echo, gates=replace(echo.gates, floor=0.5)))
    slow = while_judged(shop, lambda: careful.reject("the first", "it smells"))
    with pytest.raises(CannotRelease, match=r"the first has decided about version 1 of .* meanwhile: reject"):
        slow.approve("the second", "it looks good")
    assert (shop.live, len(shop.resources.ledger.decisions(one.id))) == (None, 2)


def test_one_that_is_held_waits_for_a_person(shop: Shop, open_resources: OpenResources, tmp_path: Path) -> None:
    few = opened(open_resources.settings, numbers(tmp_path, 30))
    shop.workload = replace(echo, gates=replace(echo.gates, on_inconclusive=OnInconclusive.HOLD))
    shop.resources = few
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


def test_with_manual_approval_what_passes_waits_for_a_person(shop: Shop) -> None:
    shop.releasing = shop.of(replace(echo, approval="manual"))
    held = shop.consider(one := shop.train())
    assert (held.result, held.release, held.report.verdict) == ("held", None, "pass")
    (alert,) = shop.alerts
    assert alert == f"version 1 waits for `mlops approve {shop.target} --why ...`: all checks pass"
    shop.consider(one)
    assert (len(shop.alerts), len(shop.resources.ledger.decisions(one.id))) == (1, 1)
    rejected = shop.releasing.reject("ann", "trained on the wrong year")
    assert (rejected.result, rejected.release, shop.releasing.held()) == ("rejected", None, [])
    last = shop.resources.ledger.decisions(one.id)[-1]
    assert (last.action, last.actor, last.why) == ("reject", "ann", "trained on the wrong year")
    again = shop.consider(one)  # as the next run does
    assert (again.result, shop.releasing.held()) == ("unchanged", [])
    assert "ann has rejected it (trained on the wrong year)" in again.why
    two = shop.train(data_version="1.1.0", data_digest="d2")
    assert shop.consider(two).result == "held"
    approved = shop.releasing.approve("bob", "compared by hand")
    assert (approved.release.number, approved.release.actor, approved.release.why) == (2, "bob", "compared by hand")
    assert shop.aliases == {"candidate": 2, "champion": 2}
    assert shop.consider(two).result == "unchanged"
    asked = shop.releasing.consider(one, "ann", "it was right after all", again=True)
    assert (asked.result, shop.releasing.held(), shop.live) == ("held", [one], 2)


def test_with_manual_approval_what_fails_its_gate_is_refused(shop: Shop) -> None:
    shop.releasing = shop.of(replace(echo, approval="manual"))
    assert shop.consider(shop.train(wrong=BAD)).result == "refused"
    assert (shop.releasing.held(), shop.alerts) == ([], [])


def test_rolling_back_needs_no_training(pair: Shop) -> None:
    newest = pair.resources.ledger.candidates.of(pair.target)[-1]
    before = [loads(pair.resources.ledger.candidates.get(pair.target, number)) for number in (1, 2)]
    back = pair.releasing.rollback("somebody", "it smells")
    assert (back.result, back.release.version, back.release.number, back.release.action) == (
        "released",
        "1.0.0",
        1,
        "rollback",
    )
    assert pair.aliases == {"candidate": 2, "champion": 1}
    assert [loads(pair.resources.ledger.candidates.get(pair.target, number)) for number in (1, 2)] == before
    # What was rolled back from stays so, until a person asks for it.
    assert pair.consider(newest).result == "unchanged"
    assert pair.live == 1
    again = pair.releasing.consider(newest, "somebody", "fixed", again=True)
    assert (again.result, again.release.version) == ("released", "1.0.1")
    assert pair.releasing.rollback("somebody", "that one", to="1.0.0").release.number == 1
    assert pair.releasing.rollback("somebody", "that one", to="1.0.0").result == "unchanged"
    assert pair.settled


def test_each_step_back_goes_further_and_a_new_release_begins_there(shop: Shop) -> None:
    for _ in range(3):
        shop.releasing.override(shop.train(), "somebody", "for the test")
    steps = [shop.releasing.rollback("somebody", "back").release.number for _ in range(2)]
    assert (steps, shop.aliases) == ([2, 1], {"candidate": 3, "champion": 1})
    with pytest.raises(CannotRelease, match="first release"):
        shop.releasing.rollback("somebody", "back")
    shop.releasing.override(shop.train(), "somebody", "forward")
    assert shop.aliases == {"candidate": 4, "champion": 4, "previous": 1}
    shop.releasing.rollback("somebody", "that one", to="1.0.2")
    assert shop.aliases == {"candidate": 4, "champion": 3, "previous": 2}
    assert shop.settled


def test_there_must_be_something_to_go_back_to(shop: Shop) -> None:
    with pytest.raises(CannotRelease, match="nothing of"):
        shop.releasing.rollback("somebody", "why")
    shop.consider(shop.train())
    with pytest.raises(CannotRelease, match="first release"):
        shop.releasing.rollback("somebody", "why")
    with pytest.raises(CannotRelease, match=r"9\.9\.9 was never released; released so far: 1\.0\.0"):
        shop.releasing.rollback("somebody", "why", to="9.9.9")


def test_a_champion_moved_by_hand_is_released_if_its_gate_lets_it(pair: Shop) -> None:
    pair.train()
    pair.resources.tracking.registry.set_alias(pair.target, "champion", 3)
    (difference,) = pair.releasing.aliases.inspect()
    assert (difference.alias, difference.ledger, difference.mlflow, difference.decides) == ("champion", 2, 3, True)
    assert pair.releasing.repair(adopt=False).adopted == []
    repair = pair.releasing.repair()
    assert [outcome.result for outcome in repair.adopted] == ["released"]
    now = pair.resources.ledger.current(pair.target)
    assert (now.number, now.action, now.actor) == (3, "adopt", "mlflow")
    assert pair.aliases == {"candidate": 3, "champion": 3, "previous": 2}
    assert (pair.alerts, pair.settled) == ([], True)


def test_a_champion_moved_by_hand_is_put_back_if_its_gate_refuses(pair: Shop) -> None:
    bad = pair.train(wrong=BAD)
    pair.resources.tracking.registry.set_alias(pair.target, "champion", 3)
    assert [outcome.result for outcome in pair.releasing.repair().adopted] == ["refused"]
    assert (pair.live, pair.aliases["champion"]) == (2, 2)
    (decision,) = pair.resources.ledger.decisions(bad.id)
    assert (decision.action, decision.actor) == ("refuse", "mlflow")
    assert "by hand" in decision.why
    (alert,) = pair.alerts
    assert "version 3" in alert
    assert pair.settled
    pair.releasing.repair()
    assert len(pair.alerts) == 1
    forced = pair.releasing.override(bad, "somebody", "the demo needs it")
    assert (forced.result, pair.live, pair.aliases["champion"]) == ("released", 3, 3)
    assert (forced.release.action, forced.release.why) == ("override", "the demo needs it")


def test_a_champion_of_unknown_origin_is_put_back(pair: Shop) -> None:
    client, name = pair.resources.tracking.client, pair.resources.settings.qualified(pair.target)
    first = client.get_model_version(name, "1")
    client.create_model_version(name, first.source, first.run_id)
    client.set_registered_model_alias(name, "champion", "3")
    assert [outcome.result for outcome in pair.releasing.repair().adopted] == ["refused"]
    assert pair.aliases["champion"] == 2
    assert "does not know" in pair.alerts[0]


@pytest.mark.parametrize("alias", ["candidate", "champion", "previous"])
def test_a_removed_alias_is_put_back(open_resources: OpenResources, model_run: RunInfo, alias: str) -> None:
    shop = Shop(open_resources, model_run, f"removed_{alias}")
    for _ in range(2):
        shop.consider(shop.train())
    before = shop.aliases
    shop.resources.tracking.registry.set_alias(shop.target, alias, None)
    shop.releasing.repair()
    assert shop.aliases == before
    assert len(shop.alerts) == 1
    assert f"@{alias} was removed" in shop.alerts[0]


def test_a_version_that_is_gone_is_said_once(pair: Shop) -> None:
    client, name = pair.resources.tracking.client, pair.resources.settings.qualified(pair.target)
    client.delete_model_version(name, "1")
    for _ in range(3):
        pair.releasing.repair()
    assert len(pair.alerts) == 1
    assert "gone from MLflow" in pair.alerts[0]
    assert (pair.live, pair.aliases["champion"]) == (2, 2)


def test_a_version_with_two_aliases_that_is_gone_is_said_once_for_each(shop: Shop) -> None:
    client, name = shop.resources.tracking.client, shop.resources.settings.qualified(shop.target)
    shop.consider(shop.train())
    client.delete_model_version(name, "1")
    for _ in range(3):
        shop.releasing.repair()
        shop.releasing.aliases.restore()
    assert len(shop.alerts) == 2
    assert all("gone from MLflow" in alert for alert in shop.alerts)


def test_a_champion_that_cannot_be_put_back_is_said_once(shop: Shop) -> None:
    client, name = shop.resources.tracking.client, shop.resources.settings.qualified(shop.target)
    shop.consider(shop.train())
    bad = shop.train(wrong=BAD)
    client.delete_model_version(name, "1")
    shop.resources.tracking.registry.set_alias(shop.target, "champion", bad.number)
    for _ in range(3):
        assert [outcome.result for outcome in shop.releasing.repair().adopted] == ["refused"]
    assert len(shop.alerts) == len(set(shop.alerts)) == 1


def test_without_mlflow_the_decision_stands_and_its_aliases_follow(
    pair: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = Tracking(pair.resources.settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9"}))
    back = Releasing(pair.target, pair.resources.ledger, away, pair.releasing.evaluator).rollback(
        "somebody", "it smells"
    )
    assert (back.result, pair.live, pair.aliases["champion"]) == ("released", 1, 2)
    assert "MLOPS_MLFLOW_URL" in caplog.text
    assert pair.releasing.aliases.inspect() == []  # pending, and nobody's doing
    assert pair.releasing.repair().adopted == []
    assert pair.aliases == {"candidate": 2, "champion": 1}
    assert pair.alerts == []


def test_promoting_moves_no_alias_and_decides_nothing_there(pair: Shop) -> None:
    data = DataVersion("echo", "1.0.0", "echo-v1.0.0", "c", "d1", "official", {}, [])
    pair.resources.ledger.data.record(data)
    with pytest.raises(CannotRelease, match="already"):
        promote(pair.target, "releasetest", pair.resources.ledger, pair.resources.tracking)
    with pytest.raises(CannotRelease, match="no environment"):
        promote(pair.target, "no-environment", pair.resources.ledger, pair.resources.tracking)
    there = opened(pair.resources.settings.model_copy(update={"env": "prodtest"}), pair.resources.registry.test)
    for _ in range(2):
        copy = promote(pair.target, "prodtest", pair.resources.ledger, pair.resources.tracking)
    here = pair.resources.ledger.candidates.get(pair.target, 2)
    assert there.ledger.candidates.of(pair.target) == [copy]
    assert (copy.digest, copy.number, copy.model_uri) == (here.digest, 1, f"models:/prodtest.{pair.target}/1")
    assert there.ledger.report(copy.id) == pair.resources.ledger.report(here.id)
    assert there.ledger.data.versions("echo") == [data]
    assert (there.tracking.registry.aliases(pair.target), there.ledger.current(pair.target)) == ({}, None)
    # The other environment's platform judges for itself, against what is released there.
    outcome = Releasing(pair.target, there.ledger, there.tracking, ModelEvaluator(echo, there)).consider(
        copy, "prod", "its own"
    )
    assert (outcome.result, outcome.release.version) == ("released", "1.0.0")
    assert (outcome.report.environment, outcome.report.champion_digest) == ("prodtest", None)
    assert there.tracking.registry.aliases(pair.target) == {"candidate": 1, "champion": 1}
    assert pair.aliases["champion"] == 2
