"""What is launched together: each declaration's whole chain, each release alone, and each rollout alone."""

from collections.abc import Sequence

import dagster as dg

from mlops_assets.assets.endpoints import endpoint_key
from mlops_assets.assets.releases import answering, going_back
from mlops_assets.release.targets import followers, served, stage_key, targets_of
from workloads.sdk.contract import Declared

# These jobs submit and wait: in process they start three times sooner than with a process a step.
EXECUTOR = dg.in_process_executor


def pipeline_name(word: str) -> str:
    """Job that takes a data tag of a declaration, or a target that none makes (a prompt), to a live endpoint."""
    return f"{word}_pipeline"


def release_name(word: str) -> str:
    """Job that decides on a candidate and rolls the endpoints out; it makes nothing."""
    return f"{word}_release"


def approve_name(word: str) -> str:
    """Job that enters a person's answer to a candidate that waits, and rolls out what is released then."""
    return f"{word}_approve"


def rollback_name(word: str) -> str:
    """Job that releases again what was released before."""
    return f"{word}_rollback"


def rollout_name(declared: str) -> str:
    """Job that makes the endpoint serve what is released, no more."""
    return f"{declared}_rollout"


def pipelines(declared: Sequence[Declared]) -> list:
    """The jobs of all declarations."""
    return [job for one in declared for job in _jobs(one, declared)]


def _jobs(one: Declared, every: Sequence[Declared]) -> list:
    name, jobs, chain = one.name, [], [stage_key(one.name, "datasets")]

    def job(name: str, description: str, *keys: dg.AssetKey, config: dg.ConfigMapping | None = None):
        return dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*dict.fromkeys(keys)),
            description=description,
            executor_def=EXECUTOR,
            config=config,
            tags={"workload": one.name},
        )

    for target in targets_of(one):
        keys = [target.released, *(endpoint_key(each.name) for each in followers(target, every))]
        chain += [target.made, *keys]
        approving = f"{target.name}: say yes or no to a candidate that waits for a person, and roll out."
        jobs += [
            job(release_name(target.word), f"{target.name}: decide and roll out.", *keys),
            job(approve_name(target.word), approving, *keys, config=answering(target)),
            job(
                rollback_name(target.word),
                f"{target.name}: go back to an earlier release, and roll out.",
                *keys,
                config=going_back(target),
            ),
        ]
        if not target.partitioned:
            jobs.append(job(pipeline_name(target.word), f"{target.name}: judge, decide, roll out.", target.made, *keys))
    if served([one]):
        jobs.append(job(rollout_name(name), f"{name}: serve what is released.", endpoint_key(name)))
    return [job(pipeline_name(name), f"{name}: from a data tag to the live endpoint.", *chain), *jobs]
