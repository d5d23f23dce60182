"""Who goes on next: seeded strategies, because no single one meets all rare schedules.

Knows tasks by their numbers and priorities, and dice. ``Even`` interleaves finely; ``Runs`` lets
one task run long, as threads mostly do; ``Priorities`` always runs the most important task and
now and then demotes it (probabilistic concurrency testing: a fault that needs d changes of order
is met with a probability that does not vanish); ``Starving`` keeps one task from going on.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.scheduler import Task


class Strategy(Protocol):
    """What the scheduler asks."""

    def goes_on(self, task: Task) -> bool:
        """Whether the task that runs just goes on at this point."""

    def choose(self, ready: Sequence[Task]) -> Task:
        """Who goes on."""

    def priority(self, task: Task) -> float:
        """The priority of a new task."""

    def drift(self) -> float:
        """Seconds that pass although there is something to do; mostly none."""

    def be_fair(self) -> None:
        """From now on nobody starves, and time passes only when there is nothing to do."""


class Even:
    """Every ready task is as likely as any other. ``keep``: how likely a task just goes on."""

    def __init__(self, dice: random.Random, *, keep: float = 0.0, drift: float = 0.0) -> None:
        self._dice = dice.random
        self._keep = keep
        self._drift = drift

    def goes_on(self, _task: Task) -> bool:
        """By ``keep``."""
        return self._keep > 0 and self._dice() < self._keep

    def choose(self, ready: Sequence[Task]) -> Task:
        """Anyone."""
        return ready[int(self._dice() * len(ready))]

    def priority(self, _task: Task) -> float:
        """All alike."""
        return 0.0

    def drift(self) -> float:
        """Time passes at one point in twenty, by a time of any order of magnitude."""
        if self._drift and self._dice() < 0.05:
            return self._drift * self._dice() ** 4
        return 0.0

    def be_fair(self) -> None:
        """No drift."""
        self._drift = 0.0


class Priorities(Even):
    """The most important ready task; at ``change`` of all points it becomes the least one."""

    def __init__(self, dice: random.Random, *, change: float = 0.01, drift: float = 0.0) -> None:
        super().__init__(dice, drift=drift)
        self._change = change
        self._least = 0.0
        self._streak = 0

    def goes_on(self, task: Task) -> bool:
        """Never for sure: a more important one may be ready."""
        self._streak += 1
        if self._dice() < self._change or self._streak > 500:
            self._least -= 1.0
            task.priority = self._least
            self._streak = 0
        return False

    def choose(self, ready: Sequence[Task]) -> Task:
        """The most important one."""
        return max(ready, key=_priority)

    def priority(self, _task: Task) -> float:
        """By lot."""
        return self._dice()


class Starving(Even):
    """As ``Even``, but one task goes on only when no other can, or by a rare chance."""

    def __init__(
        self, dice: random.Random, *, number: int, keep: float = 0.0, drift: float = 0.0
    ) -> None:
        super().__init__(dice, keep=keep, drift=drift)
        self._number = number

    def choose(self, ready: Sequence[Task]) -> Task:
        """Mostly anyone but the starved one."""
        chosen = super().choose(ready)
        if chosen.number == self._number and len(ready) > 1 and self._dice() < 0.98:
            others = [task for task in ready if task.number != self._number]
            return super().choose(others)
        return chosen

    def be_fair(self) -> None:
        """Nobody starves."""
        super().be_fair()
        self._number = 0


def strategy_of(dice: random.Random) -> Strategy:
    """One of all, with parameters by lot."""
    own = random.Random(dice.getrandbits(64))
    drift = dice.choice((0.0, 0.0, 0.02, 1.0, 10.0))
    kind = dice.choice(("even", "runs", "runs", "priorities", "priorities", "starving"))
    if kind == "even":
        return Even(own, drift=drift)
    if kind == "runs":
        return Even(own, keep=dice.choice((0.5, 0.9, 0.97)), drift=drift)
    if kind == "priorities":
        return Priorities(own, change=dice.choice((0.002, 0.01, 0.05)), drift=drift)
    return Starving(own, number=dice.randint(1, 12), keep=dice.choice((0.0, 0.8)), drift=drift)


def _priority(task: Task) -> float:
    return task.priority
