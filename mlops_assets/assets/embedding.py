"""An embedding, from data version to judged candidate. Each step may be repeated: a retry goes on where it stopped."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlops_assets.gates.evaluators import releasing
from mlops_assets.lineage.code import embedding_code, source
from mlops_assets.release.registration import Origin, register_component
from mlops_assets.release.targets import ReleaseTarget
from resources.all import Resources
from resources.compute import Job, JobFailed
from resources.ledger import Candidate
from resources.ledger.reports import GateReport
from resources.registry.version import DataVersion
from workloads.sdk.artifacts import digest_of
from workloads.sdk.contract import TIERS
from workloads.sdk.contract.applications import Index, IndexParameters
from workloads.sdk.programs.embedding.spec import Counts, EmbeddingResult, EmbeddingSpec
from workloads.sdk.programs.spec import DataFile


@dataclass(frozen=True)
class Embedded:
    """A table that is whole, its candidate and what its gates found; `content` is what an application needs of it."""

    result: EmbeddingResult
    content: dict[str, Any]
    candidate: Candidate
    report: GateReport
    tier: str
    run_url: str
    version_url: str


def embed(
    target: ReleaseTarget,
    version: str,
    parameters: IndexParameters,
    tier: str,
    resources: Resources,
    run: str,
    root_run: str,
    log: Callable[[str], Any],
) -> Embedded:
    """Embed a version of an index' corpus on a tier (its name), register, judge.

    Raises:
        resources.compute.NotPlaceable: the tier can never be placed here.
        resources.compute.JobFailed: the job ended without a result. Nothing is registered then.
    """
    index = target.declared
    assert isinstance(index, Index)
    data = resources.data(index.data.name, version)
    spec = specification(index, data, parameters, tier, resources)
    result = filled(index, spec, data, root_run, resources, log)
    content = {
        "schema": spec.db_schema,
        "table": spec.table,
        "embedder": {"name": spec.embedder, "digest": spec.embedder_digest},
        "dimensions": spec.dimensions,
        "type": spec.type,
        "chunks": result.chunks,
        "corpus": data.tag,
    }
    candidate = enter(target, content, spec, result, data, tier, resources, run)
    mechanism = releasing(target, resources)
    report = mechanism.report(candidate)
    mechanism.aliases.project()
    return Embedded(
        result=result,
        content=content,
        candidate=candidate,
        report=report,
        tier=tier,
        run_url=resources.tracking.runs.url(candidate.run_id),
        version_url=resources.tracking.registry.url(target.name, candidate.number),
    )


def specification(
    index: Index, data: DataVersion, parameters: IndexParameters, tier: str, resources: Resources
) -> EmbeddingSpec:
    """What a job is asked for, to embed a version of a corpus."""
    from workloads.sdk.kits.retrieval.embedder import DIGEST, DIMENSIONS, NAME

    (split,) = index.data.splits
    digests = {file.split: file.sha256 for file in data.files if file.split}
    code, chosen = embedding_code(index), parameters.model_dump(mode="json")
    return EmbeddingSpec(
        package=index.package,
        data={split: DataFile(path=resources.registry.local(data)[split], sha256=digests[split])},
        data_version=data.version,
        data_digest=data.digest,
        code_version=code,
        tier=TIERS[tier],
        index=index.name,
        parameters=chosen,
        embedder=NAME,
        embedder_digest=DIGEST,
        dimensions=DIMENSIONS,
        type=parameters.type,
        db_schema=resources.vectors.schema,
        table=f"{index.name}_{digest_of([data.digest, code, chosen, DIGEST])[:12]}",
        connection=resources.vectors.connection_file(),
    )


def filled(
    index: Index, spec: EmbeddingSpec, data: DataVersion, root_run: str, resources: Resources, log: Callable[[str], Any]
) -> EmbeddingResult:
    """The table, whole: as it stands, or made by a job. Raises `JobFailed` where that left none."""
    table = resources.vectors.table(spec.table)
    if table is not None and table.chunks is not None:
        log(f"the table {spec.table} stands there already, whole")
        counts = Counts(skipped=table.chunks)
        return EmbeddingResult(
            spec_hash=spec.hash, table=table.name, documents=data.rows, chunks=table.chunks, counts=counts, seconds={}
        )
    resources.compute.require(spec.tier, f"Embedding {index.name}")
    result = resources.compute.run(Job(index.name, spec, root_run), log)
    table = resources.vectors.table(spec.table)
    if table is None or table.chunks is None:
        raise JobFailed(
            f"the job for {data.tag} is done, and its table {spec.table} is not there; materialize the asset again"
        )
    return result


def enter(
    target: ReleaseTarget,
    content: dict[str, Any],
    spec: EmbeddingSpec,
    result: EmbeddingResult,
    data: DataVersion,
    tier: str,
    resources: Resources,
    run: str,
) -> Candidate:
    """The candidate of a table: the one that there is, else a new version in MLflow and in the ledger."""
    figures = {f"chunks_{name}": value for name, value in result.counts.model_dump().items()}
    metrics = {"chunks": result.chunks, "documents": result.documents, **figures}
    if result.rate:
        metrics["chunks_per_second"] = round(result.rate, 3)
    return register_component(
        target,
        content,
        f"{target.declared.name} {data.version}",
        Origin.of(data, spec.code_version, source(target.declared.folder), run),
        resources,
        tags={"data": data.tag, "tier": tier},
        parameters=spec.parameters,
        metrics=metrics,
        tier=tier,
        seconds=sum(result.seconds.values()),
    )
