"""Which step of storing comes next: nothing that acts.

Knows batches on their way to storage as data. It must not know threads, writers or clocks, and
holds no lock: its owner does, for every call.

Reading gives rows to all files that have none: at most one thread reads a batch. A batch that
failed rests until it is due; files that have their rows do not wait for that. Who may ask a
storage that failed is the matter of ``doubt``.
"""

import heapq
from collections.abc import Iterator
from typing import Final

from otlp2parquet.batches.doubt import Doubts
from otlp2parquet.batches.states import Action, FileState, Phase, Step, StoringBatch

_MOST_PASSED: Final = 64
"""How many batches that wait for memory are looked at in search of one that fits."""


class Schedule:
    """The batches that are not done, and what may be done for them now, the oldest first.

    A batch gets at most ``most_threads``, so that one whose storage hangs leaves some to the
    others. Rows are read from the log when they fit into memory, or when no other batch holds
    rows that were read.
    """

    def __init__(self, most_threads: int) -> None:
        self._most_threads = most_threads
        self._ready: list[tuple[int, StoringBatch]] = []
        # By when they are due; those that ended meanwhile are passed over.
        self._resting: list[tuple[float, int, StoringBatch]] = []
        self._resting_count = 0
        # Those that were found to wait for memory, apart: a long backlog hides nothing behind it.
        self._unread: list[tuple[int, StoringBatch]] = []
        # Those that were let read their log: some hold its rows, the others have let go of them.
        self._readers: dict[int, StoringBatch] = {}
        self._batches: dict[int, StoringBatch] = {}
        self._left: set[int] = set()
        self.doubts = Doubts(self._batches, self.look_at, self.rest)

    def add(self, batch: StoringBatch) -> None:
        """A batch joins, with an ``order`` of its own."""
        self._batches[batch.order] = batch
        self.look_at(batch)

    def look_at(self, batch: StoringBatch) -> None:
        """Something of it changed: there may be a step."""
        if batch.is_over:
            self._end_rest(batch)
            if batch.phase is Phase.DONE:
                self._batches.pop(batch.order, None)
            else:
                self._left.add(batch.order)
            self.doubts.ended(batch)
        elif not batch.in_ready:
            batch.in_ready = True
            heapq.heappush(self._ready, (batch.order, batch))

    def rest(self, batch: StoringBatch, due: float) -> bool:
        """Nothing is read, finished or taken back for it before ``due``; False if it rests."""
        if batch.due is not None:
            return False
        batch.due = due
        self._resting_count += 1
        heapq.heappush(self._resting, (due, batch.order, batch))
        return True

    def wake(self, now: float, *, hurry: bool = False) -> float | None:
        """End the rest of batches that are due, or with ``hurry`` of all; when the next is due."""
        self.doubts.wake(now, hurry=hurry)
        while self._resting:
            due, _, batch = self._resting[0]
            if batch.due == due and due > now and not hurry:
                return due
            heapq.heappop(self._resting)
            if batch.due == due:  # it may have ended meanwhile
                self._end_rest(batch)
                self.look_at(batch)
        return None

    def _end_rest(self, batch: StoringBatch) -> None:
        if batch.due is not None:
            batch.due = None
            self._resting_count -= 1

    def next(self) -> Step | None:
        """Take the next step, None if there is none that may begin now."""
        ready: list[StoringBatch] = []
        unread: list[StoringBatch] = []
        step: Step | None = None
        # One of those that wait for memory is in both heaps once something of it has changed.
        while step is None:
            heaps = [self._ready] if len(unread) >= _MOST_PASSED else [self._ready, self._unread]
            heaps = [heap for heap in heaps if heap]
            if not heaps:
                break
            heap = min(heaps, key=lambda heap: heap[0][0])
            _, batch = heapq.heappop(heap)
            self.doubts.stops_waiting(batch)
            if heap is self._ready:
                batch.in_ready = False
            else:
                batch.in_unread = False
            step = self._step_of(batch)
            if step is not None or self._waits_for_threads(batch):
                if not batch.in_ready:
                    batch.in_ready = True
                    ready.append(batch)
            elif self.doubts.gates(batch):
                self.doubts.wait(batch)
            elif self._waits_for_memory(batch) and not batch.in_unread:
                batch.in_unread = True
                unread.append(batch)
        for batch in ready:
            heapq.heappush(self._ready, (batch.order, batch))
        for batch in unread:
            heapq.heappush(self._unread, (batch.order, batch))
        return step

    def _waits_for_memory(self, batch: StoringBatch) -> bool:
        """Whether only others keep it from being read: nobody may tell it that it can go on."""
        is_free = batch.threads < self._most_threads and batch.due is None
        return is_free and batch.needs_reading

    def _waits_for_threads(self, batch: StoringBatch) -> bool:
        """Whether it has rows to write as soon as one of its threads is done."""
        return batch.threads >= self._most_threads and batch.count(FileState.WAITING) > 0

    def _step_of(self, batch: StoringBatch) -> Step | None:
        if batch.threads >= self._most_threads or batch.is_over:
            return None
        if batch.phase is Phase.GIVEN_UP:
            return self._step_back(batch)
        if batch.phase in (Phase.STORING, Phase.READING):
            waiting = batch.first(FileState.WAITING)
            if waiting is not None:
                batch.move(waiting, FileState.WRITING)
                return Step(Action.WRITE, batch, waiting)
        if batch.due is not None:
            return None
        if batch.needs_reading:
            if self.doubts.gates(batch):
                return None
            if not self.doubts.lets_probe(batch):
                batch.phase = Phase.READING
                return Step(Action.SET_DOWN, batch)
            if not self._may_read(batch):
                return None
            batch.phase = Phase.READING
            return Step(Action.READ, batch)
        if batch.phase is Phase.STORING and not batch.threads:
            batch.phase = Phase.FINISHING
            return Step(Action.FINISH, batch)
        return None

    @staticmethod
    def _step_back(batch: StoringBatch) -> Step | None:
        """What is stored of a batch that is given up goes, once nothing of it is being written."""
        if batch.due is not None or batch.threads:
            return None
        stored = batch.first(FileState.STORED)
        if stored is None:
            return None
        batch.move(stored, FileState.WRITING)
        return Step(Action.TAKE_BACK, batch, stored)

    def _may_read(self, batch: StoringBatch) -> bool:
        reads_log = batch.batch.builders is None and batch.rereads
        if reads_log and not batch.batch.fits and self._others_hold_read_rows(batch):
            return False
        if reads_log:
            batch.reads_log = True
            self._readers[batch.order] = batch
        return True

    def _others_hold_read_rows(self, batch: StoringBatch) -> bool:
        """Whether another batch holds rows that it read; who let go of them is not asked again."""
        for order, other in list(self._readers.items()):
            if other.is_over or not other.holds_read_rows:
                del self._readers[order]
            elif other is not batch:
                return True
        return False

    @property
    def count(self) -> int:
        """Batches that are not done, those included for which nothing can be done."""
        return len(self._batches)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing left that this process can do."""
        return len(self._left) == len(self._batches)

    @property
    def owes_nothing(self) -> bool:
        """Whether nothing that was acknowledged waits for this process: the rest was refused."""
        refused = (Phase.LEFT, Phase.GIVEN_UP)
        return all(batch.phase in refused for batch in self._batches.values())

    @property
    def left(self) -> int:
        """Batches for which this process can do nothing."""
        return len(self._left)

    @property
    def has_ready(self) -> bool:
        """Whether there may be a step now, or will be once others have done theirs."""
        return bool(self._ready or self._unread)

    @property
    def resting(self) -> int:
        """Batches that rest, or wait until a storage is not in doubt any more."""
        return self._resting_count + self.doubts.waiting

    @property
    def is_moving(self) -> bool:
        """Whether some batch is on its way, and neither rests nor is left."""
        return len(self._batches) > self.resting + len(self._left)

    def batches(self) -> Iterator[StoringBatch]:
        """Those that are not done, the oldest first."""
        yield from self._batches.values()
