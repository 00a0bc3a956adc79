"""The data registry: a Git repository with DVC pipelines, whose tags are the versions of the datasets.

The registry is one repository that everyone reads (`settings.registry`; bare, where it is our own), a work tree of it
in which pipelines run, and a DVC remote with the files. A release reaches the repository in one atomic push of commit
and tag, after its files are in the remote: whoever sees a tag can read what it names.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from resources.cache import used
from resources.registry.git import git
from resources.registry.pipeline import parameters_of, write_pipeline
from resources.registry.repository import BRANCH, Versions
from resources.registry.version import (
    Bump,
    DataError,
    DataFile,
    DataUnavailable,
    DataVersion,
    FileCheck,
    ReleasedData,
    next_version,
    split_tag,
    tag_of,
)
from workloads.sdk.contract import Declared
from workloads.sdk.digests import digests

Progress = Callable[[str], None]


class DataRegistry(Versions):
    """Reads and releases versions of datasets. Setting up and reading tags stands in `repository.py`."""

    # --- files ------------------------------------------------------------------------------------------------------

    def files(self, name: str, version: str) -> dict[str, Path]:
        """The local files of what a tag points at now; see `local`, which asks no Git."""
        return self.local(self.version(name, version))

    def local(self, version: DataVersion) -> dict[str, Path]:
        """The splits of a version that was read before as local files, verified, in a folder named by its digest.

        Raises:
            DataError: a content is not what the tag recorded, in the cache and in the remote.
            DataUnavailable: the remote does not answer.
        """
        folder = self.settings.home / "data" / version.digest
        folder.mkdir(parents=True, exist_ok=True)
        used(folder)
        return {file.split: self._local(folder, version, file) for file in version.files if file.split is not None}

    def _local(self, folder: Path, version: DataVersion, file: DataFile) -> Path:
        path = folder / Path(file.path).name
        if path.exists() and _sha256(path) == file.sha256:
            return path
        if not (self.root / ".dvc").exists():
            self.init()
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self.store.copy(file, partial)
            if digests(partial)["sha256"] != file.sha256:  # the cache is damaged
                self.mend(version)
                partial.unlink()
                self.store.fetch(file, partial)
            if (actual := digests(partial)["sha256"]) != file.sha256:
                raise DataError(
                    f"{file.path} of {version.tag} has sha256 {actual[:12]}, recorded is {file.sha256[:12]}: cache and "
                    "remote are damaged; release the data again"
                )
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    def mend(self, version: DataVersion) -> list[str]:
        """Put the remote's content in place of every file that is damaged in DVC's cache; a line on each.

        Nothing fails here: what is needed and cannot be had is said where it is needed, by `files`.
        """
        lines = []
        for file in version.files:
            cached = self.store.cached(file)
            if not cached.exists() or digests(cached)["sha256"] == file.sha256:
                continue
            partial = cached.with_name(f"{cached.name}.{os.getpid()}")
            try:
                self.store.fetch(file, partial)
                whole = digests(partial)["sha256"] == file.sha256
                if whole:
                    partial.chmod(cached.stat().st_mode & 0o777)
                    os.replace(partial, cached)
                lines.append(f"{file.path} was damaged in the cache ({cached}) and " + (
                    "is repaired from the DVC remote" if whole else "is damaged in the DVC remote too"))  # fmt: skip
            except DataUnavailable as error:
                lines.append(f"{file.path} is damaged in the cache ({cached}): {error}")
            finally:
                partial.unlink(missing_ok=True)
        return lines

    @contextmanager
    def content(self, file: DataFile, verified: bool = True) -> Iterator[Path]:
        """A file in DVC's cache, or fetched from the remote for the length of the block; to be read only.

        Raises:
            DataError: `verified`, and the content is not what was recorded.
            DataUnavailable: neither has it.
        """
        path = partial = self.settings.home / "data" / f".{file.md5}.{os.getpid()}"
        try:
            if (cached := self.store.cached(file)).exists():
                path = cached
            else:
                partial.parent.mkdir(parents=True, exist_ok=True)
                self.store.fetch(file, partial)
            if verified and _sha256(path) != file.sha256:
                raise DataError(f"{path} is damaged: it is not the {file.path} that was recorded")
            yield path
        finally:
            partial.unlink(missing_ok=True)

    def verify(self, name: str, version: str) -> list[FileCheck]:
        """Digests of all files of a version, computed now: of DVC's cache, or else of the remote."""
        return self.check(self.version(name, version))

    def check(self, version: DataVersion) -> list[FileCheck]:
        """The same for a version that was read before, whatever its tag points at now."""
        return [FileCheck(file.path, file.sha256, self._actual(file)) for file in version.files]

    def _actual(self, file: DataFile) -> str | None:
        try:
            with self.content(file, verified=False) as path:
                return digests(path)["sha256"]
        except DataUnavailable:
            return None

    # --- releasing --------------------------------------------------------------------------------------------------

    def release(
        self,
        workload: Declared,
        bump: Bump = "patch",
        source: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        progress: Progress = lambda line: None,
        again: bool = False,
    ) -> ReleasedData:
        """Run a dataset's pipeline, and tag what it made where no version holds the same content.

        Args:
            workload: whose data.
            bump: which part of the version is raised.
            source: short for the parameter of that name.
            parameters: values of the pipeline's parameters; the others have their defaults, whatever held before.
            progress: is handed a line of text at a time.
            again: tag content that an earlier version holds as well, to make it the newest; never that of the newest.

        Raises:
            DataError: a wrong parameter, or a stage failed; nothing is tagged.
            DataUnavailable: a source, the remote or the registry is away; nothing is tagged.
        """
        values = {**(parameters or {}), **({"source": source} if source is not None else {})}
        chosen = parameters_of(workload, values)
        name = workload.data.name
        with self._locked():
            self._init()
            (self.root / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)  # of a killed DVC: no other runs now
            self._reset()
            file = write_pipeline(workload, chosen, self.root)
            stages = str(file.relative_to(self.root))
            progress(f"{name}: running the pipeline")
            own = f"{name}: "  # lines of the stages; DVC's are left out
            self.store.command("repro", stages, progress=lambda line: progress(line) if line.startswith(own) else None)
            text = (self.root / "data" / name / "metadata.json").read_text()
            digest = json.loads(text)["digest"]
            tags = self.tags(name)
            versions, broken = self.read(tags)
            for line in broken.values():
                progress(f"{line}; it is passed over")
            same = [version for version in versions if version.digest == digest]
            if same and not (again and same[-1] is not versions[-1]):
                self._reset()
                return ReleasedData(False, same[-1])
            progress(f"{name}: pushing the files to {self.remote or 'the DVC remote'}")
            self.store.command("push", stages)
            number = next_version([split_tag(tag)[1] for tag in tags], bump)
            progress(f"{name}: tagging {tag_of(name, number)}")
            self._tag(name, number, digest)
            return ReleasedData(True, self.version(name, number))

    def _reset(self) -> None:
        """The work tree as the registry's branch has it; what DVC made stays, as a cache."""
        git("fetch", "--quiet", "--force", "--prune", "--prune-tags", "origin", folder=self.root)
        git("checkout", "--quiet", "--force", "-B", BRANCH, f"origin/{BRANCH}", folder=self.root)
        git("clean", "--quiet", "--force", "-d", folder=self.root)

    def _tag(self, name: str, number: str, digest: str) -> None:
        tag = tag_of(name, number)
        git("add", "--all", f"pipelines/{name}", f"data/{name}", folder=self.root)
        git("commit", "--quiet", "--allow-empty", "--message", f"{name} {number}", folder=self.root)
        git("tag", "--annotate", "--message", f"{name} {number}\n\ndigest: {digest}", tag, folder=self.root)
        push = ("push", "--quiet", "--atomic", "origin", f"HEAD:{BRANCH}", f"refs/tags/{tag}")
        git(*push, folder=self.root)


def _sha256(path: Path) -> str:
    """A file's digest; computed once in this process for as long as the file looks the same."""
    state = path.stat()
    return _sha256_of(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256_of(path: Path, *state: int) -> str:
    return digests(path)["sha256"]
