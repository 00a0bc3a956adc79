"""HTTP to services: connections are kept, addresses of this machine are never reached through a proxy."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

LOCAL = ("127.0.0.1", "localhost", "::1")
Result = TypeVar("Result")


class NoAnswer(OSError):
    """Nothing answers, or not in time."""


class ServerError(OSError):
    """A service answers that it cannot answer (status 5xx), as it does while it starts."""


@lru_cache
def _client(process: int, local: bool) -> "httpx.Client":
    """Shared by threads, and not by forked processes. Kept for less than the 5 s after which servers hang up."""
    import httpx

    limits = httpx.Limits(max_connections=None, keepalive_expiry=2)
    return httpx.Client(trust_env=not local, follow_redirects=True, limits=limits)


@contextmanager
def stream(
    method: str, url: str, token: str | None = None, timeout: float = 5, body: Any = None, **headers: str
) -> "Iterator[httpx.Response]":
    """The answer, whatever its status, before its body is read. `body` is sent as JSON, `token` as bearer.

    Raises:
        NoAnswer: also where the answer breaks off.
    """
    import httpx

    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    client = _client(os.getpid(), urlsplit(url).hostname in LOCAL)
    try:
        with client.stream(method, url, json=body, headers=headers, timeout=timeout) as answer:
            yield answer
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise NoAnswer(str(error) or type(error).__name__) from None


def send(method: str, url: str, token: str | None = None, timeout: float = 5, body: Any = None,
         **headers: str) -> "httpx.Response":  # fmt: skip
    """`stream`, with the body read."""
    with stream(method, url, token, timeout, body, **headers) as answer:
        answer.read()
        return answer


def request(
    url: str, token: str | None = None, timeout: float = 5, method: str = "GET", body: Any = None
) -> tuple[int, bytes]:
    """Status and body of the answer; status 0 and the reason where nothing answers."""
    try:
        answer = send(method, url, token, timeout, body)
    except NoAnswer as error:
        return 0, str(error).encode()
    return answer.status_code, answer.content


def patiently(call: Callable[[], Result], patience: float, starting: float) -> Result:
    """Call again for `patience` seconds while nothing answers, `starting` while the answers are 5xx; then it raises."""
    import stamina

    stamina.instrumentation.set_on_retry_hooks(())  # it would write each repetition into the caller's log
    begun = time.monotonic()

    def again(error: Exception) -> bool:
        limit = starting if isinstance(error, ServerError) else patience
        return isinstance(error, NoAnswer | ServerError) and time.monotonic() - begun <= limit

    tries = stamina.retry_context(again, attempts=None, timeout=None, wait_initial=0.1, wait_max=1, wait_jitter=0)
    for attempt in tries:
        with attempt:
            return call()
    raise AssertionError("unreachable")
