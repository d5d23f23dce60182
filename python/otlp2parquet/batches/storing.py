"""Closed batches become files: a small pool, oldest batch first, retries, nothing dropped.

Knows batches only as files to write, and the writer only by its protocol. It must not know why
a batch was closed. Time comes from the caller: no thread here waits for a clock, so a retry that
is due begins when ``release_due`` says so.
"""

import heapq
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from otlp2parquet.core import Batch
from otlp2parquet.errors import StorageError
from otlp2parquet.writers.protocol import NameTakenError, OtlpWriter

log = logging.getLogger(__name__)

RETRY_FIRST_SECS = 1.0
RETRY_LONGEST_SECS = 30.0

FileKey = tuple[str, str | None, datetime]
"""Table, service, hour: in a batch each has exactly one file."""


class ClosedBatch(Protocol):
    """What storing needs of a batch that takes no more rows."""

    id: str
    reason: str
    age_secs: float

    def seal(self) -> list[Batch]:
        """All rows, in the order of the shards. Called once; waits for appends in progress."""

    def free(self, share: float) -> None:
        """One file is stored, of this share of the rows."""

    def stored(self) -> None:
        """All files are stored."""


@dataclass(eq=False, slots=True)
class _Storing:
    """A batch on its way: its place in the order, its files still missing, what is done."""

    order: int
    batch: ClosedBatch
    started: float
    missing: int = 0
    rows: int = 0
    files: int = 0
    stored_bytes: int = 0


@dataclass(order=True, slots=True)
class _Job:
    """One file to write, or (``part`` 0, no ``key``) the sealing that finds out which files."""

    order: int
    part: int
    of: _Storing = field(compare=False)
    key: FileKey | None = field(compare=False, default=None)
    batches: list[Batch] = field(compare=False, default_factory=list)
    attempts: int = field(compare=False, default=0)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Closed batches not stored yet, the retries among their files, and the last failure."""

    batches: int
    retries: int
    last_error: str


class Storing:
    """Writes closed batches with ``threads`` threads of its own."""

    def __init__(
        self,
        writer: OtlpWriter,
        *,
        threads: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._monotonic = monotonic
        # Workers and drain wait on it alike, so it is always notify_all.
        self._changed = threading.Condition()
        self._ready: list[_Job] = []
        self._waiting: list[tuple[float, _Job]] = []
        self._batches: set[_Storing] = set()
        self._order = 0
        self._hurry = False
        self._stopped = False
        self._last_error = ""
        # Daemons, so that a write that hangs cannot keep the process from ending.
        self._threads = [
            threading.Thread(target=self._run, name=f"otlp2parquet-write-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, batch: ClosedBatch) -> None:
        """Store ``batch`` behind those submitted before. Does not wait."""
        with self._changed:
            self._order += 1
            storing = _Storing(self._order, batch, self._monotonic())
            self._batches.add(storing)
            heapq.heappush(self._ready, _Job(storing.order, 0, storing))
            self._changed.notify_all()

    def release_due(self) -> float | None:
        """Begin the retries that are due; seconds until the next one, None when there is none."""
        now = self._monotonic()
        with self._changed:
            later = []
            for due, job in self._waiting:
                if due <= now or self._hurry:
                    heapq.heappush(self._ready, job)
                    self._changed.notify_all()
                else:
                    later.append((due, job))
            self._waiting = later
            return min((due - now for due, _ in later), default=None)

    def backlog(self) -> Backlog:
        """What is not stored yet."""
        with self._changed:
            retries = len(self._waiting) + sum(job.attempts > 0 for job in self._ready)
            return Backlog(len(self._batches), retries, self._last_error if retries else "")

    def drain(self, timeout_secs: float) -> bool:
        """Wait until everything is stored; False when time ran out first.

        From now on each ``release_due`` retries at once: there is no later to wait for. The
        threads end with it.
        """
        self._hurry = True
        with self._changed:
            stored = self._changed.wait_for(lambda: not self._batches, timeout_secs)
        self.stop()
        return stored

    def stop(self) -> None:
        """End the threads once the jobs that are ready are done; retries are left."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._stopped)
                if not self._ready:
                    return
                job = heapq.heappop(self._ready)
            try:
                if job.key is None:
                    self._seal(job.of)
                else:
                    self._write(job, job.key)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rows are kept and tried again
                self._retry(job, error)

    def _seal(self, storing: _Storing) -> None:
        parts: dict[FileKey, list[Batch]] = {}
        for batch in storing.batch.seal():
            parts.setdefault((batch.table, batch.service, batch.hour), []).append(batch)
        keys = sorted(parts, key=lambda key: (key[0], key[1] or "", key[2]))
        with self._changed:
            storing.missing = len(keys)
            storing.rows = sum(batch.num_rows for part in parts.values() for batch in part)
            for number, key in enumerate(keys, 1):
                job = _Job(storing.order, number, storing, key, parts[key])
                heapq.heappush(self._ready, job)
            self._changed.notify_all()
        if not keys:
            self._finish(storing)

    def _write(self, job: _Job, key: FileKey) -> None:
        storing, (table, service, hour) = job.of, key
        rows = sum(batch.num_rows for batch in job.batches)
        size = 0
        try:
            stored = self._writer.write(
                job.batches, table=table, service=service, hour=hour, batch_id=storing.batch.id
            )
            size = stored.bytes
        except NameTakenError as taken:
            if not self._is_ours(taken, job, rows):
                raise
        job.batches = []
        storing.batch.free(rows / storing.rows)
        with self._changed:
            storing.files += 1
            storing.stored_bytes += size
            storing.missing -= 1
            finished = not storing.missing
        if finished:
            self._finish(storing)

    @staticmethod
    def _is_ours(taken: NameTakenError, job: _Job, rows: int) -> bool:
        """Whether the file in the way is what an earlier attempt at this job left complete."""
        found = taken.found
        return (
            job.attempts > 0
            and found is not None
            and (found.batch_id, found.rows) == (job.of.batch.id, rows)
        )

    def _retry(self, job: _Job, error: Exception) -> None:
        job.attempts += 1
        pause = min(RETRY_FIRST_SECS * 2.0 ** min(job.attempts - 1, 16), RETRY_LONGEST_SECS)
        with self._changed:
            self._last_error = str(error) or type(error).__name__
            self._waiting.append((self._monotonic() + pause, job))
        log.error(
            "writing failed, the rows are kept and it will be tried again",
            extra={
                "fields": {
                    "batch": job.of.batch.id,
                    "attempt": job.attempts,
                    "retry_secs": pause,
                    "error": str(error) or type(error).__name__,
                }
            },
            # An environment's trouble explains itself; anything else may be a defect.
            exc_info=None if isinstance(error, StorageError) else error,
        )

    def _finish(self, storing: _Storing) -> None:
        batch = storing.batch
        if storing.rows:
            log.info(
                "batch stored",
                extra={
                    "fields": {
                        "batch": batch.id,
                        "rows": storing.rows,
                        "files": storing.files,
                        "bytes": storing.stored_bytes,
                        "age_secs": round(batch.age_secs, 3),
                        "write_secs": round(self._monotonic() - storing.started, 3),
                        "closed_by": batch.reason,
                    }
                },
            )
        batch.stored()
        with self._changed:
            self._batches.discard(storing)
            self._changed.notify_all()
