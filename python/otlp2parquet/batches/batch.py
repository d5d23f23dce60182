"""One batch: open while it takes requests, closed when its rows go to storage.

Knows builders, the log and the budget. It must not know when a batch has to be closed, nor how
its files are written: ``ingest`` and ``storing`` do. The two states are two classes: an open
batch has no rows to give yet, and a closed one takes none.
"""

import threading
from typing import Final, Literal

from otlp2parquet.batches.budget import Allowance, Budget
from otlp2parquet.batches.log.protocol import BatchLog
from otlp2parquet.batches.replay import replay
from otlp2parquet.batches.request import Acknowledge, Request
from otlp2parquet.batches.shard import Shard
from otlp2parquet.core import Appended, Batch

Reason = Literal[
    "rows", "bytes", "groups", "age", "memory", "request", "flush", "shutdown", "log", "disk",
    "stored", "replay",
]  # fmt: skip
"""What closes a batch."""

_GROWTH: Final = 4
"""Arrow bytes that a byte of log may become, to judge whether a batch fits into memory again."""


class OpenBatch:
    """A batch that takes requests. ``opened`` is when it was opened, in monotonic seconds."""

    def __init__(
        self, batch_id: str, shards: list[Shard], budget: Budget, opened: float, log: BatchLog
    ) -> None:
        self.id = batch_id
        self.log = log
        self.first_row: float | None = None
        self._shards = shards
        self._budget = budget
        self._memory = Allowance(budget)
        self._opened = opened

    @property
    def rows(self) -> int:
        """Rows over all shards; exact when no request is being appended."""
        return sum(shard.rows for shard in self._shards)

    @property
    def bytes(self) -> int:
        """Bytes of Arrow buffers over all shards."""
        return sum(shard.bytes for shard in self._shards)

    @property
    def groups(self) -> int:
        """Builders over all shards, one for each table, service and hour."""
        return sum(shard.groups for shard in self._shards)

    def age_of_rows(self, now: float) -> float:
        """Seconds since the first row; -1 while there is none."""
        return -1.0 if self.first_row is None else now - self.first_row

    def claim(self, *, wait: bool) -> Shard | None:
        """A shard whose lock the caller now holds; without ``wait`` None if all are busy.

        The first free one: under light load all rows meet in one builder, and a file is made
        from one piece.
        """
        for shard in self._shards:
            if shard.lock.acquire(blocking=False):
                return shard
        if not wait:
            return None
        shard = self._shards[threading.get_ident() % len(self._shards)]
        shard.lock.acquire()
        return shard

    def append(
        self, shard: Shard, request: Request, acknowledge: Acknowledge | None = None
    ) -> Appended:
        """Append to ``shard``, whose lock the caller holds; its growth is budgeted.

        Under the same lock the request goes to the log: a shard's rows are in the log's order.
        One without rows leaves nothing to keep.
        """
        before = shard.memory_bytes
        try:
            appended = shard.append(request)
        finally:
            # Also after an error: the rows are gone then, buffers may have grown.
            self._memory.take(shard.memory_bytes - before)
        if appended.accepted:
            self.log.append(shard.number, request, acknowledge)
        elif acknowledge is not None:
            acknowledge(None)
        return appended

    def close(self, reason: Reason, now: float) -> "ClosedBatch":
        """The batch from now on: it takes no more requests than those that have a shard already."""
        closed = ClosedBatch(self.id, reason, now - self._opened, self.log, self._budget)
        closed.builders = Builders(self._shards, self._memory)
        self.log.let_go()
        return closed

    def discard(self) -> None:
        """Nothing of it is kept, and nobody else knows of it."""
        self._memory.release()
        self.log.let_go()


class Builders:
    """The rows of a closed batch while they are in its builders, and the memory they take."""

    def __init__(self, shards: list[Shard], memory: Allowance) -> None:
        self._shards = shards
        self.memory = memory
        self._finished: list[Batch] = []

    def finish(self) -> list[Batch]:
        """All rows, shard after shard; waits for the appends in progress.

        A failure half-way loses nothing: the next call goes on with the shards that are left.
        """
        for shard in self._shards:
            with shard.lock:
                if not shard.is_finished:
                    self._finished.extend(shard.finish())
        return self._finished

    def discard(self) -> None:
        """Let go of all rows and their memory; waits for the appends in progress."""
        for shard in self._shards:
            with shard.lock:
                shard.discard()
        self._finished = []
        self.memory.release()


class ClosedBatch:
    """A batch that takes no more requests: where its rows are, and how to get them again."""

    def __init__(
        self, batch_id: str, reason: Reason, age_secs: float, log: BatchLog, budget: Budget
    ) -> None:
        self.id = batch_id
        self.reason = reason
        self.age_secs = age_secs
        self.log = log
        self.builders: Builders | None = None
        """Where the rows are until they are read for the first time; None of a replayed batch."""
        self._budget = budget

    @property
    def is_replayed(self) -> bool:
        """Whether files of it may exist that this process has not written."""
        return self.reason == "replay"

    @property
    def fits(self) -> bool:
        """Whether there is likely to be room to read it from the log."""
        return self._budget.used + self.log.size * _GROWTH <= self._budget.limit

    def read(self) -> tuple[list[Batch], Allowance]:
        """All rows, shard after shard, and the memory that they take.

        They are in the builders until ``hand_over``; what memory no longer holds, or holds
        though it is not kept, is read from the log. Waits for the appends in progress and for
        their log. After an error it may be called again.
        """
        builders = self.builders
        if builders is not None:
            rows = builders.finish()
            if self.log.finish():
                return rows, builders.memory
            del rows
            self.set_down()
        memory = Allowance(self._budget)
        try:
            return replay(self.log.read(), memory, self.log.set_aside), memory
        except BaseException:
            memory.release()
            raise

    def set_down(self) -> None:
        """Leave the rows to the log alone, from which they can be read again.

        Waits for the appends in progress and for their log.
        """
        builders, self.builders = self.builders, None
        if builders is not None:
            builders.discard()
            self.log.finish()

    def take_again(self, memory: Allowance) -> None:
        """What ``read`` gave is not used: the next call gives it again."""
        if self.builders is None:
            memory.release()

    def let_go(self) -> None:
        """Nobody will read it any more: rows that are in its builders still are not held."""
        builders, self.builders = self.builders, None
        if builders is not None:
            builders.memory.release()

    def hand_over(self) -> None:
        """What ``read`` gave is the caller's, and so is its memory."""
        self.builders = None
