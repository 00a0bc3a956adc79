"""The corpus' documents: every source, a version for each content, and one sentence for what cannot be read."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from mlops_assets.cli import app
from mlops_assets.gates.data import inspect
from resources.registry import DataRegistry
from resources.registry.version import DataError
from resources.settings import REPOSITORY, Settings
from workloads.corpus import asked, data, documents, project, python, sources
from workloads.corpus.chunks import chunk
from workloads.corpus.data_parameters import LIBRARIES, CorpusData
from workloads.corpus.workload import CorpusParameters
from workloads.sdk.contract import Fetched
from workloads.sdk.contract.loading import declared_of
from workloads.sdk.dataset import read_split
from workloads.sdk.kits.retrieval.chunking import chunks_of
from workloads.sdk.kits.texts import docstrings

NOTHING: dict[str, Any] = {"project": None, "python": False, "libraries": ()}
CORPUS = declared_of("workloads.corpus")


def made(folder: Path, **parameters: Any) -> tuple[Fetched, list[dict[str, str]]]:
    """What was fetched, and the documents."""
    chosen = CorpusData(**parameters)
    raw, processed = folder / "raw", folder / "processed"
    raw.mkdir()
    processed.mkdir()
    fetched = data.fetch(chosen, raw)
    data.process(chosen, raw, processed)
    file = processed / "documents.parquet"
    data.schema().validate(pd.read_parquet(file))
    described = data.describe(chosen, processed)
    rows = read_split(file).to_pylist()
    assert described["splits"] == {"documents": {"rows": len(rows)}}
    assert sum(each["documents"] for each in described["sources"].values()) == len(rows)
    return fetched, rows


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "one.md").write_text("\ufeff# One\n\nFirst note.\n")
    (folder / "two.txt").write_text("Second note, ohne Überschrift.")
    (folder / ".hidden.md").write_text("not read")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "link.md").symlink_to(folder / "two.txt")
    return folder


def test_questions_name_sections_that_are_there(tmp_path: Path) -> None:
    _, rows = made(tmp_path)
    there = {(each.path, each.heading): each for row in rows for each in chunk(row, CorpusParameters())}
    named = [(path, heading) for path, sections in asked.read(CorpusData().asked).items() for heading in sections]
    unknown = [each for each in named if each not in there]
    assert [each for each in unknown if not each[0].startswith("python/")] == [], "change asked.jsonl too"
    assert len(unknown) < 0.02 * len(named), unknown  # what Python says of itself differs a little between versions
    back = there["docs/how-to.md", "What to do when > Releasing, going back > Go back to an earlier model, undo a "
                 "release, return to the previous version"]  # fmt: skip
    assert len(back.asked) >= 8
    assert "rollback" in back.content
    assert not set(back.asked) & set(back.content.splitlines())


def test_questions_of_ones_own_and_none(tmp_path: Path, notes: Path) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text(
        json.dumps({"path": "notes/deep/one.md", "heading": "One", "asked": ["what came first?"]}) + "\n"
        + json.dumps({"path": "elsewhere.md", "heading": "Two", "asked": ["what else?"]}) + "\n"
    )  # fmt: skip
    for given, expected in ((file, ("what came first?",)), (None, ())):
        (tmp_path / str(given is None)).mkdir()
        _, rows = made(tmp_path / str(given is None), **NOTHING, folders=[notes], asked=given)
        one, two = [each for row in rows for each in chunk(row, CorpusParameters())]
        assert (one.heading, one.asked, two.asked) == ("One", expected, ())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"path": "a.md", "heading": "A"}\n', "line 1: asked"),
        ('{"path": "a.md", "heading": "A", "asked": ["b"], "more": 1}\n', "line 1: more"),
        (2 * '{"path": "a.md", "heading": "A", "asked": ["b"]}\n', "line 2: a.md > A stands there already"),
        (None, "is no file"),
        ("\xff", "asked.jsonl is not UTF-8"),
    ],
)
def test_a_wrong_file_of_questions_is_one_sentence(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "asked.jsonl"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=said):
        asked.read(file)


def test_the_default_is_this_project_and_python(tmp_path: Path) -> None:
    fetched, rows = made(tmp_path)
    assert fetched.source == "docs+python"
    texts = {row["path"]: row["text"] for row in rows}
    assert {"README.md", "docs/architecture.md", "settings.md", "commands.md"} <= texts.keys()
    assert {"python/topics/with.md", "python/library/json.md", "python/library/builtins.md"} <= texts.keys()
    for row in rows:
        assert row["path"].startswith((f"{row['source']}/", "README.md", "settings.md", "commands.md"))


def test_every_setting_and_every_command_is_a_section(tmp_path: Path) -> None:
    found = {each.path: each for each in project.project(REPOSITORY, None)}
    settings = {chunk.heading: chunk.content for chunk in chunks_of(found["settings.md"]._asdict(), 1000)}
    assert {f"Settings > MLOPS_{name.upper()}" for name in Settings.model_fields} <= settings.keys()
    kept = settings["Settings > MLOPS_LOG_INPUTS"]
    assert all(
        word in kept for word in (Settings.model_fields["log_inputs"].description, "`'none'`", "default `'all'`")
    )
    commands = {chunk.heading: chunk.content for chunk in chunks_of(found["commands.md"]._asdict(), 1000)}
    names = {command.name for command in app.registered_commands}
    assert {f"`mlops` > `mlops {name}`" for name in names if name} <= commands.keys()
    assert "`mlops` > `mlops data` > `mlops data release`" in commands
    assert "Release what was released before, again" in commands["`mlops` > `mlops rollback`"]
    assert "--help" not in found["commands.md"].text


def test_a_topic_has_the_headings_that_were_underlined() -> None:
    topics = {each.path: each for each in python.language(None)}
    topic = topics["python/topics/typesseq.md"]
    assert topic.title == 'Sequence Types — "list", "tuple", "range"'
    headings = {chunk.heading for chunk in chunks_of(topic._asdict(), 600)}
    assert f"{topic.title} > Common Sequence Operations" in headings
    assert "```\nlambda_expr ::= " in topics["python/topics/lambda.md"].text, "grammar is code"
    assert "python/topics/compound.md" not in topics, "it only puts the topics of if, for, with and so on together"


def test_the_standard_library_says_what_it_is_used_for() -> None:
    modules = {each.path: each.text for each in python.library(None)}
    assert len(modules) > 100
    for path, told in {
        "json": "## json.dumps\n\nSerialize",
        "builtins": "### str.strip\n\nReturn a copy of the string",
        "collections": "## collections.deque\n\n",  # in C
        "os": "## os.getcwd\n\nReturn a unicode string",  # from another module
        "random": "## random.sample\n\nChooses k unique",  # a bound method
        "pathlib": "`Path.rglob`: Recursively",
    }.items():
        assert told in modules[f"python/library/{path}.md"]


def test_a_pointer_of_git_lfs_is_left_out_and_counted(notes: Path, tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    (notes / "large.md").write_text(pointer)
    (notes / "empty.md").write_text("\n")
    fetched, rows = made(tmp_path, **NOTHING, folders=[notes])
    assert [row["path"] for row in rows] == ["notes/deep/one.md", "notes/two.txt"]
    assert fetched.uri == f"{notes} (2 without text left out)"


def test_a_titles_place_is_the_metadata_or_the_first_heading(notes: Path, tmp_path: Path) -> None:
    (notes / "meta.md").write_text('---\ntitle: "Named"\n---\n\n# Not this\n\nText.\n')
    (notes / "under.md").write_text("Underlined\n===\n\nText.\n")
    _, rows = made(tmp_path, **NOTHING, folders=[notes])
    assert {row["path"]: row["title"] for row in rows} == {
        "notes/deep/one.md": "One", "notes/two.txt": "two", "notes/meta.md": "Named", "notes/under.md": "Underlined",
    }  # fmt: skip


def test_a_modules_docstrings_are_one_document(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text(
        '"""A shop.\n\n# not a heading\n"""\n'
        'class Basket:\n    """What is bought."""\n'
        '    def add(self):\n        """Put in.\n\n        Returns\n        -------\n'
        '        :class:`Basket`\n        """\n'
        '    def _hidden(self):\n        """Nobody\'s business."""\n'
        f'def pay():\n    """{"Pay what is in the basket. " * 8}"""\n'
    )
    document = docstrings.document_of(file, "shop")
    assert document is not None
    assert document.startswith(
        "# shop\n\nA shop.\n\n\\# not a heading\n\n## Basket\n\nWhat is bought.\n\n### Basket.add"
    )
    assert "Returns:\n`Basket`" in document
    assert "## pay" in document
    assert "hidden" not in document
    file.write_text("def broken(:")
    assert docstrings.document_of(file, "shop") is None


def test_all_libraries_are_installed() -> None:
    for name, package in LIBRARIES.items():
        assert next(docstrings.modules(name, package, 1)[1])[0].startswith(f"{package}/")


def test_a_folder_and_a_repository(notes: Path, tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, "-C", tmp_path / "team", *arguments], check=True, capture_output=True)

    (tmp_path / "team").mkdir()
    git("init", "-q")
    (tmp_path / "team" / "guide.md").write_text("# Guide\n\nHow to.\n")
    git("add", "guide.md")
    git("commit", "-qm", "a")
    fetched, rows = made(tmp_path, **NOTHING, folders=[notes], repositories=[str(tmp_path / "team")])
    assert [(row["path"], row["title"]) for row in rows] == [
        ("notes/deep/one.md", "One"),
        ("notes/two.txt", "two"),
        ("team/guide.md", "Guide"),
    ]
    assert fetched.source == "notes+team"
    with pytest.raises(ConnectionError, match="nowhere could not be cloned"):
        sources.repository(str(tmp_path / "nowhere"), None)


@pytest.mark.parametrize(
    "address", ["https://me:secret@host/a.git", "ext::sh -c true", "--upload-pack=touch x", "http://host/a", "a/b"]
)
def test_a_password_or_a_command_is_no_repository(address: str) -> None:
    with pytest.raises(ValidationError, match="no address of a Git repository") as error:
        CorpusData(repositories=[address])
    assert "me:secret" not in error.value.errors()[0]["msg"]


def test_what_cannot_be_read_is_named(notes: Path, tmp_path: Path) -> None:
    (notes / "old.txt").write_bytes("Größe".encode("latin-1"))
    with pytest.raises(ValueError, match=r"notes/old\.txt is not UTF-8 \(byte 2\)"):
        list(sources.folder(notes, None))
    (notes / "old.txt").write_bytes(b" " * (documents.LARGEST + 1))
    with pytest.raises(ValueError, match=r"notes/old\.txt has 10,485,761 bytes"):
        list(sources.folder(notes, None))
    (tmp_path / "empty").mkdir()
    for folder, why in ((tmp_path / "empty", "holds no file"), (tmp_path / "none", "is no folder")):
        with pytest.raises(ValueError, match=why):
            list(sources.folder(folder, None))
    with pytest.raises(ValueError, match="no source is chosen"):
        data.fetch(CorpusData(**NOTHING), tmp_path)
    with pytest.raises(ValidationError, match="numpie is none of"):
        CorpusData(libraries=["numpie"])


def test_two_documents_of_one_path_are_refused(notes: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "notes"
    other.mkdir(parents=True)
    (other / "two.txt").write_text("Another.")
    with pytest.raises(ValueError, match=r"two documents have the path notes/two\.txt"):
        made(tmp_path, **NOTHING, folders=[notes, other])


def test_versions_in_the_registry(notes: Path, tmp_path: Path) -> None:
    """A changed file makes a version though every parameter stays, and one that cannot be read makes none."""
    registry = DataRegistry(Settings(home=tmp_path / "home"))
    chosen = {**NOTHING, "folders": [str(notes)]}
    first = registry.release(CORPUS, parameters=chosen)
    (notes / "two.txt").write_text("Changed.")
    second = registry.release(CORPUS, parameters=chosen)
    assert [first.version.version, second.version.version] == ["1.0.0", "1.0.1"]
    files = registry.files("corpus", "1.0.1")
    gates = inspect(CORPUS, second.version, files, registry, [first.version])
    assert [gate.name for gate in gates if not gate.passed] == []
    assert registry.release(CORPUS, parameters=chosen).created is False
    (notes / "old.txt").write_bytes(b"\xff\xff")
    with pytest.raises(DataError, match=r"^notes/old\.txt is not UTF-8"):
        registry.release(CORPUS, parameters=chosen)
    assert list(registry.tags("corpus")) == ["corpus-v1.0.0", "corpus-v1.0.1"]
