"""A caller who hangs up: what was done for it ends."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from workloads.sdk.serving.http.request import Receive

CANCEL_SECONDS = 1  # for what is cancelled to clear up, until it is cancelled again


async def unless_gone(work: Coroutine[Any, Any, Any], receive: Receive) -> Any:
    """Await some work; it is cancelled, and `ConnectionError` raised, as soon as the caller hangs up."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(hung_up(receive))
    try:
        await asyncio.wait([working, gone], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ConnectionError("the caller hung up")
    finally:
        await ended(working, gone)


async def ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks until they have ended, however they do.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, by which LangChain waits for a model's next piece,
    swallows a cancellation that comes in the moment of the piece.
    """
    for task in tasks:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=CANCEL_SECONDS)
        with suppress(asyncio.CancelledError, Exception):
            task.result()


async def hung_up(receive: Receive) -> None:
    """Returns when the caller has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
