"""What lies on disk to spare fetching or computing it again: what nobody used for a week is deleted."""

import os
import shutil
import time
from pathlib import Path

from resources.settings import Settings

KEPT_DAYS = 7


def used(path: Path) -> Path:
    """The path, which is used now and therefore kept."""
    os.utime(path)
    return path


def prune(settings: Settings, days: float = KEPT_DAYS) -> int:
    """Delete data, artifacts and evaluations that nobody used for so many days; how many were deleted."""
    places = (settings.home / "data", settings.path("artifacts"), settings.path("evaluations"))
    entries = (path for place in places if place.is_dir() for path in place.iterdir())
    old = [path for path in entries if path.stat().st_mtime < time.time() - days * 86400]
    for path in old:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return len(old)
