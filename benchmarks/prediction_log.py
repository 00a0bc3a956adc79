"""What the prediction log's journal costs: requests a second of one replica in this process, with and without it.

    python -m benchmarks.prediction_log              on a running platform with `wine` live, as `make demo` leaves it

Requests of 1 and of 100 rows are handed to the endpoint as Ray Serve does, without HTTP, Ray and callers: what the
journal takes is a larger share of this than of what a caller meets (`benchmarks/serving.py`). The two are measured in
turn, in the processor's time of this process, PostgreSQL's rows included; the median of five rounds counts.
"""

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from resources.serving import Serving
from resources.settings import settings
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.log.writer import LogWriter
from workloads.sdk.serving.replica import Config, Replica

ROUNDS, SECONDS, GOAL = 5, 3.0, 10.0  # per cent
SCOPE = {"type": "http", "method": "POST", "path": "/wine/predict", "root_path": "/wine", "query_string": b"",
         "headers": [(b"content-type", b"application/json")]}  # fmt: skip


async def requests(endpoint: Endpoint, body: bytes) -> float:
    """Microseconds of the processor for a request."""
    count, end, before = 0, time.perf_counter() + SECONDS, time.process_time()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200

    while time.perf_counter() < end:
        await endpoint(SCOPE, receive, send)
        count += 1
        if count % 50 == 0:  # 1,000 a second and more: as many as one replica is asked
            await asyncio.sleep(0.01)
    return (time.process_time() - before) / count * 1e6


def main() -> None:
    serving = Serving(settings())
    with urlopen(f"{serving.address('wine')}/example") as answer:
        (name, rows), *_ = json.load(answer).items()
    with tempfile.TemporaryDirectory() as folder:
        config = Config("wine", "workloads.wine", schema=serving.schema, connection=str(serving._connection_file),
                        state=folder, route="/wine")  # fmt: skip
        replica = Replica(config, "benchmark")
        replica.start()
        endpoint = Endpoint(replica)
        replica.log.close()
        for size in (1, 100):
            body = json.dumps({name: (rows * size)[:size]}).encode()
            took: dict[str, list[float]] = {"without": [], "with": []}
            for _ in range(ROUNDS):
                for kind, journal in (("without", None), ("with", Path(folder, "log"))):
                    replica.log = LogWriter(replica.connect, config.schema, "benchmark", journal)
                    took[kind].append(asyncio.run(requests(endpoint, body)))
                    replica.log.close(30)
            without, with_journal = (statistics.median(values) for values in took.values())
            more = 100 * (with_journal / without - 1)
            print(f"{size:4} rows: {without:.0f} µs a request without, {with_journal:.0f} µs with it: {more:+.1f} %")
        print(f"the goal is at most {GOAL:.0f} %")
        replica.close()


if __name__ == "__main__":
    main()
