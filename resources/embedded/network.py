"""TCP ports of this machine: which are free, and who listens on the others."""

import socket

import psutil


def free_ports(count: int) -> list[int]:
    """Ports of loopback on which nobody listens now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def listeners() -> list[tuple[int, str, str, int | None]]:
    """(port, address, owner in words, pid) of every TCP port that is listened on; no pid where another user's is."""
    try:
        found = [(one, one.pid) for one in psutil.net_connections("tcp")]
    except psutil.AccessDenied:  # macOS tells an ordinary user only of that user's own
        found = []
        for process in psutil.process_iter():
            try:
                found += [(one, process.pid) for one in process.net_connections("tcp")]
            except psutil.Error:
                continue
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
