"""An application from two data tags to live, traced answers: made, judged, released and switched by the platform."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import dagster as dg
import pytest
from graph_fixtures import World
from patience import until

from jobs.pipelines import pipeline_name
from mlops_assets.lineage import trace as lineage
from workloads.sdk.contract.applications import Application, Index
from workloads.sdk.contract.loading import declared_of

pytestmark = pytest.mark.platform

CORPUS, RAG = declared_of("workloads.corpus"), declared_of("workloads.rag")
SMALL = {"libraries": [], "python": False}  # this project's own documentation
QUESTION = "Why does Hydra stay out of the lock?"


def mlops(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlops_assets.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def sensed(world: World, declared: Any, version: str) -> dg.DagsterRun:
    run = world.sensed(declared, version)
    assert run.is_success, world.said(run.run_id)
    return run


def ask(world: World, question: str = QUESTION) -> dict[str, Any]:
    body = json.dumps({"question": question}).encode()
    url = f"{world.resources.serving.address('rag')}/query"
    with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=30) as response:
        return json.load(response)


def traced(world: World, prediction: str) -> lineage.Trace:
    def found() -> lineage.Trace | None:
        try:
            return lineage.trace(prediction, world.resources)
        except lineage.NotFound:
            return None

    return until(found)


@contextmanager
def load(world: World) -> Iterator[Counter]:
    """Questions without a break; the value counts the answers by version, and failures as such."""
    seen, over = Counter(), threading.Event()

    def on() -> None:
        while not over.wait(0.05):
            try:
                seen[ask(world)["version"]] += 1
            except OSError as error:
                seen[f"failed: {error}"] += 1

    thread = threading.Thread(target=on)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def rag(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The application, live: its questions wait for the index. The data's versions, by declaration."""
    assert isinstance(CORPUS, Index)
    assert isinstance(RAG, Application)
    questions = [json.loads(line) for line in (RAG.folder / "questions.jsonl").read_text().splitlines()]
    mine = [one for one in questions if one["category"] == "platform"]
    mine = [one for one in mine if one["answerable"]][:12] + [one for one in questions if one["category"] == "other"][
        :4
    ]
    file: Path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in mine))
    asked = world.release(RAG, questions=str(file))
    corpus = world.release(CORPUS, **SMALL)
    sensed(world, CORPUS, corpus)
    sensed(world, RAG, asked)
    return {"corpus": corpus, "rag": asked}


def test_a_tag_of_the_corpus_becomes_a_released_index(world: World, rag: dict[str, str]) -> None:
    found = world.materialization("embeddings", "corpus", rag["corpus"]).metadata
    metadata = {name: value.value for name, value in found.items()}
    assert metadata["verdict"] == "pass"
    assert metadata["chunks embedded"] == metadata["dagster/row_count"] > 100
    table = world.resources.vectors.table(metadata["table"])
    assert table is not None
    assert (table.chunks, table.data_version) == (metadata["dagster/row_count"], rag["corpus"])
    current = world.resources.ledger.current("index/corpus")
    assert current is not None
    candidate = world.resources.ledger.candidates.by_id(current.candidate)
    assert candidate is not None
    assert (candidate.data_version, candidate.kind, candidate.digest) == (rag["corpus"], "index", metadata["digest"])


def test_two_tags_become_a_live_application(world: World, rag: dict[str, str]) -> None:
    answer = ask(world)
    assert answer["version"] == "1.0.0"
    assert answer["citations"]
    assert answer["answerer"] == "extractive"
    releases = {role: world.resources.ledger.current(thing) for role, thing in RAG.things().items()}
    assert {role: part["release"] for role, part in answer["parts"].items()} == {
        role: release.id for role, release in releases.items() if release
    }
    live = json.loads(mlops("live", "rag", "--json").stdout)
    assert live["version"] == "1.0.0"
    run = mlops("rollback", "rag")
    assert run.returncode == 3
    assert "index/corpus, prompt/rag, language_model/rag" in " ".join((run.stdout + run.stderr).split())


def test_an_answer_is_traced_to_chunk_file_and_tag(world: World, rag: dict[str, str]) -> None:
    answer = ask(world)
    found = traced(world, answer["prediction_id"])
    assert found.intact
    assert {role: part.data["tag"] for role, part in found.parts.items()} == {
        "index": f"corpus-v{rag['corpus']}",
        "prompt": f"rag_questions-v{rag['rag']}",
        "language_model": f"rag_questions-v{rag['rag']}",
    }
    assert all(file.sha256 == file.actual for part in found.parts.values() for file in part.files)
    assert [chunk["id"] for chunk in found.chunks] == [citation["id"] for citation in answer["citations"]]
    assert found.chunks[0]["path"].startswith("docs/")
    run = mlops("trace", answer["prediction_id"])
    assert run.returncode == 0, run.stderr
    assert "index/corpus 1.0.0" in run.stdout
    assert found.chunks[0]["path"] in run.stdout
    touched = json.loads(mlops("impact", f"corpus-v{rag['corpus']}", "--json").stdout)[0]
    assert touched["live"] == ["index/corpus", "rag"]
    assert touched["predictions"] >= 2


def test_a_new_index_and_a_rollback_are_switched_to_without_a_failed_answer(world: World, rag: dict[str, str]) -> None:
    with load(world) as seen:
        until(lambda: seen["1.0.0"] > 3)
        second = world.release(CORPUS, **SMALL, most=6)
        assert second != rag["corpus"]
        sensed(world, CORPUS, second)
        until(lambda: seen["1.1.0"] > 3)
        assert ask(world)["corpus_version"] == f"corpus-v{second}"
        run = mlops("rollback", "index/corpus", "--why", "the test", "--json")
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout)["version"] == "1.0.0"
        before = sum(seen.values())
        until(lambda: sum(seen.values()) > before + 3)
        assert ask(world)["corpus_version"] == f"corpus-v{rag['corpus']}"
    assert not [name for name in seen if name.startswith("failed")]


def test_a_registered_prompt_is_judged_by_itself_and_a_worse_one_changes_nothing(
    world: World, rag: dict[str, str]
) -> None:
    """Answers by one sentence, refused almost always: the sensor sees it, the gate refuses it."""
    prompts, before = world.resources.tracking.prompts, ask(world)["version"]
    newest = prompts.list("prompt/rag")[0]
    worse = prompts.register("prompt/rag", newest.template, {**newest.settings, "refuse_below": 1.0}, "a mistake")
    filters = dg.RunsFilter(job_name=pipeline_name("prompt_rag"), tags={"dagster/sensor_name": "registry"})
    run = world.by_sensor("registry", filters)
    assert not run.is_success
    candidate = world.resources.ledger.candidates.get("prompt/rag", worse)
    assert candidate
    report = world.resources.ledger.report(candidate.id)
    assert report
    assert report.verdict == "refuse"
    assert "extractive" in str(report.checks[0].evidence["answered by"])
    assert ask(world)["version"] == before


def test_the_jobs_are_there(definitions: dg.Definitions) -> None:
    names = {job.name for job in definitions.resolve_all_job_defs()}
    assert {pipeline_name("corpus"), pipeline_name("rag"), "rag_rollout", "index_corpus_release"} <= names
