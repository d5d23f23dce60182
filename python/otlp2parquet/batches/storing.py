"""Closed batches become files: oldest batch first, retries, nothing dropped.

Does the steps that ``schedule`` gives out. Knows batches only as files to write, and the writer
only by its protocol; must not know why a batch was closed. ``run_one`` does the next step, and
threads only call it again and again: no exception of a step can end one. Time comes from the
caller: nothing here waits for a clock, so a batch that rests goes on when ``wake_due`` says so.

What fails is tried again, per batch, after a pause that grows and is never quite the same. Where
a batch's rows can be read again, memory lets go of them for the time of the pause.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from otlp2parquet.batches.batch import ClosedBatch
from otlp2parquet.batches.budget import Allowance
from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.flushes import Fate, Flush, Flushes, tell
from otlp2parquet.batches.log.protocol import SegmentGoneError, UnreadableLogError
from otlp2parquet.batches.plan import Plan
from otlp2parquet.batches.planning import plan_again, share_out
from otlp2parquet.batches.schedule import Schedule
from otlp2parquet.batches.states import (
    Action,
    FileProgress,
    FileState,
    Phase,
    Step,
    StoringBatch,
)
from otlp2parquet.core import Batch
from otlp2parquet.core.files import PlannedFile, moved_aside, plan_files
from otlp2parquet.core.layout import DEFAULT_LAYOUT, Layout
from otlp2parquet.errors import (
    NameTakenError,
    OtlpError,
    StorageError,
    StorageUnavailableError,
)
from otlp2parquet.writers.protocol import Existing, OtlpWriter, StoredFile

log = logging.getLogger(__name__)

RECENT_FILES: Final = 20
"""Of how many files is remembered that they were stored, for who looks at the server."""

RETRY_FIRST_SECS: Final = 1.0
RETRY_LONGEST_SECS: Final = 30.0
JITTER: Final = 0.25
"""A pause is up to this share longer or shorter, so that many servers do not come at once."""

_FAILED: Final = {
    Action.READ: "reading a batch again",
    Action.WRITE: "writing",
    Action.FINISH: "finishing a batch",
    Action.SET_DOWN: "leaving a batch to the log",
    Action.TAKE_BACK: "taking files back",
}
"""What a step does, for whoever reads that it failed."""


class _OtherAsksError(StorageUnavailableError):
    """No failure: a batch has to wait until another has had an answer of the same storage."""


class Finisher(Protocol):
    """Something to do once all files of a batch are stored, and before its log goes."""

    def finish(
        self, batch_id: str, root: str, files: Sequence[tuple[PlannedFile, StoredFile]]
    ) -> None:
        """Do it, durably. After an error it is called again: doing it twice must do no harm.

        ``root`` names the storage of the files, each of which is as planned and as stored.
        """


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not stored yet."""

    batches: int
    resting: int
    """Batches of which something failed and is tried again later."""
    left: int
    """Batches for which this process can do nothing; they stay in the log."""
    last_error: str
    """Why the batch that failed last rests, is left or was given up; empty once none rests or is
    left, and a batch was stored behind the one that was given up."""
    replays: int
    """Of the batches, those that an earlier process has left."""
    oldest: str
    """The id of the batch that waits longest; empty when there is none."""


class RecentFile(NamedTuple):
    """A file that was stored a short while ago."""

    table: str
    path: str
    """Below the storage root, or its URI where it lies under an Iceberg table."""
    rows: int
    bytes: int


class Storing:
    """Stores closed batches by ``writer``, in ``layout``.

    ``writer_for`` gives the writer for the root in a plan of another time, None if that storage
    cannot be reached. ``finishers`` are called one after another for each batch.
    """

    def __init__(
        self,
        writer: OtlpWriter,
        *,
        layout: Layout = DEFAULT_LAYOUT,
        most_threads: int = 2,
        writer_for: Callable[[str], OtlpWriter | None] = lambda _: None,
        finishers: Sequence[Finisher] = (),
        counts: Counts | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._writer = writer
        self._layout = layout
        self._writer_for = writer_for
        self._finishers = finishers
        self.counts = Counts() if counts is None else counts
        self._monotonic = monotonic
        self._jitter = jitter
        # Threads and drain wait on it alike, so it is always notify_all. It guards the schedule
        # and the state of every batch in it.
        self._changed = threading.Condition()
        self._schedule = Schedule(most_threads)
        # Plans are put into the log one at a time, so that the newest is the last.
        self._fixing = threading.Lock()
        self._done: dict[int, Callable[[], None]] = {}
        self._settled: dict[int, Callable[[], None]] = {}
        self._flushes = Flushes()
        self._order = 0
        self._hurry = False
        self._stopped = False
        self._last_error = ""
        self._gave_up_last = False
        """Whether no batch has been stored since one was given up."""
        self._replays = 0
        self._planned_files = 0
        self._recent: deque[tuple[RecentFile, float]] = deque(maxlen=RECENT_FILES)
        self._replaying_since: float | None = None

    def start(self, threads: int) -> None:
        """Store on so many threads from now on."""
        for number in range(threads):
            # Daemons, so that a write that hangs cannot keep the process from ending.
            threading.Thread(
                target=self._run, name=f"otlp2parquet-write-{number}", daemon=True
            ).start()

    def _run(self) -> None:
        while self.run_one():
            pass

    def submit(
        self,
        batch: ClosedBatch,
        on_done: Callable[[], None] = lambda: None,
        on_settled: Callable[[], None] | None = None,
    ) -> None:
        """Store ``batch`` behind those submitted before. Does not wait.

        ``on_settled`` is called when it is known what becomes of its rows, ``on_done`` when nothing
        more is done for it: what is given up may have to be taken back for long. Both without any
        lock held.
        """
        with self._changed:
            self._order += 1
            storing = StoringBatch(self._order, batch, self._monotonic(), self._writer)
            self._done[self._order] = on_done
            if on_settled is not None:
                self._settled[self._order] = on_settled
            if batch.is_replayed:
                self._replays += 1
                if self._replaying_since is None:
                    self._replaying_since = storing.started
            self._schedule.add(storing)
            self._changed.notify_all()

    def wake_due(self) -> float | None:
        """Go on with batches whose rest is over; seconds until the next, None if none rests."""
        now = self._monotonic()
        with self._changed:
            later = self._schedule.wake(now)
            # Also what waits for others: room in memory comes back without a word.
            if self._schedule.has_ready:
                self._changed.notify_all()
        return None if later is None else later - now

    def backlog(self) -> Backlog:
        """What is not stored yet."""
        with self._changed:
            schedule = self._schedule
            left = schedule.left
            in_trouble = schedule.resting or left or self._gave_up_last
            oldest = next(schedule.batches(), None)
            return Backlog(
                schedule.count,
                schedule.resting,
                left,
                self._last_error if in_trouble else "",
                self._replays,
                "" if oldest is None else oldest.batch.id,
            )

    @property
    def count(self) -> int:
        """Batches that are not stored."""
        return self._schedule.count

    def holds(self, batch_id: str) -> bool:
        """Whether a batch is not done yet."""
        with self._changed:
            return any(storing.batch.id == batch_id for storing in self._schedule.batches())

    def batch_ids(self) -> list[str]:
        """The batches that are not done yet."""
        with self._changed:
            return [storing.batch.id for storing in self._schedule.batches()]

    @property
    def planned_files(self) -> int:
        """Files of the batches that are not stored, as far as they are planned."""
        return self._planned_files

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing left to store that this process can store."""
        with self._changed:
            return self._schedule.is_idle

    @property
    def is_moving(self) -> bool:
        """Whether some batch is on its way to storage, and neither rests nor is left."""
        with self._changed:
            return self._schedule.is_moving

    def drain(self, timeout_secs: float) -> bool:
        """Wait until everything is stored; False when time ran out first.

        What was refused, and could not be taken back from the storage in time, is no reason for
        False: nothing of it was acknowledged. From now on what failed is tried again after the
        shortest pause. Threads end once there is nothing for them to do; ``wake_due`` goes on
        being needed until this returns.
        """
        with self._changed:
            self._hurry = True
            self._schedule.wake(self._monotonic(), hurry=True)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._schedule.is_idle, timeout_secs)
            stored = self._schedule.owes_nothing
        self.stop()
        return stored

    def settle(self, timeout_secs: float) -> bool:
        """Wait until there is nothing to do, and go on afterwards; False when time ran out."""
        with self._changed:
            return self._changed.wait_for(lambda: self._schedule.is_idle, timeout_secs)

    def begin_flushes(self, flushes: Sequence[Flush]) -> list[Flush]:
        """Tell them when all batches that were submitted before have come to an end.

        Gives back those that wait for none: they are over, and the caller tells them.
        """
        with self._changed:
            waiting = sum(not one.is_settled for one in self._schedule.batches())
            left, last = self._schedule.left, self._order
            return self._flushes.begin(flushes, last, waiting, left)

    def end_flush(self, flush: Flush) -> bool:
        """Have it wait no longer; False if it does not wait, or not any more."""
        with self._changed:
            return self._flushes.end(flush)

    def end_flushes(self) -> None:
        """Tell all that wait what has become of their batches until now."""
        with self._changed:
            ended = self._flushes.end_all()
        tell(ended)

    def _settle(
        self, storing: StoringBatch, fate: Fate, files: Sequence[tuple[PlannedFile, StoredFile]]
    ) -> Callable[[], None]:
        """It is known what becomes of a batch. The lock is held; call the result without it."""
        over: list[Flush] = []
        on_settled = self._settled.pop(storing.order, None)
        if not storing.is_settled:
            storing.is_settled = True
            over = self._flushes.ended(
                storing.order, fate, [(file.table, receipt) for file, receipt in files]
            )

        def tell_all() -> None:
            tell(over)
            if on_settled is not None:
                _call(on_settled)

        return tell_all

    def stop(self) -> None:
        """End the threads once the steps that could begin now are done; what rests is left."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run_one(self, *, wait: bool = True) -> bool:
        """Do the next step; False if there is none, which with ``wait`` is only after a stop."""
        with self._changed:
            while (step := self._schedule.next()) is None:
                if self._stopped or not wait:
                    return False
                self._changed.wait()
        try:
            self._do(step)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rows are kept and tried again
            try:
                self._failed(step, error)
            except Exception as trouble:
                log.exception("a failure could not be dealt with, it is taken for a passing one")
                self._try_later(step, trouble)
        return True

    def _do(self, step: Step) -> None:
        if step.action is Action.READ:
            self._read(step.batch)
        elif step.action is Action.FINISH:
            self._finish(step.batch)
        elif step.action is Action.SET_DOWN:
            self._set_down(step.batch)
        elif step.progress is not None:
            act = self._write if step.action is Action.WRITE else self._take_back
            act(step.batch, step.progress)

    def _look_at(self, storing: StoringBatch) -> None:
        """Its state changed. The lock is held."""
        self._schedule.look_at(storing)
        self._changed.notify_all()

    # -- rows become planned files ----------------------------------------------------------

    def _read(self, storing: StoringBatch) -> None:
        batch = storing.batch
        if storing.plan is not None and batch.builders is None and not storing.rereads:
            # The rows of files that were given back have never left memory.
            with self._changed:
                for progress in storing.in_state(FileState.GIVEN_BACK):
                    storing.move(progress, FileState.WAITING)
                storing.phase = Phase.STORING
                self._look_at(storing)
            return
        if batch.builders is not None and batch.log.rereads:
            storing.stays = not batch.log.is_there()
        rows, memory = batch.read()
        try:
            plan = storing.plan
            plan = self._plan(storing, rows) if plan is None else self._plan_more(storing, rows)
            self._give(storing, plan, rows, memory)
        except BaseException:
            batch.take_again(memory)
            raise

    def _set_down(self, storing: StoringBatch) -> None:
        is_there = storing.batch.log.is_there()
        if is_there:
            storing.batch.set_down()
        with self._changed:
            storing.stays = not is_there
            storing.phase = Phase.UNREAD
            self._look_at(storing)

    def _plan(self, storing: StoringBatch, rows: Sequence[Batch]) -> Plan:
        """Fix where the rows go: as it was fixed before, as far as that still holds."""
        batch, batch_log = storing.batch, storing.batch.log
        before = batch_log.plan or batch_log.destination
        storing.was_planned = batch_log.plan is not None
        writer = self._writer_of(storing, before)
        layout = self._layout if before is None else before.layout
        planned = () if before is None else before.files
        files, differences = plan_again(
            rows, planned, layout, lambda file: file.name(batch.id) in batch_log.receipts
        )
        wanted = Plan(writer.root, layout, files)
        if planned:
            self._report_differences(storing, differences)
        if rows and wanted != batch_log.plan:
            batch_log.fix(wanted)
        with self._changed:
            storing.writer, storing.root, storing.plan = writer, writer.root, wanted
            self._planned_files += len(wanted.files)
            for file in wanted.files:
                receipt = batch_log.receipts.get(file.name(batch.id))
                progress = FileProgress(file, receipt=receipt)
                state = FileState.GIVEN_BACK if receipt is None else FileState.STORED
                storing.move(progress, state)
        return wanted

    def _plan_more(self, storing: StoringBatch, rows: Sequence[Batch]) -> Plan:
        """Give rows that no earlier reading gave files of their own, behind those that are fixed.

        A reading may have met damage that the next one does not: rows win over plans.
        """
        with self._changed:  # a file may be moved aside at the same time
            plan = storing.plan
            assert plan is not None  # noqa: S101 - whoever has none is planned as a whole
            _, homeless = share_out(rows, plan.files)
            if not homeless:
                return plan
            added = plan_files(homeless, plan.layout, planned=plan.files)
            storing.plan = Plan(plan.root, plan.layout, (*plan.files, *added))
            self._planned_files += len(added)
            for file in added:
                storing.move(FileProgress(file), FileState.GIVEN_BACK)
        self._report_differences(storing, len(added))
        self._fix(storing)
        with self._changed:
            return storing.plan

    def _fix(self, storing: StoringBatch) -> None:
        """Put the plan as it is now into the log, whose last plan counts."""
        with self._fixing:
            plan = storing.plan
            assert plan is not None  # noqa: S101 - it was changed
            storing.batch.log.fix(plan)

    def _writer_of(self, storing: StoringBatch, before: Plan | None) -> OtlpWriter:
        """The writer for the storage of an earlier plan, or ours where that cannot be reached."""
        if before is None or before.root == self._writer.root:
            return self._writer
        with self._changed:
            may_ask = self._schedule.doubts.claim(storing, before.root)
        if not may_ask:
            raise _OtherAsksError(f"another batch waits for an answer of {before.root}")
        recorded = None
        try:
            recorded = self._writer_for(before.root)
        except (OSError, OtlpError) as error:
            log.warning("the storage of a plan cannot be looked at: %s", error)
        if recorded is None:
            with self._changed:
                self._schedule.doubts.disclaim(before.root)
        log.log(
            logging.WARNING if recorded is None else logging.INFO,
            "a batch was begun for another storage",
            extra={
                "fields": {
                    "batch": storing.batch.id,
                    "planned": before.root,
                    "written_to": self._writer.root if recorded is None else before.root,
                }
            },
        )
        return self._writer if recorded is None else recorded

    def _report_differences(self, storing: StoringBatch, count: int) -> None:
        if count:
            self.counts.add(replay_differences=count)
            log.warning(
                "replayed rows are not those of the plan",
                extra={"fields": {"batch": storing.batch.id, "files": count}},
            )

    def _give(
        self, storing: StoringBatch, plan: Plan, rows: Sequence[Batch], memory: Allowance
    ) -> None:
        """Give each file that waits for its rows what was read; let go of the rest."""
        parts, homeless = share_out(rows, plan.files)
        assert not homeless  # noqa: S101 - all are planned
        shares = memory.split([sum(part.num_rows for part in some) for some in parts.values()])
        given = dict(zip(parts, shares, strict=True))
        without_rows = []
        try:
            with self._changed:
                for progress in storing.in_state(FileState.GIVEN_BACK):
                    if progress.file not in given:
                        without_rows.append(progress)
                        storing.drop(progress)
                        continue
                    progress.let_go()
                    progress.batches = parts[progress.file]
                    progress.memory = given.pop(progress.file)
                    storing.move(progress, FileState.WAITING)
                for share in given.values():
                    share.release()
                given.clear()
                # In the same step: a file may fail as soon as the lock is free, and who reads
                # then must not find the rows in the builders as well.
                storing.batch.hand_over()
                storing.phase = Phase.STORING
                self._look_at(storing)
        finally:
            for share in given.values():
                share.release()
        self._report_differences(storing, len(without_rows))

    # -- planned files are written ----------------------------------------------------------

    def _write(self, storing: StoringBatch, progress: FileProgress) -> None:
        batch = storing.batch
        receipt = storing.writer.store(
            progress.file, progress.batches, batch.id, existing=_existing(storing, progress)
        )
        # Before it counts as stored: behind the last file nothing may be put into the log.
        batch.log.note(receipt)
        with self._changed:
            progress.receipt = receipt
            progress.let_go()
            storing.move(progress, FileState.STORED)
            self._schedule.doubts.succeeded(storing)
            self._look_at(storing)
        table, path = progress.file.table, receipt.location or receipt.path
        self._recent.append(
            (RecentFile(table, path, receipt.rows, receipt.bytes), self._monotonic())
        )
        self.counts.add(files_stored=1)

    def recent_files(self) -> list[tuple["RecentFile", float]]:
        """The files that were stored last, the newest first, and how many seconds ago each was."""
        now = self._monotonic()
        return [(file, now - then) for file, then in reversed(self._recent.copy())]

    def _finish(self, storing: StoringBatch) -> None:
        batch = storing.batch
        files = [
            (progress.file, progress.receipt)
            for progress in storing.in_state(FileState.STORED)
            if progress.receipt is not None
        ]
        for finisher in self._finishers:
            finisher.finish(batch.id, storing.writer.root, files)
        receipts = [receipt for _, receipt in files]
        batch.log.remove()
        with self._changed:
            self._gave_up_last = False
        rows, size = sum(one.rows for one in receipts), sum(one.bytes for one in receipts)
        if receipts:
            log.info(
                "batch stored",
                extra={
                    "fields": {
                        "batch": batch.id,
                        "rows": rows,
                        "files": len(receipts),
                        "bytes": size,
                        "age_secs": round(batch.age_secs, 3),
                        "write_secs": round(self._monotonic() - storing.started, 3),
                        "closed_by": batch.reason,
                        "tables": ",".join(sorted({file.table for file, _ in files})),
                        "path": receipts[0].path,
                    }
                },
            )
        self.counts.add(
            batches_stored=1,
            batches_replayed=int(batch.is_replayed),
            rows_stored=rows,
            bytes_stored=size,
        )
        self._end(storing, Phase.DONE, Fate.STORED, files)

    def _end(
        self,
        storing: StoringBatch,
        phase: Phase,
        fate: Fate,
        files: Sequence[tuple[PlannedFile, StoredFile]] = (),
    ) -> bool:
        """Nothing more is done for a batch; False if another step has ended it before."""
        with self._changed:
            if storing.is_over:
                return False
            self.counts.add(batches_lost=fate is Fate.LOST)
            for progress in storing.files:
                progress.let_go()
            storing.batch.let_go()
            if storing.plan is not None:
                self._planned_files -= len(storing.plan.files)
            storing.phase = phase
            on_done = self._done.pop(storing.order, lambda: None)
            self._replays -= storing.batch.is_replayed
            since, secs = self._replaying_since, 0.0
            if since is not None and not self._replays:
                secs, self._replaying_since = self._monotonic() - since, None
            tell_all = self._settle(storing, fate, files)
            self._look_at(storing)
        if since is not None and not self._replays:
            fields = {"batches": self.counts.batches_replayed, "secs": round(secs, 3)}
            log.info("replay finished", extra={"fields": fields})
        tell_all()
        _call(on_done)
        return True

    # -- what goes wrong --------------------------------------------------------------------

    def _failed(self, step: Step, error: Exception) -> None:
        storing, progress = step.batch, step.progress
        self.counts.add(storage_failures=not isinstance(error, _OtherAsksError))
        if isinstance(error, UnreadableLogError | SegmentGoneError):
            self._leave(storing, error)
            return
        if storing.batch.log.waits_for_storage and step.action is not Action.FINISH:
            # What is finished may be in a catalog: its files are not taken back any more.
            self._give_up(storing, progress, error)
            return
        if isinstance(error, NameTakenError) and progress is not None:
            self._move_aside(storing, progress, error)
            return
        self._try_later(step, error)

    def _try_later(self, step: Step, error: Exception) -> None:
        """Undo what was begun, and let the batch rest."""
        storing, progress = step.batch, step.progress
        reason = str(error) or type(error).__name__
        with self._changed:
            if storing.is_over:
                # Another step has ended the batch: its log was removed, or is of another version.
                return
            self._last_error = reason
            if progress is not None:
                self._give_back(storing, progress)
            elif storing.plan is None:
                storing.phase = Phase.UNREAD
            else:
                storing.phase = Phase.STORING
            pause = self._pause(storing)
            due = self._monotonic() + pause
            is_first = self._schedule.rest(storing, due)
            if step.action is Action.WRITE:
                self._schedule.doubts.failed(storing, due, is_first=is_first)
            else:
                self._schedule.doubts.blocked(storing)
            storing.rounds += is_first
            rounds = storing.rounds  # another thread may fail before this one has told of it
            self._look_at(storing)
        if is_first and not isinstance(error, _OtherAsksError):
            text = f"{_FAILED[step.action]} failed, the rows are kept and it will be tried again"
            log.error(
                text,
                extra={
                    "fields": {
                        "batch": storing.batch.id,
                        "attempt": rounds,
                        "retry_secs": round(pause, 1),
                        "error": reason,
                    }
                },
                # An environment's trouble explains itself; anything else may be a defect.
                exc_info=None if isinstance(error, StorageError) else error,
            )

    def _give_back(self, storing: StoringBatch, progress: FileProgress) -> None:
        """A file was not written. Its rows leave memory where they can be read again."""
        progress.attempts += 1
        if storing.rereads:
            progress.let_go()
        storing.move(progress, FileState.GIVEN_BACK)

    def _pause(self, storing: StoringBatch) -> float:
        """How long a batch rests after a failure."""
        if self._hurry:
            return RETRY_FIRST_SECS
        pause = min(
            RETRY_FIRST_SECS * 2.0 ** min(self._schedule.doubts.rounds(storing), 16),
            RETRY_LONGEST_SECS,
        )
        return pause * (1 - JITTER + 2 * JITTER * self._jitter())

    def _move_aside(
        self, storing: StoringBatch, progress: FileProgress, error: NameTakenError
    ) -> None:
        """Something foreign has the name of a file: it gets another, fixed before it is written."""
        with self._changed:  # two files of a batch may be moved at once
            plan = storing.plan
            assert plan is not None  # noqa: S101 - files are written only as planned
            file = moved_aside(progress.file, plan.files)
            files = tuple(file if one == progress.file else one for one in plan.files)
            storing.plan = Plan(plan.root, plan.layout, files)
            progress.file, progress.attempts = file, 0
        log.error(
            "the name of a file is taken, its rows are stored under another",
            extra={
                "fields": {
                    "batch": storing.batch.id,
                    "path": file.name(storing.batch.id),
                    "error": str(error),
                }
            },
        )
        self.counts.add(names_taken=1)
        self._fix(storing)
        with self._changed:
            storing.move(progress, FileState.WAITING)
            self._look_at(storing)

    def _leave(self, storing: StoringBatch, error: Exception) -> None:
        """This process can do nothing for the batch, now or later."""
        gone = isinstance(error, SegmentGoneError)
        with self._changed:
            if storing.is_over:
                return  # the write of another of its files has failed alike
            self._last_error = str(error)
            for progress in storing.in_state(FileState.GIVEN_BACK):
                storing.drop(progress)
        if gone:
            storing.batch.log.remove()
        phase, fate = (Phase.DONE, Fate.LOST) if gone else (Phase.LEFT, Fate.LEFT)
        if not self._end(storing, phase, fate):
            return
        text = (
            "the log of a batch was removed before it was stored: its rows are lost"
            if gone
            else "a batch stays in the log, for the version of otlp2parquet that wrote it"
        )
        log.error(text, extra={"fields": {"batch": storing.batch.id, "error": str(error)}})

    def _give_up(
        self, storing: StoringBatch, progress: FileProgress | None, error: Exception
    ) -> None:
        """The requests of a batch wait for the storage, which fails: they are refused.

        What is stored of it is taken back, so that who sends again finds nothing there twice.
        """
        reason = str(error) or type(error).__name__
        with self._changed:
            is_first = storing.phase is not Phase.GIVEN_UP
            storing.phase = Phase.GIVEN_UP
            self._gave_up_last = True
            self._last_error = reason
            for state in (FileState.WAITING, FileState.GIVEN_BACK):
                for one in storing.in_state(state):
                    storing.drop(one)
            if progress is not None:
                # A failure may be an answer that was lost: the file may be there.
                progress.let_go()
                storing.move(progress, FileState.STORED)
            if not is_first:
                pause = self._pause(storing)
                storing.rounds += self._schedule.rest(storing, self._monotonic() + pause)
            # Who waits need not wait until what is stored of it is taken back.
            tell_all = self._settle(storing, Fate.REFUSED, ())
            self._look_at(storing)
        if is_first:
            log.error(
                "writing failed, the requests are refused",
                extra={"fields": {"batch": storing.batch.id, "error": reason}},
                exc_info=None if isinstance(error, StorageError) else error,
            )
            # Without the reason: paths hold names of services, also those of other clients.
            storing.batch.log.refuse(StorageError("the storage failed, send it again"))
        tell_all()
        self._end_given_up(storing)

    def _take_back(self, storing: StoringBatch, progress: FileProgress) -> None:
        storing.writer.take_back(progress.file, storing.batch.id)
        with self._changed:
            storing.drop(progress)
        self._end_given_up(storing)

    def _end_given_up(self, storing: StoringBatch) -> None:
        with self._changed:
            is_over = storing.phase is Phase.GIVEN_UP and not storing.files
            if not is_over:
                self._look_at(storing)
        if is_over:
            self._end(storing, Phase.DONE, Fate.REFUSED)


def _call(told: Callable[[], None]) -> None:
    """Tell whoever has submitted a batch of its end. Raises nothing."""
    try:
        told()
    except Exception:
        log.exception("the end of a batch was not taken note of")


def _existing(storing: StoringBatch, progress: FileProgress) -> Existing:
    """What a file that has the name may be: only a retry or a replay may meet one of its own."""
    if storing.batch.is_replayed:
        return "same" if storing.was_planned else "whole"
    return "same" if progress.attempts else "refuse"
