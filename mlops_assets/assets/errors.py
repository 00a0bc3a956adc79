"""A failed step says one sentence: what is wrong, and what to do. Our own errors hold it; a traceback adds nothing.

What failed since a service is away is asked for again until that is back: the step goes on where it stopped.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

import dagster as dg

from workloads.sdk.disk import disk_full
from workloads.sdk.errors import PlatformError, Unavailable

AGAIN, AGAIN_SECONDS = 40, 15  # ten minutes, longer than what the supervisor restarts stays away


def clean_errors(body: Callable[..., Any]) -> Callable[..., Any]:
    """An asset's body whose failures are shown as the sentence alone. Other errors keep their traceback."""
    if not isgeneratorfunction(body):
        return _sentence()(body)

    @wraps(body)
    def said(*args: Any, **values: Any) -> Iterator[Any]:
        with _sentence():
            yield from body(*args, **values)

    return said


@contextmanager
def _sentence() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        raise dg.RetryRequested(AGAIN, AGAIN_SECONDS) from dg.Failure(str(error))
    except PlatformError as error:
        raise dg.Failure(str(error)) from None
    except OSError as error:
        if full := disk_full(error):
            raise dg.Failure(str(full)) from None
        raise
