"""Gates on models whose row scores are known: what is measured, what follows, and what a broken model comes to."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from echo.predict import Predictor
from echo.workload import workload as echo
from release_support import artifacts, candidate, loads, numbers

from mlops_assets.gates.evaluation import leads_to
from mlops_assets.gates.golden import contains
from mlops_assets.gates.model import judge, rules
from mlops_assets.gates.scores import of_candidate
from resources.database import DatabaseUnavailable
from resources.ledger import Candidate
from resources.ledger.reports import Check, GateReport
from resources.settings import Settings
from resources.tracking import TrackingUnavailable
from workloads.sdk.artifacts import BrokenArtifacts
from workloads.sdk.contract import Gates, OnInconclusive, Parity
from workloads.sdk.disk import DiskFull
from workloads.sdk.programs.training.run import NoServices

MANY = 2000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", env="gatetest")


@pytest.fixture
def gate(tmp_path: Path, settings: Settings):
    """Judges a candidate, on 2,000 rows unless said otherwise."""

    def gate(new: Candidate, champion: Candidate | None = None, rows: int = MANY, workload=echo, **gates) -> GateReport:
        workload = replace(workload, gates=replace(workload.gates, **gates))
        return judge(workload, new, champion, numbers(tmp_path / "split", rows), NoServices(), settings)

    return gate


def check(report: GateReport, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def every(step: int, start: int = 3) -> list[int]:
    return list(range(start, MANY + 1, step))


def test_a_good_first_candidate_passes(gate, tmp_path: Path) -> None:
    report = gate(candidate(tmp_path, wrong=every(10)))
    assert report.verdict == "pass"
    assert [check.name for check in report.checks] == [
        "load",
        "floor",
        "slices:parity",
        "golden",
        "latency",
        "champion",
    ]
    floor = check(report, "floor")
    assert (floor.value, floor.threshold, floor.n) == (0.9, 0.8, MANY)
    low, high = floor.evidence["interval"]
    assert 0.88 < low < 0.9 < high < 0.92
    assert "nothing is released yet" in check(report, "champion").text
    assert (report.champion_digest, report.n, report.smallest_difference) == (None, MANY, None)
    assert GateReport.model_validate_json(report.model_dump_json()) == report


def test_the_floor_refuses(gate, tmp_path: Path) -> None:
    report = gate(candidate(tmp_path, wrong=every(4)))
    assert (report.verdict, check(report, "floor").verdict, check(report, "floor").value) == ("refuse", "refuse", 0.75)
    assert "floor" in report.reasons()[-1] or "floor" in report.reasons()[0]


def test_a_ceiling_where_lower_is_better(gate, tmp_path: Path) -> None:
    champion, worse = candidate(tmp_path, wrong=every(10), number=1), candidate(tmp_path, wrong=every(5), number=2)
    lower = {"metric": "distance", "slices": (), "margin": 0.05}
    assert gate(worse, floor=0.25, **lower).verdict == "pass"
    assert check(gate(worse, floor=0.15, **lower), "floor").verdict == "refuse"
    found = check(gate(worse, champion, floor=0.25, **lower), "champion")
    assert (found.verdict, found.unit) == ("refuse", "m")
    assert found.value == pytest.approx(-0.1)
    assert check(gate(champion, worse, floor=0.25, **lower), "champion").verdict == "pass"


# Without a floor: how many rows in a hundred the constant answer, the linear model and the candidate have wrong.
BEATEN = [
    ({"constant": 60, "linear": 20}, 10, "pass"),
    ({"constant": 60, "linear": 10}, 10, "pass"),  # as good as a simple model that is not constant is good enough,
    ({"constant": 60}, 10, "pass"),
    ({"constant": 10}, 10, "refuse"),  # as good as always saying the same is not,
    ({"constant": 10, "linear": 20}, 15, "refuse"),
    ({"constant": 60, "linear": 5}, 10, "refuse"),  # and what the rows show to be worse than the simple one is not
    ({}, 0, "refuse"),
]


@pytest.mark.parametrize(("simple", "own", "verdict"), BEATEN)
def test_without_a_floor_the_baselines_must_be_beaten(gate, tmp_path: Path, simple: dict, own: int, verdict) -> None:
    new = candidate(tmp_path, wrong=share(own), baselines={name: share(part) for name, part in simple.items()})
    report = gate(new, floor=None, slices=(), golden=None)
    found = check(report, "floor")
    assert (found.verdict, report.verdict) == (verdict, verdict)
    if simple:
        assert found.evidence["baselines"] == {name: pytest.approx(1 - part / 100) for name, part in simple.items()}
        assert found.threshold == pytest.approx(1 - min(simple.values()) / 100)


def test_few_rows_that_cannot_tell_from_a_simple_model_are_inconclusive(gate, tmp_path: Path) -> None:
    new = candidate(tmp_path, wrong=[3, 4], baselines={"constant": list(range(1, 20)), "linear": [5]})
    report = gate(new, rows=30, floor=None, slices=(), golden=None)
    assert check(report, "floor").verdict == "inconclusive"
    assert "asked to beat constant 0.3667, linear 0.9667" in check(report, "floor").text


def share(part: int) -> list[int]:
    """So many of each hundred numbers, always the same ones first."""
    return [number for number in range(1, MANY + 1) if number % 100 < part]


def test_a_slice_refuses_where_it_has_rows_enough(gate, tmp_path: Path) -> None:
    odd = candidate(tmp_path, wrong=[number for number in range(11, 401, 2) if number % 3])  # odd ones only
    report = gate(odd, rows=1000, slices=echo.gates.slices)
    found = check(report, "slices:parity")
    assert (found.verdict, found.threshold) == ("pass", 0.7)
    worst, best = found.evidence["groups"]
    assert (worst["group"], best["group"], best["value"], best["n"], best["judged"]) == ("odd", "even", 1.0, 500, True)
    assert worst["interval"][0] < worst["value"] < worst["interval"][1] < best["interval"][0] < best["interval"][1] == 1
    assert found.evidence["gap"]["difference"] == 1 - worst["value"]
    strict = [replace(echo.gates.slices[0], floor=0.9)]
    refused = check(gate(odd, rows=1000, slices=strict), "slices:parity")
    assert refused.verdict == "refuse"
    assert "odd" in refused.text
    assert "even" not in refused.text
    few = [replace(strict[0], minimum_rows=501)]
    assert check(gate(odd, rows=1000, slices=few), "slices:parity").verdict == "pass"


def test_golden_rows_are_answered_as_declared(gate, tmp_path: Path) -> None:
    report = gate(candidate(tmp_path, wrong=[2.5]))
    found = check(report, "golden")
    assert (report.verdict, found.verdict, found.value, found.n) == ("refuse", "refuse", 1, 2)
    assert found.evidence["wrong"] == [{"row": 1, "expected": {"number": 2.5}, "found": {"number": 3.5}}]


@pytest.mark.parametrize(
    ("found", "expected", "holds"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": [0.1, 0.2]}, {"a": [0.1004, 0.2]}, True),
        ({"a": [0.1, 0.2]}, {"a": [0.1]}, False),
        ({"a": 0.1}, {"a": 0.102}, False),
        ({"a": "x"}, {"a": 0.1}, False),
        ({"a": {"b": "x"}}, {"a": {"b": "x"}}, True),
        ({"a": True}, {"a": 1.0}, False),
        ({"a": float("nan")}, {"a": 1.0}, False),
    ],
)
def test_what_an_answer_contains(found: dict, expected: dict, holds: bool) -> None:
    assert contains(found, expected) is holds


def test_the_latency_budget_refuses(gate, tmp_path: Path) -> None:
    report = gate(candidate(tmp_path), latency_ms=1e-6)
    found = check(report, "latency")
    assert (report.verdict, found.verdict, found.n, found.unit) == ("refuse", "refuse", 200, "ms")
    assert found.value > 0


def test_against_the_champion(gate, tmp_path: Path) -> None:
    """Verdicts at a margin of 0.05 on 2,000 rows, which can show about 0.03."""
    champion = candidate(tmp_path, wrong=every(10), number=1)
    equal = check(report := gate(candidate(tmp_path, wrong=every(10, start=4), number=2), champion), "champion")
    assert (equal.verdict, equal.value, equal.n) == ("pass", 0, MANY)
    assert 0.02 < report.smallest_difference < 0.05
    assert report.smallest_difference == equal.evidence["smallest_difference"]
    worse = check(gate(candidate(tmp_path, wrong=every(5), number=3), champion), "champion")
    assert (worse.verdict, worse.value) == ("refuse", pytest.approx(-0.1))
    # 0.04 worse: within the margin, but it may be more than that.
    close = candidate(tmp_path, wrong=sorted({*every(10), *every(25, start=4)}), number=4)
    assert check(gate(close, champion), "champion").verdict == "pass"
    assert check(gate(close, champion, margin=0.035), "champion").verdict == "refuse"


def test_the_champion_trained_again_to_the_same_bytes_passes_on_any_number_of_rows(gate, tmp_path: Path) -> None:
    report = gate(candidate(tmp_path, number=2), candidate(tmp_path, number=1), rows=36)
    assert report.verdict == "pass"
    assert "the same artifacts" in check(report, "champion").text


def test_too_few_rows_are_inconclusive(gate, tmp_path: Path) -> None:
    champion, same = candidate(tmp_path, number=1), candidate(tmp_path, number=2, name="same")
    report = gate(same, champion, rows=36)
    found = check(report, "champion")
    assert (report.verdict, found.verdict, found.value) == ("inconclusive", "inconclusive", 0)
    assert report.smallest_difference > 0.05
    assert "36 rows can show" in found.text
    # Few rows are enough to see a catastrophe.
    awful = candidate(tmp_path, wrong=range(4, 37), number=3)
    assert check(gate(awful, champion, rows=36), "champion").verdict == "refuse"
    # Or that something is worse, if not by how much.
    bad = candidate(tmp_path, wrong=range(33, 37), number=4)
    found = check(gate(bad, champion, rows=36), "champion")
    assert (found.verdict, "may be by more" in found.text) == ("refuse", True)
    # And to see that one is better than that.
    assert check(gate(same, awful, rows=36), "champion").verdict == "pass"


@pytest.mark.parametrize("follows", list(OnInconclusive))
def test_the_declaration_says_what_an_inconclusive_one_leads_to(gate, tmp_path: Path, follows: OnInconclusive) -> None:
    gates = replace(echo.gates, on_inconclusive=follows)
    champion, new = candidate(tmp_path, number=1), candidate(tmp_path, number=2, name="same")
    assert leads_to(gate(new, champion, rows=36), gates) == follows
    assert leads_to(gate(new, champion), gates) == OnInconclusive.RELEASE
    assert leads_to(gate(candidate(tmp_path, wrong=every(2), number=3), champion), gates) == OnInconclusive.REFUSE


def test_parity_comes_from_the_training(gate, tmp_path: Path) -> None:
    workload = replace(echo, parity=Parity("predict:reference", tolerance=1e-4))
    figures = {"rows": 50, "max_difference": 1e-5, "differing": 0, "tolerance": 1e-4}
    assert gate(candidate(tmp_path, number=1, parity=figures), workload=workload).verdict == "pass"
    for worse in (figures | {"max_difference": 1e-3}, figures | {"max_difference": None}, None):
        report = gate(candidate(tmp_path, number=2, parity=worse), workload=workload)
        assert check(report, "parity").verdict == "refuse"


@pytest.mark.parametrize("damage", ["gone", "changed", "another"])
def test_a_candidate_that_is_not_whole_is_refused(gate, tmp_path: Path, damage: str) -> None:
    new = candidate(tmp_path)
    folder = Path(new.artifacts_uri.removeprefix("file://"))
    if damage == "gone":
        (folder / "model.json").unlink()
    elif damage == "changed":
        (folder / "model.json").write_text(json.dumps({"wrong": []}))
    else:
        artifacts(folder, [1, 2])
    report = gate(new)
    assert (report.verdict, [check.name for check in report.checks]) == ("refuse", ["load"])
    assert str(folder) in report.checks[0].text


def test_an_evaluation_without_a_score_for_each_row_is_refused(gate, tmp_path: Path) -> None:
    workload = replace(echo, rows="data:rows", metrics=[replace(echo.metrics[0], name="absent")])
    report = gate(candidate(tmp_path), workload=workload, metric="absent", slices=())
    assert report.verdict == "refuse"
    assert "absent" in report.checks[0].text


def test_a_champion_that_cannot_answer_is_no_comparison(gate, tmp_path: Path) -> None:
    champion = candidate(tmp_path, wrong=[3], number=1)
    (tmp_path / "1" / "model.json").unlink()
    report = gate(candidate(tmp_path, number=2), champion)
    found = check(report, "champion")
    assert (report.verdict, found.verdict) == ("inconclusive", "inconclusive")
    assert "number 1" in found.text
    assert report.champion_digest == champion.digest


def test_nothing_is_evaluated_twice(gate, tmp_path: Path, settings: Settings) -> None:
    champion, new = candidate(tmp_path, number=1), candidate(tmp_path, wrong=every(10), number=2)
    first = gate(new, champion)
    assert loads(champion) == 1
    again = gate(new, champion)
    assert loads(champion) == 1
    assert (check(again, "floor"), check(again, "champion")) == (check(first, "floor"), check(first, "champion"))
    for kept in settings.path("evaluations").glob("*.npz"):
        kept.write_bytes(b"damaged")
    assert check(gate(new, champion), "champion") == check(first, "champion")
    assert loads(champion) == 2
    gate(new, champion, rows=100)
    assert loads(champion) == 3


def test_changed_rules_are_seen() -> None:
    assert rules(echo) == rules(replace(echo))
    changed: list[Gates] = [replace(echo.gates, floor=0.81), replace(echo.gates, golden=None)]
    assert len({rules(echo), *(rules(replace(echo, gates=gates)) for gates in changed)}) == 3


@pytest.mark.parametrize(
    "error",
    [
        TrackingUnavailable("MLflow does not answer"),
        DatabaseUnavailable("PostgreSQL does not answer"),
        DiskFull("no room for a file"),
        TimeoutError("the store does not answer"),
        PermissionError("the store's folder"),
        OSError(5, "Input/output error"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_lies_outside_of_a_candidate_is_no_verdict_about_it(
    gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    one, two = candidate(tmp_path / "one"), candidate(tmp_path / "two", wrong=[4], number=2)
    load = Predictor.load

    def away(folder: Path, services: object) -> Predictor:
        if str(tmp_path / broken) in str(folder):
            raise error
        return load(folder, services)

    monkeypatch.setattr(Predictor, "load", away)
    for broken in ("one", "two"):  # noqa: B007 - the candidate, and the champion: `away` reads it
        with pytest.raises(type(error)):
            gate(one, two)


def test_a_champion_that_is_broken_leaves_the_candidate_to_a_person(gate, tmp_path: Path) -> None:
    champion = candidate(tmp_path / "old", wrong=[5], number=7)
    next((tmp_path / "old").rglob("manifest.json")).write_text("{}")
    report = gate(candidate(tmp_path / "new"), champion)
    assert (report.verdict, check(report, "champion").verdict, report.failed) == ("inconclusive", "inconclusive", True)
    assert "BrokenArtifacts" in check(report, "champion").evidence["error"]
    for declared, follows in (("release", "hold"), ("hold", "hold"), ("refuse", "refuse")):
        asked = replace(echo.gates, on_inconclusive=OnInconclusive(declared))
        assert leads_to(report, asked) == OnInconclusive(follows)
    few = gate(candidate(tmp_path / "b", wrong=[4], number=3), candidate(tmp_path / "a"), rows=30)
    assert (few.verdict, few.failed) == ("inconclusive", False)
    assert leads_to(few, echo.gates) == OnInconclusive.RELEASE
    assert not GateReport.model_validate(few.model_dump(mode="json")).failed  # as an older one is stored


def test_a_store_that_is_gone_and_a_full_gpu_say_nothing_of_a_candidate(gate, tmp_path: Path) -> None:
    new = candidate(tmp_path / "store" / "run" / "model")
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(TrackingUnavailable, match="mount the store"):
        gate(new)
    full = type("OutOfMemoryError", (RuntimeError,), {})
    with pytest.raises(full):
        of_candidate(full())
    for own in (RuntimeError("shape"), FileNotFoundError("labels.json"), BrokenArtifacts("changed")):
        assert of_candidate(own) is own
