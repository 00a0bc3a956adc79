"""The Ray that a scoring runs on, and room on it for the workers that its tier grants."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

from workloads.sdk.contract import Tier

START_SECONDS = 120  # for the workers, once there was room for them


@contextmanager
def workers(tier: Tier) -> Iterator[dict[str, Any]]:
    """What `map_batches` is to be told so that it starts the tier's workers, once there is room for all of them.

    The Ray is that of this process or of its job, else one of its own that ends with the block. The room is asked for
    as a placement group: so whoever waits for the job can see that it waits.
    """
    import ray
    from ray.data import ActorPoolStrategy, DataContext
    from ray.util import placement_group, remove_placement_group

    started = not ray.is_initialized()
    if started and "RAY_ADDRESS" in os.environ:
        ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
    elif started:
        cpus, gpus = ceil(tier.workers * tier.cpus), ceil(tier.workers * tier.gpus)
        ray.init(address="local", num_cpus=cpus, num_gpus=gpus or None, include_dashboard=False, log_to_driver=False)
    try:
        gpu = {"GPU": tier.gpus} if tier.gpus else {}
        group = placement_group([{"CPU": tier.cpus, **gpu}] * tier.workers)
        ray.get(group.ready())
        remove_placement_group(group)  # Ray Data places its workers itself
        context = DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.wait_for_min_actors_s = START_SECONDS
        yield {
            "compute": ActorPoolStrategy(size=tier.workers),
            "num_cpus": tier.cpus,
            **({"num_gpus": tier.gpus} if gpu else {}),
        }
    finally:
        if started:
            ray.shutdown()
