"""The tree is as `docs/architecture.md` says: imports only go down, files are short, and what pages name is there."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from draw_rooms import DRAWING, FRONT, drawing
from import_graph import circles, files, floor_of, import_graph, path_of

from resources.settings import REPOSITORY

GRAPH = import_graph()
LINES = 400
WORDS = 12
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(path_of(page) for page in (REPOSITORY / "docs").glob("*.md"))]
KINDS = (".py", ".sql", ".md", ".toml", ".svg", ".yaml", ".j2")
EXAMPLES = {"workloads/sugar/workload.py", "docs/guide.md", ".md"}  # written by the reader


def tracked(*patterns: str) -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\n")
    return [path for path in listed if path and (REPOSITORY / path).is_file()]


def test_imports_only_go_down() -> None:
    for path in GRAPH.keys() - {FRONT}:
        higher = [other for other in GRAPH[path] if floor_of(other) > floor_of(path)]
        assert not higher, f"{path} imports from a higher floor: {', '.join(higher)}"


def test_no_imports_go_round_in_a_circle() -> None:
    without_front = {path: set() if path == FRONT else others for path, others in GRAPH.items()}
    assert circles(without_front) == []


def test_a_circle_is_found_and_a_diamond_is_none() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []


def test_the_sdk_knows_no_workload_and_no_workload_another() -> None:
    for path, others in GRAPH.items():
        if path.startswith("workloads/") and path != "workloads/__init__.py":
            foreign = {other for other in others if other.split("/")[1] not in (path.split("/")[1], "sdk")}
            assert not foreign, f"{path} imports {foreign}"


def test_a_long_file_says_why_it_is_long() -> None:
    for path in tracked("*.py"):
        text = (REPOSITORY / path).read_text()
        said = "\n".join((ast.get_docstring(ast.parse(text)) or "").splitlines()[:4])
        assert text.count("\n") <= LINES or "long" in said, f"{path} is over {LINES} lines: divide it, or say why"


def test_every_package_says_what_it_is() -> None:
    packages = {file.parent for file in files()}
    fronts = {package / "__init__.py" for package in packages}
    assert [path_of(front) for front in fronts if not front.is_file()] == []
    assert sorted(path_of(front) for front in fronts if not ast.get_docstring(ast.parse(front.read_text()))) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    """Paths in backticks that begin with a folder of this repository, names of files, and the targets of links."""
    folders, names = {path.split("/")[0] for path in tracked() if "/" in path}, {Path(path).name for path in tracked()}
    text = (REPOSITORY / page).read_text()
    named = set(re.findall(r"`([\w./-]+)`", text)) - EXAMPLES
    missing = {name for name in named if name.split("/")[0] in folders and not (REPOSITORY / name).exists()}
    missing |= {name for name in named if "/" not in name and name.endswith(KINDS) and name not in names}
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    missing |= {link for link in links if not (REPOSITORY / page).parent.joinpath(link).exists()}
    assert sorted(missing) == []


def test_the_drawing_of_the_rooms_is_made_from_the_code_of_today() -> None:
    assert DRAWING.read_text() == drawing(), (
        "the tree has changed: run `python tests/support/draw_rooms.py`, and look at it"
    )


def test_the_glossary_is_short() -> None:
    text = (REPOSITORY / "docs/architecture.md").read_text()
    section = re.search(r"^## Words\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section, "docs/architecture.md has no section 'Words'"
    rows = [line for line in section.group(1).splitlines() if line.startswith("| ")][2:]
    assert 0 < len(rows) <= WORDS


def test_tests_mirror_the_tree() -> None:
    folders = {Path(path).parent.relative_to("tests") for path in tracked("tests/*")}
    mirrored = [folder for folder in folders if folder.parts and folder.parts[0] not in ("support", "whole")]
    assert [str(folder) for folder in sorted(mirrored) if not (REPOSITORY / folder).is_dir()] == []
