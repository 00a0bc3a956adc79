"""What the data registry answers with: versions of datasets, their files; how tags and versions are written."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

from workloads.sdk.errors import PlatformError, Unavailable
from workloads.sdk.findings import said

Bump = Literal["major", "minor", "patch"]
VERSION = re.compile(r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)")
TAG = re.compile(rf"([a-z][a-z0-9_]*)-v({VERSION.pattern})")


class DataError(PlatformError):
    """What was asked of the data registry cannot be done; the message says why and what to do."""


class DataUnavailable(DataError, Unavailable):
    """The registry, its remote, or a dataset's source is away; the same request succeeds when it is back."""


@dataclass(frozen=True)
class DataFile:
    """A file of a data version.

    Attributes:
        path: path in the registry, for example `data/wine/processed/train.parquet`.
        split: `train`, `validation` or `test`; None for raw files.
        sha256: digest of its content.
        md5: what DVC stores it under.
        size: bytes.
    """

    path: str
    split: str | None
    sha256: str
    md5: str
    size: int


@dataclass(frozen=True)
class DataVersion:
    """A tag of the data registry, read.

    Attributes:
        name: the dataset, for example `wine`.
        version: `1.2.0`, which is the partition's key.
        tag: `wine-v1.2.0`.
        commit: the commit that the tag points at.
        digest: identity of the content: sha256 over paths and digests of the processed files.
        source: where the raw files came from, in a word.
        metadata: `metadata.json` of the tag.
        files: processed files first, then raw ones.
    """

    name: str
    version: str
    tag: str
    commit: str
    digest: str
    source: str
    metadata: Mapping[str, Any]
    files: Sequence[DataFile]

    @property
    def rows(self) -> int:
        """Rows of all splits together."""
        return sum(split["rows"] for split in self.metadata["splits"].values())


@dataclass(frozen=True)
class FileCheck:
    """A file's SHA-256 as recorded, and as computed now; `actual` is None where the file is gone."""

    path: str
    expected: str
    actual: str | None

    @property
    def intact(self) -> bool:
        return self.actual == self.expected


@dataclass(frozen=True)
class ReleasedData:
    """What a release came to: a new version, or the one that holds the same content already."""

    created: bool
    version: DataVersion

    def __str__(self) -> str:
        version = self.version
        what = "released" if self.created else "unchanged, no new tag: the content is that of"
        about = f"{version.rows} rows, source {version.source}, digest {version.digest[:12]}"
        return "; ".join([f"{what} {version.tag} ({about})", *said(version.metadata.get("findings", {}))])


def tag_of(name: str, version: str) -> str:
    """`wine-v1.2.0`. Raises DataError for what is no dataset's name or no version."""
    tag = f"{name}-v{version}"
    split_tag(tag)
    return tag


def split_tag(tag: str) -> tuple[str, str]:
    """Dataset and version of a tag: `("wine", "1.2.0")`. Raises DataError for anything else."""
    if not (match := TAG.fullmatch(tag)):
        raise DataError(f"{tag!r} is no data tag; one is written <dataset>-v<major>.<minor>.<patch>, wine-v1.2.0")
    return match[1], match[2]


def resembles(tag: str, name: str) -> bool:
    """Whether what is no data tag seems to be meant as one of a dataset: `wine-v1.0`, `Wine-v1.0.0`, `wine_2`."""
    meant = rf"{re.escape(name).replace('_', '[-_]')}[^a-z0-9]*v?[0-9]"
    return TAG.fullmatch(tag) is None and re.match(meant, tag, re.IGNORECASE) is not None


def version_order(version: str) -> tuple[int, ...]:
    """Key to sort versions by: 1.10.0 comes after 1.9.0."""
    return tuple(map(int, version.split(".")))


class SemanticVersion(NamedTuple):
    """`major.minor.patch`, ordered."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1.2.0` or `v1.2.0`; raises ValueError for anything else."""
        if not (match := re.fullmatch(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})", text.strip())):
            raise ValueError(f"{text!r} is not a version such as 1.2.0")
        return cls(*(int(part) for part in match.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def following(current: SemanticVersion | None, bump: Bump, given: Iterable[SemanticVersion] = ()) -> SemanticVersion:
    """The version after `current`, above every one ever given in that line, so that none is used twice.

    After a rollback `current` is below the highest: a patch of 1.0.3 is 1.0.7 where 1.0.6 was given before.
    """
    given = [*given, *([current] if current else [])]
    if current is None or bump == "major":
        return SemanticVersion(max((v.major for v in given), default=0) + 1, 0, 0)
    if bump == "minor":
        return SemanticVersion(current.major, max(v.minor for v in given if v.major == current.major) + 1, 0)
    return SemanticVersion(current.major, current.minor, max(v.patch for v in given if v[:2] == current[:2]) + 1)


def next_version(versions: Sequence[str], bump: Bump) -> str:
    """The version after the highest; the first is 1.0.0."""
    return str(following(max(map(SemanticVersion.parse, versions), default=None), bump))
