"""Semantic versions of released targets: which one comes next, and what is different in it."""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple, Self

from resources.ledger.records import Candidate

Bump = Literal["major", "minor", "patch"]


class Version(NamedTuple):
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


FIRST = Version(1, 0, 0)


def following(current: Version | None, bump: Bump, given: Iterable[Version] = ()) -> Version:
    """The version after `current`, above every one ever given in that line, so that none is used twice.

    After a rollback `current` is below the highest: a patch of 1.0.3 is 1.0.7 where 1.0.6 was given before.
    """
    given = [*given, *([current] if current else [])]
    if current is None or bump == "major":
        return Version(max(v.major for v in given) + 1, 0, 0) if given else FIRST
    if bump == "minor":
        return Version(current.major, max(v.minor for v in given if v.major == current.major) + 1, 0)
    return Version(current.major, current.minor, max(v.patch for v in given if v[:2] == current[:2]) + 1)


def changes_of(old: Candidate | None, new: Candidate) -> tuple[Bump, list[str]]:
    """What is different from what is released, and which part of the version that moves."""
    if old is None:
        return "major", ["first release"]
    bump: Bump = "patch"
    changes = []
    if old.data_digest != new.data_digest:
        bump = "minor"
        changes.append(f"data {old.data_version} -> {new.data_version}")
    if old.signature != new.signature:
        bump = "major"
        changes.insert(0, "the form of requests or answers changed")
    parameters = sorted(old.parameters.keys() | new.parameters.keys())
    for name in parameters:
        before, after = old.parameters.get(name), new.parameters.get(name)
        if before != after:
            changes.append(f"{name} {before} -> {after}")
    if old.code_version != new.code_version:
        changes.append(f"code {old.code_version[:12]} -> {new.code_version[:12]}")
    return bump, changes or ["trained again"]
