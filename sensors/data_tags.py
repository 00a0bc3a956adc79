"""New tags of the data registry become partitions, and the newest of each dataset is trained."""

import hashlib
import json
from collections.abc import Sequence

import dagster as dg

from jobs.pipelines import pipeline_name
from mlops_assets.datasets import tag_seen
from mlops_assets.partitions import partitions_name
from resources.data_registry import DataRegistry
from resources.data_version import split_tag, version_order
from resources.ledger import Ledger
from resources.settings import Settings
from workloads.contract import Workload

AT_ONCE = 200  # tags that one tick registers; an evaluation may take a minute, and the next tick goes on


def data_tags(workloads: Sequence[Workload], jobs: Sequence, settings: Settings) -> dg.SensorDefinition:
    """One `git ls-remote` a tick. The cursor (digest of its answer) is for speed, the run key for correctness.

    The first sight of a registry with many tags registers them all and trains only the newest of each dataset; a
    backfill trains the rest. A tag that was moved is found by the commit that the ledger holds for it: it raises an
    alert and trains nothing.
    """

    @dg.sensor(
        name="data_tags",
        description="New tags of the data registry: register, and train the newest of each dataset.",
        jobs=list(jobs),
        minimum_interval_seconds=settings.data_tags_seconds,
        default_status=dg.DefaultSensorStatus.STOPPED if settings.external else dg.DefaultSensorStatus.RUNNING,
    )
    def sense(
        context: dg.SensorEvaluationContext,
        registry: dg.ResourceParam[DataRegistry],
        ledger: dg.ResourceParam[Ledger],
    ) -> dg.SensorResult | dg.SkipReason:
        tags = registry.tags()
        seen = hashlib.sha256(json.dumps(tags, sort_keys=True).encode()).hexdigest()
        if seen == context.cursor:
            return dg.SkipReason(f"no tag among {len(tags)} is new or moved")
        requests, additions, events, left = [], [], [], 0
        for workload in workloads:
            registered = set(context.instance.get_dynamic_partitions(partitions_name(workload.name)))
            mine = {}
            for tag, commit in tags.items():
                name, version = split_tag(tag)
                if name == workload.data.name:
                    mine[version] = commit
            moved = _alert_moved(workload, mine, ledger)
            new = sorted(mine.keys() - registered - moved, key=version_order)
            left += len(new[AT_ONCE:])
            new, more = new[:AT_ONCE], new[AT_ONCE:]
            versions = [registry.version(workload.data.name, version) for version in new]
            for version in versions:
                ledger.record_data(version)
                events.append(tag_seen(workload.name, version))
            if versions:
                additions.append(
                    dg.DynamicPartitionsDefinition(name=partitions_name(workload.name)).build_add_request(new)
                )
            if versions and not more:
                newest = versions[-1]
                requests.append(
                    dg.RunRequest(
                        job_name=pipeline_name(workload.name),
                        run_key=f"{newest.tag}:{newest.digest}",
                        partition_key=newest.version,
                    )
                )
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=additions,
            asset_events=events,
            cursor=None if left else seen,
        )

    return sense


def _alert_moved(workload: Workload, commits: dict[str, str], ledger: Ledger) -> set[str]:
    """The versions whose tag points at another commit than the ledger holds; each is alerted."""
    moved = set()
    for known in ledger.data(workload.data.name):
        commit = commits.get(known.version)
        if commit is not None and commit != known.commit:
            moved.add(known.version)
            ledger.alert(
                workload.name,
                "moved-tag",
                f"{known.tag} was moved from {known.commit[:12]} to {commit[:12]}; it is not trained, and what was made "
                "from it stays traceable. Put the tag back, and release the new content under a new version",
            )
    return moved
