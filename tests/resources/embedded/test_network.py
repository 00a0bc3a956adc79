"""Free ports: given once, whoever asks."""

import socket
import subprocess
import sys

import pytest

from resources.embedded import network
from resources.embedded.network import free_ports

ASK = "import sys; from resources.embedded import network; network.CHOICE = range(*map(int, sys.argv[1:])); " \
      "print(network.free_ports(1))"  # fmt: skip


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> range:
    """Only two ports are there to be given, both free."""
    while True:
        first = free_ports(1)[0]
        both = range(first, first + 2)
        network._reserved.pop().close()
        try:
            for port in both:
                with socket.socket() as trial:
                    trial.bind(("127.0.0.1", port))
        except OSError:
            continue
        monkeypatch.setattr(network, "CHOICE", both)
        return both


def test_a_port_is_given_once_while_its_process_lives(two: range) -> None:
    (first,) = free_ports(1)
    other = subprocess.run(
        [sys.executable, "-c", ASK, str(two.start), str(two.stop)], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == f"[{(set(two) - {first}).pop()}]", "another process is given the other one"
    assert free_ports(1) == list(set(two) - {first}), "and its own are given back when it ends"
    with pytest.raises(OSError, match="there are no 1 free ports"):
        free_ports(1)
    with socket.socket() as service:
        service.bind(("127.0.0.1", first))  # what it was chosen for may listen


def test_a_port_that_is_listened_on_is_not_given(two: range) -> None:
    with socket.socket() as service:
        service.bind(("127.0.0.1", two.start))
        service.listen()
        assert free_ports(1) == [two.start + 1]
