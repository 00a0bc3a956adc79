"""The door to the data registry: a Git repository with DVC pipelines, whose tags are the versions of the datasets.

The registry is one repository that everyone reads (`settings.registry`; bare, where it is our own), a work tree of it
in which pipelines run, and a DVC remote with the files. A release reaches the repository in one atomic push of commit
and tag, after its files are in the remote: whoever sees a tag can read what it names.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resources.data_version import (
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
from resources.registry.git import configure, contents, git, remote_tags
from resources.registry.pipeline import parameters_of, write_pipeline
from resources.registry.store import REMOTE, Store
from resources.settings import Settings
from workloads.contract import Workload
from workloads.digests import dataset_digest, digests

BRANCH = "main"
Progress = Callable[[str], None]


class DataRegistry:
    """Reads and releases versions of datasets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.home / "data-work"
        self.store = Store(self.root, self.remote)

    # --- setting up -------------------------------------------------------------------------------------------------

    @property
    def own(self) -> bool:
        """Whether the registry is this platform's own, not an external one."""
        return self.settings.registry_url is None

    @property
    def remote(self) -> str | None:
        """URL of the DVC remote; None where an external registry names its own."""
        return self.settings.data_remote or (str(self.settings.home / "data-remote") if self.own else None)

    def init(self) -> bool:
        """Make the registry (our own) and the work tree where they are missing; True if anything was made.

        Raises:
            DataUnavailable: an external registry does not answer.
        """
        with self._locked():
            return self._init()

    def _init(self) -> bool:
        made = False
        if self.own and not (Path(self.settings.registry) / "HEAD").exists():
            git("init", "--quiet", "--bare", f"--initial-branch={BRANCH}", self.settings.registry)
            made = True
        if not (self.root / ".git" / "HEAD").exists():
            git("clone", "--quiet", self.settings.registry, str(self.root))
            made = True
        git("remote", "set-url", "origin", self.settings.registry, folder=self.root)
        configure(self.root)
        if not (self.root / ".dvc" / "config").exists():
            git("checkout", "--quiet", "-B", BRANCH, folder=self.root)
            self.store.command("init", "--quiet")
            if self.remote:
                self.store.command("remote", "add", "--default", "--force", REMOTE, self.remote)
            (self.root / ".dvcignore").write_text("__pycache__\n")
            git("add", "--all", folder=self.root)
            git("commit", "--quiet", "--message", "A data registry", folder=self.root)
            git("push", "--quiet", "origin", f"HEAD:{BRANCH}", folder=self.root)
            made = True
        self.store.configure()
        return made

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time changes the work tree."""
        self.settings.home.mkdir(parents=True, exist_ok=True)
        with (self.settings.home / "data-work.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.store.lock = lock.fileno()
            try:
                yield
            finally:
                self.store.lock = None

    # --- reading ----------------------------------------------------------------------------------------------------

    def tags(self, name: str | None = None) -> dict[str, str]:
        """Data tags and the commits they point at, one `git ls-remote`; empty before the first release.

        A tag that was moved shows another commit than before; nothing here hides or mends it.
        """
        if self.own and not Path(self.settings.registry).exists():
            return {}
        matches = ((tag, commit, TAG.fullmatch(tag)) for tag, commit in remote_tags(self.settings.registry))
        return {tag: commit for tag, commit, match in matches if match and name in (None, match[1])}

    def versions(self, name: str) -> list[DataVersion]:
        """All versions of a dataset, lowest first; two processes for any number of them."""
        tags = self.tags(name)
        return self.read(dict(sorted(tags.items(), key=lambda item: version_order(split_tag(item[0])[1]))))

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
        return self.read({tag: tags[tag]})[0]

    def read(self, tags: Mapping[str, str]) -> list[DataVersion]:
        """The versions of tags, as `tags` gives them; one process for any number of them."""
        if not tags:
            return []
        folder = self._objects(list(tags.values()))
        objects = [f"{commit}:data/{split_tag(tag)[0]}/metadata.json" for tag, commit in tags.items()]
        described = contents(folder, objects)
        return [_version(tag, commit, text) for (tag, commit), text in zip(tags.items(), described, strict=True)]

    def _objects(self, commits: list[str]) -> Path:
        """A repository on this machine that holds these commits."""
        if self.own:
            return Path(self.settings.registry)
        if not (self.root / ".git" / "HEAD").exists():
            self.init()
        if None in contents(self.root, commits):
            with self._locked():
                git("fetch", "--quiet", "--force", "--tags", "origin", folder=self.root)
        return self.root

    def files(self, name: str, version: str) -> dict[str, Path]:
        """The splits as local files, under a folder named by the version's digest; sha256 verified at every call.

        Raises:
            DataError: a content is not what the tag recorded, in the cache and in the remote.
            DataUnavailable: registry or remote do not answer.
        """
        found = self.version(name, version)
        return {file.split: self._local(found, file) for file in found.files if file.split is not None}

    def _local(self, version: DataVersion, file: DataFile) -> Path:
        path = self.settings.home / "data" / version.digest / Path(file.path).name
        if path.exists() and digests(path)["sha256"] == file.sha256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (self.root / ".dvc").exists():
            self.init()
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self.store.copy(file, partial)
            if digests(partial)["sha256"] != file.sha256:  # the cache is damaged
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

    def verify(self, name: str, version: str) -> list[FileCheck]:
        """Digests of all files of a version, computed now: of DVC's cache, or else of the remote."""
        found = self.version(name, version)
        return [FileCheck(file.path, file.sha256, self._actual(file)) for file in found.files]

    def _actual(self, file: DataFile) -> str | None:
        if (cached := self.store.cached(file)).exists():
            return digests(cached)["sha256"]
        partial = self.settings.home / "data" / f".verify.{file.md5}.{os.getpid()}"
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.store.fetch(file, partial)
            return digests(partial)["sha256"]
        except DataUnavailable:
            return None
        finally:
            partial.unlink(missing_ok=True)

    # --- releasing --------------------------------------------------------------------------------------------------

    def release(
        self,
        workload: Workload,
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
            versions = self.versions(name)
            same = [version for version in versions if version.digest == digest]
            if same and not (again and same[-1] is not versions[-1]):
                self._reset()
                return ReleasedData(False, same[-1])
            progress(f"{name}: pushing the files to {self.remote or 'the DVC remote'}")
            self.store.command("push", stages)
            number = next_version([version.version for version in versions], bump)
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


def _version(tag: str, commit: str, text: bytes | None) -> DataVersion:
    name, version = split_tag(tag)
    try:
        metadata = json.loads(text or b"")
        files = [DataFile(**file) for file in metadata["files"]]
        digest, source = metadata["digest"], metadata["dataset"]["source"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{tag} ({commit[:12]}) holds no whole data/{name}/metadata.json; it is no data version"
        ) from error
    if digest != dataset_digest((file.path, file.sha256) for file in files if file.split):
        raise DataError(f"{tag} ({commit[:12]}): the digest in data/{name}/metadata.json is not that of its files")
    return DataVersion(name, version, tag, commit, digest, source, metadata, files)
