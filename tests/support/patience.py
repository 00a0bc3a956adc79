"""Waiting in tests: long, since what is late on a busy machine is no fault."""

import time
from collections.abc import Callable
from typing import Any


def until(look: Callable[[], Any], seconds: float = 500, pause: float = 0.05) -> Any:
    """What `look` gives as soon as that is something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(pause)
    return found
