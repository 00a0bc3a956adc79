"""Where a prediction came from, and what a file touched: following ids, never searching by time or by name."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from mlops_assets.release import composition as composing
from mlops_assets.release.composition import Chosen
from resources.all import Resources
from resources.ledger import Batch, Candidate, Release
from resources.registry.version import TAG, DataVersion, split_tag
from resources.serving.prediction_log import Prediction
from resources.settings import Settings
from resources.tracking import Gone
from workloads.sdk.artifacts import MANIFEST, BrokenArtifacts, Manifest, sha256
from workloads.sdk.errors import PlatformError, Unavailable


class NotFound(PlatformError, LookupError):
    """An id, digest, file or tag that nothing here knows; the message says what to do."""


@dataclass(frozen=True)
class TracedFile:
    """A file of the data that a model was made from, or of the model.

    `sha256` is what it was then, `actual` what was computed now; None: the file is not there.
    """

    path: str
    split: str | None
    sha256: str
    actual: str | None
    intact: bool


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a candidate came from. Each part names the next one by id.

    Attributes:
        release: None where it was never released.
        files, artifacts: of its data, and its own.
        intact: whether all of both are what they were.
        gone: one sentence for whatever is away or was deleted since, so that nothing could be said of it.
    """

    release: dict[str, Any] | None
    model: dict[str, Any]
    run: dict[str, Any]
    code: dict[str, Any]
    data: dict[str, Any]
    files: list[TracedFile]
    artifacts: list[TracedFile]
    intact: bool
    gone: list[str]


@dataclass(frozen=True, kw_only=True)
class Trace(Origin):
    """A prediction, back to the files of its data.

    Attributes:
        parts: of an application's answer the release of each part and where that came from, by role. Its own data are
            those of the index. `intact` is about all of them.
        chunks: what the answer cites: the passage as it is now, and the file of the corpus that it is from.
    """

    prediction: dict[str, Any]
    endpoint: dict[str, Any]
    parts: dict[str, Origin] = field(default_factory=dict)
    chunks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Touched:
    """What came of one data version."""

    tag: str
    digest: str
    files: list[str]
    models: list[dict[str, Any]]
    releases: list[dict[str, Any]]
    batches: list[dict[str, Any]]
    live: list[str]
    predictions: int
    first: datetime | None
    last: datetime | None


def trace(prediction_id: str, resources: Resources, patience: float = 0) -> Trace:
    """Follow a prediction back to the files, whose digests are computed again.

    Args:
        patience: seconds until the log, which is written in the background, must hold it.

    Raises:
        NotFound: the log holds no such prediction (any more), or it is no id.
    """
    try:
        wanted = UUID(prediction_id)
    except ValueError:
        raise NotFound(
            f"{prediction_id!r} is no prediction id: a UUID as the answer's `prediction_id` has it"
        ) from None
    deadline = time.monotonic() + patience
    while (found := resources.predictions.find(wanted)) is None:
        if time.monotonic() >= deadline:
            why = _unlogged(wanted, resources.settings)
            raise NotFound(f"no prediction {wanted} is in the log of {resources.settings.env}: {why}")
        time.sleep(0.15)
    candidate, release = _answered_by(found, resources)
    current = resources.ledger.current(candidate.thing)
    own = _origin(candidate, release, resources)
    released = {role: _released(part, f"the release {part}", resources) for role, part in candidate.parts.items()}
    parts = {role: _origin(*part, resources) for role, part in released.items()}
    return Trace(
        prediction={
            "id": str(found.prediction_id),
            "at": found.at,
            "rows": found.rows,
            "latency_ms": found.latency_ms,
            "inputs": found.inputs,
            "outputs": found.outputs,
        },
        endpoint={
            "name": found.endpoint,
            "plan": found.plan,
            "version": found.version,
            "live": current is not None and release is not None and current.id == release.id,
        },
        parts=parts,
        chunks=_cited(found, Chosen(*released["index"]), resources) if "index" in released else [],
        **vars(own) | {"intact": all(one.intact for one in (own, *parts.values()))},
    )


def _unlogged(prediction: UUID, settings: Settings) -> str:
    """Why an identity is not in the log, by the time that it says of itself (RFC 9562, version 7)."""
    if prediction.version != 7:
        return "no endpoint of this platform gives such ids"
    at, days = datetime.fromtimestamp((prediction.int >> 80) / 1000, UTC), settings.log_retention_days
    said, age = f"{at:%Y-%m-%d %H:%M:%S} UTC", datetime.now(UTC) - at
    if age < timedelta(0):
        return f"it says that it is of {said}, which is to come: its machine's clock is wrong, or it was made up"
    if age > timedelta(days=days):
        return f"it is of {said}, and the log keeps {days} days (MLOPS_LOG_RETENTION_DAYS)"
    if age < timedelta(seconds=30):
        return f"it is of {said}, and the log is written in the background; ask again in a few seconds"
    return (
        f"it is of {said}, so it was answered in another environment or home, or lost, which the endpoint's /metrics "
        "count (log_lost)"
    )


def _origin(candidate: Candidate, release: Release | None, resources: Resources) -> Origin:
    # As it was entered then: the tag may have been moved since, which says nothing about what the model was made from.
    version = resources.ledger.data.get(candidate.data_name, candidate.data_version)
    if version is None:
        raise NotFound(
            f"the ledger of {resources.settings.env} has no data {candidate.data_name} {candidate.data_version}"
        )
    splits = {file.path: file.split for file in version.files}
    files = [
        TracedFile(check.path, splits.get(check.path), check.expected, check.actual, check.intact)
        for check in resources.registry.check(version)
    ]
    gone: list[str] = []
    try:
        artifacts = _asked(lambda: _artifacts(candidate, resources), gone) or []
    except BrokenArtifacts as broken:
        gone.append(str(broken))
        artifacts = [TracedFile(MANIFEST, None, candidate.digest, None, False)]
    tags = _asked(lambda: resources.registry.tags(version.name), gone)
    return Origin(
        release=_release(release) if release else None,
        model=_model(candidate),
        run={
            "mlflow": candidate.run_id,
            "url": _asked(lambda: resources.tracking.runs.url(candidate.run_id), gone),
            "dagster": candidate.dagster_run,
            "parameters": candidate.parameters,
            "tier": candidate.tier,
        },
        code={"commit": candidate.git_commit, "dirty": candidate.git_dirty, "digest": candidate.code_version},
        data={
            "tag": version.tag,
            "commit": version.commit,
            "tag_stands": None if tags is None else tags.get(version.tag) == version.commit,
            "digest": candidate.data_digest,
            "source": version.source,
        },
        files=files,
        artifacts=artifacts,
        intact=all(file.intact for file in [*files, *artifacts]),
        gone=gone,
    )


def _asked(ask: Callable[[], Any], gone: list[str]) -> Any:
    """What is answered; None, and a sentence more in `gone`, where something is away or was deleted."""
    try:
        return ask()
    except (Unavailable, Gone) as error:
        gone.append(str(error))
        return None


def _artifacts(candidate: Candidate, resources: Resources) -> list[TracedFile]:
    """The files of a candidate's artifacts, with their digests now; the list's own digest is the candidate's."""
    folder = resources.tracking.runs.artifacts(candidate.artifacts_uri, candidate.digest)
    manifest = Manifest.read(folder)
    if manifest.digest != candidate.digest:
        raise BrokenArtifacts(f"{folder} holds {manifest.digest[:12]}, and the ledger says {candidate.digest[:12]}")
    now = {file.path: sha256(folder / file.path) if (folder / file.path).is_file() else None for file in manifest.files}
    return [
        TracedFile(file.path, None, file.sha256, now[file.path], now[file.path] == file.sha256)
        for file in manifest.files
    ]


def _cited(prediction: Prediction, index: Chosen, resources: Resources) -> list[dict[str, Any]]:
    """The chunks that an application's answer names, read from the table of the index that it was composed with."""
    answers = [one for one in prediction.outputs if isinstance(one, dict)]
    wanted = dict.fromkeys(str(one["id"]) for answer in answers for one in answer.get("citations", ()))
    if not wanted:
        return []
    table = composing.component_of(index, resources).content["table"]
    found = [resources.vectors.chunk(table, chunk) for chunk in wanted]
    return [chunk for chunk in found if chunk]


def _answered_by(prediction: Prediction, resources: Resources) -> tuple[Candidate, Release | None]:
    """The candidate that answered, and its release; None where a version was asked for that was never released."""
    if prediction.release_id is not None:
        return _released(prediction.release_id, f"release {prediction.release_id} of {prediction.endpoint}", resources)
    if candidate := resources.ledger.candidates.get(prediction.endpoint, prediction.number or 0):
        return candidate, None
    unknown = f"version {prediction.version} of {prediction.endpoint}"
    raise NotFound(f"the ledger of {resources.settings.env} does not know {unknown}")


def _released(identity: int, name: str, resources: Resources) -> tuple[Candidate, Release]:
    """What a release released, and the release; `name` is what it is called where the ledger does not know it."""
    release = resources.ledger.release(identity)
    candidate = resources.ledger.candidates.by_id(release.candidate) if release else None
    if release is None or candidate is None:
        raise NotFound(f"the ledger of {resources.settings.env} does not know {name}")
    return candidate, release


def impact(key: str, resources: Resources) -> list[Touched]:
    """What came of the data versions that a tag (`wine-v1.0.0`), a digest (6 digits or more) or a file's path names.

    A file of this machine is known by its content.

    Raises:
        NotFound: none is known by it.
    """
    data = resources.ledger.data
    if TAG.fullmatch(key):
        version = data.get(*split_tag(key))
        versions = [version] if version else []
    else:
        own = sha256(Path(key)) if Path(key).is_file() else ""
        versions = data.by_file(own) or data.by_file(key) or data.by_path(key)
    if not versions:
        raise NotFound(
            f"nothing was made from {key!r}: the ledger has no data tag, digest (6 hexadecimal digits or more), file's "
            "path or file's content like that; `mlops data list` shows the tags"
        )
    return [_touched(resources, version) for version in versions]


def _touched(resources: Resources, version: DataVersion) -> Touched:
    ledger = resources.ledger
    candidates = ledger.candidates.of_data(version.name, version.version)
    releases = ledger.releases_of_candidates([candidate.id for candidate in candidates])
    # What was put together of them: an application by an index, a prompt or a language model.
    known = {candidate.id for candidate in candidates}
    candidates += [one for one in ledger.candidates.compositions([each.id for each in releases]) if one.id not in known]
    releases = ledger.releases_of_candidates([candidate.id for candidate in candidates])
    versions = [(candidate.thing, candidate.number) for candidate in candidates]
    usage = resources.predictions.usage([release.id for release in releases], versions)
    currents = {target: ledger.current(target) for target in {release.thing for release in releases}}
    ids = {release.id for release in releases}
    return Touched(
        tag=version.tag,
        digest=version.digest,
        files=[file.path for file in version.files],
        models=[_model(candidate) for candidate in candidates],
        releases=[_release(release) for release in releases],
        batches=[_batch(batch) for batch in ledger.batches.of(version.name, version.version)],
        live=sorted(target for target, current in currents.items() if current and current.id in ids),
        predictions=usage.count,
        first=usage.first,
        last=usage.last,
    )


def _release(release: Release) -> dict[str, Any]:
    return {
        "id": release.id,
        "thing": release.thing,
        "version": release.version,
        "since": release.created_at,
        "action": release.action,
        "actor": release.actor,
        "why": release.why,
        "changes": release.changes,
    }


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "thing": batch.thing,
        "release": batch.release,
        "data": f"{batch.data_name}-v{batch.data_version}",
        "rows": batch.rows,
        "uri": batch.uri,
        "digest": batch.digest,
        "scored": batch.created_at,
    }


def _model(candidate: Candidate) -> dict[str, Any]:
    return {
        "uri": candidate.model_uri,
        "number": candidate.number,
        "variant": candidate.variant,
        "digest": candidate.digest,
        "trained": candidate.created_at,
        "data": f"{candidate.data_name}-v{candidate.data_version}",
    }
