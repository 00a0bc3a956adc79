"""What is different in a release from the one before, and which part of the version that moves."""

from resources.ledger.records import Candidate
from resources.registry.version import Bump


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
