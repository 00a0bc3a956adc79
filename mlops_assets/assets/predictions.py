"""`<workload>/predictions`: a data version, scored by the released model into Parquet; a partition per data version.

It is materialized by people or schedules, never by a tag: in Dagster on the asset, with the splits and the tier in the
launchpad. The scores lie under the digests of data, model and code, and what lies there already is taken as it is.
"""

from pathlib import Path
from typing import Any, Literal

import dagster as dg
from pydantic import Field, create_model

from mlops_assets.assets.errors import clean_errors
from mlops_assets.assets.estimates import Cost
from mlops_assets.assets.launchpad import LaunchpadConfig, tier_field
from mlops_assets.assets.partitions import partitions_of
from mlops_assets.assets.tasks import POOL, common
from mlops_assets.lineage.code import batch_code
from mlops_assets.release.rollout import Delivery, NothingReleased
from mlops_assets.release.targets import released_key, stage_key
from resources.all import Resources
from resources.compute import Job
from resources.ledger import Candidate, NewBatch
from workloads.sdk.contract import TEST, TRAIN, VALIDATION, Workload
from workloads.sdk.programs.batch.spec import BatchResult, BatchSpec

PREVIEW = 5  # rows shown
CELL = 32  # characters of a value shown
TIER = "cpu-small"  # scoring holds a block of rows at a time, whatever its model was trained on


class Scoring(LaunchpadConfig):
    """What to score; the tier's field comes from `tier_field`."""

    tier: str
    split: Literal["all", "train", "validation", "test"] = Field("all", description="The split to score, or all.")


def batch(workload: Workload) -> dg.AssetsDefinition:
    """The asset of a workload's batch predictions."""
    config_type: Any = create_model("BatchConfig", __base__=Scoring, tier=tier_field(TIER))

    @dg.asset(
        key=stage_key(workload.name, "predictions"),
        group_name=workload.name,
        description=f"Rows of a data version, answered by what is released of {workload.name}.",
        partitions_def=partitions_of(workload),
        deps=[stage_key(workload.name, "datasets"), released_key(workload.name)],
        kinds={"predictions", "ray", "parquet"},
        owners=list(workload.owners),
        code_version=batch_code(workload),
        pool=POOL,
    )
    @clean_errors
    def predict(
        context: dg.AssetExecutionContext, config: config_type, delivery: dg.ResourceParam[Delivery]
    ) -> dg.MaterializeResult:
        resources, run = delivery.resources, context.run
        if (release := resources.ledger.current(workload.name)) is None:
            raise NothingReleased(f"nothing of {workload.name} is released yet, so there is nothing to predict with")
        candidate = resources.ledger.candidates.by_id(release.candidate)
        assert candidate is not None
        splits = (TRAIN, VALIDATION, TEST) if config.split == "all" else (config.split,)
        spec = specification(workload, context.partition_key, candidate, splits, config.tier, resources)
        if set(spec.scored()) == set(splits):
            result = BatchResult(spec_hash=spec.hash, splits=spec.scored(), reused=list(splits), seconds={})
            context.log.info(f"all that is asked for lies in {spec.destination} already")
        else:
            job = Job(workload.name, spec, run.root_run_id or run.run_id)
            result = resources.compute.run(job, context.log.info)
        cost = Cost.of(spec.tier, sum(result.seconds.values()))
        resources.ledger.batches.add(
            NewBatch(
                thing=workload.name,
                release=release.id,
                candidate=candidate.id,
                data_name=workload.data.name,
                data_version=spec.data_version,
                data_digest=spec.data_digest,
                uri=spec.destination.as_uri(),
                digest=result.digest,
                rows=result.rows,
                tier=config.tier,
                seconds=cost.seconds,
                dagster_run=run.run_id,
            )
        )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.digest),
            metadata={
                **describe(spec, result, cost),
                "tier": config.tier,
                "model version": release.version,
                "model": dg.MetadataValue.url(resources.tracking.registry.url(workload.name, candidate.number)),
            },
        )

    return predict


def specification(
    workload: Workload, version: str, candidate: Candidate, splits: tuple[str, ...], tier: str, resources: Resources
) -> BatchSpec:
    """What a job is asked for, to score splits of a data version with a model."""
    data = resources.data(workload.data.name, version)
    code = batch_code(workload)
    address = "-".join(digest[:16] for digest in (data.digest, candidate.digest, code))
    return BatchSpec(
        **common(workload, data, code, tier, resources, splits),
        artifacts_uri=candidate.artifacts_uri,
        model_digest=candidate.digest,
        destination=resources.settings.path("predictions", workload.name, address),
    )


def describe(spec: BatchSpec, result: BatchResult, cost: Cost) -> dict[str, Any]:
    """Metadata of scored splits: where, how many, how fast, at what cost, and the first rows."""
    scored = list(result.splits.values())
    first = next(split for split in result.splits if result.splits[split].parts)
    score = result.seconds.get("score")
    fresh = sum(one.rows for split, one in result.splits.items() if split not in result.reused)
    return {
        "dagster/uri": spec.destination.as_uri(),
        "dagster/row_count": result.rows,
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(name, kind) for name, kind in scored[0].columns.items()]
        ),
        "digest": result.digest,
        "model digest": spec.model_digest,
        "data digest": spec.data_digest,
        "splits": dg.JsonMetadataValue({split: one.rows for split, one in result.splits.items()}),
        "taken as they lay": ", ".join(result.reused) or "none",
        "size (bytes)": sum(part.size for one in scored for part in one.parts),
        **({"rows/s": round(fresh / score, 1)} if score else {}),
        **cost.metadata(),
        "preview": preview(spec.destination / first / result.splits[first].parts[0].path),
    }


def preview(part: Path) -> dg.MetadataValue:
    """The first rows of a part, long values cut short."""
    from pyarrow import parquet

    block = next(parquet.ParquetFile(part).iter_batches(PREVIEW))
    rows = [{name: _short(value) for name, value in row.items()} for row in block.to_pylist()]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows])


def _short(value: Any) -> str | int | float | bool:
    if isinstance(value, bool | int | float):
        return value
    text = str(dict(value) if isinstance(value, list) and value and isinstance(value[0], tuple) else value)
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"
