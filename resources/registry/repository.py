"""The repository of the data registry: made where it is missing, and read by tag without checking anything out."""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resources.registry.dvc import REMOTE, Store
from resources.registry.git import configure, contents, git, remote_tags
from resources.registry.version import TAG, DataError, DataFile, DataVersion, split_tag, tag_of, version_order
from resources.settings import Settings
from workloads.sdk.digests import dataset_digest

BRANCH = "main"


class Versions:
    """The repository and its work tree: made where they are missing, and read."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.home / "data-work"
        self.own = settings.registry_url is None  # else it is an external one, which may name a DVC remote of its own
        self.remote = settings.data_remote or (str(settings.home / "data-remote") if self.own else None)
        self.store = Store(self.root, self.remote)

    # --- setting up -------------------------------------------------------------------------------------------------

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
        matches = ((tag, commit, TAG.fullmatch(tag)) for tag, commit in remote_tags(self.settings.registry).items())
        return {tag: commit for tag, commit, match in matches if match and name in (None, match[1])}

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
        if not tags:
            return [], {}
        folder = self._objects(list(tags.values()))
        objects = [f"{commit}:data/{split_tag(tag)[0]}/metadata.json" for tag, commit in tags.items()]
        found, broken = [], {}
        for (tag, commit), text in zip(tags.items(), contents(folder, objects), strict=True):
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
        if None in contents(self.root, commits):
            with self._locked():
                git("fetch", "--quiet", "--force", "--tags", "origin", folder=self.root)
        return self.root


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
