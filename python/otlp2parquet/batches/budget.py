"""The byte budget: how much may be in memory over everything that waits to be stored.

Knows numbers. Must not know what the bytes are, nor what happens when there are too many.
"""

import threading
from collections.abc import Callable, Sequence

SHORT, AMPLE = 7 / 8, 3 / 4
"""The shares in use above which a budget is short, and up to which it is so no longer."""


def _nobody(is_short: bool) -> None:  # noqa: FBT001 - the only thing to say
    """Nobody wants to know."""


class Budget:
    """Bytes in use against a limit. Safe for several threads; no call waits.

    ``try_take`` is for what can still be refused (a body that is not read yet). ``take`` is for
    what is here already (rows that grew from an admitted body): it may go over the limit, and
    then nothing new is admitted until enough has been given back.

    ``when_short`` is told when the budget gets short, and when it is so no longer: by one thread at
    a time, and what it is told last is what holds. So can be given up what is in memory without
    need, and in nobody's budget.
    """

    def __init__(self, limit: int, when_short: Callable[[bool], object] = _nobody) -> None:
        self.limit = limit
        self._used = 0
        self._lock = threading.Lock()
        self._when_short = when_short
        self._told = False
        self._telling = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes in use now."""
        return self._used

    def try_take(self, count: int, *, held: int = 0) -> bool:
        """Take ``count`` bytes if they fit; a request of none fits unless the budget is used up.

        ``held`` is what the caller has taken before. When nothing else is held, everything fits:
        what is too much for a server without work would never be taken.
        """
        with self._lock:
            others = self._used > held
            if others and (self._used >= self.limit or self._used + count > self.limit):
                return False
            self._used += count
        self._look()
        return True

    def take(self, count: int) -> None:
        """Take ``count`` bytes that are in memory already."""
        with self._lock:
            self._used += count
        self._look()

    def give(self, count: int) -> None:
        """Give back ``count`` bytes taken before."""
        with self._lock:
            self._used -= count
        self._look()

    def _look(self) -> None:
        """Tell when the budget has become short, or is so no longer."""
        # Whoever finds another telling leaves: that one looks again when it has told.
        while self._is_short() != self._told and self._telling.acquire(blocking=False):
            try:
                is_short = self._is_short()
                if is_short != self._told:
                    self._told = is_short
                    self._when_short(is_short)
            finally:
                self._telling.release()

    def _is_short(self) -> bool:
        return self._used > self.limit * (AMPLE if self._told else SHORT)


class Allowance:
    """The bytes that one holder has of a budget. Safe for several threads.

    Whoever holds it gives it back by ``release``, or splits it among others: so no byte is given
    twice, and none stays behind.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Bytes that are held."""
        return self._bytes

    def take(self, count: int) -> None:
        """Hold ``count`` bytes more, or fewer if it is negative."""
        with self._lock:
            self._bytes += count
        self._budget.take(count)

    def release(self) -> None:
        """Give back all that is held."""
        with self._lock:
            count, self._bytes = self._bytes, 0
        self._budget.give(count)

    def split(self, weights: Sequence[int]) -> list["Allowance"]:
        """Hand all that is held over to new allowances, in the proportion of ``weights``."""
        with self._lock:
            whole, self._bytes = self._bytes, 0
        total = sum(weights)
        shares, given, weight = [], 0, 0
        for one in weights:
            weight += one
            share = Allowance(self._budget)
            # Cumulative, so that the rounded shares add up to the whole.
            share._bytes = whole * weight // total - given if total else 0
            given += share._bytes
            shares.append(share)
        self._budget.give(whole - given)
        return shares
