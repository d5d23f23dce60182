"""The recent events, by number, and how far somebody has got in them.

Pure data: no thread, no clock, and nothing of what an event is but its size. Bounded by events and
by bytes; what does not fit goes, the oldest first, and whoever had not come to it learns how many
those were.
"""

from collections import deque
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Step(NamedTuple, Generic[T]):
    """What somebody meets next."""

    lost: int
    """Events between what they saw last and this one, which are gone."""
    number: int
    event: T


class Ring(Generic[T]):
    """Events numbered from ``first`` on, without gaps."""

    def __init__(self, *, max_events: int, max_bytes: int, first: int = 1) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: deque[tuple[T, int]] = deque()
        self.num_bytes = 0
        self.next = first
        """The number that the next event gets."""

    def __len__(self) -> int:
        return len(self._events)

    @property
    def first(self) -> int:
        """The number of the oldest event that is here, or that of the next one."""
        return self.next - len(self._events)

    def append(self, event: T, size: int) -> int:
        """Take an event in; its number. One that is larger than the ring passes through it."""
        number = self.next
        self.next += 1
        self._events.append((event, size))
        self.num_bytes += size
        while len(self._events) > self._max_events or self.num_bytes > self._max_bytes:
            self.num_bytes -= self._events.popleft()[1]
        return number

    def read(self, position: int) -> Step[T] | None:
        """What somebody meets who wants the event ``position`` next; None when there is nothing.

        Where all that they have missed is gone and nothing is behind it, there is nothing yet.
        """
        first = self.first
        number = max(position, first)
        if number >= self.next:
            return None
        return Step(number - position, number, self._events[number - first][0])

    def back(self, count: int) -> int:
        """The number at which the last ``count`` events begin."""
        return max(self.first, self.next - count)
