"""What keeps the prediction log's queue from ending with its process: each record stands in a file until it is written.

What a killed process has handed to the system is not lost, so nothing waits for the disk; a machine that loses its
power may lose the last seconds. A file is locked for as long as its process lives: one that is not was left behind.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import orjson

from workloads.sdk.serving.log.record import Record

SIZE = 2**20  # bytes of a file, unless a record is larger


class _File:
    """One file, as memory: a record costs no call of the system. It ends with a zero byte."""

    def __init__(self, path: Path, size: int):
        self.path, self.size, self.at = path, size, 0
        part = path.with_suffix(".new")
        self.descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.write(self.descriptor, bytes(size))  # so that there is room: memory could not say that there is none
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)  # before it has the name by which others look
            part.rename(path)
            self._memory = mmap.mmap(self.descriptor, size)
        except OSError:
            os.close(self.descriptor)
            part.unlink(missing_ok=True)
            raise

    def add(self, record: bytes) -> None:
        """Its first byte comes last: until then the file ends before it."""
        end = self.at + len(record)
        self._memory[self.at + 1 : end + 1] = record[1:] + b"\0"
        self._memory[self.at] = record[0]
        self.at = end

    def empty(self) -> None:
        self._memory[0] = self.at = 0

    def close(self, keep: bool) -> None:
        if not keep:
            self.path.unlink(missing_ok=True)
        self._memory.close()
        os.close(self.descriptor)


class Journal:
    """The files of one process. All of the same endpoint and folder may take over what one has left behind."""

    def __init__(self, folder: Path, endpoint: str):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._endpoint = folder, endpoint
        self._files: list[_File] = []  # the newest last; it is written to
        self._spare: _File | None = None

    def add(self, record: Record) -> None:
        """Keep a record. Raises OSError where the disk has no room."""
        inputs, outputs = record.inputs, record.outputs
        sizes = (None if inputs is None else len(inputs), len(outputs))
        facts = (record.prediction_id, record.release_id, record.version, record.plan, record.at, record.rows,
                 record.latency_ms, record.number, *sizes)  # fmt: skip
        content = b"%b\n%b%b" % (orjson.dumps(facts), inputs or b"", outputs)
        if not self._files or self._files[-1].at + len(content) >= self._files[-1].size:
            self.turn(len(content))
        self._files[-1].add(content)

    def turn(self, room: int = 0) -> int:
        """Begin a file; how many there are before it, which hold all records so far."""
        spare, self._spare = self._spare, None
        if spare is None or spare.size <= room:
            if spare is not None:
                spare.close(keep=False)
            path = self._folder / f"{self._endpoint}.{uuid4().hex}.journal"
            spare = _File(path, max(SIZE, room + 1))
        self._files.append(spare)
        return len(self._files) - 1

    def forget(self, count: int) -> None:
        """The records of the oldest files are written; one file is kept for later."""
        for file in self._files[:count]:
            if self._spare is None and file.size == SIZE:
                file.empty()
                self._spare = file
            else:
                file.close(keep=False)
        del self._files[:count]

    def close(self, keep: bool) -> None:
        """The end: with `keep` the files are left to the next process."""
        for file in [*self._files, *filter(None, [self._spare])]:
            file.close(keep)
        self._files, self._spare = [], None

    def left_behind(self) -> Iterator[tuple[Path, list[Record]]]:
        """The records of processes that are gone, by file; it is to be removed when they are written."""
        for file in sorted(self._folder.glob(f"{self._endpoint}.*.journal")):
            with suppress(FileNotFoundError, BlockingIOError), file.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield file, list(_records(stream.read()))


def _records(content: bytes) -> Iterator[Record]:
    """What a file holds; a last record that was not written whole is not in it."""
    at = 0
    while content[at : at + 1] == b"[" and (end := content.find(b"\n", at)) >= 0:
        identity, release_id, version, plan, when, rows, latency, number, *sizes = orjson.loads(content[at:end])
        middle = end + 1 + (sizes[0] or 0)
        at = middle + sizes[1]
        inputs = None if sizes[0] is None else content[end + 1 : middle]
        yield Record(UUID(identity), release_id, version, plan, datetime.fromisoformat(when), rows, latency, inputs,
                     content[middle:at], number)  # fmt: skip
