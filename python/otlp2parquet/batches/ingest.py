"""Where requests come in: they are appended to the open batch until something closes it.

Knows builders, limits, the budget and the log by its protocol. It must not know requests as HTTP
has them, nor what becomes of a closed batch: that is handed to ``Storing`` at once, and the next
batch opens with the next request, so ingestion never waits for a write. Nothing here waits for a
time to come: ``tick``, called now and then, compares ages with the clock.

A request goes wholly into one shard of one batch. Appending takes that shard's lock and no
other, so as many requests are decoded at once as there are shards.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.batches.batch import ClosedBatch, OpenBatch, Reason
from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.flushes import Flush, Told, tell
from otlp2parquet.batches.log.none import NoLog
from otlp2parquet.batches.log.protocol import BatchLog, Log, Usage
from otlp2parquet.batches.request import Acknowledge, Request
from otlp2parquet.batches.shard import Shard
from otlp2parquet.batches.storing import Backlog, RecentFile, Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.core import Appended, Signal
from otlp2parquet.errors import StoppingError

FIRST_AGE_SECS: Final = 2.0
"""The first batch after a start closes this early, so that a newcomer sees files at once."""

MAX_GROUPS: Final = 4096
"""Builders, one per (table, service, hour), that a batch may hold over all shards. Past it the
batch is closed early: a flood of service names costs files, never memory."""

SHARD_MAX_BYTES = 256 << 20
"""What one shard takes, whatever ``batch.max_bytes`` says: a builder has its own bound (384 MiB),
and would call the next request too large, which is the batch's matter and not its sender's."""

STORED_AGE_SECS: Final = 1.0
"""Where requests wait for the storage: the most that a batch waits for the one before it."""

SHORT_AGE_SECS: Final = 2.0
"""When the log is short of room, a batch is not left open longer than this."""

MAX_WAITING_BATCHES: Final = 10_000
"""Batches that may wait for a storage that is down, however small: each takes some memory, and a
file of the log."""

MAX_WAITING_FILES: Final = 200_000
"""Planned files of batches that may wait: a request can name thousands of services, and of each
file some hundred bytes stay in memory, or some thousand once it is stored while others are not."""

_STOPPING: Final = "the server is stopping and takes no more rows"


@dataclass(frozen=True, slots=True)
class Status:
    """What is in memory, in the log and on its way to storage now."""

    open_rows: int
    used_bytes: int
    limit_bytes: int
    oldest: str
    """The id of the oldest batch that is not stored; empty when there is none."""
    backlog: Backlog
    log: Usage


class Ingest:
    """Where requests are appended, and what closes batches. Safe for several threads.

    ``shards`` is the number of threads that may append at once. When a request counts as kept
    is the log's matter; without one it is when it is buffered.
    """

    def __init__(
        self,
        config: BatchConfig,
        storing: Storing,
        budget: Budget,
        *,
        shards: int,
        max_payload_bytes: int,
        log: Log | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = new_batch_id,
    ) -> None:
        self._log: Log = NoLog() if log is None else log
        self.acknowledges_later = self._log.acknowledges_later
        """Whether ``acknowledge`` is called at a time of its own: else it need not be given."""
        self.survives = self._log.survives
        """Whether what is kept outlives the process."""
        self.counts = storing.counts
        self._config = config
        self._storing = storing
        self._budget = budget
        self._shards = shards
        self._max_payload_bytes = max_payload_bytes
        self._monotonic = monotonic
        self._new_id = new_id
        self._lock = threading.Lock()
        # All of these under the lock; the open batch may be looked at without.
        self._none_alone = threading.Condition(self._lock)
        self._alone: set[object] = set()
        # What a flush that is asked for now has to wait for before its turn comes: appends that
        # are not submitted yet, and the batch that was closed for the flush before.
        self._ahead: set[object] = set()
        self._asked: dict[Flush, None] = {}
        self._open: OpenBatch | None = None
        self._is_draining = False
        self._longest_age_secs = config.max_age_secs
        if self._log.waits_for_storage:
            self._longest_age_secs = min(STORED_AGE_SECS, config.max_age_secs)
        self._max_age_secs = min(FIRST_AGE_SECS, self._longest_age_secs)

    def append(
        self,
        payload: bytes,
        signal: Signal,
        *,
        content_type: str,
        content_encoding: str | None,
        received_at: int,
        wait: bool = True,
        acknowledge: Acknowledge | None = None,
    ) -> Appended | None:
        """Append one request; None only when ``wait`` is false and every shard is busy.

        The arguments and errors are those of ``BatchBuilder.append``; after an error the batch
        is as it was. ``wait=False`` is for a thread that must not block, such as an event loop's.

        ``acknowledge`` is called once, perhaps before this returns, when the request is kept as
        the mode promises or with the reason why it is not; until then it is not to be answered
        with success. It is not called when this raises or returns None.
        """
        request = Request(payload, signal, content_type, content_encoding, received_at)
        if not self._config.enabled:
            return self._append_alone(request, acknowledge)
        while True:
            batch = self._current()
            shard = batch.claim(wait=wait)
            if shard is None:
                return None
            appended = None
            try:
                if shard.is_finished:
                    continue  # it was closed since; the open one now is another
                if shard.bytes < SHARD_MAX_BYTES:
                    appended = batch.append(shard, request, acknowledge)
            finally:
                shard.lock.release()
            if appended is None:
                self._close(batch, "bytes")
                continue
            if batch.first_row is None and appended.accepted:
                batch.first_row = self._monotonic()
            reason = self._limit_reached(batch)
            if reason is not None:
                self._close(batch, reason)
            return appended

    def _append_alone(self, request: Request, acknowledge: Acknowledge | None) -> Appended:
        """Append to a batch of its own, which nobody else knows; a drain waits for it."""
        turn = object()
        with self._lock:
            self._refuse_when_draining()
            self._alone.add(turn)
            self._ahead.add(turn)
        try:
            batch = self._new_batch(shards=1)
            shard = batch.claim(wait=True)
            assert shard is not None  # noqa: S101 - it has one, and waits for it
            try:
                appended = batch.append(shard, request, acknowledge)
            except BaseException:
                batch.discard()
                raise
            finally:
                shard.lock.release()
            self._submit(batch, "request")
        finally:
            with self._lock:
                self._alone.discard(turn)
                self._none_alone.notify_all()
                over = self._pass(turn)
            tell(over)
        return appended

    def _refuse_when_draining(self) -> None:
        if self._is_draining:
            raise StoppingError(_STOPPING)

    def replay(self, left_over: Iterable[tuple[str, BatchLog]]) -> None:
        """Store the batches, by id, of which an earlier process has left the log."""
        for batch_id, batch_log in left_over:
            self._storing.submit(ClosedBatch(batch_id, "replay", 0.0, batch_log, self._budget))

    def refusal(self) -> str | None:
        """Why a request should be refused before its body is read; None if it may come."""
        if self._storing.count >= MAX_WAITING_BATCHES:
            return f"{self._storing.count} batches wait for the storage"
        if self._storing.planned_files >= MAX_WAITING_FILES:
            return f"batches of {self._storing.planned_files} files wait for the storage"
        return self._log.refusal()

    def tick(self) -> None:
        """Close the open batch if it is old enough, and go on with what is due."""
        batch = self._open
        if batch is not None:
            age = batch.age_of_rows(self._monotonic())
            if age >= self._max_age_secs:
                self._close(batch, "age")
            elif age >= SHORT_AGE_SECS and self._log.is_short() and self._storing.is_idle:
                self._close(batch, "disk")
        self._log.tick()
        self._storing.wake_due()

    def relieve(self) -> None:
        """Close the open batch because memory is short, unless others are being stored already.

        Without it a budget that the open batch alone uses up would wait for its age. Batches that
        rest give no memory back; this one does, where it can be read again.
        """
        batch = self._open
        if batch is not None and batch.rows and not self._storing.is_moving:
            self._close(batch, "memory")

    def flush(self, told: Told) -> Flush:
        """Close the open batch, and have ``told`` called when all that is there now is stored.

        Does not wait. What is told is whether every row that was acknowledged before this was
        called is in files. A batch that is closed for a flush is one at a time: flushes that are
        asked for until it is stored close the next one together. So however many ask, and however
        long a storage is away, they make no more batches than are stored. Nobody is told before
        the storage has answered: whoever does not wait for ever calls ``end_flush``.

        Raises ``StoppingError`` once a drain has begun.
        """
        flush = Flush(told)
        with self._lock:
            self._refuse_when_draining()
            flush.behind |= self._ahead
            flush.result.waiting = 1
            self._asked[flush] = None
            over = self._begin_flushes()
        tell(over)
        return flush

    def end_flush(self, flush: Flush) -> None:
        """Tell it now what has become of its batches; nothing if it was told already."""
        with self._lock:
            is_waiting = flush in self._asked
            self._asked.pop(flush, None)
            is_waiting = self._storing.end_flush(flush) or is_waiting
        if is_waiting:
            tell([flush])

    def _begin_flushes(self) -> list[Flush]:
        """Close the open batch for all whose turn it is; those that are over. The lock is held."""
        begun = [flush for flush in self._asked if not flush.behind]
        if not begun:
            return []
        for flush in begun:
            del self._asked[flush]
        if self._open is not None and self._open.rows:
            self._close_open(self._open, "flush")
        return self._storing.begin_flushes(begun)

    def _pass(self, turn: object) -> list[Flush]:
        """What flushes had to wait for is over: those that are, too. The lock is held."""
        self._ahead.discard(turn)
        for flush in self._asked:
            flush.behind.discard(turn)
        return self._begin_flushes()

    def drain(self, timeout_secs: float) -> bool:
        """Close the open batch and wait until everything is stored; False when time ran out.

        From now on an append is a ``StorageError``: it may be sent again, elsewhere or later.
        ``tick`` goes on being needed for retries until this returns.
        """
        deadline = self._monotonic() + timeout_secs
        with self._lock:
            self._is_draining = True
            is_whole = self._none_alone.wait_for(lambda: not self._alone, timeout_secs)
            # Under the same lock as any other close: what another thread has begun to close is
            # submitted by now, or the storing would be found idle without it.
            if self._open is not None:
                self._close_open(self._open, "shutdown")
            asked, self._asked = self._asked, {}
            over = self._storing.begin_flushes([flush for flush in asked if is_whole])
        tell(over if is_whole else asked)
        stored = self._storing.drain(max(0.0, deadline - self._monotonic()))
        self._storing.end_flushes()
        self._log.stop()
        return stored and is_whole

    def settle(self, timeout_secs: float) -> bool:
        """Wait until every closed batch is done with, also what is taken back of it."""
        return self._storing.settle(timeout_secs)

    def status(self) -> Status:
        """What is held, and what waits, now."""
        batch = self._open
        backlog = self._storing.backlog()
        open_rows = batch.rows if batch is not None else 0
        oldest = backlog.oldest or (batch.id if batch is not None and open_rows else "")
        budget = self._budget
        return Status(open_rows, budget.used, budget.limit, oldest, backlog, self._log.usage())

    def recent_files(self) -> list[tuple[RecentFile, float]]:
        """The files that were stored last, the newest first, and how many seconds ago each was."""
        return self._storing.recent_files()

    def _current(self) -> OpenBatch:
        batch = self._open
        if batch is not None:
            return batch
        with self._lock:
            self._refuse_when_draining()
            if self._open is None:
                self._open = self._new_batch(self._shards)
            return self._open

    def _new_batch(self, shards: int) -> OpenBatch:
        made = [Shard(self._max_payload_bytes, number) for number in range(shards)]
        batch_id = self._new_id()
        batch_log = self._log.open(batch_id, lambda: self._lost(batch_id))
        return OpenBatch(batch_id, made, self._budget, self._monotonic(), batch_log)

    def _lost(self, batch_id: str) -> None:
        """A group of this batch could not be kept: no more rows may follow those.

        Called by the log before anyone is told. The batch is closed, and whoever reads it finds
        that its builders hold too much and takes what is kept from the log.
        """
        batch = self._open
        if batch is not None and batch.id == batch_id:
            self._close(batch, "log")

    def _close_next(self) -> None:
        """The batch before is stored or given up: nothing else holds this one up."""
        batch = self._open
        if batch is not None and batch.rows:
            self._close(batch, "stored")

    def _limit_reached(self, batch: OpenBatch) -> Reason | None:
        if batch.rows >= self._config.max_rows:
            return "rows"
        if batch.bytes >= self._config.max_bytes:
            return "bytes"
        if batch.groups >= MAX_GROUPS:
            return "groups"
        if self._log.waits_for_storage and batch.rows and self._storing.is_idle:
            return "stored"
        return None

    def _close(self, batch: OpenBatch, reason: Reason) -> None:
        with self._lock:
            if self._open is batch:  # or another thread was first
                self._close_open(batch, reason)

    def _close_open(self, batch: OpenBatch, reason: Reason) -> None:
        """Close and submit the open batch; the lock is held.

        So batches are submitted in the order of their opening, and each one that was opened is
        either the open one or submitted, whoever looks.
        """
        self._open = None
        self._max_age_secs = self._longest_age_secs
        self._submit(batch, reason)

    def _submit(self, batch: OpenBatch, reason: Reason) -> None:
        self.counts.closed(reason)
        closed = batch.close(reason, self._monotonic())
        if reason != "flush":
            self._storing.submit(closed, self._done)
            return
        turn = object()
        self._ahead.add(turn)  # the lock is held, as for all that close the open batch
        # What is given up ends no sooner than it is taken back, which a storage may never allow.
        self._storing.submit(closed, self._done, partial(self._settled, turn))

    def _done(self) -> None:
        """A batch is stored, or given up and taken back."""
        if self._log.waits_for_storage:
            self._close_next()

    def _settled(self, turn: object) -> None:
        """It is known what becomes of a batch that was closed for a flush."""
        with self._lock:
            over = self._pass(turn)
        tell(over)
