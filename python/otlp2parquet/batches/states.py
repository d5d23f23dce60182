"""Batches on their way to storage, their files, and the steps that there are, as data.

Knows what a batch is made of. Must not know which step comes next: ``schedule`` does. Nothing here
holds a lock or waits.

A batch:   UNREAD -> READING -> STORING <-> READING -> FINISHING -> DONE
           any of them -> GIVEN_UP -> DONE   (only if nothing of it was acknowledged)
           READING -> LEFT                   (its log is for another version, or is gone)
Its files: GIVEN_BACK -> WAITING -> WRITING -> STORED, and back to GIVEN_BACK when writing failed.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from otlp2parquet.batches.batch import ClosedBatch
from otlp2parquet.batches.budget import Allowance
from otlp2parquet.batches.plan import Plan
from otlp2parquet.core import Batch
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.writers.protocol import OtlpWriter, StoredFile


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
    is_settled: bool = False
    """Whether who waits for it has been told what became of it."""
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
    def is_over(self) -> bool:
        """Whether nothing more is done for it."""
        return self.phase in (Phase.DONE, Phase.LEFT)

    @property
    def needs_reading(self) -> bool:
        """Whether it, or some of its files, have no rows to write."""
        if self.phase is Phase.UNREAD:
            return True
        return self.phase is Phase.STORING and self.count(FileState.GIVEN_BACK) > 0

    @property
    def has_left_memory(self) -> bool:
        """Whether its rows, or those of some files, have left memory or were given back."""
        if self.phase is Phase.UNREAD:
            return self.batch.builders is None and self.rereads
        return self.needs_reading

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
