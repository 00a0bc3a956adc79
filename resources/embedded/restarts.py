"""Which parts the platform is to keep running, and when each was started again: files in `<home>/run`."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from resources.files import write_atomically
from resources.settings import Settings

REMEMBERED = 3600.0  # seconds for which a restart makes the next one wait, and counts as one of many
LONGEST_WAIT = 300.0


class Wanted:
    """Names of the parts that a person has started and not stopped; they change under the platform's lock only."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.home / "run" / "wanted.json"

    def read(self) -> set[str]:
        return set(_read(self._file, []))

    def write(self, names: Iterable[str]) -> None:
        write_atomically(self._file, json.dumps(sorted(names)))


class Restarts:
    """Times of each part's restarts since the platform came up; they outlive the supervisor."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.home / "run" / "restarts.json"

    def of(self, name: str) -> list[float]:
        return list(_read(self._file, {}).get(name, []))

    def add(self, name: str) -> int:
        """Enter one that begins now; how many there were in the last hour, with it."""
        known = _read(self._file, {})
        known[name] = [*known.get(name, [])[-999:], time.time()]
        write_atomically(self._file, json.dumps(known))
        return len(self.recent(name))

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)

    def wait(self, name: str) -> float:
        """Seconds until the next one is due: none after the first, then 2, 4, 8 and so on, five minutes at most."""
        recent = self.recent(name)
        return max(0.0, recent[-1] + min(2.0 ** len(recent), LONGEST_WAIT) - time.time()) if recent else 0.0

    def recent(self, name: str) -> list[float]:
        """The times of those of the last hour; earlier ones are forgotten."""
        return [at for at in self.of(name) if time.time() - REMEMBERED < at <= time.time()]


def _read(file: Path, nothing: Any) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return nothing
