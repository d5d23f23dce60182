"""Flushes: who waits until all that was there when they asked is stored.

Knows batches by the order in which they were closed, and what became of each. It must not know
threads, clocks or why a batch was closed; the lock of who owns the storing is held for every call.
A flush is a number of batches that are still on their way, so however many wait, each takes the
same little memory; and whoever ends one tells of what it has seen until then.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from otlp2parquet.writers.protocol import StoredFile

log = logging.getLogger(__name__)


class Fate(Enum):
    """What became of a batch, for whoever waits for it."""

    STORED = auto()
    REFUSED = auto()
    """Its requests wait for the storage, which failed: their senders are told to send again."""
    LOST = auto()
    """Its log was removed before it was stored."""
    LEFT = auto()
    """It stays in the log, for another version."""


@dataclass(slots=True)
class Flushed:
    """What has become of the batches that a flush waited for."""

    batches: int = 0
    files: int = 0
    bytes: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    """Rows that were stored, by table."""
    refused: int = 0
    """Batches whose requests were refused."""
    lost: int = 0
    """Also those that were lost before, as long as no flush has told of it."""
    left: int = 0
    """Batches for which this process can do nothing."""
    waiting: int = 0
    """Batches that were not stored yet when the waiting ended; at least one where it ended before
    the open batch was closed."""

    @property
    def is_stored(self) -> bool:
        """Whether all that was acknowledged before is in files."""
        return not (self.refused or self.lost or self.left or self.waiting)


Told = Callable[[Flushed], None]
"""Called once, on any thread and without a lock held, when a flush is over."""


@dataclass(eq=False, slots=True)
class Flush:
    """One that waits. ``behind`` is what has to end before the open batch is closed for it."""

    told: Told
    behind: set[object] = field(default_factory=set)
    last: int = 0
    """The batch that was closed last when its turn came: it waits for those up to this one."""
    result: Flushed = field(default_factory=Flushed)


_COUNTED: Final = {Fate.REFUSED: "refused", Fate.LOST: "lost", Fate.LEFT: "left"}


class Flushes:
    """Those whose batches are on their way."""

    def __init__(self) -> None:
        self._waiting: dict[Flush, None] = {}
        self._untold = 0
        """Batches that were lost while no flush waited for them: the next ones tell of it."""

    def begin(self, flushes: Iterable[Flush], last: int, waiting: int, left: int) -> list[Flush]:
        """They wait for so many batches, of which the ``last`` was closed last.

        ``left`` are those that nobody can wait for. Gives back the flushes that wait for none.
        """
        flushes = list(flushes)
        for flush in flushes:
            flush.last = last
            flush.result.waiting, flush.result.left = waiting, left
            flush.result.lost = self._untold
            if waiting:
                self._waiting[flush] = None
        if flushes:
            self._untold = 0
        return [] if waiting else flushes

    def ended(
        self, order: int, fate: Fate, receipts: Iterable[tuple[str, StoredFile]]
    ) -> list[Flush]:
        """A batch came to its end, with these files by table: the flushes that are over by that."""
        receipts = list(receipts) if self._waiting else ()
        concerned = [flush for flush in self._waiting if order <= flush.last]
        self._untold += fate is Fate.LOST and not concerned
        for flush in concerned:
            result = flush.result
            result.waiting -= 1
            if fate is not Fate.STORED:
                name = _COUNTED[fate]
                setattr(result, name, getattr(result, name) + 1)
                continue
            result.batches += 1
            result.files += len(receipts)
            for table, receipt in receipts:
                result.rows[table] += receipt.rows
                result.bytes += receipt.bytes
        over = [flush for flush in self._waiting if not flush.result.waiting]
        for flush in over:
            del self._waiting[flush]
        return over

    def end(self, flush: Flush) -> bool:
        """It waits no longer; False if it is over already."""
        if flush not in self._waiting:
            return False
        del self._waiting[flush]
        # Whoever waits no more hears nothing of it.
        self._untold += flush.result.lost
        return True

    def end_all(self) -> list[Flush]:
        """None waits any longer: those that did."""
        ended, self._waiting = list(self._waiting), {}
        return ended


def tell(over: Iterable[Flush]) -> None:
    """Tell whoever waited what has become of it. Raises nothing."""
    for flush in over:
        try:
            flush.told(flush.result)
        except Exception:
            log.exception("who waited for a flush could not be told of its end")
