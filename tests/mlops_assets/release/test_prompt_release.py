"""A prompt's way from the command line to release and back, on a real MLflow, ledger and data registry."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prompt_support import write_questions
from rag_support import composition, make_table, migrate
from typer.testing import CliRunner

from mlops_assets.assets.components import candidate_of
from mlops_assets.cli import app
from mlops_assets.commands import prompt as commands
from mlops_assets.gates.evaluators import releasing
from mlops_assets.release.mechanism import Releasing
from mlops_assets.release.promotion import promote
from mlops_assets.release.targets import ReleaseTarget, targets_of
from resources.all import Resources
from resources.database import connect
from resources.ledger import Candidate, NewCandidate
from resources.registry import DataRegistry
from resources.settings import Settings
from workloads.sdk.artifacts import Manifest
from workloads.sdk.contract.applications import PART, Application
from workloads.sdk.contract.loading import declared_of

Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def rag() -> Application:
    declared = declared_of("workloads.rag")
    assert isinstance(declared, Application)
    return replace(declared, repeats=1, gates=replace(declared.gates, latency_ms=600_000))


@pytest.fixture(scope="module")
def resources(mlflow: Settings, rag: Application, tmp_path_factory: pytest.TempPathFactory) -> Resources:
    """With questions as a data version, and an index as a candidate."""
    folder = tmp_path_factory.mktemp("prompts")
    migrate(mlflow)
    make_table(mlflow, "corpus_released")
    resources = Resources(mlflow.model_copy(update={"env": "prompting"}))
    resources.registry = DataRegistry(Settings(home=folder / "home"))
    write_questions(folder / "made")
    lines = folder / "made" / "lines.jsonl"
    questions = resources.registry.release(rag, parameters={"questions": lines}).version
    resources.ledger.migrate()
    resources.ledger.data.record(questions)
    (folder / "index").mkdir()
    (folder / "index" / PART).write_text(json.dumps(dict(composition("corpus_released").index.content)))
    manifest = Manifest.write(folder / "index", "workloads.corpus")
    uri = (folder / "index").as_uri()
    index = NewCandidate(thing="index/corpus", number=1, digest=manifest.digest, kind="index", artifacts_uri=uri)
    resources.ledger.candidates.add(replace(index, data_name="corpus", data_version="1.0.0"))
    return resources


@pytest.fixture(scope="module")
def target(rag: Application) -> ReleaseTarget:
    return next(each for each in targets_of(rag) if each.role == "prompt")


@pytest.fixture(scope="module")
def mechanism(target: ReleaseTarget, resources: Resources) -> Releasing:
    return releasing(target, resources)


@pytest.fixture(scope="module")
def first(target: ReleaseTarget, resources: Resources, mechanism: Releasing) -> Candidate:
    """The declaration's own prompt, released."""
    candidate = candidate_of(target, resources)
    outcome = mechanism.consider(candidate, "test", "the first")
    assert outcome.result == "released", outcome.why
    return candidate


@pytest.fixture
def mlops(monkeypatch: pytest.MonkeyPatch, rag: Application, target: ReleaseTarget, resources: Resources) -> Command:
    """Runs `mlops prompt <command> rag ...`; exit code and what was printed."""
    monkeypatch.setattr(commands, "_open", lambda name: (rag, target, resources))

    def run(command: str, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["prompt", command, "rag", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return run


def written(resources: Resources) -> dict[str, int]:
    """How many rows of the ledger, prompts and runs there are."""
    with connect(resources.settings) as connection:
        schema = resources.settings.schema_of("ledger")
        names = ("candidate", "report", "decision", "release", "alias_move", "alert", "data_version")
        rows = {name: connection.execute(f"SELECT count(*) FROM {schema}.{name}").fetchone()[0] for name in names}
    client = resources.tracking.client
    experiments = [each.experiment_id for each in client.search_experiments(filter_string="name LIKE 'prompting%'")]
    return rows | {
        "prompts": len(resources.tracking.prompts.list("prompt/rag")),
        "runs": len(client.search_runs(experiments)) if experiments else 0,
    }


def test_the_declarations_own_prompt_is_the_first_release(
    first: Candidate, target: ReleaseTarget, resources: Resources, mechanism: Releasing
) -> None:
    assert (first.number, first.kind, first.thing) == (1, "prompt", "prompt/rag")
    assert first.model_uri == "prompts:/prompting.prompt.rag/1"
    assert candidate_of(target, resources) == first
    current = resources.ledger.current("prompt/rag")
    assert current is not None
    assert (current.version, current.number) == ("1.0.0", 1)
    assert resources.tracking.registry.aliases("prompt/rag") == {"candidate": 1, "champion": 1}
    assert mechanism.aliases.inspect() == []
    # The language model that it was judged with came to be a candidate by that, and is not released.
    assert [each.kind for each in resources.ledger.candidates.of("language_model/rag")] == ["language_model"]
    assert resources.ledger.current("language_model/rag") is None


def test_a_dry_run_shows_the_report_and_changes_nothing(mlops: Command, first: Candidate, resources: Resources) -> None:
    before = written(resources)
    code, text = mlops("evaluate", "--dry-run", "--set", "refuse_below=0.99", "--set", "refusal=No.")
    assert code == 1
    assert "dry run: nothing was written" in text
    assert "answered by the extractive answerer (no language model)" in text
    assert "control" in text
    code, text = mlops("evaluate", "--dry-run", "--json")
    report = json.loads(text)
    assert (code, report["champion_digest"]) == (2 if report["verdict"] == "inconclusive" else 0, first.digest)
    assert report["checks"][1]["evidence"]["answered by"] == "the extractive answerer (no language model)"
    assert written(resources) == before


def test_a_worse_prompt_is_refused_and_what_is_released_stays(
    mlops: Command, first: Candidate, target: ReleaseTarget, resources: Resources, mechanism: Releasing
) -> None:
    code, text = mlops("register", "--set", "refuse_below=0.99", "--why", "sure of everything", "--json")
    assert (code, json.loads(text)["number"]) == (0, 2)
    assert mlops("evaluate")[0] == 1
    candidate = candidate_of(target, resources)
    assert candidate.number == 2
    assert candidate.parameters["refuse_below"] == 0.99
    outcome = mechanism.consider(candidate, "test", "the newest")
    assert (outcome.result, outcome.release.number) == ("refused", 1)
    assert resources.tracking.registry.aliases("prompt/rag")["champion"] == 1
    # A person may override that, and go back.
    assert mechanism.override(candidate, "test", "to see").release.number == 2
    assert resources.tracking.registry.aliases("prompt/rag")["champion"] == 2
    back = mechanism.rollback("test", "seen")
    assert (back.release.number, back.release.version) == (1, "1.0.0")
    assert resources.tracking.registry.aliases("prompt/rag") == {"candidate": 2, "champion": 1}
    listed = json.loads(mlops("list", "--json")[1])
    assert [each["number"] for each in listed] == [2, 1]
    assert listed[0]["why"] == "sure of everything"
    assert "champion" in listed[1]["aliases"]
    assert "refuse_below = 0.99" in mlops("show", "--version", "2")[1]


def test_what_is_released_becomes_a_candidate_elsewhere(first: Candidate, resources: Resources) -> None:
    copy = promote("prompt/rag", "promptingprod", resources.ledger, resources.tracking)
    assert (copy.number, copy.digest, copy.model_uri) == (1, first.digest, "prompts:/promptingprod.prompt.rag/1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--file", "{file}"], "{context}"),
        (["--set", "sentences=many"], "sentences"),
        (["--set", "colour=red"], "colour"),
        (["--set", "sentences"], "--set sentences=<value>"),
        (["--file", "/nowhere/prompt.md"], "cannot be read"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_not_registered(
    mlops: Command, first: Candidate, resources: Resources, tmp_path: Path, arguments: list[str], said: str
) -> None:
    file = tmp_path / "prompt.md"
    file.write_text("Answer the question {question}.")
    before = written(resources)
    chosen = [str(file) if each == "{file}" else each for each in arguments]
    code, text = mlops("register", "--why", "no", *chosen)
    assert code == 3
    assert said in text
    assert mlops("evaluate", "--dry-run", *chosen)[0] == 3
    assert mlops("evaluate", *chosen)[0] == 2  # it says that only a dry run judges what is not registered
    assert written(resources) == before


def test_a_language_model_is_a_candidate_as_long_as_the_settings_name_it(
    rag: Application, resources: Resources
) -> None:
    target = next(each for each in targets_of(rag) if each.role == "language_model")
    extractive = candidate_of(target, resources)
    assert candidate_of(target, resources) == extractive
    assert extractive.model_uri == "models:/prompting.language_model.rag/1"
    assert releasing(target, resources).consider(extractive, "test", "first").result == "released"
    named = {"language_model": "talker", "language_model_url": "http://127.0.0.1:9/v1"}
    other = Resources(resources.settings.model_copy(update=named))
    other.registry = resources.registry
    asked = candidate_of(target, other)
    assert (asked.number, asked.parameters["model"]) == (2, "talker")
    assert resources.tracking.registry.aliases("language_model/rag") == {"champion": 1, "candidate": 1}
