"""Requests a second of a live endpoint, against the floor: the same model in one bare uvicorn process.

    python benchmarks/serving.py                     the endpoint `wine`, which `make demo` leaves running
    python benchmarks/serving.py fashion_mnist --seconds 5

Both are measured in turn, three times each, with the same bodies of 1 and of 100 rows from the model's golden rows,
over 8 connections. The floor parses with orjson, takes the values as they stand, runs the model and writes its outputs:
no validation, no names of columns, no identity, no log. The load comes from `wrk` where that is installed, else from a
process with plain asyncio, which is slower than what it measures; ratios are then too near to 1. The processor's time
for a request (of the proxy, the replica with its log, and all else of Ray's; of the one process at the floor) depends
less on what else the machine does.
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import orjson
import psutil

from resources.serving import Serving
from resources.settings import settings
from workloads.sdk.kits.tables.rows import Rows, of_numbers
from workloads.sdk.programs.training.run import NoServices
from workloads.sdk.serving.versions.loading import local_folder

CONNECTIONS = 8
ROUNDS = 3

SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
done = function(summary, latency)
  local bad = summary.errors.connect + summary.errors.read + summary.errors.status + summary.errors.timeout
  local p50, p99 = latency:percentile(50), latency:percentile(99)
  io.write(string.format("RESULT %d %d %f %f\\n", summary.requests, bad, p50, p99))
end
"""


def floor(package: str, folder: Path, port: int) -> None:
    """The bare process."""
    import uvicorn

    kind = import_module(f"{package}.predict").Predictor
    predictor = kind.load(folder, NoServices())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        (rows,) = orjson.loads(body).values()
        outputs = predictor.outputs(inputs(rows))
        text = orjson.dumps({"predictions": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    golden = json.loads((folder / "golden.json").read_text())[0]["request"]
    (FIELD,) = golden
    given = predictor.inputs(kind.Request.model_validate(golden))

    def inputs(rows: list[Any]) -> Any:
        if isinstance(given, Rows):
            return of_numbers(np.asarray([list(row.values()) for row in rows], np.float32))
        return predictor.inputs(kind.Request.model_construct(**{FIELD: np.asarray(rows, given.dtype)}))

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


@dataclass(frozen=True)
class Measured:
    """Requests a second, median and 99th percentile of the latency, and the server's processor time of a request."""

    requests: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


def load(url: str, body: bytes, seconds: float, servers: list[psutil.Process]) -> Measured:
    before = cpu_seconds(servers)
    if shutil.which("wrk") is None:
        command = [sys.executable, __file__, "--load", url, str(seconds)]
        done = subprocess.run(command, input=body, capture_output=True, check=True)
        requests, bad, p50, p99 = json.loads(done.stdout)
    else:
        with tempfile.TemporaryDirectory() as folder:
            file, script = Path(folder, "body"), Path(folder, "script.lua")
            file.write_bytes(body)
            script.write_text(SCRIPT.replace("{body}", str(file)))
            command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "-s", str(script), url]
            done = subprocess.run(command, capture_output=True, check=True, text=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
        requests, bad, p50, p99 = (float(part) for part in line.split()[1:])
        p50, p99 = p50 / 1000, p99 / 1000
    if bad:
        sys.exit(f"{bad:.0f} requests to {url} failed")
    return Measured(requests / seconds, p50, p99, (cpu_seconds(servers) - before) * 1000 / requests)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    times = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times.append(sum(process.cpu_times()[:2]))
    return sum(times)


def of_ray() -> list[psutil.Process]:
    """The processes of this home's Ray, those of its HTTP proxy among them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            if environment.get("MLOPS_HOME") == str(settings().home) and "RAY_SERVE_ENABLE_HA_PROXY" in environment:
                found.append(process)
    return found


async def generate(url: str, body: bytes, seconds: float) -> list[float]:
    """The plain load generator: requests, failures, median and 99th percentile in milliseconds."""
    place = urlsplit(url)
    head = f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    times: list[float] = []
    bad, end = 0, time.monotonic() + seconds

    async def one() -> None:
        nonlocal bad
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        while time.monotonic() < end:
            start = time.perf_counter()
            writer.write(request)
            header = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in header.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            times.append((time.perf_counter() - start) * 1000)
            bad += not header.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return [len(times), bad, statistics.median(times), float(np.percentile(times, 99))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("endpoint", nargs="?", default="wine")
    parser.add_argument("--package", help="package of the workload (default: workloads.<endpoint>)")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    package = options.package or f"workloads.{options.endpoint}"
    serving = Serving(settings())
    plan = serving.plan(options.endpoint)
    if plan is None:
        sys.exit(f"nothing is released to the endpoint {options.endpoint}; run `make demo` first")
    folder = local_folder(plan.version.artifacts_uri, plan.version.digest, settings().path("serving", "artifacts"))
    request = json.loads((folder / "golden.json").read_text())[0]["request"]
    ((field, golden),) = request.items()
    bodies = {rows: orjson.dumps({field: [golden[row % len(golden)] for row in range(rows)]}) for rows in (1, 100)}
    port = settings().serve_port + 1000
    bare = subprocess.Popen([sys.executable, __file__, "--floor", package, str(folder), str(port)])
    try:
        urls = {"endpoint": serving.address(options.endpoint) + "/predict", "floor": f"http://127.0.0.1:{port}/"}
        wait_for(port)
        servers = {"endpoint": of_ray(), "floor": [psutil.Process(bare.pid)]}
        found: dict[tuple[str, int], list[Measured]] = {}
        for name, url in urls.items():  # warm
            for body in bodies.values():
                load(url, body, 1, servers[name])
        for _ in range(ROUNDS):
            for rows, body in bodies.items():
                for name, url in urls.items():
                    found.setdefault((name, rows), []).append(load(url, body, options.seconds, servers[name]))
    finally:
        bare.terminate()
        bare.wait()
    report(options, bodies, found)
    time.sleep(1)
    with urlopen(serving.address(options.endpoint) + "/health") as response:
        counts = json.load(response)["log"]
    print(f"prediction log of the replica that answered: {counts}", file=sys.stderr)


def report(options: argparse.Namespace, bodies: dict[int, bytes], found: dict[tuple[str, int], list[Measured]]) -> None:
    lines = []
    for rows in bodies:
        ours, bare = (max(found[name, rows], key=lambda one: one.requests) for name in ("endpoint", "floor"))
        lines.append(
            {
                "rows": rows,
                "requests": round(ours.requests),
                "floor": round(bare.requests),
                "ratio": round(ours.requests / bare.requests, 2),
                "predictions": round(ours.requests * rows),
                "p50_ms": round(ours.p50_ms, 2),
                "p99_ms": round(ours.p99_ms, 2),
                "cpu_ms": round(min(one.cpu_ms for one in found["endpoint", rows]), 3),
                "floor_cpu_ms": round(min(one.cpu_ms for one in found["floor", rows]), 3),
            }
        )
    if options.json:
        print(json.dumps(lines))
        return
    print(f"{options.endpoint}, {CONNECTIONS} connections, best of {ROUNDS} times {options.seconds:g} s")
    for line in [dict.fromkeys(lines[0]), *lines]:
        print("  ".join(f"{name if value is None else value:>12}" for name, value in line.items()))


def wait_for(port: int) -> None:
    import socket

    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--floor"]:
        floor(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1:2] == ["--load"]:
        print(json.dumps(asyncio.run(generate(sys.argv[2], sys.stdin.buffer.read(), float(sys.argv[3])))))
    else:
        main()
