"""The data registry: a Git repository with DVC pipelines, whose tags are the versions of the datasets.

The registry is one repository that everyone reads (`settings.registry`; bare, where it is our own), a work tree of it
in which pipelines run, and a DVC remote with the files. A release reaches the repository in one atomic push of commit
and tag, after its files are in the remote: whoever sees a tag can read what it names.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from resources.cache import used
from resources.registry.dvc import REMOTE, Store
from resources.registry.git import Git, unlock
from resources.registry.pipeline import parameters_of, write_pipeline
from resources.registry.version import (
    TAG,
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
    version_order,
)
from resources.settings import Settings
from workloads.sdk.contract import Declared
from workloads.sdk.digests import dataset_digest, digests

BRANCH = "main"
Progress = Callable[[str], None]


class DataRegistry:
    """Makes the repository and its work tree where they are missing; reads and releases versions of datasets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.home / "data-work"
        self.own = settings.registry_url is None  # else it is an external one, which may name a DVC remote of its own
        self.remote = settings.data_remote or (str(settings.home / "data-remote") if self.own else None)
        self.store = Store(self.root, self.remote, self.own)
        self.git = Git(self.own)

    # --- setting up -------------------------------------------------------------------------------------------------

    def init(self) -> bool:
        """Make the registry (our own) and the work tree where they are missing; True if anything was made.

        Raises:
            DataUnavailable: an external registry does not answer.
        """
        with self._locked():
            return self._init()

    def _init(self) -> bool:
        """Each step is there whole, or is done again."""
        made = False
        if self.own and not Path(self.settings.registry, "HEAD").exists():
            with _whole(Path(self.settings.registry)) as folder:
                self._git("init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(folder))
            made = True
        if not (self.root / ".git" / "HEAD").exists():
            with _whole(self.root) as folder:
                self._git("clone", "--quiet", self.settings.registry, str(folder))
            made = True
        self._git("remote", "set-url", "origin", self.settings.registry, folder=self.root)
        self.git.configure(self.root)
        if not (self.root / ".dvc" / "config").exists() or not self._has_branch:
            self._git("checkout", "--quiet", "-B", BRANCH, folder=self.root)
            self.store.command("init", "--quiet", "--force")
            if self.store.url:
                self.store.command("remote", "add", "--default", "--force", REMOTE, self.store.url)
            (self.root / ".dvcignore").write_text("__pycache__\n")
            self._git("add", "--all", folder=self.root)
            self._git("commit", "--quiet", "--message", "A data registry", folder=self.root)
            self._git("push", "--quiet", "origin", f"HEAD:{BRANCH}", folder=self.root)
            made = True
        self.store.configure()
        return made

    @property
    def _has_branch(self) -> bool:
        """Whether the registry had its branch when the work tree last asked."""
        name, git = f"refs/remotes/origin/{BRANCH}", self.root / ".git"
        packed = git / "packed-refs"
        return (git / name).exists() or (packed.exists() and f" {name}\n" in packed.read_text())

    def _git(self, *arguments: str, folder: Path | None = None) -> bytes:
        """Git, which holds the lock too: one that outlives us still keeps others out."""
        return self.git(*arguments, folder=folder, lock=self.store.lock)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time changes the work tree."""
        self.settings.home.mkdir(parents=True, exist_ok=True)
        with (self.settings.home / "data-work.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.store.lock = lock.fileno()
            for repository in (self.root / ".git", *([Path(self.settings.registry)] if self.own else [])):
                unlock(repository)
            try:
                yield
            finally:
                self.store.lock = None

    # --- reading ----------------------------------------------------------------------------------------------------

    def tags(self, name: str | None = None) -> dict[str, str]:
        """Data tags and the commits they point at, one `git ls-remote`; empty before the first release.

        A tag that was moved shows another commit than before; nothing here hides or mends it.
        """
        matches = ((tag, commit, TAG.fullmatch(tag)) for tag, commit in self.all_tags().items())
        return {tag: commit for tag, commit, match in matches if match and name in (None, match[1])}

    def all_tags(self) -> dict[str, str]:
        """The same with tags that are no data tags."""
        return self.git.tags(self.settings.registry) if not self.own or Path(self.settings.registry).exists() else {}

    def versions(self, name: str, passed_over: Callable[[str], Any] = lambda line: None) -> list[DataVersion]:
        """All whole versions of a dataset, lowest first; `passed_over` is told of each tag that is broken."""
        found, broken = self.read(self.tags(name))
        for line in broken.values():
            passed_over(line)
        return found

    def version(self, name: str, version: str) -> DataVersion:
        """A version as it is in the registry now. Nothing is checked out.

        Raises:
            DataError: there is no such tag, or it holds no whole description of its data.
            DataUnavailable: the registry does not answer.
        """
        tag = tag_of(name, version)
        tags = self.tags(name)
        if tag not in tags:
            known = sorted((split_tag(other)[1] for other in tags), key=version_order)
            there = (
                f"its versions are {', '.join(known[-5:])}" if known else "it has none; `mlops data release` makes one"
            )
            raise DataError(f"the data registry has no tag {tag}; {there}")
        found, broken = self.read({tag: tags[tag]})
        if broken:
            raise DataError(f"{broken[tag]}; it is no data version")
        return found[0]

    def read(self, tags: Mapping[str, str]) -> tuple[list[DataVersion], dict[str, str]]:
        """The versions of tags, as `tags` gives them, by name and version; one process for any number of them.

        Returns:
            Those that are whole, and for each other tag what is wrong with it.
        """
        return self._read(self._objects(list(tags.values())), tags) if tags else ([], {})

    def _read(self, folder: Path, tags: Mapping[str, str]) -> tuple[list[DataVersion], dict[str, str]]:
        objects = [f"{commit}:data/{split_tag(tag)[0]}/metadata.json" for tag, commit in tags.items()]
        found, broken = [], {}
        for (tag, commit), text in zip(tags.items(), self.git.contents(folder, objects), strict=True):
            try:
                found.append(_version(tag, commit, text))
            except (ValueError, KeyError, TypeError, AttributeError):
                broken[tag] = f"{tag} ({commit[:12]}) holds no whole data/{split_tag(tag)[0]}/metadata.json"
            except DataError as error:
                broken[tag] = str(error)
        return sorted(found, key=lambda version: (version.name, version_order(version.version))), broken

    def _objects(self, commits: list[str]) -> Path:
        """A repository on this machine that holds these commits."""
        if self.own:
            return Path(self.settings.registry)
        if not (self.root / ".git" / "HEAD").exists():
            self.init()
        if None in self.git.contents(self.root, commits):
            with self._locked():
                self._git("fetch", "--quiet", "--force", "--tags", "origin", folder=self.root)
        return self.root

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
                if not (self.root / ".dvc" / "config").exists():
                    self.init()  # the home was restored, or the work tree deleted
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
        self._git("fetch", "--quiet", "--force", "--prune", "--prune-tags", "origin", folder=self.root)
        self._git("checkout", "--quiet", "--force", "-B", BRANCH, f"origin/{BRANCH}", folder=self.root)
        self._git("clean", "--quiet", "--force", "-d", folder=self.root)

    def _tag(self, name: str, number: str, digest: str) -> None:
        tag = tag_of(name, number)
        self._git("add", "--all", f"pipelines/{name}", f"data/{name}", folder=self.root)
        self._git("commit", "--quiet", "--allow-empty", "--message", f"{name} {number}", folder=self.root)
        self._git("tag", "--annotate", "--message", f"{name} {number}\n\ndigest: {digest}", tag, folder=self.root)
        commit = self._git("rev-parse", f"{tag}^{{commit}}", folder=self.root).decode().strip()
        _, broken = self._read(self.root, {tag: commit})  # nothing is pushed that cannot be read back
        if broken:
            self._git("tag", "--delete", tag, folder=self.root)
            raise DataError(f"{broken[tag]}, so it was not tagged; look at {self.root}")
        push = ("push", "--quiet", "--atomic", "origin", f"HEAD:{BRANCH}", f"refs/tags/{tag}")
        self._git(*push, folder=self.root)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder to be made, and put in its place at the end of the block; what is there, and is not whole, is kept."""
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    yield new
    if folder.exists():
        folder.rename(folder.with_name(f"{folder.name}.broken-{time.time():.0f}"))
    new.rename(folder)


def _version(tag: str, commit: str, text: bytes | None) -> DataVersion:
    metadata = json.loads(text or b"")
    files = [DataFile(**file) for file in metadata["files"]]
    source, digest = metadata["dataset"]["source"], metadata["digest"]
    version = DataVersion(*split_tag(tag), tag, commit, digest, source, metadata, files)
    if digest != dataset_digest((file.path, file.sha256) for file in files if file.split):
        raise DataError(f"{tag} ({commit[:12]}): the digest in data/{version.name}/metadata.json is not of its files")
    if not (version.rows >= 0 and isinstance(metadata["schema"], dict)):
        raise ValueError
    return version


def _sha256(path: Path) -> str:
    """A file's digest; computed once in this process for as long as the file looks the same."""
    state = path.stat()
    return _sha256_of(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256_of(path: Path, *state: int) -> str:
    return digests(path)["sha256"]
