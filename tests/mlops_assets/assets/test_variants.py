"""Several parameter sets in one materialization: trained beside each other, all registered, the best one judged.

The workload is wine's forest under another name, so that what happens here is nobody else's release.
"""

import threading
from dataclasses import replace

import dagster as dg
import psutil
import pytest
from graph_fixtures import Delivered, World
from patience import until

from mlops_assets.assets.launchpad import launchpad, parameter_sets
from mlops_assets.assets.training import Judged, Training
from mlops_assets.assets.variants import compared
from resources.compute import JobFailed
from workloads.sdk.contract import DeclarationError, Workload
from workloads.sdk.contract.checks import check
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.programs.training.arguments import _parameters, parse

VARIANTS = {"stump": {"trees": 1, "max_depth": 1}, "forest": {"trees": 30}, "few": {"trees": 3, "max_depth": 2}}
GRAPES = replace(workload_of("workloads.wine"), name="grapes", variants=VARIANTS)


def asked(workload: Workload, **values: object) -> dict:
    """What the launchpad hands over, where a person gives these values."""
    return launchpad(workload)(**values).model_dump(exclude={"tier"})


def test_the_launchpad_chooses_variants_and_changes_parameters() -> None:
    every = parameter_sets(GRAPES, asked(GRAPES))
    assert {name: values.trees for name, values in every.items()} == {"stump": 1, "forest": 30, "few": 3}
    chosen = parameter_sets(GRAPES, asked(GRAPES, variants=["few", "forest"], trees=7))
    assert {name: (values.trees, values.max_depth) for name, values in chosen.items()} == {
        "few": (7, 2),
        "forest": (7, None),
    }
    alone = replace(GRAPES, variants={})
    assert list(parameter_sets(alone, asked(alone, trees=7))) == [""]
    with pytest.raises(Exception, match="'many' is asked for; choose among stump, forest, few"):
        parameter_sets(GRAPES, asked(GRAPES, variants=["few", "many"]))
    with pytest.raises(Exception, match="no variant is asked for"):
        parameter_sets(GRAPES, asked(GRAPES, variants=[]))
    with pytest.raises(dg.Failure, match="trees is 0: input should be greater than or equal to 1"):
        parameter_sets(GRAPES, asked(GRAPES, trees=0))


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ({"few": {"trees": 0}}, "variants.few.trees is 0: input should be greater than or equal to 1"),
        ({"few": {"leaves": 3}}, "variants.few.leaves is 3: extra inputs"),
        ({"Many trees": {}}, "variants.Many trees must be named in lower-case letters"),
    ],
)
def test_a_wrong_variant_is_refused_when_definitions_load(variants: dict, said: str) -> None:
    wine = workload_of("workloads.wine")
    with pytest.raises(DeclarationError, match=f"workload.py: {said}"):
        check(replace(wine, variants=variants), wine.folder / "workload.py")


def test_by_hand_a_variant_is_named_and_flags_go_over_it(capsys: pytest.CaptureFixture[str]) -> None:
    asked_for = parse("workloads.digits", ["--variant", "wide", "--epochs", "3"])
    values = _parameters(asked_for.workload, asked_for.flags)
    assert (values.channels, values.epochs) == (asked_for.workload.variants["wide"]["channels"], 3)
    with pytest.raises(SystemExit):
        parse("workloads.digits", ["--variant", "tall"])
    assert "choose from small, wide, dropout" in capsys.readouterr().err.replace("'", "")


class Started:
    """A materialization in a thread, as a step does it; `lines` is what it says."""

    def __init__(self, world: World, version: str, root: str, **values: object) -> None:
        self.lines: list[str] = []
        self.judged: Judged | None = None
        self.error: Exception | None = None
        data = world.resources.data("wine", version)
        training = Training(GRAPES, data, GRAPES.tier, f"run of {root}", root, world.resources)
        sets = parameter_sets(GRAPES, asked(GRAPES, **values))

        def start() -> None:
            try:
                self.judged = training.start(sets, self.lines.append)
            except Exception as error:
                self.error = error

        self.thread = threading.Thread(target=start)
        self.thread.start()

    def end(self) -> Judged:
        self.thread.join(200)
        assert self.error is None, self.error
        assert self.judged is not None
        return self.judged

    def submissions(self) -> list[int]:
        return [at for at, line in enumerate(self.lines) if "submitted the job" in line]


def job_of(variant: str) -> psutil.Process | None:
    """The process that trains a variant of grapes."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "--spec" in words and any(f"-grapes-1-0-0-{variant}-" in word for word in words):
            return process
    return None


def versions(world: World) -> dict[int, str]:
    """The registered versions of grapes, with the variant that MLflow shows."""
    found = world.resources.tracking.client.search_model_versions("name = 'dev.grapes'")
    return {int(one.version): one.tags["variant"] for one in found}


@pytest.fixture(scope="module")
def trained(world: World, live: Delivered) -> tuple[Started, Judged]:
    started = Started(world, live.version, "root-1")
    return started, started.end()


@pytest.mark.platform
def test_all_are_registered_and_the_best_by_validation_is_judged(world: World, trained: tuple[Started, Judged]) -> None:
    _, judged = trained
    assert {one.variant for one in judged.variants} == set(VARIANTS)
    figures = {one.variant: one.result.metrics["validation_accuracy"] for one in judged.variants}
    assert figures[judged.best.variant] == max(figures.values()) > figures["stump"]
    assert judged.report.candidate_digest == judged.best.candidate.digest
    candidates = world.resources.ledger.candidates.of("grapes")
    assert [one.variant for one in candidates] == [one.variant for one in judged.variants]
    assert candidates[-1] == judged.best.candidate  # what `releases/grapes` considers
    assert versions(world) == {one.number: one.variant for one in candidates}
    assert world.resources.tracking.registry.aliases("grapes")["candidate"] == candidates[-1].number
    for one in judged.variants:
        run = world.resources.tracking.client.get_run(one.candidate.run_id)
        assert (run.data.tags["variant"], run.info.status) == (one.variant, "FINISHED")
        assert run.data.params["trees"] == str(VARIANTS[one.variant]["trees"])


@pytest.mark.platform
def test_they_train_beside_each_other_as_far_as_there_is_room(trained: tuple[Started, Judged]) -> None:
    lines = trained[0].lines
    first_end = next(at for at, line in enumerate(lines) if "done: " in line)
    at_once = [at for at in trained[0].submissions() if at < first_end]
    assert 1 <= len(at_once) <= psutil.cpu_count()
    assert psutil.cpu_count() == 1 or len(at_once) > 1
    assert len(trained[0].submissions()) == 3


@pytest.mark.platform
def test_the_asset_compares_them(trained: tuple[Started, Judged]) -> None:
    metadata = compared(GRAPES, trained[1].variants)
    records = metadata["variants"].records
    assert records[0].data["variant"] == metadata["best variant"].text == trained[1].best.variant
    assert {"trees", "max_depth", "validation_accuracy", "test_accuracy"} <= set(records[0].data)
    assert "seed" not in records[0].data  # equal in all
    assert "](data:image/png;base64,iVBOR" in metadata["variants compared"].md_str


@pytest.mark.platform
def test_a_retry_takes_what_was_trained(world: World, live: Delivered, trained: tuple[Started, Judged]) -> None:
    again = Started(world, live.version, "root-1")
    assert [one.candidate for one in again.end().variants] == [one.candidate for one in trained[1].variants]
    assert again.submissions() == []


@pytest.mark.platform
def test_one_that_fails_is_said_and_nothing_is_registered(
    world: World, live: Delivered, trained: tuple[Started, Judged]
) -> None:
    before = world.resources.ledger.candidates.of("grapes"), versions(world)
    started = Started(world, live.version, "root-2", variants=["few", "forest"], seed=7)
    process = until(lambda: job_of("few"), seconds=60, pause=0.02)
    process.kill()
    started.thread.join(200)
    assert isinstance(started.error, JobFailed)
    assert str(started.error).startswith("Training grapes (few) on 1.0.0 failed with exit code"), started.error
    assert any(line.startswith("forest: ") and "done: " in line for line in started.lines)  # it was let end
    assert (world.resources.ledger.candidates.of("grapes"), versions(world)) == before
    client = world.resources.tracking.client
    experiment = client.get_experiment_by_name("dev.grapes").experiment_id
    runs = client.search_runs([experiment], "tags.`dagster.root_run` = 'root-2'")
    assert {run.data.tags["variant"]: run.info.status for run in runs} == {"few": "FAILED", "forest": "FINISHED"}

    retried = Started(world, live.version, "root-2", variants=["few", "forest"], seed=7)
    assert {one.variant for one in retried.end().variants} == {"few", "forest"}
    assert len(retried.submissions()) == 1  # the other one's result was kept
    assert len(world.resources.ledger.candidates.of("grapes")) == len(before[0]) + 2
