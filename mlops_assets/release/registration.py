"""How what was made becomes a candidate: its files in a run of MLflow, a version there, and what the ledger is told."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mlops_assets.lineage.code import source
from mlops_assets.release.targets import ReleaseTarget
from resources.all import Resources
from resources.ledger import Candidate, NewCandidate
from resources.registry.version import DataVersion, tag_of
from workloads.sdk.artifacts import Manifest
from workloads.sdk.contract.applications import PART


@dataclass(frozen=True)
class Provenance:
    """What a candidate was made from and by: a data version, code, and the run of Dagster."""

    data_name: str
    data_version: str
    data_digest: str
    code_version: str
    git_commit: str
    git_dirty: bool
    dagster_run: str = ""
    data_source: str = ""

    @classmethod
    def of(cls, data: DataVersion, code_version: str, folder: Path, run: str) -> Self:
        """Code of this digest, which lies in a folder of a Git checkout."""
        return cls(data.name, data.version, data.digest, code_version, *source(folder), run, data.source)

    @property
    def data_tag(self) -> str:
        return tag_of(self.data_name, self.data_version)

    @property
    def tags(self) -> dict[str, str]:
        """What a run in MLflow says of it."""
        return {
            "data.tag": self.data_tag,
            "data.digest": self.data_digest,
            "data.source": self.data_source,
            "code.commit": self.git_commit,
            "code.dirty": str(self.git_dirty).lower(),
            "code.digest": self.code_version,
            "dagster.run": self.dagster_run,
        }


def new_candidate(
    target: str,
    run_id: str,
    folder: Path,
    origin: Provenance,
    resources: Resources,
    tags: Mapping[str, str],
    **said: Any,
) -> NewCandidate:
    """Keep a folder's files in a run, register them as a version with tags; the candidate, not yet in the ledger.

    Args:
        said: what else `NewCandidate` takes; its `number` is registered already, where one is given.
    """
    uri = resources.tracking.runs.log_files(run_id, folder, "model")
    number = said.pop("number", None)
    if number is None:
        known = resources.ledger.candidates.highest(target, beside=run_id)
        tags = {"digest": said["digest"], **tags}
        number = resources.tracking.registry.register(target, run_id, uri, tags, above=known)
    made = {field: value for field, value in asdict(origin).items() if field != "data_source"}
    return NewCandidate(
        thing=target,
        number=number,
        run_id=run_id,
        artifacts_uri=uri,
        model_uri=resources.tracking.registry.uri(target, number),
        **made,
        **said,
    )


def register_candidate(
    target: str,
    experiment: str,
    title: str,
    folder: Path,
    digest: str,
    origin: Provenance,
    resources: Resources,
    **said: Any,
) -> Candidate:
    """Enter the files of a folder, made at once, in a run of their own. A second time it goes on where it stopped.

    Args:
        experiment, title: of that run.
        digest: of the files.
        said: as of `new_candidate`; `tags` too.
    """
    tracking, tags = resources.tracking, said.pop("tags", {})
    key = ":".join([target, digest, str(said.get("number"))])
    run_id = tracking.runs.open(experiment, key, title, origin.tags | tags)
    tracking.runs.log(run_id, said.get("parameters", {}), said.get("metrics", {}), {})
    new = new_candidate(target, run_id, folder, origin, resources, tags, digest=digest, **said)
    candidate = resources.ledger.candidates.add(new)
    tracking.runs.close(run_id, "FINISHED")  # last: what is cut off before is found by its run, which goes on
    return candidate


def register_component(
    target: ReleaseTarget, content: Mapping[str, Any], title: str, origin: Provenance, resources: Resources, **said: Any
) -> Candidate:
    """The candidate of a part of an application: the one that there is of this content, else a new one.

    `said` is as of `register_candidate`.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, PART).write_text(json.dumps(dict(content), indent=2, sort_keys=True) + "\n")
        digest = Manifest.write(Path(folder), target.declared.package).digest
        numbered = {"number": said["number"]} if said.get("number") else {}
        if known := resources.ledger.candidates.newest(target.name, digest=digest, **numbered):
            return known
        said["kind"] = target.role
        return register_candidate(
            target.name, target.declared.name, title, Path(folder), digest, origin, resources, **said
        )
