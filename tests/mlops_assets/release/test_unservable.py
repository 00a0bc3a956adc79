"""What endpoints could not serve is not released, on a real ledger and a real MLflow."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from mlflow.entities import RunInfo
from release_shop import Shop
from release_support import OpenResources

from jobs.retention import check_artifacts
from mlops_assets.release.mechanism import CannotRelease
from mlops_assets.release.rollout import Delivery
from resources.ledger import Candidate


def delete_version(shop: Shop, number: int) -> None:
    name = shop.resources.settings.qualified(shop.target)
    shop.resources.tracking.client.delete_model_version(name, str(number))


def damage(shop: Shop, candidate: Candidate) -> Path:
    file = Path(candidate.artifacts_uri.removeprefix("file://"), "model.json")
    file.write_text(f"{file.read_text()} ")
    return file


@pytest.mark.parametrize("how", ["rollback", "override", "release", "approve"])
@pytest.mark.parametrize("what", ["gone", "changed"])
def test_what_could_not_be_served_is_not_released(
    open_resources: OpenResources, model_run: RunInfo, how: str, what: str
) -> None:
    shop = Shop(open_resources, model_run, f"unservable_{how}_{what}")
    one, two = shop.train(), shop.train()
    shop.consider(two)
    if how == "rollback":
        shop.releasing.override(one, "somebody", "for a start")
        shop.releasing.override(two, "somebody", "and back")
    if how == "approve":
        open_resources.ledger.decide(one.id, "hold", actor="dagster", why="few rows")
    if how in ("release", "approve"):
        shop.releasing.report(one)  # judged while it was whole
    before, aliases = shop.resources.ledger.decisions(one.id), shop.aliases
    if what == "gone":
        delete_version(shop, one.number)
        aliases = {alias: number for alias, number in aliases.items() if number != one.number}
        reason = "its version is gone from MLflow"
    else:
        damage(shop, one)
        reason = "was changed: its SHA-256 is not the one in"
    if how == "release":
        outcome = shop.releasing.consider(one, "somebody", "that one", again=True)
        assert outcome.result == "refused"
        assert reason in outcome.why
    else:
        ask = {
            "rollback": lambda: shop.releasing.rollback("somebody", "that one", to="1.0.1"),
            "override": lambda: shop.releasing.override(one, "somebody", "that one"),
            "approve": lambda: shop.releasing.approve("somebody", "that one"),
        }
        with pytest.raises(CannotRelease, match=reason):
            ask[how]()
    assert shop.live == two.number
    assert shop.resources.ledger.decisions(one.id) == before
    assert shop.aliases == aliases


def test_a_champion_moved_by_hand_onto_what_could_not_be_served_is_put_back(pair: Shop) -> None:
    third = pair.train()
    pair.releasing.report(third)
    damage(pair, third)
    pair.resources.tracking.registry.set_alias(pair.target, "champion", 3)
    assert [outcome.result for outcome in pair.releasing.repair().adopted] == ["refused"]
    assert (pair.live, pair.aliases["champion"]) == (2, 2)
    assert "version 3 cannot be served" in pair.alerts[0]


def test_an_alias_that_could_not_be_set_is_no_persons_move(pair: Shop) -> None:
    third = pair.train()
    pair.resources.ledger.decide(third.id, "override", actor="somebody", why="now")  # and then MLflow loses it
    delete_version(pair, 3)
    for _ in range(3):
        assert pair.releasing.repair().adopted == []
    assert pair.live == 3
    standing = [alert for alert in pair.resources.ledger.alerts.standing() if alert.thing == pair.target]
    assert {alert.kind for alert in standing} == {"version-gone"}
    assert not [alert.text for alert in standing if "by hand" in alert.text]
    assert max(alert.count for alert in standing) >= 3


def test_the_nightly_check_alerts_for_as_long_as_a_released_file_is_another(pair: Shop) -> None:
    delivery = Delivery([replace(pair.workload, name=pair.target)], pair.resources)

    def checked() -> list[str]:
        check_artifacts(dg.build_op_context(resources={"delivery": delivery}))
        standing = pair.resources.ledger.alerts.standing("damaged")
        return [alert.text for alert in standing if alert.thing == pair.target]

    assert checked() == []
    before = pair.resources.ledger.candidates.get(pair.target, 1)
    assert before is not None
    file = damage(pair, before)
    (text,) = checked()
    assert text.startswith(f"{pair.target} 1.0.0 could not be served again: {file} was changed")
    file.write_text(file.read_text().removesuffix(" "))
    assert checked() == []
