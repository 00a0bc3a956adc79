"""This project's documentation: README and docs as they are; its settings and commands, written out as Markdown."""

import ast
import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from workloads.corpus.documents import Document, chosen, read, texts

SOURCE = "docs"
SETTINGS = Path("resources/settings.py")  # read, and never imported: a workload knows nothing of the platform
COMMANDS = "mlops_assets.cli"
PREFIX = "MLOPS_"
SECONDS = 120
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
USAGE = re.compile(r"^\*\*Usage\*\*:\n+```console\n\$ (.*)\n```$", re.MULTILINE)
HELP = re.compile(
    r"^(?:\* `--(?:help|install-completion|show-completion)`.*\n\n?|\*\*(?:Options|Arguments)\*\*:\n\n"
    r"|\*\*Commands\*\*:\n\n(?:\* .*\n)+)",  # those have sections of their own
    re.MULTILINE,
)


def project(root: Path, most: int | None) -> Iterator[Document]:
    """A checkout's README, docs, settings and commands, by their paths in it.

    Raises:
        ValueError: there is no README, or settings or commands cannot be read.
    """
    if not (root / "README.md").is_file():
        raise ValueError(f"project={root} has no README.md; name a checkout of this project, or set project=null")
    files = [Path("README.md"), *(path.relative_to(root) for path in texts(root / "docs"))]
    for path in chosen(files, most):
        yield read(root / path, path.as_posix(), SOURCE)
    if (root / SETTINGS).is_file():
        yield Document("settings.md", SOURCE, "Settings", settings((root / SETTINGS).read_text()))
        yield Document("commands.md", SOURCE, "Commands", commands(root))


def settings(code: str) -> str:
    """The fields of the class `Settings` as Markdown, a heading for each environment variable. Raises ValueError."""
    kind = next(
        (node for node in ast.parse(code).body if isinstance(node, ast.ClassDef) and node.name == "Settings"), None
    )
    if kind is None:
        raise ValueError(f"{SETTINGS} has no class Settings; name a checkout of this project, or set project=null")
    parts = ["# Settings", "Every setting is an environment variable."]
    for node in kind.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Call):
            given = {each.arg: ast.unparse(each.value) for each in node.value.keywords}
            described = next(each.value for each in node.value.keywords if each.arg == "description")
            default = ast.unparse(node.value.args[0])
            facts = [f"default `{default}`"] if default != "None" else ["not set by default"]
            facts += [f"{words} {given[bound]}" for bound, words in BOUNDS.items() if bound in given]
            facts += [f"one of {', '.join(one_of)}" for one_of in [_literals(node.annotation)] if one_of]
            parts += [f"## {PREFIX}{node.target.id.upper()}", f"{ast.literal_eval(described)} ({'; '.join(facts)})"]
    return "\n\n".join(parts) + "\n"


def commands(root: Path) -> str:
    """What every command's `--help` says, as Markdown. Raises ValueError where the command line does not start."""
    write = [sys.executable, "-m", "typer", COMMANDS, "utils", "docs", "--name", "mlops"]
    environment = {**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}
    run = subprocess.run(write, cwd=root, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    if run.returncode:
        said = (run.stderr.strip() or "no answer").splitlines()[-1]
        raise ValueError(f"the commands of {root} cannot be listed: {said}")
    return HELP.sub("", USAGE.sub(r"`\1`", html.unescape(run.stdout)))


def _literals(annotation: ast.expr) -> list[str]:
    kinds = [node for node in ast.walk(annotation) if isinstance(node, ast.Subscript)]
    literals = [node.slice for node in kinds if ast.unparse(node.value) == "Literal"]
    return [f"`{ast.unparse(each)}`" for of in literals for each in ast.walk(of) if isinstance(each, ast.Constant)]
