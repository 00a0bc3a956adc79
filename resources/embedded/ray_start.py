"""What `ray start` cannot be told by a flag; named by RAY_START_HOOK."""

from typing import Any


def hook(parameters: Any, head: bool) -> None:
    """Leave out the Ray Client server: nothing uses it, and it would listen on a port that two platforms share."""
    parameters.ray_client_server_port = None
