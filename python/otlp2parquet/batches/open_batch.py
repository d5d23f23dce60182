"""One batch: its id, its shards, its log, and its memory, from the first request to the last file.

Knows builders, the log and the budget. It must not know when a batch has to be closed, nor how
its files are written: ``ingestion`` and ``storing`` do.
"""

import math
import threading
from typing import Final, Literal, Self

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.log import BatchLog, Kept, NoBatchLog, Request
from otlp2parquet.batches.plan import FileKey, Plan
from otlp2parquet.batches.replay import Shard, replay
from otlp2parquet.core import Appended, Batch
from otlp2parquet.errors import StorageError

Reason = Literal[
    "rows", "bytes", "groups", "age", "memory", "request", "shutdown", "log", "disk", "stored",
    "replay",
]  # fmt: skip
"""What closes a batch."""

_GROWTH: Final = 4
"""Arrow bytes that a byte of log may become, to judge whether a batch fits into memory again."""


class OpenBatch:
    """A batch from its first request to the moment all its files are stored."""

    def __init__(
        self,
        batch_id: str,
        shards: list[Shard],
        budget: Budget,
        opened: float,
        log: BatchLog | None = None,
    ) -> None:
        self.id = batch_id
        self.shards = shards
        self.state: Literal["open", "closed", "stored"] = "open"
        self.reason: str = ""
        self.age_secs = 0.0
        self._opened = opened
        self.first_row: float | None = None
        self.log: BatchLog = NoBatchLog(until_stored=False) if log is None else log
        self.replayed = False
        self._budget = budget
        self._taken = 0
        self._taken_lock = threading.Lock()
        self._sealed: list[Batch] = []
        self._in_builders = True

    @classmethod
    def left_over(cls, batch_id: str, budget: Budget, now: float, log: BatchLog) -> Self:
        """The closed batch of which an earlier process has left the log."""
        batch = cls(batch_id, [], budget, now, log)
        batch.close("replay", now)
        batch.replayed = True
        batch._in_builders = False
        return batch

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

    def append(self, shard: Shard, request: Request, kept: Kept | None = None) -> Appended:
        """Append to ``shard``, whose lock the caller holds; its growth is budgeted.

        Under the same lock the request goes to the log: a shard's rows are in the log's order.
        One without rows leaves nothing to keep.
        """
        before = shard.memory_bytes
        try:
            appended = shard.append(request)
        finally:
            # Also after an error: the rows are gone then, buffers may have grown.
            self._take(shard.memory_bytes - before)
        if appended.accepted:
            self.log.put(shard.number, request, kept)
        elif kept is not None:
            kept(None)
        return appended

    def close(self, reason: Reason, now: float) -> None:
        """Take no more requests than those that have chosen this batch already."""
        self.state = "closed"
        self.reason = reason
        self.age_secs = now - self._opened

    def seal(self) -> list[Batch]:
        """All rows, shard after shard; waits for the appends in progress and for their log.

        A failure half-way loses nothing: the next call goes on with the shards that are left.
        What memory no longer holds, or holds though it is not kept, is read from the log.
        """
        if self._in_builders:
            for shard in self.shards:
                with shard.lock:
                    if not shard.sealed:
                        self._sealed.extend(shard.finish())
            kept = self.log.finish()
            sealed, self._sealed = self._sealed, []
            self._in_builders = False
            if kept:
                return sealed
            del sealed
            self.forget()
        return self._read_back()

    def _read_back(self) -> list[Batch]:
        self.shards = []
        try:
            return replay(self.log.read(), self.shards, self._take, self.log.set_aside)
        except BaseException:
            self.forget()
            raise

    @property
    def rereads(self) -> bool:
        """Whether ``seal`` can be called again after ``forget``."""
        return self.log.rereads

    @property
    def fits(self) -> bool:
        """Whether there is likely to be room to read the batch back."""
        return self._budget.used + self.log.size * _GROWTH <= self._budget.limit

    def plan(self, plan: Plan) -> tuple[Plan, frozenset[FileKey]]:
        """Fix the plan; the one that holds, and which of its files are stored already."""
        return self.log.plan(plan)

    def noted(self, key: FileKey, share: float) -> None:
        """One file is stored, of this share of the rows: as much memory is free again."""
        self.log.note(key)
        self.free(share)

    def free(self, share: float) -> None:
        """This share of the rows is not held any more."""
        # Rounded up, so that no byte stays behind when all shares are given.
        self._give(math.ceil(self.memory_bytes * share))

    def forget(self) -> None:
        """None of the rows are held any more; ``seal`` would read them back."""
        with self._taken_lock:
            taken, self._taken = self._taken, 0
        self._budget.give(taken)

    def stored(self) -> None:
        """All files are stored: nothing of the batch is in memory or in the log any more."""
        self.forget()
        self.log.remove()
        self.state = "stored"

    def abandon(self, error: StorageError) -> None:
        """The batch is given up: nothing of it is acknowledged."""
        self.forget()
        self.log.abandon(error)
        self.state = "stored"

    def _take(self, count: int) -> None:
        with self._taken_lock:
            self._taken += count
        self._budget.take(count)

    def _give(self, count: int) -> None:
        with self._taken_lock:
            count = min(count, self._taken)
            self._taken -= count
        self._budget.give(count)
