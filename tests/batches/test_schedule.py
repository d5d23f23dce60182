"""The schedule as a machine of states: any order of steps and outcomes keeps its promises.

A model beside it holds nothing but what a person would write down: which thread is at what, which
rows were written, what rests. Every step that is given out is checked against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from otlp2parquet.batches.budget import Allowance, Budget
from otlp2parquet.batches.doubt import LONGEST_PROBE_SECS
from otlp2parquet.batches.plan import Plan
from otlp2parquet.batches.schedule import Schedule
from otlp2parquet.batches.states import (
    Action,
    FileProgress,
    FileState,
    Phase,
    Step,
    StoringBatch,
)
from otlp2parquet.core.files import PlannedFile
from tests.support.doubles import Recorder

if TYPE_CHECKING:
    from otlp2parquet.batches.batch import ClosedBatch
    from otlp2parquet.core import Batch

HOUR = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Log:
    """As much of a batch's log as the schedule asks for."""

    rereads: bool


@dataclass
class Closed:
    """As much of a closed batch as the schedule asks for."""

    log: Log
    builders: object | None
    fits: bool = True


def planned(number: int) -> PlannedFile:
    """A file of a service of its own."""
    return PlannedFile(f"logs/s{number}", 0, "otel_logs", HOUR, {f"s{number}": 1})


def storing_batch(
    order: int, *, rereads: bool = True, has_builders: bool = True, root: str = "one"
) -> StoringBatch:
    """A batch that nobody has looked at yet."""
    closed = Closed(Log(rereads), object() if has_builders else None)
    return StoringBatch(order, cast("ClosedBatch", closed), 0.0, Recorder(root=root))


def read(batch: StoringBatch, count: int) -> None:
    """What a read does: all files that have no rows get them."""
    if batch.plan is None:
        batch.plan = Plan("r", "service", tuple(planned(number) for number in range(count)))
        for file in batch.plan.files:
            batch.move(FileProgress(file), FileState.GIVEN_BACK)
    for progress in batch.in_state(FileState.GIVEN_BACK):
        batch.move(progress, FileState.WAITING)
    cast("Closed", batch.batch).builders = None
    batch.phase = Phase.STORING


# -- examples --------------------------------------------------------------------------------


def test_the_oldest_comes_first_and_each_step_is_given_once() -> None:
    """What waits longest is at risk longest; and no two threads do the same."""
    schedule = Schedule(2)
    first, second = storing_batch(1), storing_batch(2)
    schedule.add(second)
    schedule.add(first)
    assert schedule.next() == Step(Action.READ, first)
    assert schedule.next() == Step(Action.READ, second)
    assert schedule.next() is None
    assert schedule.count == 2


def test_a_batch_leaves_a_thread_to_the_others() -> None:
    """However many files it has: one that hangs must not hold up all."""
    schedule = Schedule(2)
    large, small = storing_batch(1), storing_batch(2)
    for batch in (large, small):
        schedule.add(batch)
        assert schedule.next() == Step(Action.READ, batch)
    read(large, 5)
    read(small, 1)
    schedule.look_at(large)
    schedule.look_at(small)
    steps = [schedule.next() for _ in range(4)]
    assert [step and step.batch.order for step in steps] == [1, 1, 2, None]


def test_rows_are_read_back_one_batch_at_a_time_when_memory_is_short() -> None:
    """The next is read when the rows of the one before have gone, and nobody has to tell it."""
    schedule = Schedule(2)
    batches = [storing_batch(order, has_builders=False) for order in (1, 2)]
    for batch in batches:
        cast("Closed", batch.batch).fits = False
        schedule.add(batch)
    assert schedule.next() == Step(Action.READ, batches[0])
    assert schedule.next() is None
    read(batches[0], 1)
    schedule.look_at(batches[0])
    step = schedule.next()
    assert step is not None
    assert step.progress is not None
    assert schedule.next() is None
    batches[0].move(step.progress, FileState.STORED)
    schedule.look_at(batches[0])
    assert schedule.next() == Step(Action.FINISH, batches[0])
    assert schedule.next() == Step(Action.READ, batches[1])


def test_rows_in_builders_are_read_however_short_memory_is() -> None:
    """They are in memory: only by being written they go."""
    schedule = Schedule(2)
    batches = [storing_batch(order) for order in (1, 2)]
    for batch in batches:
        cast("Closed", batch.batch).fits = False
        schedule.add(batch)
    assert [step and step.action for step in (schedule.next(), schedule.next())] == [
        Action.READ,
        Action.READ,
    ]


def test_many_that_may_not_be_read_do_not_hide_one_that_can_be_written() -> None:
    """A long backlog waits for memory: a batch whose rows are there goes on behind it."""
    schedule = Schedule(2)
    for order in range(500):
        batch = storing_batch(order, has_builders=False)
        cast("Closed", batch.batch).fits = False
        schedule.add(batch)
    assert schedule.next() is not None
    newest = storing_batch(1000)
    schedule.add(newest)
    assert schedule.next() == Step(Action.READ, newest)


def test_what_waits_for_memory_is_looked_at_when_it_has_rows_again() -> None:
    """A file that takes another name has its rows still: behind a long backlog, too, it is written.

    It holds rows that were read: were it passed over, no other batch would ever be read either.
    """
    schedule = Schedule(2)
    newest = storing_batch(1000, has_builders=False)
    schedule.add(newest)
    assert schedule.next() == Step(Action.READ, newest)
    read(newest, 2)
    schedule.look_at(newest)
    steps = [schedule.next(), schedule.next()]
    for order in range(100):
        batch = storing_batch(order, has_builders=False)
        cast("Closed", batch.batch).fits = False
        schedule.add(batch)
    other = storing_batch(2000, has_builders=False)  # which holds rows as well, for now
    schedule.add(other)
    assert schedule.next() == Step(Action.READ, other)
    cast("Closed", newest.batch).fits = cast("Closed", other.batch).fits = False
    held, failed = (step.progress for step in steps if step is not None)
    assert held is not None
    assert failed is not None
    newest.move(failed, FileState.GIVEN_BACK)
    schedule.look_at(newest)
    assert schedule.next() is None  # now the newest is known to wait for memory, behind a hundred
    newest.move(held, FileState.WAITING)
    schedule.look_at(newest)
    assert schedule.next() == Step(Action.WRITE, newest, held)


def test_what_waits_for_memory_is_ready_for_whoever_comes_by() -> None:
    """Nobody tells it that there is room again: threads are told to look now and then."""
    schedule = Schedule(2)
    batches = [storing_batch(order, has_builders=False) for order in (1, 2)]
    for batch in batches:
        cast("Closed", batch.batch).fits = False
        schedule.add(batch)
    assert schedule.next() == Step(Action.READ, batches[0])
    assert schedule.next() is None
    assert schedule.has_ready
    cast("Closed", batches[1].batch).fits = True
    assert schedule.next() == Step(Action.READ, batches[1])
    assert schedule.next() is None
    assert not schedule.has_ready


def test_a_step_asks_no_more_batches_the_longer_the_backlog_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands may wait when a storage was away, and each step is taken under the lock."""
    asked = []
    holds = vars(StoringBatch)["holds_read_rows"].fget

    def asking(batch: StoringBatch) -> bool:
        asked.append(batch)
        return bool(holds(batch))

    monkeypatch.setattr(StoringBatch, "holds_read_rows", property(asking))
    schedule = Schedule(2)
    backlog = [storing_batch(order, has_builders=False) for order in range(2000)]
    for batch in backlog:
        cast("Closed", batch.batch).fits = batch is backlog[-1]
        schedule.add(batch)
    assert schedule.next() == Step(Action.READ, backlog[0])
    assert schedule.next() == Step(Action.READ, backlog[-1])
    backlog[0].phase = Phase.UNREAD
    schedule.rest(backlog[0], 1.0)
    schedule.look_at(backlog[0])
    assert schedule.next() is None
    asked.clear()
    assert schedule.next() is None
    assert len(asked) <= 100


class Outage:
    """Batches whose rows are in the log alone, and a storage that takes none of them."""

    def __init__(self, count: int) -> None:
        self.schedule = Schedule(2)
        self.now = 0.0
        self.read: list[int] = []
        self.batches = [storing_batch(order, has_builders=False) for order in range(count)]
        for batch in self.batches:
            self.schedule.add(batch)

    def attempt(self, *, takes: bool) -> bool:
        """Read one batch and write its file, if there is one to read."""
        step = self.schedule.next()
        if step is None:
            return False
        assert step.action is Action.READ
        self.read.append(step.batch.order)
        read(step.batch, 1)
        self.schedule.look_at(step.batch)
        written = self.schedule.next()
        assert written is not None
        assert written.batch is step.batch
        assert written.progress is not None
        if takes:
            step.batch.move(written.progress, FileState.STORED)
            self.schedule.doubts.succeeded(step.batch)
            step.batch.phase = Phase.DONE
        else:
            step.batch.move(written.progress, FileState.GIVEN_BACK)
            pause = min(2.0 ** self.schedule.doubts.rounds(step.batch), 30.0)
            self.schedule.rest(step.batch, self.now + pause)
            self.schedule.doubts.failed(step.batch, self.now + pause)
        self.schedule.look_at(step.batch)
        return True

    def last(self, secs: int) -> None:
        """So much time passes."""
        for _ in range(secs):
            self.now += 1
            self.schedule.wake(self.now)
            while self.attempt(takes=False):
                pass


def test_an_outage_costs_one_attempt_at_a_time_however_much_waits() -> None:
    """Each of a thousand batches would be read and tried every half minute otherwise."""
    outage = Outage(1000)
    outage.last(600)
    # At once and by another, after 2, 4, 8, 16 and then every 30 seconds.
    assert len(outage.read) == 2 + 4 + 18
    assert len(set(outage.read)) == len(outage.read), "each asks in turn: one may be bad itself"
    assert outage.schedule.resting >= 998
    outage.now += 30
    outage.schedule.wake(outage.now)
    while outage.attempt(takes=True):
        pass
    outage.now += 60
    outage.schedule.wake(outage.now)
    while outage.attempt(takes=True):
        pass
    assert outage.schedule.is_idle


def test_a_probe_that_hangs_is_followed_by_another() -> None:
    """One file that hangs says nothing of the others."""
    outage = Outage(3)
    assert outage.attempt(takes=False)
    outage.now = 2.0
    outage.schedule.wake(outage.now)
    hanging = outage.schedule.next()
    assert hanging is not None
    assert outage.schedule.next() is None
    outage.now += LONGEST_PROBE_SECS + 2
    outage.schedule.wake(outage.now)
    other = outage.schedule.next()
    assert other is not None
    assert other.batch is not hanging.batch


def test_a_probe_whose_log_is_in_trouble_is_followed_by_another() -> None:
    """Or nobody would ever ask the storage."""
    outage = Outage(3)
    assert outage.attempt(takes=False)
    outage.now = 2.0
    outage.schedule.wake(outage.now)
    step = outage.schedule.next()
    assert step is not None
    step.batch.phase = Phase.UNREAD
    outage.schedule.rest(step.batch, 1e6)
    outage.schedule.doubts.blocked(step.batch)
    outage.schedule.look_at(step.batch)
    assert outage.attempt(takes=True)
    assert step.batch not in (outage.batches[order] for order in outage.read)


def test_rows_that_come_while_a_probe_hangs_are_left_to_the_log() -> None:
    """Or they would fill memory while all threads wait for the storage."""
    outage = Outage(3)
    assert outage.attempt(takes=False)
    outage.now = 2.0
    outage.schedule.wake(outage.now)
    probe = outage.schedule.next()
    assert probe is not None
    for order, action in ((100, Action.SET_DOWN), (101, Action.SET_DOWN)):
        fresh = storing_batch(order)
        outage.schedule.add(fresh)
        assert outage.schedule.next() == Step(action, fresh)
    only_here = storing_batch(102, rereads=False)
    outage.schedule.add(only_here)
    assert outage.schedule.next() == Step(Action.READ, only_here)


def fails(schedule: Schedule, step: Step, due: float) -> None:
    """A write fails, and its batch rests until ``due``."""
    batch, progress = step.batch, step.progress
    assert progress is not None
    batch.move(progress, FileState.GIVEN_BACK)
    is_first = schedule.rest(batch, due)
    schedule.doubts.failed(batch, due, is_first=is_first)
    batch.rounds += is_first
    schedule.look_at(batch)


@pytest.mark.parametrize("is_set_down", [True, False])
def test_one_bad_batch_holds_up_nobody_who_comes_while_it_is_tried(*, is_set_down: bool) -> None:
    """What is set down when the bad one fails, or comes behind that, asks the storage at once."""
    schedule = Schedule(2)
    bad, other = storing_batch(1, has_builders=False), storing_batch(2)
    schedule.add(bad)
    for now, due in ((0.0, 2.0), (2.0, 6.0)):
        schedule.wake(now)
        assert schedule.next() == Step(Action.READ, bad)
        read(bad, 1)
        schedule.look_at(bad)
        write = schedule.next()
        assert write is not None
        if due == 6.0:
            schedule.add(other)
            assert schedule.next() == Step(Action.SET_DOWN, other)
            if not is_set_down:
                cast("Closed", other.batch).builders = None
                other.phase = Phase.UNREAD
                schedule.look_at(other)
        fails(schedule, write, due)
    if is_set_down:
        cast("Closed", other.batch).builders = None
        other.phase = Phase.UNREAD
        schedule.look_at(other)
    assert schedule.next() == Step(Action.READ, other)


def test_who_asks_in_place_of_the_one_that_failed_is_one() -> None:
    """However many batches come in an outage: the next of them asks when the first may again."""
    outage = Outage(1)
    assert outage.attempt(takes=False)
    for number in range(100, 110):
        outage.schedule.add(storing_batch(number, has_builders=False))
    while outage.attempt(takes=False):
        pass
    assert outage.read == [0, 100]


def test_rows_in_builders_are_tried_when_nobody_else_is() -> None:
    """A batch of another folder is stored though one has failed, and ends the doubt."""
    outage = Outage(3)
    assert outage.attempt(takes=False)
    assert outage.attempt(takes=False)
    fresh = storing_batch(100)
    outage.schedule.add(fresh)
    assert outage.schedule.next() == Step(Action.READ, fresh)
    other = storing_batch(101, has_builders=False, root="another storage")
    outage.schedule.add(other)
    assert outage.schedule.next() == Step(Action.READ, other)


@pytest.mark.parametrize("phase", [Phase.LEFT, Phase.DONE])
def test_what_is_over_has_no_step(phase: Phase) -> None:
    """A batch that is left counts and is shown, and nobody waits for it."""
    schedule = Schedule(2)
    batch = storing_batch(1)
    schedule.add(batch)
    assert schedule.next() is not None
    batch.phase = phase
    schedule.look_at(batch)
    assert schedule.next() is None
    assert schedule.is_idle
    assert schedule.count == (phase is Phase.LEFT)


# -- any order -------------------------------------------------------------------------------


@dataclass
class Model:
    """What is known of one batch without asking it."""

    batch: StoringBatch
    files: int
    given_up: bool = False
    readers: int = 0
    finishers: int = 0
    writing: set[FileProgress] = field(default_factory=set)
    written: dict[FileProgress, int] = field(default_factory=dict)
    done: bool = False


LEGAL = {
    (FileState.GIVEN_BACK, FileState.WAITING),
    (FileState.WAITING, FileState.WRITING),
    (FileState.WRITING, FileState.STORED),
    (FileState.WRITING, FileState.GIVEN_BACK),
    (FileState.STORED, FileState.WRITING),  # to be taken back
}


class Life(RuleBasedStateMachine):
    """Batches come, steps are given out, end well or badly in any order, and time passes."""

    @initialize(threads=st.integers(1, 4))
    def begin(self, threads: int) -> None:
        """An empty schedule."""
        self.most_threads = threads
        self.schedule = Schedule(threads)
        self.models: dict[StoringBatch, Model] = {}
        self.steps: list[Step] = []
        self.now = 0.0
        self.order = 0
        self.is_short = False
        self.states: dict[FileProgress, FileState] = {}

    # -- what may happen ---------------------------------------------------------------------

    @rule(
        files=st.integers(0, 4),
        kind=st.sampled_from(["fsync", "replay", "memory"]),
        root=st.sampled_from(["one", "one", "other"]),
    )
    def submit(self, files: int, kind: str, root: str) -> None:
        """A batch joins."""
        self.order += 1
        batch = storing_batch(
            self.order, rereads=kind != "memory", has_builders=kind != "replay", root=root
        )
        cast("Closed", batch.batch).fits = not self.is_short
        self.models[batch] = Model(batch, files)
        self.schedule.add(batch)

    @rule(is_short=st.booleans())
    def memory(self, is_short: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        """Memory becomes short, or is there again."""
        self.is_short = is_short
        for batch in self.models:
            cast("Closed", batch.batch).fits = not is_short

    @rule()
    def take(self) -> None:
        """A thread takes the next step."""
        step = self.schedule.next()
        if step is None:
            return
        model, batch = self.models[step.batch], step.batch
        assert not model.done
        at_it = model.readers + model.finishers + len(model.writing)
        assert at_it < self.most_threads
        if step.action is Action.READ:
            assert not model.given_up
            assert model.readers == 0
            assert batch.due is None
            reads_log = cast("Closed", batch.batch).builders is None and batch.batch.log.rereads
            if reads_log and self.is_short:
                assert not any(other.holds_read_rows for other in self.models if other is not batch)
            model.readers += 1
        elif step.action is Action.SET_DOWN:
            assert model.readers == 0
            assert batch.due is None
            assert cast("Closed", batch.batch).builders is not None
            assert batch.batch.log.rereads
            model.readers += 1
        elif step.action is Action.FINISH:
            assert not model.given_up
            assert at_it == 0
            assert batch.due is None
            assert batch.count(FileState.STORED) == len(batch.files) == model.files
            model.finishers += 1
        else:
            assert step.progress is not None
            assert step.progress not in model.writing
            is_stored = model.written.get(step.progress, 0)
            assert is_stored == (step.action is Action.TAKE_BACK)
            assert model.given_up == (step.action is Action.TAKE_BACK)
            if step.action is Action.TAKE_BACK:
                assert at_it == 0
            model.writing.add(step.progress)
        self.steps.append(step)

    @precondition(lambda self: self.steps)
    @rule(data=st.data())
    def end_well(self, data: st.DataObject) -> None:
        """Any of the steps that are under way succeeds."""
        step = self.steps.pop(data.draw(st.integers(0, len(self.steps) - 1)))
        model, batch, progress = self.models[step.batch], step.batch, step.progress
        if step.action is Action.READ:
            model.readers -= 1
            if model.given_up:
                pass
            else:
                read(batch, model.files)
        elif step.action is Action.SET_DOWN:
            self.set_down(model)
        elif step.action is Action.FINISH:
            model.finishers -= 1
            model.done = True
            batch.phase = Phase.DONE
        else:
            assert progress is not None
            model.writing.remove(progress)
            if step.action is Action.TAKE_BACK:
                model.written[progress] -= 1
                batch.drop(progress)
                self.states.pop(progress, None)
            else:
                model.written[progress] = model.written.get(progress, 0) + 1
                batch.move(progress, FileState.STORED)
                self.schedule.doubts.succeeded(batch)
        self.look(model)

    @precondition(lambda self: self.steps)
    @rule(data=st.data(), pause=st.floats(0.5, 40))
    def end_badly(self, data: st.DataObject, pause: float) -> None:
        """Any of the steps fails: the batch rests."""
        step = self.steps.pop(data.draw(st.integers(0, len(self.steps) - 1)))
        model, batch, progress = self.models[step.batch], step.batch, step.progress
        if step.action in (Action.READ, Action.SET_DOWN):
            model.readers -= 1
            batch.phase = Phase.UNREAD if batch.plan is None else Phase.STORING
        elif step.action is Action.FINISH:
            model.finishers -= 1
            batch.phase = Phase.STORING
        else:
            assert progress is not None
            model.writing.remove(progress)
            is_back = step.action is Action.TAKE_BACK
            if model.given_up and not is_back:
                model.written[progress] = 1  # the answer may have been lost: it may be there
            batch.move(progress, FileState.STORED if model.given_up else FileState.GIVEN_BACK)
        was_resting = batch.due is not None
        assert self.schedule.rest(batch, self.now + pause) != was_resting
        if step.action is Action.WRITE and not model.given_up:
            self.schedule.doubts.failed(batch, self.now + pause)
        else:
            self.schedule.doubts.blocked(batch)
        self.look(model)

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """The requests of a batch are refused: what is stored of it is to be taken back."""
        candidates = [
            model for model in self.models.values()
            if not model.done and not model.given_up and not model.readers and not model.finishers
            and not model.batch.batch.log.rereads
        ]  # fmt: skip
        if not candidates:
            return
        model = data.draw(st.sampled_from(candidates))
        model.given_up = True
        model.batch.phase = Phase.GIVEN_UP
        for state in (FileState.WAITING, FileState.GIVEN_BACK):
            for progress in model.batch.in_state(state):
                model.batch.drop(progress)
                self.states.pop(progress, None)
        self.look(model)

    @rule(secs=st.floats(0, 60), hurry=st.booleans())
    def wake(self, secs: float, hurry: bool) -> None:  # noqa: FBT001 - as above
        """Time passes."""
        self.now += secs
        later = self.schedule.wake(self.now, hurry=hurry)
        dues = [batch.due for batch in self.models if batch.due is not None]
        assert later == (min(dues) if dues else None)
        assert all(due > self.now for due in dues)
        assert not (hurry and dues)

    def set_down(self, model: Model) -> None:
        """Its rows are in the log alone."""
        model.readers -= 1
        cast("Closed", model.batch.batch).builders = None
        model.batch.phase = Phase.UNREAD

    def look(self, model: Model) -> None:
        """As who changes a batch does."""
        if model.given_up and not model.batch.files and not model.done:
            model.done = True
            model.batch.phase = Phase.DONE
        self.schedule.look_at(model.batch)

    # -- what always holds -------------------------------------------------------------------

    @invariant()
    def states_are_legal(self) -> None:
        """A file goes from state to state as the module says, and is in one of them."""
        for batch in self.models:
            seen = batch.files
            assert len(seen) == len(set(seen))
            for progress in seen:
                before = self.states.get(progress)
                assert before in (None, progress.state) or (
                    (before, progress.state) in LEGAL
                    # Two steps between two looks: a read gives rows, and a write fails or ends.
                    or progress.state in (FileState.WAITING, FileState.GIVEN_BACK, FileState.STORED)
                )
                self.states[progress] = progress.state

    @invariant()
    def rows_are_written_once(self) -> None:
        """No file is stored twice, and none that is stored is forgotten."""
        for model in self.models.values():
            assert set(model.written.values()) <= {0, 1}
            stored = {progress for progress, count in model.written.items() if count}
            if not model.done:
                assert stored <= set(model.batch.files)

    @invariant()
    def counts_agree(self) -> None:
        """How many wait, rest and are over."""
        waiting = [model.batch for model in self.models.values() if not model.done]
        assert self.schedule.count == len(waiting)
        assert list(self.schedule.batches()) == waiting
        resting = sum(batch.due is not None for batch in self.models)
        assert resting <= self.schedule.resting <= resting + len(waiting)
        assert self.schedule.is_idle == (not waiting)

    def teardown(self) -> None:
        """Nothing is stuck: when all goes well from now on, everything is stored, or taken back."""
        if not hasattr(self, "schedule"):
            return
        for _ in range(10_000):
            for step in list(self.steps):
                model, batch, progress = self.models[step.batch], step.batch, step.progress
                if step.action is Action.READ:
                    model.readers -= 1
                    read(batch, model.files)
                elif step.action is Action.SET_DOWN:
                    self.set_down(model)
                elif step.action is Action.FINISH:
                    model.finishers -= 1
                    model.done, batch.phase = True, Phase.DONE
                elif progress is not None:
                    model.writing.discard(progress)
                    if step.action is Action.TAKE_BACK:
                        model.written[progress] -= 1
                        batch.drop(progress)
                    else:
                        model.written[progress] = model.written.get(progress, 0) + 1
                        batch.move(progress, FileState.STORED)
                        self.schedule.doubts.succeeded(batch)
                self.look(model)
            self.steps = []
            self.schedule.wake(self.now, hurry=True)
            before = len(self.steps)
            self.take()
            if len(self.steps) == before:
                break
        assert self.schedule.is_idle, "something is stuck"
        assert self.schedule.count == 0
        for model in self.models.values():
            stored = sum(model.written.values())
            assert stored == (0 if model.given_up else model.files)


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestLife = Life.TestCase


def test_rows_that_are_let_go_are_given_back() -> None:
    """A file that is dropped leaves no share of the budget behind, whatever its state."""
    budget = Budget(100)
    for state in FileState:
        batch = storing_batch(1)
        memory = Allowance(budget)
        memory.take(10)
        progress = FileProgress(planned(1), memory=memory, batches=cast("list[Batch]", [object()]))
        batch.move(progress, state)
        batch.drop(progress)
        assert batch.files == []
        assert budget.used == 0
        assert progress.batches == []
