"""HAProxy as the platform configures it, before a replica of this process: clients that are slow, idle or many."""

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import until
from rag_support import running

from resources.embedded import haproxy
from resources.embedded.network import free_ports
from resources.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")

SECONDS = 2  # for a head, a body, and an idle client
WAIT = 3 * SECONDS  # until a replica answers at /late


async def application(scope: Any, receive: Any, send: Any) -> None:
    """What stands for a replica: it reads the body, waits at /late, and says how long the body was."""
    import asyncio

    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message.get("more_body", False)
    if scope["path"].endswith("/late"):
        await asyncio.sleep(WAIT)
    body = json.dumps({"bytes": size}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Starts HAProxy before the application, with the configuration that Ray makes; its port."""
    from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
    from ray.serve.config import HTTPOptions

    monkeypatch.setattr(haproxy, "HEAD_SECONDS", SECONDS)
    monkeypatch.setattr(haproxy, "READ_SECONDS", SECONDS)
    folder = Path(tempfile.mkdtemp(prefix="mlops-"))

    def started(connections: int = 1000) -> int:
        monkeypatch.setattr(haproxy, "MOST_CONNECTIONS", connections)
        address = ends.enter_context(running(application))
        port, stats, metrics = free_ports(3)
        config = HAProxyConfig(
            socket_path=str(folder / "admin.sock"), metrics_socket_path=str(folder / "metrics.sock"),
            server_state_base=str(folder), server_state_file=str(folder / "state"), nbthread=1, stats_port=stats,
            metrics_port=metrics, maxconn=haproxy.connections(), timeout_client_s=SECONDS, metrics_enabled=False,
            http_options=HTTPOptions(host="127.0.0.1", port=port), has_received_routes=True, is_head=True,
        )  # fmt: skip
        replica = ServerConfig(name="replica", host="127.0.0.1", port=int(address.rpartition(":")[2]))
        backend = BackendConfig(name="http-shift", path_prefix="/shift", app_name="shift", servers=[replica],
                                http_health_check_path="/-/healthz")  # fmt: skip
        file = folder / "haproxy.cfg"
        HAProxyApi(config, {"http-shift": backend}, str(file))._generate_config_file_internal()
        program = haproxy.program(Settings(home=folder), folder)
        process = subprocess.Popen([program, "-db", "-f", file], stderr=(folder / "log").open("w"))
        ends.callback(process.wait)
        ends.callback(process.kill)
        until(lambda: process.poll() is not None or asked(port) == 200, seconds=30)
        assert process.poll() is None, (folder / "log").read_text()
        return port

    with ExitStack() as ends:
        yield started
    shutil.rmtree(folder)


def asked(port: int) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/shift/health", trust_env=False, timeout=30).status_code
    except httpx.TransportError:
        return 0


def connection(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 30, (source, 0))


def answer(client: socket.socket) -> bytes:
    """All that is answered until the connection is closed."""
    parts = []
    with suppress(ConnectionResetError):
        while part := client.recv(2**16):
            parts.append(part)
    return b"".join(parts)


HEAD = b"POST /shift/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n"


def test_what_does_not_arrive_in_time_is_given_up(start: Callable[..., int]) -> None:
    port = start()
    without_head = [b"", b"POST /shift/pre", HEAD]
    without_body = [HEAD + b"\r\n", HEAD + b"\r\n" + b"a" * 1000]
    with ExitStack() as clients:
        waiting = [(sent, clients.enter_context(connection(port))) for sent in without_head + without_body]
        for sent, client in waiting:
            client.sendall(sent)
        for sent, client in waiting:
            head, _, body = answer(client).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            if sent in without_body:  # before, HAProxy answers in its own words
                assert json.loads(body)["error"]["code"] == "request_timeout"


def test_an_answer_may_take_longer_and_half_a_hang_up_is_answered(start: Callable[..., int]) -> None:
    port = start()
    request = b"POST /shift/late HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    for hangs_up in (False, True):
        with connection(port) as client:
            client.sendall(request)
            if hangs_up:
                client.shutdown(socket.SHUT_WR)
            found = answer(client)
        assert found.startswith(b"HTTP/1.1 200 "), found
        assert found.endswith(b'{"bytes": 3}')


def test_a_long_body_passes(start: Callable[..., int]) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{start()}", trust_env=False, timeout=30) as client:
        assert client.post("/shift/predict", content=b"a" * 2**20).json() == {"bytes": 2**20}
        assert client.get("/shift/health").json() == {"bytes": 0}


def test_no_client_gets_all_connections_and_idle_ones_end(start: Callable[..., int]) -> None:
    port = start(connections=40)
    with ExitStack() as idle:
        for _ in range(60):
            with suppress(ConnectionResetError):
                idle.enter_context(connection(port))
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"), timeout=30) as another:
            assert another.get(f"http://127.0.0.1:{port}/shift/health").status_code == 200
        until(lambda: asked(port) == 200)
