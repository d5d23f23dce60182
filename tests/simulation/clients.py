"""Those who send requests, as a server would hand them in, and what they are told.

Knows how a request is admitted, appended and answered. It must not know batches: a process is
whatever takes requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otlp2parquet.errors import DecodeError, OtlpError, StorageError
from tests.simulation import primitives
from tests.simulation.requests import export_of
from tests.simulation.scheduler import Dead

if TYPE_CHECKING:
    from tests.simulation.ledger import Attempt
    from tests.simulation.process import Process
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.script import Client, Mode
    from tests.simulation.world import World


class Sender:
    """A client at work on one life of a process. ``first`` is the number of its first request."""

    def __init__(
        self, client: Client, first: int, world: World, process: Process, scheduler: Scheduler
    ) -> None:
        self._client = client
        self._first = first
        self._world = world
        self._process = process
        self._scheduler = scheduler

    def run(self, mode: Mode) -> None:
        """Send all requests, one after another."""
        for number in range(self._first, self._first + self._client.requests):
            if self._client.pause:
                self._scheduler.sleep(self._client.pause * self._world.dice.random())
            self.send(number, mode)

    def send(self, number: int, mode: Mode) -> Attempt:
        """Send one request and wait for its answer."""
        world = self._world
        export = export_of(self._client.number, number)
        attempt = world.ledger.open(self._client.number, number, export, world.life, mode)
        self._scheduler.note("sends", attempt.name)
        process = self._process
        refusal = process.refusal()
        if refusal is not None:
            self._settle(attempt, StorageError(refusal))
            return attempt
        size = len(export.payload)
        with process.moving(size):
            admitted = process.budget.try_take(size)
        if not admitted:
            process.relieve()
            self._settle(attempt, StorageError("no memory"))
            return attempt
        process.in_transit += size
        try:
            self._append(attempt)
        finally:
            if not self._scheduler.dead:
                process.in_transit -= size
                with process.moving(size):
                    process.budget.give(size)
        return attempt

    def _append(self, attempt: Attempt) -> None:
        ledger, answered = self._world.ledger, primitives.Event()

        def acknowledge(error: StorageError | None) -> None:
            if self._scheduler.dead:
                return
            if attempt.answer != "none":
                ledger.find(f"answered twice: {attempt.name}")
            self._settle(attempt, error)
            answered.set()

        process, export = self._process, attempt.export
        try:
            appended = process.append(export, acknowledge, wait=self._client.waits)
            if appended is None:
                appended = process.append(export, acknowledge, wait=True)
        except Dead:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it has to be told
            if attempt.answer != "none":
                ledger.find(f"answered and raised: {attempt.name}: {error!r}")
            if not isinstance(error, OtlpError) or (
                process.takes(export) and isinstance(error, DecodeError)
            ):
                ledger.find(f"unforeseen: {attempt.name}: {error!r}")
            self._settle(attempt, error)
            return
        if appended is None or appended.accepted != len(export.ids):
            ledger.find(f"appended wrongly: {attempt.name}: {appended}")
        if not process.acknowledges_later and attempt.answer == "none":
            self._settle(attempt, None)
        answered_or_not = attempt.answer != "none" or answered.wait()
        assert answered_or_not

    def _settle(self, attempt: Attempt, error: Exception | None) -> None:
        """What the client is told, and whether it is true already."""
        attempt.answer = "acknowledged" if error is None else "refused"
        attempt.reason = str(error)
        self._scheduler.note(attempt.answer, f"{attempt.name} {error or ''}")
        world = self._world
        if error is not None or not attempt.export.ids or attempt.excused or attempt in world.bare:
            return
        if attempt.mode == "stored" and not world.is_stored(attempt):
            world.ledger.find(f"acknowledged before it is stored: {attempt.name}")
        elif attempt.mode == "fsync" and not world.is_safe(attempt):
            world.ledger.find(f"acknowledged before it is safe: {attempt.name}")
