"""Locks, conditions, events, queues and threads of the scheduler that is in use.

This module stands where one of the product imports the standard library's ``threading`` or
``queue`` (``instrumented`` sees to that): it has what those use of it, under the same names, with
the same meaning. Every call is a point at which another task may go on.
"""

from __future__ import annotations

import math
from collections import deque
from queue import Empty
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.simulation.scheduler import Scheduler, Task

T = TypeVar("T")

TIMEOUT_MAX: Final = math.inf

_in_use: list[Scheduler] = []


def use(scheduler: Scheduler) -> None:
    """What is made from now on belongs to this scheduler."""
    _in_use[:] = [scheduler]


class Lock:
    """``threading.Lock``. Whoever comes first takes it."""

    _again = False

    def __init__(self) -> None:
        self._scheduler = _in_use[0]
        self._owner: object = None
        self._depth = 0
        self._waiters: list[Task] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002
        """As the standard library's."""
        scheduler = self._scheduler
        scheduler.point("acquires")
        me = scheduler.current or scheduler
        if self._again and self._owner is me:
            self._depth += 1
            return True
        until = _until(scheduler, None if timeout < 0 else timeout)
        while self._owner is not None:
            if not blocking:
                return False
            if scheduler.current is None:
                raise RuntimeError("the script itself would wait for a lock")
            self._waiters.append(scheduler.current)
            woken = scheduler.block("a lock", until)
            if not woken:
                self._waiters.remove(scheduler.current)
                if self._owner is not None:
                    return False
        self._owner, self._depth = me, 1
        return True

    def release(self) -> None:
        """As the standard library's."""
        scheduler = self._scheduler
        if scheduler.dead:
            return
        if self._owner is None:
            raise RuntimeError("release unlocked lock")
        self._depth -= 1
        if self._depth:
            return
        self._owner = None
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                scheduler.wake(waiter)
            scheduler.point("releases")

    def locked(self) -> bool:
        """As the standard library's."""
        return self._owner is not None

    def owned(self) -> bool:
        """Whether the task that runs has it."""
        return self._owner is (self._scheduler.current or self._scheduler)

    def release_wholly(self) -> int:
        """Release it, however often it was acquired, and without a point; how often that was."""
        depth, self._depth, self._owner = self._depth, 0, None
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            self._scheduler.wake(waiter)
        return depth

    def acquire_wholly(self, depth: int) -> None:
        """Undo ``release_wholly``."""
        self.acquire()
        self._depth = depth

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock(Lock):
    """``threading.RLock``."""

    _again = True


class Condition:
    """``threading.Condition``."""

    def __init__(self, lock: Lock | None = None) -> None:
        self._scheduler = _in_use[0]
        self._lock = RLock() if lock is None else lock
        self._waiters: deque[Task] = deque()
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def wait(self, timeout: float | None = None) -> bool:
        """As the standard library's."""
        scheduler = self._scheduler
        me = scheduler.current
        if not self._lock.owned():
            raise RuntimeError("cannot wait on un-acquired lock")
        if me is None:
            raise RuntimeError("the script itself would wait for a condition")
        until = _until(scheduler, timeout)
        self._waiters.append(me)
        # Nobody else runs between the release and the waiting: a notify cannot be missed.
        woken = False
        depth = self._lock.release_wholly()
        try:
            woken = scheduler.block("a condition", until)
        finally:
            if not woken and me in self._waiters:
                self._waiters.remove(me)
            self._lock.acquire_wholly(depth)
        return woken

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """As the standard library's."""
        until = _until(self._scheduler, timeout)
        result = predicate()
        while not result:
            left = until - self._scheduler.now
            if left <= 0:
                break
            self.wait(None if left == math.inf else left)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        """As the standard library's."""
        if self._scheduler.dead:
            return
        if not self._lock.owned():
            raise RuntimeError("cannot notify on un-acquired lock")
        while n > 0 and self._waiters:
            self._scheduler.wake(self._waiters.popleft())
            n -= 1
        self._scheduler.point("notifies")

    def notify_all(self) -> None:
        """As the standard library's."""
        self.notify(len(self._waiters))

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Event:
    """``threading.Event``."""

    def __init__(self) -> None:
        self._scheduler = _in_use[0]
        self._set = False
        self._waiters: list[Task] = []

    def is_set(self) -> bool:
        """As the standard library's."""
        return self._set

    def set(self) -> None:
        """As the standard library's."""
        if self._scheduler.dead:
            return
        self._set = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            self._scheduler.wake(waiter)
        self._scheduler.point("sets")

    def clear(self) -> None:
        """As the standard library's."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """As the standard library's."""
        scheduler = self._scheduler
        scheduler.point("awaits")
        until = _until(scheduler, timeout)
        while not self._set:
            if scheduler.current is None:
                raise RuntimeError("the script itself would wait for an event")
            self._waiters.append(scheduler.current)
            if not scheduler.block("an event", until):
                if scheduler.current in self._waiters:
                    self._waiters.remove(scheduler.current)
                break
        return self._set


class SimpleQueue(Generic[T]):
    """``queue.SimpleQueue``, which is also ``queue.Queue`` without a bound."""

    def __init__(self) -> None:
        self._scheduler = _in_use[0]
        self._items: deque[T] = deque()
        self._waiters: deque[Task] = deque()

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002, FBT001, FBT002
        """As the standard library's."""
        if self._scheduler.dead:
            return
        self._items.append(item)
        if self._waiters:
            self._scheduler.wake(self._waiters.popleft())
        self._scheduler.point("puts")

    def put_nowait(self, item: T) -> None:
        """As the standard library's."""
        self.put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> T:  # noqa: FBT001, FBT002
        """As the standard library's."""
        scheduler = self._scheduler
        scheduler.point("gets")
        until = _until(scheduler, timeout)
        while not self._items:
            if not block:
                raise Empty
            if scheduler.current is None:
                raise RuntimeError("the script itself would wait for a queue")
            self._waiters.append(scheduler.current)
            if not scheduler.block("a queue", until):
                if scheduler.current in self._waiters:
                    self._waiters.remove(scheduler.current)
                if not self._items:
                    raise Empty
        return self._items.popleft()

    def get_nowait(self) -> T:
        """As the standard library's."""
        return self.get(block=False)

    def empty(self) -> bool:
        """As the standard library's."""
        return not self._items

    def qsize(self) -> int:
        """As the standard library's."""
        return len(self._items)


class Thread:
    """``threading.Thread``: a task."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        assert group is None
        self._scheduler = _in_use[0]
        self._target = target
        self._args, self._kwargs = tuple(args), dict(kwargs or {})
        self._task: Task | None = None
        self.name = name or "a thread"
        self.daemon = bool(daemon)

    def run(self) -> None:
        """As the standard library's."""
        if self._target is not None:
            self._target(*self._args, **self._kwargs)

    def start(self) -> None:
        """As the standard library's."""
        self._task = self._scheduler.spawn(self.name, self.run)
        self._scheduler.point("starts", self.name)

    def join(self, timeout: float | None = None) -> None:
        """As the standard library's."""
        scheduler, task = self._scheduler, self._task
        if task is None:
            raise RuntimeError("cannot join thread before it is started")
        scheduler.point("joins", self.name)
        if not task.done and scheduler.current is not None:
            task.joiners.append(scheduler.current)
            scheduler.block("a thread", _until(scheduler, timeout))

    def is_alive(self) -> bool:
        """As the standard library's."""
        return self._task is not None and not self._task.done

    @property
    def ident(self) -> int | None:
        """As the standard library's."""
        return None if self._task is None else self._task.number


class _Current:
    """What ``threading.current_thread`` gives."""

    def __init__(self, name: str, ident: int) -> None:
        self.name, self.ident = name, ident


Queue = SimpleQueue


def get_ident() -> int:
    """``threading.get_ident``."""
    task = _in_use[0].current
    return 0 if task is None else task.number


def current_thread() -> _Current:
    """``threading.current_thread``."""
    task = _in_use[0].current
    return _Current("script", 0) if task is None else _Current(task.name, task.number)


def _until(scheduler: Scheduler, timeout: float | None) -> float:
    return math.inf if timeout is None else scheduler.now + timeout
