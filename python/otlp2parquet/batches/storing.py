"""Closed batches become files: a small pool, oldest batch first, retries, nothing dropped.

Knows batches only as files to write, and the writer only by its protocol. It must not know why
a batch was closed. Time comes from the caller: no thread here waits for a clock, so a retry that
is due begins when ``release_due`` says so.

Files that fail are tried again together, per batch, after a pause that grows and is never quite
the same. Where a batch's rows can be read back, memory forgets them for the time of the pause.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.jobs import ClosedBatch, Job, Jobs, Progress
from otlp2parquet.batches.plan import LAYOUT, FileKey, Plan
from otlp2parquet.core import Batch
from otlp2parquet.errors import StorageError
from otlp2parquet.writers.protocol import NameTakenError, OtlpWriter

log = logging.getLogger(__name__)

RETRY_FIRST_SECS = 1.0
RETRY_LONGEST_SECS = 30.0
JITTER = 0.25
"""A pause is up to this share longer or shorter, so that many servers do not come at once."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Closed batches not stored yet, the retries among their files, and the last failure."""

    batches: int
    retries: int
    last_error: str
    replays: int
    """Of the batches, those that an earlier process has left."""
    oldest: str
    """The id of the batch that waits longest; empty when there is none."""


class Storing:
    """Writes closed batches with ``threads`` threads of its own.

    ``root`` names the storage in plans, and ``writer_for`` gives the writer for the root in a
    plan of another time, None if that storage cannot be reached. With ``gives_up`` a batch that
    fails is abandoned at once instead of tried again.
    """

    def __init__(
        self,
        writer: OtlpWriter,
        *,
        threads: int,
        root: str = "",
        writer_for: Callable[[str], OtlpWriter | None] = lambda _: None,
        gives_up: bool = False,
        counts: Counts | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._writer = writer
        self._root = root
        self._writer_for = writer_for
        self._gives_up = gives_up
        self.counts = Counts() if counts is None else counts
        self.on_idle: Callable[[], None] = lambda: None
        """Called whenever a batch is stored or given up, without any lock held."""
        self._monotonic = monotonic
        self._jitter = jitter
        # Workers and drain wait on it alike, so it is always notify_all.
        self._changed = threading.Condition()
        self._jobs = Jobs(max(1, threads - 1))
        self._order = 0
        self._hurry = False
        self._stopped = False
        self._last_error = ""
        self._replaying_since: float | None = None
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
            of = Progress(self._order, batch, self._monotonic(), self._writer)
            self._jobs.batches.add(of)
            if batch.replayed and self._replaying_since is None:
                self._replaying_since = of.started
            self._jobs.push(Job(of.order, 0, of))
            self._changed.notify_all()

    def release_due(self) -> float | None:
        """Begin the retries that are due; seconds until the next one, None when there is none."""
        now = self._monotonic()
        with self._changed:
            later = min(self._jobs.release(now, hurry=self._hurry), default=None)
            self._changed.notify_all()
        return None if later is None else later - now

    def backlog(self) -> Backlog:
        """What is not stored yet."""
        with self._changed:
            retries = self._jobs.retries
            waiting = sorted(self._jobs.batches, key=lambda of: of.order)
            return Backlog(
                len(waiting),
                retries,
                self._last_error if retries else "",
                sum(of.batch.replayed for of in waiting),
                waiting[0].batch.id if waiting else "",
            )

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be stored."""
        return not self._jobs.batches

    def drain(self, timeout_secs: float) -> bool:
        """Wait until everything is stored; False when time ran out first.

        From now on each ``release_due`` retries at once: there is no later to wait for. The
        threads end with it.
        """
        self._hurry = True
        with self._changed:
            stored = self._changed.wait_for(lambda: self.idle, timeout_secs)
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
                while (job := self._jobs.pop()) is None:
                    if self._stopped:
                        return
                    self._changed.wait()
            error: Exception | None = None
            try:
                if job.key is None:
                    self._seal(job.of)
                else:
                    self._write(job, job.key)
            except Exception as trouble:  # noqa: BLE001 - whatever it is, the rows are kept and tried again
                error = trouble
            with self._changed:
                job.of.active -= 1
                self._changed.notify_all()
            if error is not None:
                self._failed(job, error)

    # -- a batch becomes files --------------------------------------------------------------

    def _seal(self, of: Progress) -> None:
        if of.planned is not None and not of.again:
            return  # another reading has given all files their rows
        parts: dict[FileKey, list[Batch]] = {}
        for batch in of.batch.seal():
            parts.setdefault((batch.table, batch.service, batch.hour), []).append(batch)
        rows = {key: sum(batch.num_rows for batch in part) for key, part in parts.items()}
        of.rows = sum(rows.values())
        if of.again:
            self._give_again(of, parts)
            return
        keys = sorted(parts, key=lambda key: (key[0], key[1] or "", key[2]))
        if keys:
            stored = self._plan(of, Plan(self._root, {key: rows[key] for key in keys}))
            for key in stored.intersection(keys):
                of.batch.free(rows[key] / of.rows)
            keys = [key for key in keys if key not in stored]
        with self._changed:
            of.missing = len(keys)
            for number, key in enumerate(keys, 1):
                self._jobs.push(Job(of.order, number, of, key, parts[key], rows[key]))
            self._changed.notify_all()
        if not keys:
            self._finish(of)

    def _plan(self, of: Progress, wanted: Plan) -> frozenset[FileKey]:
        """Fix the plan, take the writer it names, and report what is not as planned."""
        plan, stored = of.batch.plan(wanted)
        if plan.layout != LAYOUT:
            raise StorageError(
                f"batch {of.batch.id} is planned in layout {plan.layout}, expected {LAYOUT}"
            )
        # Only what was fixed by whoever may have written files says how many rows those have.
        of.planned = {} if plan is wanted else plan.files
        different = sum(plan.files.get(key) != rows for key, rows in wanted.files.items())
        if different:
            self.counts.replay_differences += different
            log.warning(
                "replayed rows are not those of the plan, the rows are stored",
                extra={"fields": {"batch": of.batch.id, "files": different}},
            )
        if plan.root != wanted.root:
            recorded = self._writer_for(plan.root)
            of.writer = self._writer if recorded is None else recorded
            log.warning(
                "a batch was begun for another storage",
                extra={
                    "fields": {
                        "batch": of.batch.id,
                        "planned": plan.root,
                        "written_to": wanted.root if recorded is None else plan.root,
                    }
                },
            )
        return stored

    def _give_again(self, of: Progress, parts: dict[FileKey, list[Batch]]) -> None:
        """Hand the rows that were read back to the files that wait for them."""
        with self._changed:
            again, of.again = of.again, {}
        for key in parts.keys() - again.keys():
            of.batch.free(sum(batch.num_rows for batch in parts[key]) / of.rows)
        with self._changed:
            for key, job in again.items():
                job.batches = parts[key]
                self._jobs.push(job)
            self._changed.notify_all()

    def _write(self, job: Job, key: FileKey) -> None:
        of, (table, service, hour) = job.of, key
        size = 0
        try:
            stored = of.writer.write(
                job.batches, table=table, service=service, hour=hour, batch_id=of.batch.id
            )
            size = stored.bytes
        except NameTakenError as taken:
            if not self._is_ours(taken, job):
                raise
        job.batches = []
        of.batch.noted(key, job.rows / of.rows)
        with self._changed:
            of.files += 1
            of.stored_bytes += size
            of.missing -= 1
            self.counts.files_stored += 1
            finished = not of.missing and not of.abandoned
        if finished:
            self._finish(of)

    @staticmethod
    def _is_ours(taken: NameTakenError, job: Job) -> bool:
        """Whether the file in the way is what an earlier attempt at this job left complete.

        Of a replayed batch whose plan was damaged, and perhaps more of it, a file may have more
        rows than are left: it was made whole, before the damage.
        """
        found, of = taken.found, job.of
        if found is None or found.batch_id != of.batch.id:
            return False
        if not job.attempts and not of.batch.replayed:
            return False
        planned = (of.planned or {}).get(job.key) if job.key is not None else None
        if found.rows in (job.rows, planned):
            return True
        return of.batch.replayed and not of.planned and found.rows > job.rows

    # -- what goes wrong --------------------------------------------------------------------

    def _failed(self, job: Job, error: Exception) -> None:
        of, reason = job.of, str(error) or type(error).__name__
        job.attempts += 1
        self.counts.storage_failures += 1
        if self._gives_up:
            self._abandon(of, error)
            return
        if of.batch.rereads and job.key is not None:
            job.batches = []
            of.batch.free(job.rows / of.rows)
        with self._changed:
            self._last_error = reason
            of.failed.append(job)
            is_first, pause = of.due is None, 0.0
            if is_first:
                of.rounds += 1
                pause = min(RETRY_FIRST_SECS * 2.0 ** min(of.rounds - 1, 16), RETRY_LONGEST_SECS)
                of.due = self._monotonic() + pause * (1 - JITTER + 2 * JITTER * self._jitter())
            if not of.active:
                of.read_back = False
        if is_first:
            log.error(
                "writing failed, the rows are kept and it will be tried again",
                extra={
                    "fields": {
                        "batch": of.batch.id,
                        "attempt": of.rounds,
                        "retry_secs": pause,
                        "error": reason,
                    }
                },
                # An environment's trouble explains itself; anything else may be a defect.
                exc_info=None if isinstance(error, StorageError) else error,
            )

    def _abandon(self, of: Progress, error: Exception) -> None:
        with self._changed:
            is_first, of.abandoned = not of.abandoned, True
            self._jobs.drop(of)
            self._changed.notify_all()
        if not is_first:
            return
        reason = str(error) or type(error).__name__
        log.error(
            "writing failed, the requests are refused",
            extra={"fields": {"batch": of.batch.id, "files_stored": of.files, "error": reason}},
            exc_info=None if isinstance(error, StorageError) else error,
        )
        of.batch.abandon(StorageError(f"the storage failed ({reason}), send it again"))
        self.on_idle()

    def _finish(self, of: Progress) -> None:
        batch = of.batch
        if of.rows:
            log.info(
                "batch stored",
                extra={
                    "fields": {
                        "batch": batch.id,
                        "rows": of.rows,
                        "files": of.files,
                        "bytes": of.stored_bytes,
                        "age_secs": round(batch.age_secs, 3),
                        "write_secs": round(self._monotonic() - of.started, 3),
                        "closed_by": batch.reason,
                    }
                },
            )
        batch.stored()
        with self._changed:
            self._jobs.batches.discard(of)
            self.counts.batches_stored += 1
            self.counts.batches_replayed += batch.replayed
            self.counts.rows_stored += of.rows
            self.counts.bytes_stored += of.stored_bytes
            since = self._replaying_since
            if since is not None and not any(left.batch.replayed for left in self._jobs.batches):
                self._replaying_since = None
                secs = round(self._monotonic() - since, 3)
                fields = {"batches": self.counts.batches_replayed, "secs": secs}
                log.info("replay finished", extra={"fields": fields})
            self._changed.notify_all()
        self.on_idle()
