"""Which step of storing comes next: batches and their files as states, and nothing that acts.

Knows batches on their way to storage as data. It must not know threads, writers or clocks, and
holds no lock: its owner does, for every call.

A batch:   UNREAD -> READING -> STORING <-> READING -> FINISHING -> DONE
           any of them -> GIVEN_UP -> DONE   (only if nothing of it was acknowledged)
           READING -> LEFT                   (its log is for another version, or is gone)
Its files: GIVEN_BACK -> WAITING -> WRITING -> STORED, and back to GIVEN_BACK when writing failed.

Reading gives rows to all files that have none: at most one thread reads a batch. A batch that
failed rests until it is due; files that have their rows do not wait for that.

A storage that failed a batch is in doubt until it takes a file. Meanwhile one batch after another
is the probe, which may be read again; the others whose rows have left memory wait for the end of
the doubt. So an outage costs one reading and one attempt at a time, however much waits. A batch
that comes meanwhile is the probe if no other is being tried; else its rows are left to the log.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Final

from otlp2parquet.batches.batch import ClosedBatch
from otlp2parquet.batches.budget import Allowance
from otlp2parquet.batches.plan import Plan
from otlp2parquet.core import Batch
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.writers.protocol import OtlpWriter, StoredFile

LONGEST_PROBE_SECS: Final = 60.0
"""After which another batch is the probe: one file that hangs says nothing of the others."""

_MOST_PASSED: Final = 64
"""How many batches that wait for memory are looked at in search of one that fits."""


class FileState(Enum):
    """Where a planned file is on its way."""

    GIVEN_BACK = auto()
    """Its rows have to be read before it is written, or written again."""
    WAITING = auto()
    """It has its rows."""
    WRITING = auto()
    STORED = auto()


@dataclass(eq=False, slots=True)
class FileProgress:
    """One planned file: its state, and its rows while they are in memory.

    The state is changed by ``StoringBatch.move`` alone.
    """

    file: PlannedFile
    state: FileState = FileState.GIVEN_BACK
    batches: list[Batch] = field(default_factory=list)
    memory: Allowance | None = None
    receipt: StoredFile | None = None
    attempts: int = 0

    def let_go(self) -> None:
        """Its rows are not held any more."""
        self.batches = []
        if self.memory is not None:
            self.memory.release()
            self.memory = None


class Phase(Enum):
    """Where a batch is on its way."""

    UNREAD = auto()
    READING = auto()
    STORING = auto()
    FINISHING = auto()
    GIVEN_UP = auto()
    """Its requests are refused; what is stored of it is taken back."""
    LEFT = auto()
    """Nothing can be done for it by this process."""
    DONE = auto()


class Action(Enum):
    """What a step does."""

    READ = auto()
    WRITE = auto()
    FINISH = auto()
    SET_DOWN = auto()
    """Its rows leave memory, and stay in the log."""
    TAKE_BACK = auto()


@dataclass(eq=False, slots=True)
class StoringBatch:
    """A batch on its way to storage."""

    order: int
    batch: ClosedBatch
    started: float
    writer: OtlpWriter
    phase: Phase = Phase.UNREAD
    plan: Plan | None = None
    was_planned: bool = False
    """Whether an earlier process had fixed a plan: files have the rows that it says."""
    root: str = ""
    """Of the storage that it is meant for; ours until its log names another."""
    stays: bool = False
    """Whether its rows stay in memory until they are stored: the log has lost them."""
    reads_log: bool = False
    """Whether the rows that it has, or is about to have, come from the log."""
    due: float | None = None
    """Until when it rests."""
    rounds: int = 0
    """How often it was sent to rest."""
    error: str = ""
    in_ready: bool = False
    """Whether the schedule has it among those to look at."""
    in_unread: bool = False
    """Whether the schedule has it among those that were found to wait for memory."""
    _files: dict[FileState, dict[FileProgress, None]] = field(
        default_factory=lambda: {state: {} for state in FileState}
    )

    def __post_init__(self) -> None:
        self.root = self.root or self.writer.root

    @property
    def rereads(self) -> bool:
        """Whether its rows may leave memory, since the log has them."""
        return self.batch.log.rereads and not self.stays

    @property
    def files(self) -> list[FileProgress]:
        """All planned files, by state."""
        return [progress for some in self._files.values() for progress in some]

    def in_state(self, state: FileState) -> list[FileProgress]:
        """Its files in this state, in the order in which they came into it."""
        return list(self._files[state])

    def first(self, state: FileState) -> FileProgress | None:
        """The file that is in this state for longest."""
        return next(iter(self._files[state]), None)

    def count(self, state: FileState) -> int:
        """How many of its files are in this state."""
        return len(self._files[state])

    def move(self, progress: FileProgress, state: FileState) -> None:
        """A file comes into this state; a new one joins by it."""
        self._files[progress.state].pop(progress, None)
        progress.state = state
        self._files[state][progress] = None

    def drop(self, progress: FileProgress) -> None:
        """A file is not one of this batch any more."""
        self._files[progress.state].pop(progress, None)
        progress.let_go()

    @property
    def threads(self) -> int:
        """How many threads are at it."""
        busy = self.phase in (Phase.READING, Phase.FINISHING)
        return self.count(FileState.WRITING) + busy

    @property
    def holds_read_rows(self) -> bool:
        """Whether rows that were read from the log are in memory, or are about to be."""
        held = self.count(FileState.WAITING) + self.count(FileState.WRITING)
        return self.reads_log and (self.phase is Phase.READING or held > 0)


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do. Its state is taken: nobody else is given the same."""

    action: Action
    batch: StoringBatch
    progress: FileProgress | None = None


@dataclass(slots=True)
class _Doubt:
    """A storage that failed, and took no file since."""

    probe: StoringBatch
    until: float
    """When another batch is the probe, if this one has come to no end."""
    rounds: int = 0
    """How often a probe has failed."""


class Schedule:
    """The batches that are not done, and what may be done for them now, the oldest first.

    A batch gets at most ``most_threads``, so that one whose storage hangs leaves some to the
    others. Rows are read from the log when they fit into memory, or when no other batch holds
    rows that were read.
    """

    def __init__(self, most_threads: int) -> None:
        self._most_threads = most_threads
        self._ready: list[tuple[int, StoringBatch]] = []
        self._resting: list[tuple[float, int, StoringBatch]] = []
        # Those that were found to wait for memory, apart: a long backlog hides nothing behind it.
        self._unread: list[tuple[int, StoringBatch]] = []
        # Those that were let read their log: some hold its rows, the others have let go of them.
        self._readers: dict[int, StoringBatch] = {}
        self._batches: dict[int, StoringBatch] = {}
        self._left: set[int] = set()
        # By the root of the storage.
        self._doubts: dict[str, _Doubt] = {}
        self._proven: set[str] = set()
        # Those that were found to wait for the end of a doubt. Nobody looks at them meanwhile.
        self._gated: dict[int, StoringBatch] = {}
        self._hurries = False

    def add(self, batch: StoringBatch) -> None:
        """A batch joins, with an ``order`` of its own."""
        self._batches[batch.order] = batch
        self.look_at(batch)

    def look_at(self, batch: StoringBatch) -> None:
        """Something of it changed: there may be a step."""
        if batch.phase in (Phase.DONE, Phase.LEFT):
            if batch.phase is Phase.DONE:
                self._batches.pop(batch.order, None)
            else:
                self._left.add(batch.order)
            self._gated.pop(batch.order, None)
            self._pass_probe_on(batch)
        elif not batch.in_ready:
            batch.in_ready = True
            heapq.heappush(self._ready, (batch.order, batch))

    def rest(self, batch: StoringBatch, due: float) -> bool:
        """Nothing is read, finished or taken back for it before ``due``; False if it rests."""
        if batch.due is not None:
            return False
        batch.due = due
        heapq.heappush(self._resting, (due, batch.order, batch))
        return True

    def claim(self, batch: StoringBatch, root: str) -> bool:
        """Whether it may ask the storage of an earlier time at ``root``.

        Until that has taken a file one batch alone may: a storage that hangs takes its threads,
        and not those of all batches that are meant for it.
        """
        batch.root = root
        # It says nothing of the storage that it is not meant for.
        self._pass_probe_on(batch, but=root)
        if root in self._proven:
            return True
        return self._doubts.setdefault(root, _Doubt(batch, inf)).probe is batch

    def disclaim(self, root: str) -> None:
        """Nothing goes to the storage at ``root``: it cannot be reached."""
        if self._doubts.pop(root, None) is not None:
            self._open_gates()

    def failed(self, batch: StoringBatch, due: float, *, is_first: bool = True) -> None:
        """It was not stored: its storage is in doubt, and another batch asks it at ``due``.

        ``is_first`` is false for further files of the same attempt. The first failure may be the
        batch's own: another one is asked at once, so that one bad file holds up nobody else.
        """
        root = batch.root
        self._proven.discard(root)
        doubt = self._doubts.setdefault(root, _Doubt(batch, due + LONGEST_PROBE_SECS))
        if doubt.probe is batch:
            is_new = doubt.rounds == 0
            doubt.rounds += is_first
            doubt.probe = self._next_probe(batch, root)
            if doubt.until < inf:
                doubt.until = due + LONGEST_PROBE_SECS
            if doubt.probe is not batch:
                if not is_new:
                    self.rest(doubt.probe, due)
                self._look_again(doubt.probe)

    def rounds(self, batch: StoringBatch) -> int:
        """How often it was sent to rest, or its storage has failed a probe in turn."""
        doubt = self._doubts.get(batch.root)
        return max(batch.rounds, doubt.rounds if doubt is not None and doubt.probe is batch else 0)

    def blocked(self, batch: StoringBatch) -> None:
        """It cannot be stored now for a reason of its own: it is no good as a probe."""
        self._pass_probe_on(batch)

    def succeeded(self, batch: StoringBatch) -> None:
        """Its storage took a file."""
        self._proven.add(batch.root)
        self.disclaim(batch.root)

    def _open_gates(self) -> None:
        for one in list(self._gated.values()):
            self._look_again(one)

    def _pass_probe_on(self, batch: StoringBatch, *, but: str | None = None) -> None:
        """If it is the probe of a storage, another one is now, or there is no doubt any more."""
        for root, doubt in list(self._doubts.items()):
            if doubt.probe is not batch or root == but:
                continue
            doubt.probe = self._next_probe(batch, root)
            if doubt.probe is batch:
                self.disclaim(root)
            else:
                self._look_again(doubt.probe)

    def _next_probe(self, batch: StoringBatch, root: str) -> StoringBatch:
        """The next batch behind ``batch``, in turn, that waits for the storage at ``root``."""
        waiting = [
            one
            for one in self._batches.values()
            if one.root == root and not one.threads and self._has_to_be_read_again(one)
        ]
        behind = [one for one in waiting if one.order > batch.order]
        return next(iter(behind or waiting), batch)

    def _look_again(self, batch: StoringBatch) -> None:
        self._gated.pop(batch.order, None)
        self.look_at(batch)

    def wake(self, now: float, *, hurry: bool = False) -> float | None:
        """End the rest of batches that are due, or with ``hurry`` of all; when the next is due.

        Who hurries has no time for a probe that hangs: another one asks. What only memory has is
        lost with the process: from now on each such batch asks for itself.
        """
        if hurry:
            self._hurries = True
            self._open_gates()
        for root, doubt in list(self._doubts.items()):
            if now >= doubt.until or (hurry and doubt.until < inf):
                doubt.probe = self._next_probe(doubt.probe, root)
                doubt.until = now + LONGEST_PROBE_SECS
                self._look_again(doubt.probe)
        while self._resting:
            due, _, batch = self._resting[0]
            if due > now and not hurry:
                return due
            heapq.heappop(self._resting)
            batch.due = None
            self.look_at(batch)
        return None

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
            self._gated.pop(batch.order, None)
            if heap is self._ready:
                batch.in_ready = False
            else:
                batch.in_unread = False
            step = self._step_of(batch)
            if step is not None or self._waits_for_threads(batch):
                if not batch.in_ready:
                    batch.in_ready = True
                    ready.append(batch)
            elif self._is_gated(batch):
                self._gated[batch.order] = batch
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
        return is_free and self._needs_reading(batch)

    def _waits_for_threads(self, batch: StoringBatch) -> bool:
        """Whether it has rows to write as soon as one of its threads is done."""
        return batch.threads >= self._most_threads and batch.count(FileState.WAITING) > 0

    def _step_of(self, batch: StoringBatch) -> Step | None:
        if batch.threads >= self._most_threads or batch.phase in (Phase.DONE, Phase.LEFT):
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
        if self._needs_reading(batch):
            if self._is_gated(batch):
                return None
            if not self._may_probe(batch):
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
    def _has_to_be_read_again(batch: StoringBatch) -> bool:
        """Whether its rows, or those of some files, have left memory or were given back."""
        if batch.phase is Phase.UNREAD:
            return batch.batch.builders is None and batch.rereads
        return batch.phase is Phase.STORING and batch.count(FileState.GIVEN_BACK) > 0

    def _may_probe(self, batch: StoringBatch) -> bool:
        """Whether a batch with its rows in memory is to be tried, though its storage is in doubt.

        Who cannot be read again is; another one is the probe if nobody is being tried just now.
        """
        doubt = self._doubts.get(batch.root)
        if doubt is None or doubt.probe is batch or not batch.rereads:
            return True
        root = batch.root
        if doubt.probe.threads or any(
            one.count(FileState.WRITING) for one in self._batches.values() if one.root == root
        ):
            return False
        before, doubt.probe = doubt.probe, batch
        self.look_at(before)
        return True

    def _is_gated(self, batch: StoringBatch) -> bool:
        """Whether it waits for the end of a doubt, and is not the one that may end it."""
        doubt = self._doubts.get(batch.root)
        if doubt is None or doubt.probe is batch or batch.due is not None:
            return False
        if self._hurries and not batch.rereads:
            return False
        return self._has_to_be_read_again(batch)

    @staticmethod
    def _needs_reading(batch: StoringBatch) -> bool:
        if batch.phase is Phase.UNREAD:
            return True
        return batch.phase is Phase.STORING and batch.count(FileState.GIVEN_BACK) > 0

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
            is_over = other.phase in (Phase.DONE, Phase.LEFT)
            if is_over or not other.holds_read_rows:
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
        return len(self._resting) + len(self._gated)

    @property
    def is_moving(self) -> bool:
        """Whether some batch is on its way, and neither rests nor is left."""
        return len(self._batches) > self.resting + len(self._left)

    def batches(self) -> Iterator[StoringBatch]:
        """Those that are not done, the oldest first."""
        yield from self._batches.values()
