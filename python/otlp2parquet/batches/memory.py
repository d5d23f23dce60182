"""The open batch in memory: requests are appended to its shards until a limit closes it.

Knows builders, limits and the budget. It must not know requests as HTTP has them, nor what
becomes of a closed batch: that is handed to ``Storing`` at once, and the next batch opens with
the next request, so ingestion never waits for a write. Time comes from the caller's clock, and
only ``tick`` looks at it.

A request goes wholly into one shard of one batch. Appending takes that shard's lock and no
other, so as many requests are decoded at once as there are shards.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.identity import new_batch_id
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.core import Appended, Batch, BatchBuilder, Signal

FIRST_AGE_SECS: Final = 2.0
"""The first batch after a start closes this early, so that a newcomer sees files at once."""

MAX_GROUPS: Final = 4096
"""Builders, one per (table, service, hour), that a batch may hold over all shards. Past it the
batch is closed early: a flood of service names costs files, never memory."""

Reason = Literal["rows", "bytes", "groups", "age", "memory", "request", "shutdown"]

_Request = tuple[bytes, Signal, str, str | None, int]
"""Payload, signal, content type, content encoding, receive time in ns."""


class _Shard:
    """One builder and what it holds, read only by the holder of the lock or approximately."""

    __slots__ = ("builder", "bytes", "groups", "lock", "rows", "sealed")

    def __init__(self, max_payload_bytes: int) -> None:
        self.lock = threading.Lock()
        self.builder = BatchBuilder(max_payload_bytes=max_payload_bytes)
        self.rows = self.bytes = self.groups = 0
        self.sealed = False


class OpenBatch:
    """A batch from its first request to the moment all its files are stored."""

    def __init__(self, batch_id: str, shards: list[_Shard], budget: Budget, opened: float) -> None:
        self.id = batch_id
        self.shards = shards
        self.state: Literal["open", "closed", "stored"] = "open"
        self.reason: str = ""
        self.age_secs = 0.0
        self._opened = opened
        self.first_row: float | None = None
        self._budget = budget
        self._taken = 0
        self._taken_lock = threading.Lock()
        self._sealed: list[Batch] = []

    @property
    def rows(self) -> int:
        """Rows over all shards; exact when no request is being appended."""
        return sum(shard.rows for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Bytes of Arrow buffers over all shards."""
        return sum(shard.bytes for shard in self.shards)

    @property
    def groups(self) -> int:
        """Builders over all shards."""
        return sum(shard.groups for shard in self.shards)

    def claim(self, *, wait: bool) -> _Shard | None:
        """A shard whose lock the caller now holds; without ``wait`` None if all are busy.

        The first free one: under light load all rows meet in one builder, and a file is made
        from one piece.
        """
        for shard in self.shards:
            if shard.lock.acquire(blocking=False):
                return shard
        if not wait:
            return None
        shard = self.shards[threading.get_ident() % len(self.shards)]
        shard.lock.acquire()
        return shard

    def append(self, shard: _Shard, request: _Request) -> Appended:
        """Append to ``shard``, whose lock the caller holds; its growth is budgeted."""
        payload, signal, content_type, content_encoding, received_at = request
        before = shard.bytes
        try:
            return shard.builder.append(
                payload,
                signal,
                content_type=content_type,
                content_encoding=content_encoding,
                received_at=received_at,
            )
        finally:
            # Also after an error: the rows are gone then, buffers may have grown.
            shard.rows = shard.builder.num_rows
            shard.bytes = shard.builder.num_bytes
            shard.groups = shard.builder.num_groups
            with self._taken_lock:
                self._taken += shard.bytes - before
            self._budget.take(shard.bytes - before)

    def close(self, reason: Reason, now: float) -> None:
        """Take no more requests than those that have chosen this batch already."""
        self.state = "closed"
        self.reason = reason
        self.age_secs = now - self._opened

    def seal(self) -> list[Batch]:
        """All rows, shard after shard; waits for the appends in progress.

        A failure half-way loses nothing: the next call goes on with the shards that are left.
        """
        for shard in self.shards:
            with shard.lock:
                if not shard.sealed:
                    self._sealed.extend(shard.builder.finish(dictionaries=True))
                    shard.sealed = True
        sealed, self._sealed = self._sealed, []
        return sealed

    def free(self, share: float) -> None:
        """One file is stored, of this share of the rows: as much memory is free again."""
        self._give(int(self.bytes * share))

    def stored(self) -> None:
        """All files are stored: nothing of the batch is in memory any more."""
        self._give(self.bytes)
        self.state = "stored"

    def _give(self, count: int) -> None:
        with self._taken_lock:
            count = min(count, self._taken)
            self._taken -= count
        self._budget.give(count)


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

    def _append_alone(self, request: _Request) -> Appended:
        batch = self._new_batch(shards=1)
        (shard,) = batch.shards
        try:
            with shard.lock:
                appended = batch.append(shard, request)
        except BaseException:
            batch.stored()  # there is nothing to store, and nobody else knows this batch
            raise
        self._close(batch, "request")
        return appended

    def tick(self) -> None:
        """Close the open batch if it is old enough, and begin the retries that are due."""
        batch = self._open
        if batch is not None and batch.first_row is not None:
            if self._monotonic() - batch.first_row >= self._max_age_secs:
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

        Nothing may be appended any more. ``tick`` goes on being needed for retries.
        """
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
            if self._open is None:
                self._open = self._new_batch(self._shards)
            return self._open

    def _new_batch(self, shards: int) -> OpenBatch:
        made = [_Shard(self._max_payload_bytes) for _ in range(shards)]
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
            self._max_age_secs = self._config.max_age_secs
            batch.close(reason, self._monotonic())
            # Under the lock, so that batches are submitted in the order of their opening.
            self._storing.submit(batch)
