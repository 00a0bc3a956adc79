"""`<workload>/tags`: the tags of the data registry. `<workload>/datasets`: a tag, resolved and checked."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import dagster as dg

from mlops_assets.assets.errors import clean_errors
from mlops_assets.assets.partitions import partitions_of
from mlops_assets.assets.pictures import drawn
from mlops_assets.gates.data import EARLIER, GATES, REFUSED, GateResult, inspect, refusal, refused
from mlops_assets.release.targets import stage_key
from resources.ledger import Ledger
from resources.registry import DataRegistry
from resources.registry.version import DataError, DataVersion, version_order
from workloads.sdk.contract import Declared


def registry_key(workload: str) -> dg.AssetKey:
    return stage_key(workload, "tags")


def tags_of(workload: Declared) -> dg.AssetSpec:
    """The dataset's tags, which come to be outside Dagster; the data_tags sensor reports each."""
    return dg.AssetSpec(
        key=registry_key(workload.name),
        group_name=workload.name,
        description=f"Tags `{workload.data.name}-v*` of the data registry. {workload.data.description}",
        partitions_def=partitions_of(workload),
        kinds={"tags", "git", "dvc"},
        owners=list(workload.owners),
    )


def tag_seen(workload: str, version: DataVersion) -> dg.AssetMaterialization:
    """What is reported when a tag is registered: its digest is the partition's data version."""
    return dg.AssetMaterialization(
        asset_key=registry_key(workload),
        partition=version.version,
        metadata={"tag": version.tag, "commit": version.commit, "source": version.source},
        tags={"dagster/data_version": version.digest},
    )


def dataset(workload: Declared) -> dg.AssetsDefinition:
    """The asset that resolves a data tag to verified files, and its gates."""
    key = stage_key(workload.name, "datasets")

    @dg.asset(
        key=key,
        group_name=workload.name,
        description=workload.data.description,
        partitions_def=partitions_of(workload),
        deps=[registry_key(workload.name)],
        kinds={"dataset", "dvc", "parquet"},
        owners=list(workload.owners),
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=True, description=description)
            for name, description in GATES.items()
        ],
        output_required=False,
    )
    @clean_errors
    def resolve(
        context: dg.AssetExecutionContext,
        registry: dg.ResourceParam[DataRegistry],
        ledger: dg.ResourceParam[Ledger],
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        version = registry.version(workload.data.name, context.partition_key)
        ledger.data.record(version)
        for line in registry.mend(version):
            context.log.warning(line)
        files = registry.local(version)
        context.log.info(f"{version.tag}: {len(files)} files of digest {version.digest[:12]}, source {version.source}")
        # Nothing was made from those that failed; compared with them, what mends them would fail as well.
        ever = {alert.key for alert in ledger.alerts.since() if (alert.thing, alert.kind) == (workload.name, REFUSED)}
        failed = ever - context.instance.get_materialized_partitions(key)
        before = ledger.data.before(version.name, version.version, EARLIER)
        earlier = [each for each in before if each.version not in failed]
        found = inspect(workload, version, files, registry, earlier)
        if why := refusal(version, found):
            # Not materialized, or Dagster would show the partition as done.
            ledger.alerts.add(workload.name, REFUSED, why, version.version)
            context.log_event(dg.AssetObservation(key, partition=version.version, metadata=describe(version, files)))
            yield from map(_checked, found)
            raise dg.Failure(why)
        own = version_order(version.version)
        over = [each for each in refused(workload.name, ledger) if version_order(each) <= own]
        ledger.alerts.resolve([REFUSED], workload.name, over)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(version.digest),
            metadata={**_pictured(version, files, registry, earlier[:1]), **describe(version, files)},
            check_results=list(map(_checked, found)),
        )

    return resolve


def _checked(result: GateResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=result.name,
        passed=result.passed,
        description=result.description,
        metadata={"rows": result.rows, "examples": dg.JsonMetadataValue(list(result.examples))},
    )


def describe(version: DataVersion, files: dict) -> dict:
    """Metadata of a dataset version: size, columns, splits, origin."""
    metadata = version.metadata
    splits, found = metadata["splits"], metadata.get("findings", {})
    known = {each["column"]: f"{each['kind']}: {each['becomes']}; {each['why']}" for each in found.get("columns", ())}
    return {
        "tag": version.tag,
        "source": version.source,
        "dagster/row_count": sum(split["rows"] for split in splits.values()),
        "splits": dg.JsonMetadataValue(splits),
        "statistics": dg.JsonMetadataValue(metadata.get("statistics", {})),
        **_found(dict(found)),
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name, str(column.get("dtype", "")), description=column.get("description") or known.get(name)
                )
                for name, column in metadata["schema"].items()
            ]
        ),
        "files": dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "path": file.path,
                        "rows": splits[file.split]["rows"] if file.split in splits else "",
                        "bytes": file.size,
                        "sha256": file.sha256[:16],
                    }
                )
                for file in version.files
            ]
        ),
        "size (bytes)": sum(file.size for file in version.files),
        "dagster/uri": str(next(iter(files.values())).parent),
        "commit": version.commit,
        "digest": version.digest,
    }


def _found(findings: dict) -> dict[str, dg.MetadataValue]:
    """What was found while the data was processed; of a table also what each column was taken for."""
    columns = findings.pop("columns", [])
    found: dict[str, dg.MetadataValue] = {"findings": dg.JsonMetadataValue(findings)} if findings else {}
    if columns:
        rows = [
            dg.TableRecord(
                {
                    **column,
                    "missing": f"{column['missing']:.1%}",
                    "examples": ", ".join(column["examples"]),
                    "tells_alone": "" if (share := column.get("tells_alone")) is None else f"{share:.0%}",
                }
            )
            for column in columns
        ]
        found["columns"] = dg.MetadataValue.table(rows)
    return found


def _pictured(
    version: DataVersion, files: dict, registry: DataRegistry, previous: Sequence[DataVersion]
) -> dict[str, dg.MetadataValue]:
    """How the version's columns are distributed, beside the version before if its files can be had."""
    from workloads.sdk.distributions import draw, panels, sample

    before, against = None, None
    with suppress(DataError):  # a remote that is away takes nothing from this version
        for other in previous:
            before, against = sample(registry.local(other)), other.tag
    return drawn("distributions", lambda file: draw(panels(sample(files), before), version.tag, against, file))
