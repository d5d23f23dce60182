"""One task at a time, chosen by a seeded strategy, under a clock that only the script moves.

Knows greenlets, time and who waits. It must not know locks, disks or what the tasks do: those
call ``point`` where another task may go on, and ``block`` where they cannot.

A kill leaves every task where it is: ``Dead`` is raised there, and again by whatever the dead
task calls on its way out, so that it can change nothing.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.strategies import Strategy

Stopped = Literal["halted", "steps", "time", "idle"]
"""Why ``run`` came back: a task said so, enough steps, enough time, or nothing can go on."""

TOO_MANY_STEPS: Final = 30_000
"""Steps while no time passes; who takes that many goes round in circles."""


class Dead(BaseException):
    """Raised in a task whose process was killed; no code of the product catches it."""


class EndlessError(Exception):
    """Tasks that go on and on although no time passes."""


class Step(NamedTuple):
    """One line of a trace."""

    number: int
    now: float
    task: str
    what: str
    about: str


class Task:
    """A thread of the process under test, or of the world around it."""

    __slots__ = (
        "blocked",
        "done",
        "greenlet",
        "joiners",
        "name",
        "number",
        "priority",
        "ticket",
        "timed_out",
        "waits_for",
    )

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.greenlet: greenlet = greenlet(None)
        self.blocked = self.done = self.timed_out = False
        self.ticket = 0
        self.priority = 0.0
        self.waits_for = ""
        self.joiners: list[Task] = []


class Scheduler:
    """The tasks of one life of a process, and the clock."""

    def __init__(
        self, strategy: Strategy, *, now: float = 0.0, trace: list[Step] | None = None
    ) -> None:
        self.now = now
        self.steps = 0
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self.dead = False
        self.halted = False
        """Set by a task to have ``run`` return."""
        self.died: list[tuple[str, BaseException]] = []
        """Tasks that an exception has ended."""
        self.digest = 0
        """A number that stands for the order of all steps, to compare two runs of a seed."""
        self.trace = trace
        self.strategy = strategy
        self._ready: list[Task] = []
        self._timers: list[tuple[float, int, Task, int]] = []
        self._timer = 0
        self._stop_at: float = math.inf
        self._main: greenlet = getcurrent()

    # -- what tasks call --------------------------------------------------------------------

    def point(self, what: str, about: str = "") -> None:
        """Another task may go on here."""
        if self.dead:
            raise Dead
        task = self.current
        if task is None:
            return  # the script itself
        self.steps += 1
        self.digest = (self.digest * 31 + task.number + len(what)) & 0xFFFFFFFFFFFF
        if self.trace is not None:
            self.trace.append(Step(self.steps, self.now, task.name, what, about))
        if self.steps < self._stop_at and self.strategy.goes_on(task):
            return
        self._ready.append(task)
        self._switch()

    def block(self, waits_for: str, until: float | None = None) -> bool:
        """Wait until somebody calls ``wake``; False when it was ``until`` that came first."""
        if self.dead:
            raise Dead
        task = self.current
        if task is None:
            raise RuntimeError(f"the script itself would wait for {waits_for}")
        if self.trace is not None:
            self.trace.append(Step(self.steps, self.now, task.name, "waits", waits_for))
        task.blocked, task.timed_out, task.waits_for = True, False, waits_for
        task.ticket += 1
        if until is not None and until != math.inf:
            self._timer += 1
            heapq.heappush(self._timers, (until, self._timer, task, task.ticket))
        self._switch()
        return not task.timed_out

    def wake(self, task: Task) -> None:
        """Let a blocked task go on."""
        if task.blocked:
            task.blocked = False
            self._ready.append(task)

    def sleep(self, secs: float) -> None:
        """Wait for a time to come."""
        self.block("a time", self.now + secs)

    def note(self, what: str, about: str = "") -> None:
        """A line in the trace that is no step."""
        if self.trace is not None:
            name = "script" if self.current is None else self.current.name
            self.trace.append(Step(self.steps, self.now, name, what, about))

    # -- what the script calls --------------------------------------------------------------

    def spawn(self, name: str, call: Callable[[], object]) -> Task:
        """A new task; it begins when it is chosen."""
        if self.dead:
            raise Dead
        task = Task(name, len(self.tasks) + 1)

        def run() -> None:
            try:
                call()
            except Dead:
                pass
            except BaseException as error:  # noqa: BLE001 - the ledger reports it, whatever it is
                self.died.append((task.name, error))
                self.note("died", repr(error))
            finally:
                task.done = True
                for joiner in task.joiners:
                    self.wake(joiner)

        task.greenlet = greenlet(run, self._main)
        task.priority = self.strategy.priority(task)
        self.tasks.append(task)
        self._ready.append(task)
        return task

    def run(self, *, most_steps: float = math.inf, until: float = math.inf) -> Stopped:
        """Let the tasks go on until there is a reason to stop."""
        self._stop_at = stop_at = self.steps + most_steps
        self.halted = False
        strategy = self.strategy
        last, endless = self.now, self.steps + TOO_MANY_STEPS
        while not self.halted:
            if self.steps >= stop_at:
                return "steps"
            if self.steps > endless:
                if self.now == last:
                    raise EndlessError
                last, endless = self.now, self.steps + TOO_MANY_STEPS
            if not self._ready:
                due = self._next_due()
                if due is None:
                    return "idle"
                if due > until:
                    self.now = max(self.now, until)
                    return "time"
                self.move_to(due)
                continue
            drift = strategy.drift()
            if drift:
                if self.now + drift > until:
                    return "time"
                self.move_to(self.now + drift)
            task = strategy.choose(self._ready)
            self._ready.remove(task)
            self.current = task
            task.greenlet.switch()
            self.current = None
        return "halted"

    def move_to(self, time: float) -> None:
        """Let time pass, and whoever waited for it go on."""
        self.now = max(self.now, time)
        timers = self._timers
        while timers and timers[0][0] <= self.now:
            _, _, task, ticket = heapq.heappop(timers)
            if task.blocked and task.ticket == ticket:
                task.blocked, task.timed_out = False, True
                self._ready.append(task)

    def kill(self) -> None:
        """End the process here and now: no task runs any further."""
        self.dead = True
        for task in self.tasks:
            if not task.greenlet.dead:
                if task.greenlet:
                    task.greenlet.throw(Dead)
                else:
                    task.done = True  # it has not begun
        self._ready.clear()
        self._timers.clear()

    def waiting(self) -> list[str]:
        """Who waits for what, for the report of a finding."""
        return [f"{task.name} for {task.waits_for}" for task in self.tasks if task.blocked]

    # -- inside -----------------------------------------------------------------------------

    def _switch(self) -> None:
        self._main.switch()
        if self.dead:
            raise Dead

    def _next_due(self) -> float | None:
        timers = self._timers
        while timers:
            due, _, task, ticket = timers[0]
            if task.blocked and task.ticket == ticket:
                return due
            heapq.heappop(timers)
        return None
