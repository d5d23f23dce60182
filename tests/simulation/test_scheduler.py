"""The scheduler and its primitives do what the standard library's do, in every order."""

from __future__ import annotations

import queue
import random
from functools import partial

import pytest

from tests.simulation import primitives
from tests.simulation.scheduler import Dead, Scheduler, Step
from tests.simulation.strategies import Even, strategy_of


def scheduler_of(seed: int, trace: list[Step] | None = None) -> Scheduler:
    """One with a strategy by the seed."""
    scheduler = Scheduler(strategy_of(random.Random(seed)), trace=trace)
    primitives.use(scheduler)
    return scheduler


def even() -> Scheduler:
    """One whose order does not matter."""
    scheduler = Scheduler(Even(random.Random(0)))
    primitives.use(scheduler)
    return scheduler


@pytest.mark.parametrize("seed", range(30))
def test_a_lock_excludes(seed: int) -> None:
    """No two tasks are between acquire and release at once, and all get there."""
    scheduler = scheduler_of(seed)
    lock = primitives.Lock()
    inside: list[int] = []
    done: list[int] = []

    def work(number: int) -> None:
        for _ in range(5):
            with lock:
                inside.append(number)
                scheduler.point("inside")
                assert inside == [number]
                inside.clear()
        done.append(number)

    for number in range(4):
        scheduler.spawn(str(number), partial(work, number))
    assert scheduler.run() == "idle"
    assert scheduler.died == []
    assert sorted(done) == [0, 1, 2, 3]


def test_points_are_where_others_go_on() -> None:
    """What is not protected by a lock is met half-way under some seed."""

    def lost_updates(seed: int) -> int:
        scheduler = scheduler_of(seed)
        counter = [0]

        def work() -> None:
            for _ in range(5):
                before = counter[0]
                scheduler.point("between")
                counter[0] = before + 1

        scheduler.spawn("one", work)
        scheduler.spawn("other", work)
        scheduler.run()
        return 10 - counter[0]

    lost = [lost_updates(seed) for seed in range(30)]
    assert 0 in lost
    assert max(lost) > 0


@pytest.mark.parametrize("seed", range(30))
def test_a_condition_hands_over(seed: int) -> None:
    """Everything that is notified of is taken, in time that passes only while all wait."""
    scheduler = scheduler_of(seed)
    changed = primitives.Condition()
    items: list[int] = []
    taken: list[int] = []

    def produce() -> None:
        for number in range(6):
            scheduler.sleep(1)
            with changed:
                items.append(number)
                changed.notify_all()

    def consume() -> None:
        while len(taken) < 6:
            with changed:
                if changed.wait_for(lambda: items or len(taken) >= 6, 100):
                    taken.extend(items)
                    items.clear()
                    changed.notify_all()

    scheduler.spawn("producer", produce)
    scheduler.spawn("consumer", consume)
    scheduler.spawn("another", consume)
    assert scheduler.run(until=1000) == "idle"
    assert scheduler.died == []
    assert taken == list(range(6))


def test_waiting_has_an_end() -> None:
    """Timeouts come at their time, and a task that nobody wakes is reported."""
    scheduler = even()
    seen: list[object] = []

    def work() -> None:
        with primitives.Condition() as _, (condition := primitives.Condition()):
            seen.append(condition.wait(1.5))
        seen.append(primitives.Event().wait(1.0))
        with pytest.raises(queue.Empty):
            primitives.SimpleQueue().get(timeout=0.5)
        seen.append(scheduler.now)
        primitives.SimpleQueue().get()

    scheduler.spawn("waiter", work)
    assert scheduler.run() == "idle"
    assert seen == [False, False, 3.0]
    assert scheduler.waiting() == ["waiter for a queue"]


def test_an_rlock_counts() -> None:
    """It is free once it was released as often as acquired; a lock is not acquired twice."""
    scheduler = even()
    lock, plain = primitives.RLock(), primitives.Lock()

    def work() -> None:
        with lock, lock:
            pass
        assert not lock.locked()
        with plain:
            assert not plain.acquire(blocking=False)
            assert not plain.acquire(timeout=1)

    scheduler.spawn("owner", work)
    scheduler.run()
    assert scheduler.died == []


@pytest.mark.parametrize("seed", range(20))
def test_a_killed_process_does_nothing_more(seed: int) -> None:
    """After a kill no task gets any further, not even by its handlers of exceptions."""
    scheduler = scheduler_of(seed)
    lock: primitives.Lock = primitives.Lock()
    channel: primitives.SimpleQueue[str] = primitives.SimpleQueue()
    effects: list[str] = []

    def step(name: str) -> None:
        scheduler.point(name)
        effects.append(name)

    def work() -> None:
        while True:
            try:
                with lock:
                    step("work")
                    scheduler.sleep(1)
            except Exception:  # noqa: BLE001 - the product catches so; a kill must not be caught
                step("caught")
            finally:
                channel.put("finally")
                step("finally")

    for _ in range(3):
        primitives.Thread(target=work).start()
    scheduler.run(most_steps=seed)
    before = list(effects)
    scheduler.kill()
    assert effects == before
    assert all(task.greenlet.dead or not task.greenlet for task in scheduler.tasks)
    with pytest.raises(Dead):
        scheduler.point("after")


def test_an_exception_that_ends_a_task_is_kept() -> None:
    """A thread of the product that dies is a finding."""
    scheduler = even()

    def work() -> None:
        raise AssertionError("never")

    thread = primitives.Thread(target=work, name="writer")
    thread.start()
    joined: list[bool] = []

    def join() -> None:
        thread.join()
        joined.append(thread.is_alive())

    scheduler.spawn("joiner", join)
    scheduler.run()
    assert [(name, str(error)) for name, error in scheduler.died] == [("writer", "never")]
    assert joined == [False]


def test_a_seed_replays_exactly() -> None:
    """The same seed gives the same trace, step by step; another gives another."""

    def trace_of(seed: int) -> list[Step]:
        trace: list[Step] = []
        scheduler = scheduler_of(seed, trace)
        channel: primitives.SimpleQueue[tuple[int, int]] = primitives.SimpleQueue()
        event = primitives.Event()

        def produce(number: int) -> None:
            for item in range(4):
                channel.put((number, item))
                scheduler.sleep(0.1)
            event.set()

        def consume() -> None:
            event.wait()
            for _ in range(8):
                channel.get()

        for number in range(2):
            scheduler.spawn(f"producer {number}", partial(produce, number))
        scheduler.spawn("consumer", consume)
        scheduler.run()
        return trace

    traces = [trace_of(seed) for seed in range(20)]
    assert traces == [trace_of(seed) for seed in range(20)]
    assert len({tuple(trace) for trace in traces}) > 15
