"""Those who have a process store what there is, and what a success has to mean.

The promise: when a flush is told that all is stored, every row that was acknowledged before it
was asked for is in files; and it is told once, at the latest when it gives up waiting. It must not
know batches.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from otlp2parquet.errors import StoppingError
from tests.simulation import primitives

if TYPE_CHECKING:
    from otlp2parquet.batches.flushes import Flushed
    from tests.simulation.ledger import Attempt
    from tests.simulation.process import Process
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.script import FlushScript
    from tests.simulation.world import World


class Flusher:
    """One flush of one life of a process."""

    def __init__(
        self, script: FlushScript, world: World, process: Process, scheduler: Scheduler
    ) -> None:
        self._script = script
        self._world = world
        self._process = process
        self._scheduler = scheduler
        self._answers: list[Flushed] = []
        self._told = primitives.Event()
        self._before: list[Attempt] = []
        self.is_waiting = False
        """Whether it was asked for, and not told of its end."""

    def run(self) -> None:
        """Ask for it in time, and wait for its end or until patience is over."""
        self._scheduler.sleep(self._script.time)
        self._before = list(self._world.ledger.acknowledged(self._world.life))
        self._scheduler.note("flushes", f"{len(self._before)} requests")
        self.is_waiting = True
        try:
            flush = self._process.flush(self._tell)
        except StoppingError:
            self.is_waiting = False
            return
        patience = self._script.patience
        if not self._told.wait(None if patience == math.inf else patience):
            self._process.end_flush(flush)
            self._told.wait()

    def _tell(self, flushed: Flushed) -> None:
        if self._scheduler.dead:
            return
        find = self._world.ledger.find
        self._scheduler.note("flushed", "all" if flushed.is_stored else f"{flushed}")
        self._answers.append(flushed)
        self.is_waiting = False
        if len(self._answers) > 1:
            find(f"flushed twice: {self._answers}")
        if flushed.is_stored:
            for attempt in self._before:
                if not self._is_stored(attempt):
                    find(f"flushed before it is stored: {attempt.name}, mode {attempt.mode}")
        self._told.set()

    def _is_stored(self, attempt: Attempt) -> bool:
        world = self._world
        excused = attempt.excused or attempt in world.bare
        return bool(excused) or world.is_stored(attempt)
