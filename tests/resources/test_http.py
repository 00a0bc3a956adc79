"""The one HTTP client, against a server that does as it is told."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context

import pytest

from resources import http
from resources.embedded.network import free_ports


class Server(ThreadingHTTPServer):
    """`answers` are the next statuses, the last of them for good."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.connections = [200], [], set()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.headers)
        self.server.connections.add(self.client_address)
        answers = self.server.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        body = self.path.encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    threading.Thread(target=one.serve_forever, daemon=True).start()
    yield one
    one.shutdown()


def once(server: Server) -> bytes:
    answer = http.send("GET", server.url + "/x", token="secret")
    if answer.status_code >= 500:
        raise http.ServerError(f"HTTP {answer.status_code}")
    return answer.content


def test_a_connection_is_kept_and_not_shared_with_a_forked_process(server: Server) -> None:
    for _ in range(3):
        once(server)
    assert len(server.connections) == 1
    process = get_context("fork").Process(target=once, args=[server])
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert len(server.connections) == 2
    assert {headers["Authorization"] for headers in server.asked} == {"Bearer secret"}


def test_what_is_on_this_machine_is_not_reached_by_way_of_a_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    http._client.cache_clear()
    assert http.request(server.url + "/x") == (200, b"/x")
    assert http.request("http://somewhere.invalid/x")[0] == 0
    http._client.cache_clear()


def test_refusals_are_answers_and_silence_is_status_0(server: Server) -> None:
    server.answers = [404, 500]
    assert [http.request(server.url + "/x")[0] for _ in range(2)] == [404, 500]
    status, reason = http.request(f"http://127.0.0.1:{free_ports(1)[0]}/", token="secret")
    assert status == 0
    assert b"refused" in reason
    assert b"secret" not in reason


def test_what_starts_is_waited_for_longer_than_what_is_away(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers = [503, 502, 200]
    assert http.patiently(lambda: once(server), patience=0, starting=60) == b"/x"
    server.answers = [503]
    with pytest.raises(http.ServerError, match="HTTP 503"):
        http.patiently(lambda: once(server), patience=60, starting=0)
    port = free_ports(1)[0]
    with pytest.raises(http.NoAnswer):
        http.patiently(lambda: http.send("GET", f"http://127.0.0.1:{port}"), patience=0, starting=60)
    with pytest.raises(ValueError, match="of its own"):
        http.patiently(lambda: int("of its own"), patience=60, starting=60)
    assert not [record for record in caplog.records if "stamina" in record.name]
