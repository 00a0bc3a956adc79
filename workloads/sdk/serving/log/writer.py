"""The prediction log: one row for each answered request, written in the background and never in its way.

A request leaves a record in a bounded queue. A thread writes what has gathered, four times a second, by binary COPY.
With PostgreSQL away the queue fills up to its bounds; what finds no room is counted as lost. What a killed replica had
in its queue stands in its journal, and the next one writes it.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workloads.sdk.serving.log.journal import Journal
from workloads.sdk.serving.log.record import Record
from workloads.sdk.serving.log.table import COLUMNS, add_days, statement

if TYPE_CHECKING:
    from psycopg import Connection

logger = logging.getLogger(__name__)

MAX_RECORDS = 50_000
MAX_BYTES = 64 * 2**20
BATCH = 2_000
INTERVAL = 0.25  # seconds


class LogWriter:
    """The queue and the thread that empties it.

    Attributes:
        written, lost: records so far.
    """

    def __init__(self, connect: "Callable[[], Connection[Any]]", schema: str, endpoint: str, folder: Path | None):
        """`folder`: of the journals; None: what is queued ends with the process."""
        self.written = self.lost = 0
        self._journal = Journal(folder, endpoint) if folder else None
        self._finished = 0  # files of the journal that may go when the batch is written
        self._connect, self._schema, self._endpoint = connect, schema, endpoint
        self._queue: deque[Record] = deque()
        self._bytes = 0  # in the queue
        self._batch: list[Record] = []  # taken out of the queue and not yet written
        self._unsure = False  # whether the batch may have been written before its connection broke
        self._day: date | None = None  # whose partition was looked for
        self._lock = threading.Lock()  # of the counts; never held while waiting
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def counts(self) -> dict[str, int]:
        return {"queued": len(self._queue) + len(self._batch), "written": self.written, "lost": self.lost}

    def put(self, record: Record) -> None:
        """Queue a record, or count it as lost. Never waits for the database, never raises."""
        size = record.size
        with self._lock:
            if len(self._queue) >= MAX_RECORDS or self._bytes + size > MAX_BYTES:
                self.lost += 1
                return
            self._bytes += size
            self._queue.append(record)
            try:
                if self._journal is not None:
                    self._journal.add(record)
            except OSError as error:
                logger.warning("what is queued ends with this replica from here on: no journal (%s)", error)
                self._journal = None

    def close(self, timeout: float = 5) -> None:
        """Write what is queued, for at most `timeout` seconds; what is left then is for the next replica."""
        self._stop.set()
        self._thread.join(timeout)
        left = self.counts()["queued"]
        if left:
            logger.warning("%d predictions are not logged yet: PostgreSQL was away at the end", left)
        if self._journal is not None:
            self._journal.close(keep=left > 0)

    def _run(self) -> None:
        connection: Connection[Any] | None = None
        pause, taken_over = INTERVAL, self._journal is None
        while True:
            stopping = self._stop.wait(pause)
            pause = INTERVAL
            try:
                while self._batch or self._queue or not taken_over:
                    if connection is None:
                        connection = self._connect()
                        connection.autocommit = True
                    if (today := datetime.now(UTC).date()) != self._day:
                        self._day = today  # where this fails once, rows go to the partition of the rest
                        add_days(connection, self._schema)
                    if not taken_over:
                        self._take_over(connection)
                        taken_over = True
                    self._take()
                    self._write(connection)
            except Exception as error:  # this thread must outlive whatever happens to the database
                logger.warning("the prediction log waits for PostgreSQL (%s)", type(error).__name__)
                if connection is not None:
                    connection.close()
                connection, pause = None, 1.0
            if stopping:
                break
        if connection is not None:
            connection.close()

    def _take(self) -> None:
        if self._batch:  # one that could not be written yet
            return
        with self._lock:
            self._batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._bytes -= sum(record.size for record in self._batch)
            if self._journal is not None and self._batch and not self._queue:
                self._finished = self._journal.turn()

    def _take_over(self, connection: "Connection[Any]") -> None:
        """Write what replicas that are gone have left; some of it may be written already."""
        for file, records in self._journal.left_behind() if self._journal is not None else ():
            self._batch = records
            self._one_by_one(connection)
            file.unlink(missing_ok=True)

    def _write(self, connection: "Connection[Any]") -> None:
        from psycopg import DataError, IntegrityError

        try:
            if self._unsure:
                self._one_by_one(connection)
            else:
                self._unsure = True
                self._copy(connection)
        except (DataError, IntegrityError):
            self._one_by_one(connection)
        self._unsure = False
        if self._journal is not None and self._finished:
            with self._lock:
                self._journal.forget(self._finished)
            self._finished = 0

    def _copy(self, connection: "Connection[Any]") -> None:
        text = statement(self._schema, "COPY {predictions} ({columns}) FROM STDIN (FORMAT BINARY)")
        with connection.cursor() as cursor, cursor.copy(text) as copy:
            copy.set_types(list(COLUMNS.values()))
            for record in self._batch:
                copy.write_row(self._row(record))
        self.written += len(self._batch)
        self._batch = []

    def _one_by_one(self, connection: "Connection[Any]") -> None:
        """Slow and sure: rows that stand there already are left, one that cannot be stored is lost alone."""
        from psycopg import DataError, IntegrityError

        text = statement(self._schema, "INSERT INTO {predictions} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING")
        while self._batch:
            try:
                connection.execute(text, self._row(self._batch[0]))
                self.written += 1
            except (DataError, IntegrityError) as error:
                with self._lock:
                    self.lost += 1
                logger.warning("prediction %s cannot be logged: %s", self._batch[0].prediction_id, error)
            del self._batch[0]

    def _row(self, record: Record) -> tuple[Any, ...]:
        from psycopg.types.json import Jsonb

        outputs = record.outputs.replace(b"\\u0000", b"\\ufffd")  # PostgreSQL's JSON holds no zero character
        return (
            record.prediction_id,
            self._endpoint,
            record.release_id,
            record.version,
            record.plan,
            record.at,
            record.rows,
            record.latency_ms,
            record.inputs,
            Jsonb(outputs, dumps=_as_is),
            record.number,
        )


def _as_is(text: bytes) -> bytes:
    return text
