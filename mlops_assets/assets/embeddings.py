"""`embeddings/<index>`: a version of a corpus, embedded into a table of its own, registered as a candidate, and judged.

The work is done elsewhere, by `resources.compute`, by the program `embedding/embed.py`. The table's
name is made of data, code, model and parameters: what stands there whole already is taken as it is, and a job that was
lost goes on where it stopped.
"""

from typing import Any

import dagster as dg
from pydantic import create_model

from mlops_assets.assets.checks import results, specs
from mlops_assets.assets.embedding import Embedded, embed
from mlops_assets.assets.errors import clean_errors
from mlops_assets.assets.estimates import Cost
from mlops_assets.assets.launchpad import TIER, fields_of, tier_field
from mlops_assets.assets.models import POOL
from mlops_assets.assets.partitions import partitions_of
from mlops_assets.lineage.code import embedding_code
from mlops_assets.release.rollout import Delivery
from mlops_assets.release.targets import ReleaseTarget
from workloads.sdk.contract import TIERS
from workloads.sdk.contract.applications import Index


def embeddings(target: ReleaseTarget) -> dg.AssetsDefinition:
    """The asset of an index' tables, one partition per version of its corpus."""
    index = target.declared
    assert isinstance(index, Index)
    fields = {**fields_of(index.parameters), TIER: tier_field(index.tier)}
    config_type: Any = create_model(f"{index.parameters.__name__}Config", __base__=dg.Config, **fields)

    @dg.asset(
        key=target.made,
        group_name=index.name,
        description=index.description,
        partitions_def=partitions_of(index),
        deps=[dg.AssetKey(["datasets", index.name])],
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
        parameters = index.parameters.model_validate(config.model_dump(exclude={TIER}))
        run = context.run
        made = embed(
            target,
            context.partition_key,
            parameters,
            getattr(config, TIER),
            delivery.resources,
            run=run.run_id,
            root_run=run.root_run_id or run.run_id,
            log=context.log.info,
        )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(made.candidate.digest),
            metadata={"verdict": made.report.verdict, **describe(made)},
            check_results=results(index, made.report, index.gates.on_inconclusive),
        )

    return vectors


def describe(made: Embedded) -> dict[str, Any]:
    """Metadata of a table: what it holds, what was computed for it, how fast, and where to read more."""
    result, candidate = made.result, made.candidate
    cost = Cost.of(TIERS[made.tier], sum(result.seconds.values()))
    return {
        "dagster/row_count": result.chunks,
        "dagster/relation_identifier": f"mlops.{made.content['schema']}.{made.content['table']}",
        "table": made.content["table"],
        "documents": result.documents,
        "chunks embedded": result.counts.embedded,
        "chunks copied": result.counts.copied,
        "chunks that stood there": result.counts.skipped,
        "chunks longer than is read": result.counts.truncated,
        **({"chunks/s": round(result.rate, 1)} if result.rate else {}),
        "encoder": f"{made.content['embedder']['name']} {made.content['embedder']['digest'][:12]}",
        "vectors": f"{made.content['type']}({made.content['dimensions']})",
        "digest": candidate.digest,
        "parameters": dg.JsonMetadataValue(candidate.parameters),
        "tier": made.tier,
        "duration (s)": dg.JsonMetadataValue(result.seconds),
        **cost.metadata(),
        "registered as": candidate.model_uri,
        "MLflow version": dg.MetadataValue.url(made.version_url),
        "MLflow run": dg.MetadataValue.url(made.run_url),
    }
