"""TCP ports of this machine: which are free, and who listens on the others."""

import random
import socket
from contextlib import suppress

import psutil

# Below those that Ray Serve gives to its replicas (from 30000), and that a system gives to outgoing connections (from
# 32768 on Linux, 49152 on macOS): one of these could be taken between its choice here and a slow service's start.
CHOICE = range(20000, 30000)

_reserved: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """TCP ports of loopback on which nobody listens now, all different.

    No other process that asks here is given them while this one lives: it holds the UDP ports of the same numbers.

    Raises:
        OSError: there are not as many.
    """
    found: list[int] = []
    for port in random.sample(CHOICE, len(CHOICE)):
        reservation = socket.socket(type=socket.SOCK_DGRAM)
        try:
            reservation.bind(("127.0.0.1", port))
            with socket.socket() as trial:
                trial.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
        else:
            _reserved.append(reservation)
            found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"there are no {count} free ports from {CHOICE.start} to {CHOICE.stop - 1}")


def listeners() -> list[tuple[int, str, str, int | None]]:
    """(port, address, owner in words, pid) of every TCP port that is listened on; no pid where another user's is."""
    try:
        found = [(one, one.pid) for one in psutil.net_connections("tcp")]
    except psutil.AccessDenied:  # macOS tells an ordinary user only of that user's own
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                found += [(one, process.pid) for one in process.net_connections("tcp")]
    listening = [(one.laddr, pid) for one, pid in found if one.status == psutil.CONN_LISTEN]
    return [(address.port, address.ip, _owner(pid), pid) for address, pid in listening]


def _owner(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    try:
        process = psutil.Process(pid)
        return f"`{' '.join(process.cmdline())[:80] or process.name()}` (pid {pid}, user {process.username()})"
    except psutil.Error:
        return f"the process {pid}"
