"""Alerts on a real PostgreSQL: one for as long as its cause is there, counted, and over when that is gone."""

from collections.abc import Callable

import pytest

from resources.ledger import Alert, Ledger, NewCandidate


@pytest.fixture
def standing(ledger: Ledger, target: str) -> Callable[[], list[Alert]]:
    return lambda: [alert for alert in ledger.alerts.standing() if alert.thing == target]


def test_an_alert_that_stands_is_one_alert(ledger: Ledger, target: str, standing: Callable[[], list[Alert]]) -> None:
    first = ledger.alerts.add(target, "moved-tag", "one")
    again = ledger.alerts.add(target, "moved-tag", "two")
    assert (again.id, again.created_at, again.text, again.count) == (first.id, first.created_at, "two", 2)
    assert again.last_at > first.last_at
    assert standing() == [again]


def test_another_kind_or_key_is_another_alert(ledger: Ledger, target: str, standing: Callable[[], list[Alert]]) -> None:
    made = [ledger.alerts.add(target, kind, "text", key) for kind in ("one", "two") for key in ("", "a")]
    assert standing() == made


def test_it_is_over_when_its_cause_is_gone_and_another_when_that_is_back(
    ledger: Ledger, target: str, standing: Callable[[], list[Alert]]
) -> None:
    for text in ("broken", "broken", None, None):
        ledger.alerts.settle(target, "tag", text)
    assert standing() == []
    ledger.alerts.settle(target, "tag", "broken again")
    over, stands = (alert for alert in ledger.alerts.since() if alert.thing == target)
    assert (over.count, over.resolved_at is None, stands.count, stands.resolved_at) == (2, False, 1, None)


def test_what_is_over_is_chosen_by_kind_target_and_key(
    ledger: Ledger, target: str, standing: Callable[[], list[Alert]]
) -> None:
    for key in ("1", "2", "3"):
        ledger.alerts.add(target, "hold", "waits", key)
    ledger.alerts.add(target, "alias", "moved")
    ledger.alerts.add(f"{target} elsewhere", "alias", "moved")
    ledger.alerts.resolve(["hold", "alias"], target, ["2"])
    assert [alert.key for alert in standing()] == ["1", "3", ""]
    ledger.alerts.resolve(["alias"], but=[target])
    assert [alert.kind for alert in standing()] == ["hold", "hold", "alias"]
    assert f"{target} elsewhere" not in {alert.thing for alert in ledger.alerts.standing()}


def test_a_candidate_that_waits_is_alerted_until_it_is_answered(
    ledger: Ledger, target: str, standing: Callable[[], list[Alert]]
) -> None:
    one, two = (
        ledger.candidates.add(NewCandidate(thing=target, number=number, digest=f"{number:064x}")) for number in (1, 2)
    )
    for candidate in (one, two):
        ledger.decide(candidate.id, "hold", actor="dagster", why="few rows", alert="it waits")
    assert [alert.key for alert in standing()] == ["1", "2"]
    ledger.decide(one.id, "reject", actor="anna", why="no")
    assert [alert.key for alert in standing()] == ["2"]
    ledger.decide(two.id, "approve", actor="anna", why="yes")
    assert standing() == []
