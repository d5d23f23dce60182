"""The byte budget: how much may be in memory over everything that waits to be stored.

Knows numbers. Must not know what the bytes are, nor what happens when there are too many.
"""

import threading
from collections.abc import Sequence


class Budget:
    """Bytes in use against a limit. Safe for several threads; no call waits.

    ``try_take`` is for what can still be refused (a body that is not read yet). ``take`` is for
    what is here already (rows that grew from an admitted body): it may go over the limit, and
    then nothing new is admitted until enough has been given back.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._lock = threading.Lock()

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
            return True

    def take(self, count: int) -> None:
        """Take ``count`` bytes that are in memory already."""
        with self._lock:
            self._used += count

    def give(self, count: int) -> None:
        """Give back ``count`` bytes taken before."""
        with self._lock:
            self._used -= count


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
