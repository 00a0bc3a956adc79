"""Git, as the data registry uses it: one process a question, never a prompt, never the user's own hooks or keys.

A repository that the platform keeps for itself does not depend on anybody's configuration of Git. For an external one
the user's own counts, where address and keys may stand; what it says of ignored files, line ends, signing or hooks does
not.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from resources.registry.version import DataError, DataUnavailable

if TYPE_CHECKING:
    import psutil

SECONDS = 120  # that any one command may take
QUIET = {
    "commit.gpgsign": "false",
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.excludesFile": os.devnull,
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "gc.auto": "0",
    "init.templateDir": "",
    "push.gpgsign": "false",
    "safe.bareRepository": "all",
    "tag.gpgsign": "false",
    "user.email": "registry@localhost",
    "user.name": "data registry",
}
TRANSPORT = ("GIT_SSH", "GIT_ASKPASS", "GIT_SSL_", "GIT_HTTP_", "GIT_PROXY_")  # beginnings of variables that stay
CONFIGURED = "mlops.configured"


def variables() -> dict[str, str]:
    """This process's environment without what leads Git elsewhere, as a hook or a rebase around us sets it."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(TRANSPORT)
    }
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def own_variables() -> dict[str, str]:
    """The same for a repository of our own: no configuration of the user's or the machine's."""
    return {**variables(), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@dataclass(frozen=True)
class Git:
    """`own`: for a repository that the platform keeps for itself."""

    own: bool = True

    def __call__(
        self, *arguments: str, folder: Path | None = None, stdin: bytes = b"", lock: int | None = None
    ) -> bytes:
        """Output of `git <arguments>`, in `folder` where given; `lock` is a descriptor that it holds too.

        Raises:
            DataUnavailable: a remote does not answer, or is no repository.
            DataError: git refuses for another reason, or is not installed.
        """
        where = ["-C", str(folder)] if folder else []
        said = {"GIT_CONFIG_COUNT": str(len(QUIET))}
        for number, (name, value) in enumerate(QUIET.items()):
            said |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        try:
            done = subprocess.run(
                ["git", *where, *arguments],
                input=stdin,
                capture_output=True,
                env=(own_variables() if self.own else variables()) | said,
                timeout=SECONDS,
                pass_fds=() if lock is None else (lock,),
            )
        except FileNotFoundError as error:
            raise DataError("git is not installed or not on the path; install it") from error
        except subprocess.TimeoutExpired as error:
            raise DataUnavailable(f"`git {arguments[0]}` did not end within {SECONDS} s") from error
        if done.returncode:
            raise _reason(arguments[0], done.stderr.decode(errors="replace"))
        return done.stdout

    def configure(self, folder: Path) -> None:
        """Identity and manners of a work tree, set in that work tree alone; DVC's own Git reads them too."""
        digest = sha256(repr(QUIET).encode()).hexdigest()[:16]
        if digest not in (folder / ".git" / "config").read_text():
            for name, value in {**QUIET, CONFIGURED: digest}.items():
                self("config", name, value, folder=folder)

    def tags(self, url: str) -> dict[str, str]:
        """Tags of a repository and the commits they point at; one `git ls-remote`."""
        commits: dict[str, str] = {}
        for line in self("ls-remote", "--tags", url).decode().splitlines():
            commit, _, reference = line.partition("\t")
            commits[reference.removeprefix("refs/tags/").removesuffix("^{}")] = commit  # the peeled line comes second
        return commits

    def contents(self, folder: Path, objects: Sequence[str]) -> list[bytes | None]:
        """Contents of objects (`<tag>:<path>`) in one process; None for what does not exist."""
        names = "".join(f"{name}\n" for name in objects).encode()
        answer = BytesIO(self("cat-file", "--batch", folder=folder, stdin=names))
        found: list[bytes | None] = []
        for _ in objects:
            size = answer.readline().split()[-1]
            if size in (b"missing", b"ambiguous"):
                found.append(None)
            else:
                found.append(answer.read(int(size)))
                answer.readline()
        return found


git = Git()


def unlock(repository: Path) -> list[Path]:
    """Remove what a killed Git left locked (`index.lock`, a reference's), unless a Git works there now.

    Args:
        repository: a bare repository, or the folder `.git` of a work tree.

    Returns:
        What was removed.
    """
    import psutil

    left = [file for file in repository.glob("*.lock") if file.is_file()]
    left += [file for file in (repository / "refs").rglob("*.lock") if file.is_file()]
    if not left or any(_works_in(process, repository) for process in psutil.process_iter()):
        return []
    for file in left:
        file.unlink(missing_ok=True)
    return left


def _works_in(process: "psutil.Process", repository: Path) -> bool:
    import psutil

    try:
        place = Path(process.cwd())
        tree = repository.parent if repository.name == ".git" else repository
        return process.name().startswith("git") and place.is_relative_to(tree)
    except (psutil.Error, OSError):
        return False


def _reason(command: str, said: str) -> DataError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    line = next((line for line in lines if line.startswith(("fatal:", "error:", "!"))), lines[-1] if lines else "")
    if command in ("ls-remote", "fetch", "clone", "push"):
        return DataUnavailable(f"the data registry does not answer to `git {command}`: {line}")
    return DataError(f"`git {command}` failed: {line}")
