"""DVC's store, as the data registry uses it: the cache beside the work tree, the remote, and DVC's own commands."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from resources.files import write_atomically
from resources.registry.git import own_variables, variables
from resources.registry.version import DataError, DataFile, DataUnavailable

REMOTE = "data"


class Store:
    """The DVC side of one work tree."""

    def __init__(self, root: Path, remote: str | None, own: bool = True) -> None:
        self.root = root
        self.remote = remote
        self.own = own  # the registry, so that the user's configuration of Git does not count
        self.lock: int | None = None  # held by DVC's processes too, so that one that outlives us still keeps others out

    def cached(self, file: DataFile) -> Path:
        """Where DVC's cache keeps a file's content; it may not be there."""
        return self.root / ".dvc" / "cache" / "files" / "md5" / file.md5[:2] / file.md5[2:]

    @property
    def url(self) -> str | None:
        """The remote as DVC's configuration has it, which takes ASCII alone: else seen from the work tree."""
        if self.remote is None or self.remote.isascii():
            return self.remote
        return os.path.relpath(self.remote, self.root / ".dvc")

    def configure(self) -> None:
        """Settings of this work tree alone, which stand over those that the registry carries."""
        lines = [
            "[core]",
            "    analytics = false",
            "    check_update = false",
            f'    site_cache_dir = "{self.root / ".dvc/tmp"}"',
        ]
        if self.remote is not None:
            lines += [f"    remote = {REMOTE}", f"['remote \"{REMOTE}\"']", f'    url = "{self.url}"']
        file, text = self.root / ".dvc" / "config.local", "\n".join(lines) + "\n"
        if not file.exists() or file.read_text() != text:
            write_atomically(file, text, mode=0o644)

    def fetch(self, file: DataFile, out: Path) -> None:
        """Copy a file's content from the remote. Raises DataUnavailable where the remote does not have it."""
        from dvc.repo import Repo

        try:
            self.configure()
            with Repo(str(self.root)) as repo:
                remote = repo.cloud.get_remote_odb()
                remote.fs.get_file(remote.oid_to_path(file.md5), str(out))
        except Exception as error:  # every kind of remote has its own errors
            raise DataUnavailable(
                f"{file.path} is not in the local cache, or damaged there, and the DVC remote does not give it: "
                f"{type(error).__name__}: {error}"
            ) from error

    def copy(self, file: DataFile, out: Path) -> None:
        """Copy a file's content from the cache or else the remote, unverified."""
        if (cached := self.cached(file)).exists():
            shutil.copyfile(cached, out)
        else:
            self.fetch(file, out)

    def command(self, *arguments: str, progress: Callable[[str], None] = lambda line: None) -> None:
        """Run `dvc <arguments>` in the work tree, its lines to `progress`.

        Raises:
            DataUnavailable: the remote or a dataset's source is away.
            DataError: another failure; the message holds the last words of the command.
        """
        inherited = own_variables() if self.own else variables()
        environment = {
            **{name: value for name, value in inherited.items() if not name.startswith("DVC_")},
            "DVC_NO_ANALYTICS": "1",
            "SHELL": "/bin/sh",  # runs the stages; the user's may be none, or another language
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONDONTWRITEBYTECODE": "1",  # a cache beside the copied code would count as a change of it
            "PYTHONUNBUFFERED": "1",
        }
        lines: list[str] = []
        with subprocess.Popen(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=() if self.lock is None else (self.lock,),
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line := line.rsplit("\r", 1)[-1].strip():
                    lines.append(line)
                    progress(line)
        if process.returncode:
            raise _reason(arguments[0], lines)


def _reason(command: str, lines: list[str]) -> DataError:
    """The stage's own sentence where there is one (see `data_pipeline.py`), else the last that DVC said."""
    away = [line.removeprefix("away: ") for line in lines if line.startswith("away: ")]
    own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    said = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if command == "push":
        return DataUnavailable(f"the DVC remote does not take the data: {(said or lines or ['no answer'])[-1]}")
    if away:
        return DataUnavailable(away[-1])
    if own:
        return DataError(own[-1])
    return DataError(f"`dvc {command}` failed: {'; '.join(said or lines[-3:])}")
