"""`<index>/embeddings`: a version of a corpus, embedded into a table of its own, registered as a candidate, and judged.

The work is done elsewhere, by `resources.compute`, by the program `embedding/embed.py`. The table's name is made of
data, code, model and parameters: what stands there whole already is taken as it is, and a job that was lost goes on
where it stopped. So does a retry of the step.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import create_model

from mlops_assets.assets.checks import results, specs
from mlops_assets.assets.errors import clean_errors
from mlops_assets.assets.estimates import Cost
from mlops_assets.assets.launchpad import TIER, LaunchpadConfig, allowed, fields_of, tier_field
from mlops_assets.assets.partitions import partitions_of
from mlops_assets.assets.tasks import POOL, common
from mlops_assets.gates.evaluators import releasing
from mlops_assets.lineage.code import embedding_code
from mlops_assets.release.registration import Provenance, register_component
from mlops_assets.release.rollout import Delivery
from mlops_assets.release.targets import ReleaseTarget, stage_key
from resources.all import Resources
from resources.compute import Job, JobFailed
from resources.ledger import Candidate
from resources.registry.version import DataVersion
from workloads.sdk.artifacts import digest_of
from workloads.sdk.contract.applications import Index, IndexParameters
from workloads.sdk.programs.embedding.spec import Counts, EmbeddingResult, EmbeddingSpec


def embeddings(target: ReleaseTarget) -> dg.AssetsDefinition:
    """The asset of an index' tables, one partition per version of its corpus."""
    index = target.declared
    assert isinstance(index, Index)
    fields = {**fields_of(index.parameters), TIER: tier_field(index.tier)}
    config_type: Any = create_model(f"{index.parameters.__name__}Config", __base__=LaunchpadConfig, **fields)

    @dg.asset(
        key=target.made,
        group_name=index.name,
        description=index.description,
        partitions_def=partitions_of(index),
        deps=[stage_key(index.name, "datasets")],
        kinds={"embeddings", "postgres", *index.kinds},
        owners=list(index.owners),
        code_version=embedding_code(index),
        check_specs=specs(index, target.made),
        pool=POOL,
    )
    @clean_errors
    def vectors(
        context: dg.AssetExecutionContext, config: config_type, delivery: dg.ResourceParam[Delivery]
    ) -> dg.MaterializeResult:
        resources, run, tier = delivery.resources, context.run, getattr(config, TIER)
        with allowed(index.name):
            parameters = index.parameters.model_validate(config.model_dump(exclude={TIER}))
        data = resources.data(index.data.name, context.partition_key)
        spec = specification(index, data, parameters, tier, resources)
        job = Job(index.name, spec, run.root_run_id or run.run_id)
        result = filled(job, spec, data, resources, context.log.info)
        origin = Provenance.of(data, spec.code_version, index.folder, run.run_id)
        candidate = enter(target, spec, result, origin, tier, resources)
        mechanism = releasing(target, resources)
        report = mechanism.report(candidate)
        mechanism.aliases.project()
        return dg.MaterializeResult(
            data_version=dg.DataVersion(candidate.digest),
            metadata={
                "verdict": report.verdict,
                **describe(spec, result, candidate),
                "tier": tier,
                "duration (s)": dg.JsonMetadataValue(result.seconds),
                **Cost.of(spec.tier, sum(result.seconds.values())).metadata(),
                "registered as": candidate.model_uri,
                "MLflow version": dg.MetadataValue.url(resources.tracking.registry.url(target.name, candidate.number)),
                "MLflow run": dg.MetadataValue.url(resources.tracking.runs.url(candidate.run_id)),
            },
            check_results=results(index, report, index.gates.on_inconclusive),
        )

    return vectors


def specification(
    index: Index, data: DataVersion, parameters: IndexParameters, tier: str, resources: Resources
) -> EmbeddingSpec:
    """What a job is asked for, to embed a version of a corpus on a tier (its name)."""
    from workloads.sdk.kits.retrieval.embedder import DIGEST, DIMENSIONS, NAME

    code, chosen = embedding_code(index), parameters.model_dump(mode="json")
    return EmbeddingSpec(
        **common(index, data, code, tier, resources, index.data.splits),
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
    job: Job, spec: EmbeddingSpec, data: DataVersion, resources: Resources, log: Callable[[str], Any]
) -> EmbeddingResult:
    """The table, whole: as it stands, or made by a job.

    Raises:
        resources.compute.NotPlaceable: the tier can never be placed here.
        resources.compute.JobFailed: the job left no table that is whole.
    """
    table = resources.vectors.table(spec.table)
    if table is not None and table.chunks is not None:
        log(f"the table {spec.table} stands there already, whole")
        counts = Counts(skipped=table.chunks)
        return EmbeddingResult(
            spec_hash=spec.hash, table=table.name, documents=data.rows, chunks=table.chunks, counts=counts, seconds={}
        )
    resources.compute.require(spec.tier, f"Embedding {spec.index}")
    result = resources.compute.run(job, log)
    table = resources.vectors.table(spec.table)
    if table is None or table.chunks is None:
        raise JobFailed(
            f"the job for {data.tag} is done, and its table {spec.table} is not there; materialize the asset again"
        )
    return result


def enter(
    target: ReleaseTarget,
    spec: EmbeddingSpec,
    result: EmbeddingResult,
    origin: Provenance,
    tier: str,
    resources: Resources,
) -> Candidate:
    """The candidate of a table: the one that there is, else a new version in MLflow and in the ledger."""
    content = {
        "schema": spec.db_schema,
        "table": spec.table,
        "embedder": {"name": spec.embedder, "digest": spec.embedder_digest},
        "dimensions": spec.dimensions,
        "type": spec.type,
        "chunks": result.chunks,
        "corpus": origin.data_tag,
    }
    figures = {f"chunks_{name}": value for name, value in result.counts.model_dump().items()}
    rate = {"chunks_per_second": round(result.rate, 3)} if result.rate else {}
    return register_component(
        target,
        content,
        f"{target.declared.name} {origin.data_version}",
        origin,
        resources,
        tags={"data": origin.data_tag, "tier": tier},
        parameters=spec.parameters,
        metrics={"chunks": result.chunks, "documents": result.documents, **figures, **rate},
        tier=tier,
        seconds=sum(result.seconds.values()),
    )


def describe(spec: EmbeddingSpec, result: EmbeddingResult, candidate: Candidate) -> dict[str, Any]:
    """Metadata of a table: what it holds, what was computed for it, and how fast."""
    return {
        "dagster/row_count": result.chunks,
        "dagster/relation_identifier": f"mlops.{spec.db_schema}.{spec.table}",
        "table": spec.table,
        "documents": result.documents,
        "chunks embedded": result.counts.embedded,
        "chunks copied": result.counts.copied,
        "chunks that stood there": result.counts.skipped,
        "chunks longer than is read": result.counts.truncated,
        **({"chunks/s": round(result.rate, 1)} if result.rate else {}),
        "encoder": f"{spec.embedder} {spec.embedder_digest[:12]}",
        "vectors": f"{spec.type}({spec.dimensions})",
        "digest": candidate.digest,
        "parameters": dg.JsonMetadataValue(candidate.parameters),
    }
