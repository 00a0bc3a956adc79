"""Whether a candidate is still what was registered: its version in MLflow, and the digest of each of its files."""

from pathlib import Path

from resources.ledger import Candidate
from resources.tracking import Tracking, TrackingUnavailable
from workloads.sdk.artifacts import BrokenArtifacts, Manifest


def verified(candidate: Candidate, tracking: Tracking) -> Path:
    """The folder of a candidate's artifacts, each of which has the digest that it had.

    Raises:
        workloads.sdk.artifacts.BrokenArtifacts: they are not what was registered.
        resources.tracking.TrackingUnavailable: MLflow, or the store that they lie in, is away.
    """
    folder = tracking.runs.artifacts(candidate.artifacts_uri, candidate.digest)
    if not folder.parent.exists():
        raise TrackingUnavailable(f"{folder.parent} is gone; mount the store of the artifacts again, then try again")
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    if manifest.digest != candidate.digest:
        raise BrokenArtifacts(f"{folder} holds {manifest.digest[:12]}, and the ledger says {candidate.digest[:12]}")
    return folder


def damage(candidate: Candidate, tracking: Tracking) -> str | None:
    """Why a candidate cannot be served any more; None where it can. Raises TrackingUnavailable where MLflow is away."""
    try:
        if not tracking.registry.has(candidate.thing, candidate.number):
            return f"its version is gone from MLflow ({candidate.model_uri}); train it again"
        if candidate.artifacts_uri:
            verified(candidate, tracking)
    except BrokenArtifacts as broken:
        return str(broken)
    return None
