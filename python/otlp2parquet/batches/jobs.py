"""The work that closed batches are: files to write, in which order, and what waits for when.

Knows batches and jobs as data. It must not know how a file is written, and holds no lock: its
owner does.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from otlp2parquet.batches.plan import FileKey, Plan
from otlp2parquet.core import Batch
from otlp2parquet.errors import StorageError
from otlp2parquet.writers.protocol import OtlpWriter


class ClosedBatch(Protocol):
    """What storing needs of a batch that takes no more rows."""

    id: str
    reason: str
    age_secs: float
    replayed: bool
    """Whether files of the batch may exist that this process has not written."""

    @property
    def rereads(self) -> bool:
        """Whether ``seal`` can be called again after ``forget``."""

    @property
    def fits(self) -> bool:
        """Whether there is likely to be memory to read it back."""

    def seal(self) -> list[Batch]:
        """All rows, in the order of the shards. Waits for appends in progress."""

    def plan(self, plan: Plan) -> tuple[Plan, frozenset[FileKey]]:
        """Fix the plan; the one that holds, and which of its files are stored already."""

    def noted(self, key: FileKey, share: float) -> None:
        """One file is stored, of this share of the rows."""

    def free(self, share: float) -> None:
        """This share of the rows is not held any more."""

    def stored(self) -> None:
        """All files are stored."""

    def abandon(self, error: StorageError) -> None:
        """It is given up."""


@dataclass(eq=False, slots=True)
class Progress:
    """A batch on its way: its place in the order, its files still missing, what is done."""

    order: int
    batch: ClosedBatch
    started: float
    writer: OtlpWriter
    missing: int = 0
    rows: int = 0
    files: int = 0
    stored_bytes: int = 0
    active: int = 0
    """Its jobs that threads are at."""
    rounds: int = 0
    """How often something of it failed and a retry was set."""
    due: float | None = None
    failed: "list[Job]" = field(default_factory=list)
    """What is tried again when it is due."""
    again: "dict[FileKey, Job]" = field(default_factory=dict)
    """Files whose rows have to be read back first."""
    planned: Mapping[FileKey, int] | None = None
    """The rows of each file as an earlier process planned them; None before there is a plan."""
    read_back: bool = False
    """Whether memory holds rows of it that were read from the log."""
    abandoned: bool = False

    @property
    def reads_back(self) -> bool:
        """Whether sealing it means reading its rows from the log."""
        return self.batch.replayed or bool(self.again)


@dataclass(order=True, slots=True)
class Job:
    """One file to write, or (``part`` 0, no ``key``) the sealing that finds out which files."""

    order: int
    part: int
    of: Progress = field(compare=False)
    key: FileKey | None = field(compare=False, default=None)
    batches: list[Batch] = field(compare=False, default_factory=list)
    rows: int = field(compare=False, default=0)
    attempts: int = field(compare=False, default=0)


class Jobs:
    """The jobs that could begin, the oldest batch first.

    One batch gets at most ``most`` threads, so that one that hangs leaves some to the others. A
    batch that memory has forgotten is read back when it fits, or when it is the only one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._ready: list[Job] = []
        self.batches: set[Progress] = set()

    def push(self, job: Job) -> None:
        """This job can begin."""
        heapq.heappush(self._ready, job)

    def pop(self) -> Job | None:
        """The job to do now, None if there is none that may begin."""
        passed = []
        found = None
        while self._ready and found is None:
            job = heapq.heappop(self._ready)
            if self._may_begin(job):
                found = job
            else:
                passed.append(job)
        for job in passed:
            heapq.heappush(self._ready, job)
        if found is not None:
            found.of.active += 1
            found.of.read_back |= found.key is None and found.of.reads_back
        return found

    def _may_begin(self, job: Job) -> bool:
        of = job.of
        if of.active >= self._most:
            return False
        if job.key is not None or not of.reads_back:
            return True
        others = any(other.read_back for other in self.batches if other is not of)
        return not others or of.batch.fits

    def drop(self, of: Progress) -> None:
        """Forget a batch and whatever of it has not begun."""
        self._ready = [job for job in self._ready if job.of is not of]
        heapq.heapify(self._ready)
        self.batches.discard(of)

    def release(self, now: float, *, hurry: bool) -> Iterable[float]:
        """Make ready what is due by ``now``; the times at which the rest is due."""
        for of in self.batches:
            if of.due is None:
                continue
            if of.due > now and not hurry:
                yield of.due
                continue
            of.due = None
            failed, of.failed = of.failed, []
            for job in failed:
                if job.key is None or not of.batch.rereads:
                    self.push(job)
                else:
                    of.again[job.key] = job
            if of.again and not any(job.key is None for job in failed):
                self.push(Job(of.order, 0, of))

    @property
    def retries(self) -> int:
        """Jobs that failed and have not begun again."""
        waiting = sum(len(of.failed) + len(of.again) for of in self.batches)
        return waiting + sum(job.attempts > 0 for job in self._ready)
