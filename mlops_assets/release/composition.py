"""From released parts to what an application's endpoint serves: its composition, a candidate made of releases.

Each part was judged by its own gate, around what the others were then. So a composition is released as soon as a part
is, and going back is going back with a part.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_assets.lineage.code import serving_code, source
from mlops_assets.release.projection import Projection
from mlops_assets.release.registration import Provenance, register_candidate
from resources.all import Resources
from resources.ledger import Candidate, ChampionMoved, Release
from workloads.sdk.artifacts import Manifest, signature_of
from workloads.sdk.contract.applications import PART, Application, Component, Composition
from workloads.sdk.errors import PlatformError

ATTEMPTS = 5


class NothingReleased(PlatformError):
    """There is no release to serve; the message says what to do."""


@dataclass(frozen=True)
class Chosen:
    """A candidate for a place in a composition; `release` is None where it is not released (yet)."""

    candidate: Candidate
    release: Release | None


def chosen(application: Application, resources: Resources, without: str | None = None) -> dict[str, Chosen]:
    """What is released of each part, by role.

    Args:
        without: the role that a candidate is put into: of the others it may be the newest candidate, too, where nothing
            is released.

    Raises:
        NothingReleased: of one of them there is nothing; names it.
    """
    ledger, found, missing = resources.ledger, {}, []
    for role, target in application.things().items():
        if role == without:
            continue
        if release := ledger.current(target):
            found[role] = Chosen(_candidate(release, resources), release)
        elif without and (newest := ledger.candidates.newest(target)):
            found[role] = Chosen(newest, None)
        else:
            missing.append(target)
    if missing:
        raise NothingReleased(
            f"{application.name} is put together of {', '.join(application.things().values())}, and nothing of "
            f"{' and '.join(missing)} is released yet: `mlops gate {missing[0]}` says why"
        )
    return found


def composition(application: Application, parts: Mapping[str, Chosen | Component], resources: Resources) -> Composition:
    """What an application is put together of: each part's content read from its artifacts, or as it is given.

    Raises:
        workloads.sdk.artifacts.BrokenArtifacts: an artifact folder is not what was registered.
        resources.tracking.TrackingUnavailable: MLflow, which knows where it is, does not answer.
    """
    read = {role: component_of(one, resources) if isinstance(one, Chosen) else one for role, one in parts.items()}
    return Composition(application.name, **read)


def compose(application: Application, resources: Resources) -> Release:
    """The release of the composition of what is released now; entered where a part has changed since. Idempotent.

    Raises:
        NothingReleased: as `chosen`.
    """
    ledger = resources.ledger
    for _ in range(ATTEMPTS):
        pieces = chosen(application, resources)
        parts = {role: one.release.id for role, one in pieces.items() if one.release}
        current = ledger.current(application.name)
        before = _candidate(current, resources) if current else None
        if current and before and before.parts == parts:
            return current
        candidate = _enter(application, pieces, parts, resources)
        why = ", ".join(f"{one.release.thing} {one.release.version}" for one in pieces.values() if one.release)
        try:
            against = before.id if before else None
            release = ledger.decide(candidate.id, "release", actor="dagster", why=why, against=against)
        except ChampionMoved:
            continue  # somebody else composed meanwhile; look again
        assert release is not None
        Projection(application.name, ledger, resources.tracking).project()
        return release
    raise NothingReleased(f"the parts of {application.name} changed {ATTEMPTS} times meanwhile; try again")


def _enter(
    application: Application, held: Mapping[str, Chosen], parts: dict[str, int], resources: Resources
) -> Candidate:
    """The composition as a version in MLflow, and as a candidate; its data are those of the index."""
    index, served = held["index"].candidate, application.resolve(application.app)
    code = serving_code(application)
    versions = {role: one.release.version for role, one in held.items() if one.release}
    with tempfile.TemporaryDirectory() as folder:
        composition(application, held, resources).write(Path(folder))
        return register_candidate(
            application.name,
            application.name,
            " ".join(f"{role} {version}" for role, version in versions.items()),
            Path(folder),
            Manifest.write(Path(folder), application.package, served).digest,
            Provenance(index.data_name, index.data_version, index.data_digest, code, *source(application.folder)),
            resources,
            kind="composition",
            tags=versions,
            parameters=versions,
            signature=signature_of(served),
            parts=parts,
        )


def component_of(one: Chosen, resources: Resources) -> Component:
    """A candidate as a part; raises as `composition`."""
    candidate, release = one.candidate, one.release
    folder = resources.tracking.runs.artifacts(candidate.artifacts_uri, candidate.digest)
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    return Component(
        thing=candidate.thing,
        release=release.id if release else None,
        version=release.version if release else str(candidate.number),
        number=candidate.number,
        digest=candidate.digest,
        data=f"{candidate.data_name}-v{candidate.data_version}",
        content=json.loads((folder / PART).read_text()),
    )


def _candidate(release: Release, resources: Resources) -> Candidate:
    candidate = resources.ledger.candidates.by_id(release.candidate)
    assert candidate is not None
    return candidate
