"""The log that keeps nothing on a disk: of the modes ``memory`` and ``stored``.

Knows who waits. In the mode ``memory`` nobody does: buffered is kept. In the mode ``stored``
requests wait until their batch is stored, or is given up.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from otlp2parquet.batches.log.protocol import Log, Usage
from otlp2parquet.batches.log.record import Record
from otlp2parquet.batches.plan import Plan
from otlp2parquet.batches.request import Acknowledge, Request
from otlp2parquet.errors import OtlpError, StorageError
from otlp2parquet.writers.protocol import StoredFile

log = logging.getLogger(__name__)


class NoBatchLog:
    """One batch's. With ``until_stored`` its requests are kept once the batch is stored."""

    rereads: Final = False
    size: Final = 0
    destination: Final = None

    def __init__(
        self,
        *,
        until_stored: bool = False,
        acknowledging: AbstractContextManager[object] | None = None,
    ) -> None:
        self.waits_for_storage = until_stored
        self._acknowledging = nullcontext() if acknowledging is None else acknowledging
        self._waiting: list[Acknowledge] = []
        self._lock = threading.Lock()
        self.plan: Plan | None = None
        self.receipts: Mapping[str, StoredFile] = {}

    def append(self, _shard: int, _request: Request, acknowledge: Acknowledge | None) -> None:
        """Acknowledge what is buffered, or let it wait for the storage."""
        if acknowledge is None:
            return
        if not self.waits_for_storage:
            acknowledge(None)
            return
        with self._lock:
            self._waiting.append(acknowledge)

    def let_go(self) -> None:
        """Nothing is held open."""

    def finish(self) -> bool:
        """There is nothing to wait for."""
        return True

    def is_there(self) -> bool:
        """Never: only memory has the rows."""
        return False

    def read(self) -> Iterator[Record]:
        """There is nothing to read: the builders' rows are the only ones."""
        return iter(())

    def set_aside(self, _record: Record, error: OtlpError) -> None:
        """Never: nothing is read from here."""
        raise AssertionError(error)

    def fix(self, plan: Plan) -> None:
        """Hold the plan as long as the process lives."""
        self.plan = plan

    def note(self, receipt: StoredFile) -> None:
        """Nobody could read it."""

    def remove(self) -> None:
        """Acknowledge what waited for the storage."""
        self._settle(None)

    def refuse(self, error: StorageError) -> None:
        """Refuse what waited for the storage."""
        self._settle(error)

    def _settle(self, error: StorageError | None) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        with self._acknowledging:
            for acknowledge in waiting:
                try:
                    acknowledge(error)
                except Exception:
                    log.exception("an acknowledgement was not taken")


class NoLog:
    """The process's.

    ``acknowledging`` is entered while requests of one batch are acknowledged. ``replaying`` is the
    log that an earlier process has left, which has to be looked after as well.
    """

    survives: Final = False

    def __init__(
        self,
        *,
        until_stored: bool = False,
        acknowledging: AbstractContextManager[object] | None = None,
        replaying: Log | None = None,
    ) -> None:
        self._replaying = replaying
        self.acknowledges_later = self.waits_for_storage = until_stored
        self._acknowledging = acknowledging

    def open(self, _batch_id: str, _on_failure: Callable[[], None]) -> NoBatchLog:
        """A log that keeps nothing."""
        return NoBatchLog(until_stored=self.waits_for_storage, acknowledging=self._acknowledging)

    def refusal(self) -> str | None:
        """There is no disk that could be full."""
        return None

    def is_short(self) -> bool:
        """As ``refusal``."""
        return False

    def usage(self) -> Usage:
        """Nothing."""
        return Usage()

    def tick(self) -> None:
        """There is nothing to look at but what is replayed."""
        if self._replaying is not None:
            self._replaying.tick()

    def stop(self) -> None:
        """There is nothing to keep but what is replayed."""
        if self._replaying is not None:
            self._replaying.stop()
