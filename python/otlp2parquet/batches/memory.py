"""The open batch in memory: requests are appended to its shards until a limit closes it.

Knows builders, limits and the budget. It must not know requests as HTTP has them, nor what
becomes of a closed batch: that is handed to ``Storing`` at once, and the next batch opens with
the next request, so ingestion never waits for a write. Nothing here waits for a time to come:
``tick``, called now and then, compares ages with the clock.

A request goes wholly into one shard of one batch. Appending takes that shard's lock and no
other, so as many requests are decoded at once as there are shards.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.identity import new_batch_id
from otlp2parquet.batches.open_batch import OpenBatch, Reason, Request, Shard
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.core import Appended, Signal
from otlp2parquet.errors import StorageError

FIRST_AGE_SECS: Final = 2.0
"""The first batch after a start closes this early, so that a newcomer sees files at once."""

MAX_GROUPS: Final = 4096
"""Builders, one per (table, service, hour), that a batch may hold over all shards. Past it the
batch is closed early: a flood of service names costs files, never memory."""

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


class MemoryBatches:
    """Where requests are appended, and what closes batches. Safe for several threads.

    ``shards`` is the number of threads that may append at once. Rows are lost if the process
    dies before their batch is stored: this is the mode ``memory``.
    """

    def __init__(
        self,
        config: BatchConfig,
        storing: Storing,
        budget: Budget,
        *,
        shards: int,
        max_payload_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = new_batch_id,
    ) -> None:
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

    def append(
        self,
        payload: bytes,
        signal: Signal,
        *,
        content_type: str,
        content_encoding: str | None,
        received_at: int,
        wait: bool = True,
    ) -> Appended | None:
        """Append one request; None only when ``wait`` is false and every shard is busy.

        The arguments and errors are those of ``BatchBuilder.append``; after an error the batch
        is as it was. ``wait=False`` is for a thread that must not block, such as an event loop's.
        """
        request = (payload, signal, content_type, content_encoding, received_at)
        if not self._config.enabled:
            return self._append_alone(request)
        while True:
            batch = self._current()
            shard = batch.claim(wait=wait)
            if shard is None:
                return None
            try:
                if shard.sealed:
                    continue  # it was closed since; the open one now is another
                appended = batch.append(shard, request)
            finally:
                shard.lock.release()
            if batch.first_row is None and appended.accepted:
                batch.first_row = self._monotonic()
            reason = self._limit_reached(batch)
            if reason is not None:
                self._close(batch, reason)
            return appended

    def _append_alone(self, request: Request) -> Appended:
        batch = self._new_batch(shards=1)
        (shard,) = batch.shards
        try:
            with shard.lock:
                appended = batch.append(shard, request)
            self._close(batch, "request")
        except BaseException:
            batch.stored()  # nothing of it is acknowledged, and nobody else knows this batch
            raise
        return appended

    def tick(self) -> None:
        """Close the open batch if it is old enough, and begin the retries that are due."""
        batch = self._open
        if batch is not None and batch.age_of_rows(self._monotonic()) >= self._max_age_secs:
            self._close(batch, "age")
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
        return self._storing.drain(timeout_secs)

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
        made = [Shard(self._max_payload_bytes) for _ in range(shards)]
        return OpenBatch(self._new_id(), made, self._budget, self._monotonic())

    def _limit_reached(self, batch: OpenBatch) -> Reason | None:
        if batch.rows >= self._config.max_rows:
            return "rows"
        if batch.bytes >= self._config.max_bytes:
            return "bytes"
        if batch.groups >= MAX_GROUPS:
            return "groups"
        return None

    def _close(self, batch: OpenBatch, reason: Reason) -> None:
        with self._lock:
            if batch.state != "open":
                return  # another thread was first
            if self._open is batch:
                self._open = None
            elif self._draining:
                raise StorageError(_STOPPING)  # a request of its own, too late to be stored
            self._max_age_secs = self._config.max_age_secs
            batch.close(reason, self._monotonic())
            # Under the lock, so that batches are submitted in the order of their opening.
            self._storing.submit(batch)
