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
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.identity import new_batch_id
from otlp2parquet.batches.log import BatchLog, Kept, Log, NoLog, Request, Usage
from otlp2parquet.batches.open_batch import OpenBatch, Reason
from otlp2parquet.batches.replay import Shard
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.core import Appended, Signal
from otlp2parquet.errors import StorageError

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

_STOPPING: Final = "the server is stopping and takes no more rows"


@dataclass(frozen=True, slots=True)
class Held:
    """What the memory holds now."""

    open_rows: int
    closed_batches: int
    retries: int
    last_error: str
    used_bytes: int
    limit_bytes: int
    replays: int
    """Of the closed batches, those that an earlier process has left."""
    oldest: str
    """The id of the oldest batch that is not stored; empty when there is none."""
    log: Usage


class Batches:
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
        self.keeps_later = self._log.keeps_later
        """Whether ``kept`` is called at a time of its own: else it need not be given."""
        self.survives = self._log.survives
        """Whether what is kept outlives the process."""
        self._log.on_failure = self.lost
        self.counts = storing.counts
        self._config = config
        self._storing = storing
        self._budget = budget
        self._shards = shards
        self._max_payload_bytes = max_payload_bytes
        self._monotonic = monotonic
        self._new_id = new_id
        self._lock = threading.Lock()
        self._open: OpenBatch | None = None
        self._draining = False
        self._max_age_secs = min(FIRST_AGE_SECS, config.max_age_secs)
        if self._log.waits_for_storage:
            self._max_age_secs = min(STORED_AGE_SECS, config.max_age_secs)
            storing.on_idle = self._close_next

    def append(
        self,
        payload: bytes,
        signal: Signal,
        *,
        content_type: str,
        content_encoding: str | None,
        received_at: int,
        wait: bool = True,
        kept: Kept | None = None,
    ) -> Appended | None:
        """Append one request; None only when ``wait`` is false and every shard is busy.

        The arguments and errors are those of ``BatchBuilder.append``; after an error the batch
        is as it was. ``wait=False`` is for a thread that must not block, such as an event loop's.

        ``kept`` is called once, perhaps before this returns, when the request is kept as the
        mode promises or with the reason why it is not; until then it is not to be acknowledged.
        It is not called when this raises or returns None.
        """
        request = (payload, signal, content_type, content_encoding, received_at)
        if not self._config.enabled:
            return self._append_alone(request, kept)
        while True:
            batch = self._current()
            shard = batch.claim(wait=wait)
            if shard is None:
                return None
            appended = None
            try:
                if shard.sealed:
                    continue  # it was closed since; the open one now is another
                if shard.bytes < SHARD_MAX_BYTES:
                    appended = batch.append(shard, request, kept)
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

    def _append_alone(self, request: Request, kept: Kept | None) -> Appended:
        batch = self._new_batch(shards=1)
        (shard,) = batch.shards
        try:
            with shard.lock:
                appended = batch.append(shard, request, kept)
            self._close(batch, "request")
        except BaseException:
            batch.forget()  # nothing of it is kept, and nobody else knows this batch
            raise
        return appended

    def replay(self, left_over: Iterable[tuple[str, BatchLog]]) -> None:
        """Store the batches, by id, of which an earlier process has left the log."""
        with self._lock:
            for batch_id, batch_log in left_over:
                now = self._monotonic()
                batch = OpenBatch.left_over(batch_id, self._budget, now, batch_log)
                self._storing.submit(batch)

    def tell_within(self, telling: AbstractContextManager[None]) -> None:
        """Have ``telling`` entered while the ``kept`` of one group are called."""
        self._log.telling = telling

    def refusal(self) -> str | None:
        """Why a request should be refused before its body is read; None if it may come."""
        return self._log.refusal()

    def tick(self) -> None:
        """Close the open batch if it is old enough, and begin the retries that are due."""
        batch = self._open
        if batch is not None:
            age = batch.age_of_rows(self._monotonic())
            if age >= self._max_age_secs:
                self._close(batch, "age")
            elif age >= SHORT_AGE_SECS and self._log.is_short() and self._storing.idle:
                self._close(batch, "disk")
        self._log.tick()
        self._storing.release_due()

    def relieve(self) -> None:
        """Close the open batch because memory is short, unless others are being stored already.

        Without it a budget that the open batch alone uses up would wait for its age.
        """
        batch = self._open
        if batch is not None and batch.rows and not self._storing.backlog().batches:
            self._close(batch, "memory")

    def drain(self, timeout_secs: float) -> bool:
        """Close the open batch and wait until everything is stored; False when time ran out.

        From now on an append is a ``StorageError``: it may be sent again, elsewhere or later.
        ``tick`` goes on being needed for retries.
        """
        with self._lock:
            self._draining = True
        batch = self._open
        if batch is not None:
            self._close(batch, "shutdown")
        stored = self._storing.drain(timeout_secs)
        if stored:
            self._log.stop()
        return stored

    def held(self) -> Held:
        """What the memory holds now."""
        batch = self._open
        backlog = self._storing.backlog()
        return Held(
            batch.rows if batch is not None else 0,
            backlog.batches,
            backlog.retries,
            backlog.last_error,
            self._budget.used,
            self._budget.limit,
            backlog.replays,
            backlog.oldest or (batch.id if batch is not None and batch.rows else ""),
            self._log.usage(),
        )

    def _current(self) -> OpenBatch:
        batch = self._open
        if batch is not None:
            return batch
        with self._lock:
            if self._draining:
                raise StorageError(_STOPPING)
            if self._open is None:
                self._open = self._new_batch(self._shards)
            return self._open

    def _new_batch(self, shards: int) -> OpenBatch:
        made = [Shard(self._max_payload_bytes, number) for number in range(shards)]
        batch_id = self._new_id()
        batch_log = self._log.open(batch_id)
        return OpenBatch(batch_id, made, self._budget, self._monotonic(), batch_log)

    def lost(self, batch_id: str) -> None:
        """A group of this batch could not be kept: no more rows may follow those.

        Called by the log before anyone is told. The batch is closed, and ``seal`` finds that
        its builders hold too much and reads what is kept from the log.
        """
        batch = self._open
        if batch is not None and batch.id == batch_id:
            self._close(batch, "log")

    def _close_next(self) -> None:
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
        if self._log.waits_for_storage and batch.rows and self._storing.idle:
            return "stored"
        return None

    def _close(self, batch: OpenBatch, reason: Reason) -> None:
        with self._lock:
            if batch.state != "open":
                return  # another thread was first
            if self._open is batch:
                self._open = None
            elif self._draining and not batch.rereads:
                raise StorageError(_STOPPING)  # a request of its own, too late to be stored
            self._max_age_secs = self._config.max_age_secs
            if self._log.waits_for_storage:
                self._max_age_secs = min(STORED_AGE_SECS, self._config.max_age_secs)
            batch.close(reason, self._monotonic())
            self.counts.batches_closed[reason] = self.counts.batches_closed.get(reason, 0) + 1
            # Under the lock, so that batches are submitted in the order of their opening.
            self._storing.submit(batch)
