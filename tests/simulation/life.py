"""One life of a process, from its start to its stop, kill or power cut, and what must hold after.

Knows scripts, the scheduler and the world. The process itself is built in ``process``.
"""

from __future__ import annotations

import math
import random
from functools import partial
from typing import TYPE_CHECKING, Final

from otlp2parquet.errors import ConfigError
from tests.simulation import instrumented, primitives
from tests.simulation.clients import Sender
from tests.simulation.disk import SimulatedDisk
from tests.simulation.faults import FOR_EVER, Faults, Rule
from tests.simulation.flushers import Flusher
from tests.simulation.process import Process
from tests.simulation.requests import export_of
from tests.simulation.scheduler import EndlessError, Scheduler, Step
from tests.simulation.script import Client
from tests.simulation.storage import UNAVAILABLE
from tests.simulation.strategies import strategy_of
from tests.simulation.world import LOG, medium_has

if TYPE_CHECKING:
    from otlp2parquet.batches.storing import Backlog
    from tests.simulation.scheduler import Task
    from tests.simulation.script import LifeScript
    from tests.simulation.world import World

TROUBLE_SECS: Final = 12.0
"""How long clients send and things go wrong."""

CALM_SECS: Final = 100.0
"""After this time without trouble nothing waits: the longest pause is some 40 s."""

MOST_BYTES: Final = 1 << 40
"""What a disk holds that is not full."""

_HANGS: Final = frozenset({"the disk", "the storage"})
"""What a call that hangs waits for."""

_PROBER: Final = 9
"""The client that asks for service after a trouble."""


class Life:
    """The life of this number in a world."""

    def __init__(self, world: World, script: LifeScript, trace: list[Step] | None) -> None:
        self.world = world
        self.script = script
        dice = random.Random(script.seed)
        self.dice = dice
        self.scheduler = Scheduler(strategy_of(dice), now=world.now, trace=trace)
        self.disk_faults = Faults(
            random.Random(dice.getrandbits(32)), shifted(script.disk_rules, world.now)
        )
        self.store_faults = Faults(
            random.Random(dice.getrandbits(32)), shifted(script.store_rules, world.now)
        )
        for root in script.away:
            self.store_faults.rules.append(
                Rule(frozenset({"store", "take back"}), UNAVAILABLE, about=f"{root}/")
            )
        self.disk = SimulatedDisk(
            world.medium, self.scheduler, self.disk_faults, random.Random(dice.getrandbits(32))
        )
        primitives.use(self.scheduler)
        self.process = Process(self)
        self.healed = not (script.disk_rules or script.store_rules or script.events or script.away)
        if self.healed or dice.random() < 0.5:
            world.medium.capacity = MOST_BYTES
        self.started = False
        self.stopped: bool | None = None
        """Whether the stop stored everything; None while there was none."""
        self.ends_at_once = dice.random() < 0.5
        self._tick_secs = script.tick_secs
        self._clients: list[Task] = []
        self._flushers: list[Flusher] = []
        self._steps_left: float = math.inf if script.end_step is None else script.end_step

    def run(self) -> None:
        """From start to end."""
        world, scheduler = self.world, self.scheduler
        instrumented.preempt(scheduler, random.Random(self.script.seed), self.script.statements)
        scheduler.spawn("main", self._main)
        try:
            alive = self._live()
        except EndlessError:
            world.ledger.find(f"goes round in circles: {scheduler.waiting()}")
            alive = False
        for name, error in scheduler.died:
            world.ledger.find(f"died: {name} of {error!r}")
        self._end(calmly=alive and self.stopped is True)
        instrumented.preempt(None, random.Random(0), 0)
        world.now = scheduler.now + 1.0

    # -- the script -------------------------------------------------------------------------

    def _live(self) -> bool:
        """Whether it came to its end, and not to a step at which it is killed."""
        start = self.scheduler.now
        if self.script.stop_step is not None:
            self.scheduler.run(most_steps=self.script.stop_step, until=start + TROUBLE_SECS)
            return self._stop()
        for time, event in self.script.events:
            if not self._advance(start + time):
                return False
            self.scheduler.note("happens", event)
            self.world.happen(event, self.process.open_batch)
        if not self._advance(start + TROUBLE_SECS):
            return False
        if self.started:
            self.scheduler.spawn("checker", self._check_trouble)
            if not self._advance(math.inf):
                return False
        if self.script.healed:
            self._heal()
            if not self._advance(self.scheduler.now + CALM_SECS):
                return False
            if self.started:
                self.scheduler.spawn("checker", self._check_calm)
                if not self._advance(math.inf) or not self._serve():
                    return False
        if self.script.end != "stop" and self.script.end_step is None:
            return False
        return self._stop()

    def _advance(self, until: float) -> bool:
        """Go on until this time; False when it is the step at which the life ends."""
        scheduler = self.scheduler
        before = scheduler.steps
        why = scheduler.run(most_steps=self._steps_left, until=until)
        self._steps_left -= scheduler.steps - before
        if why == "idle":
            scheduler.now = until
        return why != "steps"

    def _stop(self) -> bool:
        if not self.started:
            return True
        if self.healed:
            self.scheduler.strategy.be_fair()
        self.scheduler.spawn("stop", self._drain)
        before = self.scheduler.steps
        why = self.scheduler.run(
            most_steps=self._steps_left, until=self.scheduler.now + self.script.stop_secs + 600
        )
        self._steps_left -= self.scheduler.steps - before
        if why == "steps":
            return False
        if self.stopped is None and self.healed:
            self.world.ledger.find(
                f"stuck: the stop does not come to an end, {self.scheduler.waiting()}"
            )
        return True

    def _heal(self) -> None:
        """Nothing goes wrong any more, and what hung goes on."""
        self.scheduler.note("heals")
        self.disk_faults.heal()
        self.store_faults.heal()
        self.world.medium.capacity = MOST_BYTES
        self.healed = True
        self.scheduler.strategy.be_fair()
        self._tick_secs = 5.0
        for task in self.scheduler.tasks:
            if task.blocked and task.waits_for in _HANGS:
                self.scheduler.wake(task)

    def _serve(self) -> bool:
        """Whether service is back: a request must be acknowledged, the second one at the latest.

        The first may be the one by which the process finds out that it has to begin anew.
        """
        client = Client(_PROBER, 2, 0.0, waits=True)
        sender = Sender(client, 0, self.world, self.process, self.scheduler)
        numbers = range(100 * self.world.life, 100 * self.world.life + 99)
        exports = {number: export_of(_PROBER, number) for number in numbers}
        usual = [number for number, one in exports.items() if one.ids and self.process.takes(one)]

        def probe() -> None:
            for number in usual[: client.requests]:
                sender.send(number, self.script.mode)
                self.scheduler.sleep(20.0)

        task = self.scheduler.spawn("prober", probe)
        if not self._advance(self.scheduler.now + CALM_SECS):
            return False
        attempts = [one for one in self.world.ledger.attempts if one.client == _PROBER]
        attempt = attempts[-1]
        if not task.done or (
            attempt.answer != "acknowledged" and self.process.takes(attempt.export)
        ):
            self.world.ledger.find(
                f"no service: after the trouble a request got the answer {attempt.answer}, "
                f"{attempt.reason}"
            )
        return True

    # -- the tasks --------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            self.process.start()
        except ConfigError as error:
            self.scheduler.note("does not start", str(error))
            if self.healed and not self.script.events and not self.disk_faults.met:
                self.world.ledger.find(f"does not start: {error}")
            return
        self.started = True
        self.scheduler.spawn("ticker", self._tick)
        for client in self.script.clients:
            first = 100 * self.world.life
            sender = Sender(client, first, self.world, self.process, self.scheduler)
            task = self.scheduler.spawn(
                f"client {client.number}", partial(sender.run, self.script.mode)
            )
            self._clients.append(task)
        for number, script in enumerate(self.script.flushes, 1):
            flusher = Flusher(script, self.world, self.process, self.scheduler)
            self.scheduler.spawn(f"flush {number}", flusher.run)
            self._flushers.append(flusher)

    def _tick(self) -> None:
        while True:
            self.scheduler.sleep(self._tick_secs)
            self.process.tick()

    def _drain(self) -> None:
        self.stopped = self.process.drain(self.script.stop_secs)
        # Half of the processes end at once, as a real one may: what was acknowledged is stored.
        if self.stopped and not self.ends_at_once:
            self.scheduler.strategy.be_fair()
            self.scheduler.sleep(1.0)  # threads that are about to end do so
            self._check_stopped()
        elif not self.stopped and not self.ends_at_once:
            self.scheduler.strategy.be_fair()
            self.scheduler.sleep(1.0)
            self._check_flushers()
        self.scheduler.halted = True

    # -- what must hold ---------------------------------------------------------------------

    def _is_stuck(self, backlog: Backlog) -> bool:
        """Whether something waits, and nobody moves or will be woken."""
        scheduler = self.scheduler
        hangs = any(task.waits_for in _HANGS for task in scheduler.tasks if task.blocked)
        me = scheduler.current
        moving = any(not (task.blocked or task.done or task is me) for task in scheduler.tasks)
        waiting = backlog.batches - backlog.left
        return bool(waiting) and not (backlog.resting or hangs or moving)

    def _check_trouble(self) -> None:
        """In the midst of trouble whatever waits has something that will end its waiting."""
        backlog = self.process.backlog
        # To ask is a step, in which others may move: what is stuck is the same when asked again.
        if self._is_stuck(backlog) and backlog == self.process.backlog and self._is_stuck(backlog):
            self.world.ledger.find(f"stuck: nothing is scheduled for {backlog}")
        if backlog.resting and not backlog.last_error:
            self.world.ledger.find(f"silent: nothing says why batches rest: {backlog}")
        if not self.disk_faults.met:
            # The lock, the segments of open batches, and what threads are reading or writing.
            self._check_descriptors(3 + self.process.open_batches + 2 * self.script.threads)
        self.scheduler.halted = True

    def _check_calm(self) -> None:
        """After a time without trouble nothing waits. A task, because it asks the process."""
        find, process = self.world.ledger.find, self.process
        for task in self._clients:
            if not task.done:
                find(f"stuck: {task.name} waits for {task.waits_for} after the trouble")
        backlog = process.backlog
        if backlog.batches - backlog.left and medium_has(self.world.medium, LOG):
            find(f"stuck: after the trouble still {backlog}")
        if any(flusher.is_waiting for flusher in self._flushers):
            find(f"stuck: a flush waits after the trouble: {backlog}")
        refusal = process.refusal()
        if refusal is not None:
            find(f"stuck: requests are refused after the trouble: {refusal}")
        self._check_descriptors(1 + process.open_batches)
        self.scheduler.halted = True

    def _check_descriptors(self, most: int) -> None:
        paths = self.disk.open_paths
        if len(paths) > most:
            self.world.ledger.find(f"descriptors: open are {sorted(paths)}, expected {most}")

    def _end(self, *, calmly: bool) -> None:
        """What an end does to the world, and what it excuses."""
        world, scheduler, script = self.world, self.scheduler, self.script
        ledger = world.ledger
        if self.started and not calmly:
            for attempt in ledger.acknowledged(world.life):
                if attempt.mode == "memory":
                    attempt.excuse("the process ended before it was stored")
        if not calmly or self.disk_faults.met:
            for attempt in world.bare:
                attempt.excuse(
                    "its segment was taken away, and then the process or the disk failed"
                )
        world.bare.clear()
        for attempt in ledger.attempts:
            if not self.process.takes(attempt.export):
                attempt.excuse("a later decoder does not read it")
        self._allow_refused(calmly=calmly and self.healed)
        scheduler.kill()
        self.process.end()
        world.medium.crash(self.dice)
        if script.end == "power" and not calmly:
            world.medium.cut_power(self.dice)
        world.process_ends()

    def _allow_refused(self, *, calmly: bool) -> None:
        """Which of the refused requests may be stored, now that the process ends."""
        world, late = self.world, self.process.late_rows
        uncut = self.process.is_log_troubled or world.was_log_moved
        world.was_log_moved = False
        for attempt in world.ledger.attempts:
            if attempt.life != world.life or attempt.answer != "refused":
                continue
            if not late.isdisjoint(attempt.export.ids):
                attempt.may_be_there = "the storage did it late"
            elif attempt.mode == "fsync" and uncut and world.in_segments(attempt):
                attempt.may_be_there = "the process ended before the log could be cut"
            elif attempt.mode == "stored" and not calmly and self.store_faults.met:
                attempt.may_be_there = "the process ended before it was taken back"

    def _check_flushers(self) -> None:
        """A stop leaves nobody waiting, whether it stored all or not."""
        if any(flusher.is_waiting for flusher in self._flushers):
            self.world.ledger.find("stuck: a flush waits after the stop")

    def _check_stopped(self) -> None:
        find, process = self.world.ledger.find, self.process
        # What was refused, and could not be taken back in time, is nothing that is owed.
        refuses = self.script.mode == "stored" and not self.healed
        used = process.budget.used - process.in_transit
        if not 0 <= used <= process.in_motion and not refuses:
            find(f"budget: {used} bytes are in use after a stop that stored all")
        self._check_flushers()
        backlog = process.backlog
        if backlog.batches - backlog.left and not refuses:
            find(f"stuck: after a stop that stored all still {backlog}")
        if not any(task.blocked and task.waits_for == "the disk" for task in self.scheduler.tasks):
            self._check_descriptors(0)  # a stop does not wait for a disk that hangs
        quiet = not (self.store_faults.met or self.disk_faults.met or self.script.events)
        if self.healed and quiet:
            left = [batch for batch, _ in self.world.segments()]
            if left:
                find(f"stuck: segments {left} are left after a stop that stored all")


def shifted(rules: list[Rule], start: float) -> list[Rule]:
    """Rules whose times count from the start of a life."""
    return [
        Rule(
            rule.calls, rule.kind, rule.start + start,
            rule.end if rule.end == FOR_EVER else rule.end + start,
            rule.chance, rule.most, rule.effect, rule.secs, rule.about,
        )
        for rule in rules
    ]  # fmt: skip
