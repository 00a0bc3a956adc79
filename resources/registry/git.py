"""Git, as the data registry uses it: one process a question, never a prompt, never the user's own hooks or keys."""

import os
import subprocess
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from resources.registry.version import DataError, DataUnavailable

SECONDS = 120  # that any one command may take
QUIET = {
    "commit.gpgsign": "false",
    "core.hooksPath": os.devnull,
    "gc.auto": "0",
    "tag.gpgsign": "false",
    "user.email": "registry@localhost",
    "user.name": "data registry",
}


def git(*arguments: str, folder: Path | None = None, stdin: bytes = b"") -> bytes:
    """Output of `git <arguments>`, in `folder` where given.

    Raises:
        DataUnavailable: a remote does not answer, or is no repository.
        DataError: git refuses for another reason, or is not installed.
    """
    # A hook or a rebase around us must not redirect these commands to its own repository.
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    }
    environment = {**inherited, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    where = ["-C", str(folder)] if folder else []
    try:
        done = subprocess.run(
            ["git", *where, *arguments],
            input=stdin,
            capture_output=True,
            env=environment,
            timeout=SECONDS,
        )
    except FileNotFoundError as error:
        raise DataError("git is not installed or not on the path; install it") from error
    except subprocess.TimeoutExpired as error:
        raise DataUnavailable(f"`git {arguments[0]}` did not end within {SECONDS} s") from error
    if done.returncode:
        raise _reason(arguments[0], done.stderr.decode(errors="replace"))
    return done.stdout


def _reason(command: str, said: str) -> DataError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    line = next((line for line in lines if line.startswith(("fatal:", "error:", "!"))), lines[-1] if lines else "")
    if command in ("ls-remote", "fetch", "clone", "push"):
        return DataUnavailable(f"the data registry does not answer to `git {command}`: {line}")
    return DataError(f"`git {command}` failed: {line}")


def configure(folder: Path) -> None:
    """Identity and manners of a work tree, set in that work tree only."""
    for name, value in QUIET.items():
        git("config", name, value, folder=folder)


def remote_tags(url: str) -> dict[str, str]:
    """Tags of a repository and the commits they point at; one `git ls-remote`."""
    commits: dict[str, str] = {}
    for line in git("ls-remote", "--tags", url).decode().splitlines():
        commit, _, reference = line.partition("\t")
        commits[reference.removeprefix("refs/tags/").removesuffix("^{}")] = commit  # the peeled line comes second
    return commits


def contents(folder: Path, objects: Sequence[str]) -> list[bytes | None]:
    """Contents of objects (`<tag>:<path>`) in one process; None for what does not exist."""
    names = "".join(f"{name}\n" for name in objects).encode()
    answer = BytesIO(git("cat-file", "--batch", folder=folder, stdin=names))
    found: list[bytes | None] = []
    for _ in objects:
        size = answer.readline().split()[-1]
        if size in (b"missing", b"ambiguous"):
            found.append(None)
        else:
            found.append(answer.read(int(size)))
            answer.readline()
    return found
