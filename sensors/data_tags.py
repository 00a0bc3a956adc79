"""New tags of the data registry become partitions, and the newest of each dataset is trained."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from jobs.pipelines import pipeline_name
from mlops_assets.assets.datasets import registry_key, tag_seen
from mlops_assets.assets.partitions import partitions_name, partitions_of
from mlops_assets.gates.data import REFUSED, refused
from resources.ledger import Ledger
from resources.registry import DataRegistry
from resources.registry.version import TAG, resembles, tag_of, version_order
from resources.settings import Settings
from workloads.sdk.contract import Declared
from workloads.sdk.contract.applications import Application

NAMED = 10  # tags in an alert
TRIED = 10  # the newest versions of a dataset, of which one is trained: the first that passes its data gates
AT_ONCE = 200  # tags that one tick enters and reports; an evaluation may take a minute, and the next tick goes on


def data_tags(workloads: Sequence[Declared], jobs: Sequence, settings: Settings) -> dg.SensorDefinition:
    """One `git ls-remote` a tick. The cursor (digest of its answer) is for speed, the run key for correctness.

    The first sight of a registry with many tags registers them all and trains only the newest of each dataset; a
    backfill trains the rest. Where the newest fails its data gates, the next older one is asked for, and so on. A tag
    that was moved is found by the commit that the ledger holds for it: it raises an alert and trains nothing.
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
        tags = registry.all_tags()
        failing = [f"{alert.thing} {alert.key}" for alert in ledger.alerts.standing(REFUSED)]
        seen = hashlib.sha256(json.dumps([tags, failing], sort_keys=True).encode()).hexdigest()
        if seen == context.cursor:
            return dg.SkipReason(f"no tag among {len(tags)} is new or moved")
        found, failed = _Found(), []
        for workload in workloads:
            try:
                found.look(workload, tags, context, registry, ledger)
            except Exception as error:  # of one dataset; the others go on
                context.log.exception(f"the tags of {workload.data.name} are left for the next tick")
                failed.append(error)
        if len(failed) == len(workloads) > 0:
            raise failed[0]
        return dg.SensorResult(
            run_requests=found.requests,
            dynamic_partitions_requests=found.additions,
            asset_events=found.events,
            cursor=None if found.left or failed else seen,
        )

    return sense


@dataclass
class _Found:
    """What a tick asks for; `left` is how much there is still to do."""

    requests: list[dg.RunRequest] = field(default_factory=list)
    additions: list[Any] = field(default_factory=list)
    events: list[dg.AssetMaterialization] = field(default_factory=list)
    left: int = 0

    def look(
        self,
        workload: Declared,
        tags: dict[str, str],
        context: dg.SensorEvaluationContext,
        registry: DataRegistry,
        ledger: Ledger,
    ) -> None:
        """Look at the tags of one workload's data. What fails here leaves nothing behind but what is entered twice."""
        commits = _commits(workload, tags)
        known = sorted(commits.keys() - _alert_changed(workload, commits, ledger), key=version_order)
        strange = sorted(tag for tag in tags if resembles(tag, workload.data.name))
        written = "a data tag is written <dataset>-v<major>.<minor>.<patch>, wine-v1.2.0; this one is passed over"
        _settle(workload, ledger, "strange-tag", strange, written)
        registered = set(context.instance.get_dynamic_partitions(partitions_name(workload.name)))
        # Registered and not reported: by `mlops data sync`, or by a tick that a crash cut off.
        done = registered & context.instance.get_materialized_partitions(registry_key(workload.name))
        failing = refused(workload.name, ledger)
        reported = list(_down_to_sound([each for each in known if each in done], failing))
        wanted = [*(each for each in known if each not in done), *reported]
        whole, broken = registry.read({tag_of(workload.data.name, each): commits[each] for each in wanted})
        _settle(
            workload,
            ledger,
            "broken-tag",
            list(broken.values()),
            "what is broken is passed over: delete the tag, and release the data under a new version",
        )
        new = [version for version in whole if version.version not in done]
        told = new[-AT_ONCE:]  # the newest first: it is the one that is trained
        self.left += len(new) - len(told)
        ledger.data.record(*told)
        self.events += [tag_seen(workload.name, version) for version in told]
        if added := [version.version for version in new if version.version not in registered]:
            self.additions.append(partitions_of(workload).build_add_request(added))
        index = workload.things()["index"] if isinstance(workload, Application) and whole else None
        waits = [f"{whole[-1].tag} waits for a release of {index}"] if index and not ledger.current(index) else []
        _settle(workload, ledger, "waits", waits, "nothing can be asked of it before")
        if waits:
            self.left += 1  # look again at the next tick
        elif whole:
            # Asked for at every change, also where a crash left it registered and not trained: the run key
            # lets each content of each tag through once.
            content = {version.version: version for version in whole}
            self.requests += [
                dg.RunRequest(
                    job_name=pipeline_name(workload.name),
                    run_key=f"{content[version].tag}:{content[version].digest}",
                    partition_key=version,
                )
                for version in _down_to_sound(list(content), failing)
            ]


def _down_to_sound(versions: Sequence[str], failing: Collection[str]) -> Iterator[str]:
    """The last of ascending versions, and below each one that fails its data gates the next; `TRIED` at most."""
    for version in versions[: -TRIED - 1 : -1]:
        yield version
        if version not in failing:
            return


def _commits(workload: Declared, tags: dict[str, str]) -> dict[str, str]:
    """Commit of each version of a workload's data."""
    named = ((TAG.fullmatch(tag), commit) for tag, commit in tags.items())
    return {match[2]: commit for match, commit in named if match and match[1] == workload.data.name}


def _alert_changed(workload: Declared, commits: dict[str, str], ledger: Ledger) -> set[str]:
    """The versions whose tag points at another commit than the ledger holds. They are alerted, and deleted tags too."""
    known, name = ledger.data.commits(workload.data.name), workload.data.name
    moved = {version for version in known.keys() & commits.keys() if known[version] != commits[version]}
    _settle(
        workload,
        ledger,
        "moved-tag",
        [
            f"{tag_of(name, version)} was moved from {known[version][:12]} to {commits[version][:12]}"
            for version in sorted(moved, key=version_order)
        ],
        "it is not trained, and what was made from it stays traceable; put the tag back, and release the new content "
        "under a new version",
    )
    _settle(
        workload,
        ledger,
        "deleted-tag",
        [
            f"{tag_of(name, version)} was deleted, and was at {known[version][:12]}"
            for version in sorted(known.keys() - commits.keys(), key=version_order)
        ],
        "what was made from it stays traceable; put the tag back for it to be trained again",
    )
    return moved


def _settle(workload: Declared, ledger: Ledger, kind: str, found: Sequence[str], then: str) -> None:
    """One alert for all of a kind, the last ones named, for as long as there are any."""
    left = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    ledger.alerts.settle(workload.name, kind, f"{'; '.join([*found[-NAMED:], *left])}: {then}" if found else None)
