"""An application in memory: its composition is verified and loaded, and closed after the last request that has it."""

import asyncio
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workloads.sdk.artifacts import BrokenArtifacts
from workloads.sdk.contract import Services
from workloads.sdk.contract.applications import App, Composition
from workloads.sdk.serving.versions.loading import Loaded, verified_folder
from workloads.sdk.serving.versions.plan import Plan

logger = logging.getLogger(__name__)


class Use:
    """Who has an application now. Requests enter and leave on their event loop; any thread may retire it."""

    def __init__(self, app: App):
        self.app = app
        self.count = 0
        self.retired = False
        self.closed: Future[None] = Future()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None  # of the requests: what it holds belongs there

    def enter(self) -> bool:
        """Have it until `leave`; False where it is retired, and another is served."""
        with self._lock:
            if self.retired:
                return False
            self._loop = asyncio.get_running_loop()
            self.count += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self.count -= 1
            last = self.retired and self.count == 0
        if last:
            self._close()

    def retire(self) -> None:
        """Let nobody have it any more, and close it once nobody does; a second time nothing is done."""
        with self._lock:
            last = not self.retired and self.count == 0
            self.retired = True
        if last:
            self._close()

    def _close(self) -> None:
        if self._loop is None or self._loop.is_closed():  # nobody ever asked it, or nobody can any more
            threading.Thread(target=asyncio.run, args=[self._closing()], name="close", daemon=True).start()
        else:
            asyncio.run_coroutine_threadsafe(self._closing(), self._loop)

    async def _closing(self) -> None:
        try:
            await self.app.close()
        except Exception:  # an application may raise anything; nobody waits for it
            logger.exception("an application did not close")
        self.closed.set_result(None)


@dataclass(frozen=True)
class LoadedApp(Loaded):
    """An application, with what it is put together of."""

    app: App
    composition: Composition
    use: Use

    def retire(self) -> None:
        self.use.retire()

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """What an answer says of each part: thing, release id, version, number and tag of the data."""
        return {
            role: {
                "thing": part.thing,
                "release": part.release,
                "version": part.version,
                "number": part.number,
                "data": part.data,
            }
            for role, part in self.composition.parts.items()
        }


def load(plan: Plan, kind: type[App], services: Services, cache: Path) -> LoadedApp:
    """The plan's composition, after its files were hashed again.

    Raises:
        BrokenArtifacts: the folder is not the plan's, a file is missing or changed, or the code that runs here reads
            other requests than the composition was made for.
        Exception: whatever the application's own `load` raises.
    """
    folder, _ = verified_folder(plan.version.artifacts_uri, plan.version.digest, kind, cache)
    try:
        composition = Composition.read(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokenArtifacts(f"{folder} holds no composition that can be read: {error}") from error
    app = kind.load(composition, services)
    return LoadedApp(plan, app, composition, Use(app))
