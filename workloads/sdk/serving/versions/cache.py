"""The versions beside the live one: what callers ask for by name, loaded when asked for, the last few kept.

A version is loaded in a thread of its own, one at a time; callers that ask for the same one meanwhile wait for the same
loading. What did not load is not tried again for a while.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workloads.sdk.serving.versions.catalogue import Catalogue
from workloads.sdk.serving.versions.loading import Loaded
from workloads.sdk.serving.versions.plan import Version

if TYPE_CHECKING:
    from psycopg import Connection

KEPT = 3  # versions in memory beside the live one
RETRY_SECONDS = 10  # until one that did not load is tried again
SPARE_BYTES = 256 * 2**20  # of memory: below it nothing is loaded beside the live one


class Busy(Exception):
    """As many versions as are kept are being loaded now."""


@dataclass
class _Place:
    loading: "Future[Loaded]"
    since: float = field(default_factory=time.monotonic)

    @property
    def stale(self) -> bool:
        """Whether it failed, long enough ago to try again."""
        failed = self.loading.done() and self.loading.exception() is not None
        return failed and time.monotonic() - self.since > RETRY_SECONDS

    def retire(self) -> None:
        if self.loading.done() and not self.loading.cancelled() and self.loading.exception() is None:
            self.loading.result().retire()


class VersionCache:
    """The shelf of one replica. `load` brings a version into memory, and raises where that cannot be done."""

    def __init__(self, endpoint: str, schema: str, load: Callable[[Version], Loaded]):
        self._endpoint, self._load = endpoint, load
        self._catalogue = Catalogue(schema)
        self._seen = (0, 0)  # the last candidate and release (ids) that were read
        self._known: dict[int, Version] = {}
        self._released: dict[str, Version] = {}
        self._places: OrderedDict[str, _Place] = OrderedDict()  # by digest, the one used last at the end
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="shelf")

    def refresh(self, connection: "Connection[Any]") -> None:
        """Read what is new in the catalogue."""
        for candidate, version in self._catalogue.since(connection, self._endpoint, *self._seen):
            self._known[version.number] = version
            if version.release_id is not None:
                self._released[version.version] = version
            self._seen = (max(self._seen[0], candidate), max(self._seen[1], version.release_id or 0))

    def find(self, name: str) -> Version | None:
        """The version of a name: a released one (`1.2.0`), or a registered number (`7`)."""
        return self._known.get(int(name)) if name.isdecimal() else self._released.get(name)

    def versions(self) -> list[Version]:
        """All that may be asked for, newest first."""
        return [self._known[number] for number in sorted(self._known.copy(), reverse=True)]

    def listed(self, live: str | None) -> list[dict[str, Any]]:
        """What `/versions` says of each, newest first; `live` is what the endpoint answers with if nothing is asked."""
        return [
            {
                "version": one.version,
                "number": one.number,
                "released": one.release_id is not None,
                "live": one.version == live,
                "loaded": one.version == live or self._holds(one),
                "model_uri": one.model_uri,
                "digest": one.digest,
                "data_version": one.data_version,
                "trained_at": one.trained_at,
                **one.info,
            }
            for one in self.versions()
        ]

    def _holds(self, version: Version) -> bool:
        place = self._places.get(version.digest)
        return place is not None and place.loading.done() and place.loading.exception() is None

    def take(self, version: Version) -> "Future[Loaded]":
        """A version in memory, or on its way there.

        Raises:
            Busy: there is no place for it now.
        """
        with self._lock:
            place = self._places.get(version.digest)
            if place is None or place.stale:
                if place is None and len(self._places) >= KEPT:
                    oldest = next((name for name, one in self._places.items() if one.loading.done()), None)
                    if oldest is None:
                        raise Busy(f"{KEPT} versions are being loaded now")
                    self._places.pop(oldest).retire()
                place = self._places[version.digest] = _Place(self._pool.submit(self._load_where_room, version))
            self._places.move_to_end(version.digest)
            return place.loading

    def _load_where_room(self, version: Version) -> Loaded:
        import psutil

        if (free := psutil.virtual_memory().available) < SPARE_BYTES:
            raise MemoryError(
                f"{free >> 20} MiB of memory are free, and {SPARE_BYTES >> 20} are kept for the live version"
            )
        return self._load(version)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        for place in self._places.values():
            place.retire()
