"""Training on Ray, in a job or by hand, and how the workers' progress reaches whoever waits."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

from workloads.sdk.contract import Tier


@contextmanager
def session(tier: Tier) -> Iterator[None]:
    """The Ray of this process or of its job, else one of its own that ends with the training."""
    import ray

    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, log_to_driver=False)
    else:
        cpus, gpus = ceil(tier.workers * tier.cpus), ceil(tier.workers * tier.gpus)
        ray.init(address="local", num_cpus=cpus, num_gpus=gpus or None, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def passed_on(lines: Path, progress: Callable[[float, str], None]) -> Iterator[None]:
    """What the workers write into a file, a line at a time, is passed on as progress."""
    lines.write_text("")
    done = threading.Event()

    def follow() -> None:
        with lines.open() as file:
            while True:
                last = done.is_set()
                for line in file:
                    share, text = json.loads(line)
                    progress(0.05 + 0.85 * share, text)
                if last:
                    return
                done.wait(0.2)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def tell(lines: Path, share: float, text: str) -> None:
    """A line of progress, from another process than the one that waits."""
    with lines.open("a") as file:
        file.write(json.dumps([share, text]) + "\n")
