"""One batch: its id, its shards, and its memory, from the first request to the last file.

Knows builders and the budget. It must not know when a batch has to be closed, nor how its files
are written: ``memory`` and ``storing`` do.
"""

import threading
from typing import Literal

from otlp2parquet.batches.budget import Budget
from otlp2parquet.core import Appended, Batch, BatchBuilder, Signal

Reason = Literal["rows", "bytes", "groups", "age", "memory", "request", "shutdown"]
"""What closes a batch."""

Request = tuple[bytes, Signal, str, str | None, int]
"""Payload, signal, content type, content encoding, receive time in ns."""


class Shard:
    """One builder and what it holds, read only by the holder of the lock or approximately."""

    __slots__ = ("builder", "bytes", "groups", "lock", "memory_bytes", "rows", "sealed")

    def __init__(self, max_payload_bytes: int) -> None:
        self.lock = threading.Lock()
        self.builder = BatchBuilder(max_payload_bytes=max_payload_bytes)
        self.rows = self.bytes = self.memory_bytes = self.groups = 0
        self.sealed = False


class OpenBatch:
    """A batch from its first request to the moment all its files are stored."""

    def __init__(self, batch_id: str, shards: list[Shard], budget: Budget, opened: float) -> None:
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
    def memory_bytes(self) -> int:
        """Bytes of memory over all shards, what buffers have made room for included."""
        return sum(shard.memory_bytes for shard in self.shards)

    @property
    def groups(self) -> int:
        """Builders over all shards."""
        return sum(shard.groups for shard in self.shards)

    def age_of_rows(self, now: float) -> float:
        """Seconds since the first row; -1 while there is none."""
        return -1.0 if self.first_row is None else now - self.first_row

    def claim(self, *, wait: bool) -> Shard | None:
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

    def append(self, shard: Shard, request: Request) -> Appended:
        """Append to ``shard``, whose lock the caller holds; its growth is budgeted."""
        payload, signal, content_type, content_encoding, received_at = request
        before = shard.memory_bytes
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
            shard.memory_bytes = shard.builder.num_memory_bytes
            shard.groups = shard.builder.num_groups
            with self._taken_lock:
                self._taken += shard.memory_bytes - before
            self._budget.take(shard.memory_bytes - before)

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
        self._give(int(self.memory_bytes * share))

    def stored(self) -> None:
        """All files are stored: nothing of the batch is in memory any more."""
        self._give(self.memory_bytes)
        self.state = "stored"

    def _give(self, count: int) -> None:
        with self._taken_lock:
            count = min(count, self._taken)
            self._taken -= count
        self._budget.give(count)
