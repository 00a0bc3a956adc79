"""A disk that is full, a quota that is used up, a file that may not grow: said in one sentence that names the file."""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workloads.sdk.errors import PlatformError

REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space on it"),
    errno.EDQUOT: ("the quota of disk space is used up", "free some of it"),
    errno.EFBIG: ("files may not grow so large here", "raise that limit (`ulimit -f`)"),
}
# Libraries that write by themselves hand on the system's number in their own words.
NUMBER = re.compile(r"(?:\[Errno |os error |errno[ =:]+)(\d+)")
PLACE = re.compile(r"\[Errno \d+\] [^:]*: '([^']+)'(?: -> '([^']+)')?")


class DiskFull(PlatformError):
    """A file could not be written for want of room; the message names it and says what to do."""


@contextmanager
def writing(folder: Path | None = None) -> Iterator[None]:
    """Turn an error for want of room into `DiskFull`; every other one is handed on.

    Args:
        folder: what is written in the block, to name the file where the system does not: the last one touched.
    """
    try:
        yield
    except Exception as error:
        if (full := disk_full(error, folder)) is None:
            raise
        raise full from None


def disk_full(error: BaseException | None, folder: Path | None = None) -> DiskFull | None:
    """What an error, or one behind it, comes to if it is for want of room; None for all others."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for number, place in _told(error):
            if number in REASONS:
                reason, mend = REASONS[number]
                file = place or _last(folder)
                return DiskFull(f"{reason}: {file} could not be written whole; {mend}, then run this again")
        error = error.__cause__ or error.__context__
    return None


def _told(error: BaseException) -> Iterator[tuple[int | None, str]]:
    """Number and file of what an error says; a copied tree says it for each of its files."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        for _, target, why in error.args[0]:
            found = NUMBER.search(str(why))
            yield (int(found[1]) if found else None), str(target)
    elif isinstance(error, OSError) and error.errno is not None:
        yield error.errno, str(error.filename2 or error.filename or "")
    elif found := NUMBER.search(str(error)):
        place = PLACE.search(str(error))
        yield int(found[1]), (place[2] or place[1]) if place else ""


def _last(folder: Path | None) -> str:
    """The file of a folder that was written to last."""
    files = [file for file in folder.rglob("*") if file.is_file()] if folder else []
    if not files:
        return f"a file in {folder}" if folder else "a file"
    return str(max(files, key=lambda file: file.stat().st_mtime_ns))
