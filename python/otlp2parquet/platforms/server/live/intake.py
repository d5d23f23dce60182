"""What requests leave for the view, within bounds.

Whoever leaves something neither waits nor works: a body is kept by reference if there is room for
it, else it is counted as a gap; equal refusals are counted together. Any thread may use it.
"""

import threading
from collections import deque
from typing import Final, NamedTuple

from otlp2parquet.platforms.server.live.events import Lost, Refusal
from otlp2parquet.platforms.server.live.rows import Export

MAX_EXPORTS: Final = 256
MAX_BYTES: Final = 8 << 20
MAX_REFUSALS: Final = 100
"""Different ones at a time; further ones count as one of them, that of others."""

_OTHERS: Final = Refusal("others", "", "", "others", "more clients were refused, see the log")


class Taken(NamedTuple):
    """What lies there, in the order in which it is shown."""

    export: Export | None
    lost: Lost
    refusals: dict[Refusal, int]


class Intake:
    """A bounded place between requests and the thread that shows them."""

    def __init__(self, *, max_exports: int = MAX_EXPORTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_exports = max_exports
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._exports: deque[Export] = deque()
        self.num_bytes = 0
        self._lost_exports = self._lost_rows = 0
        self._refusals: dict[Refusal, int] = {}

    def put(self, export: Export) -> None:
        """Leave an export; one for which there is no room is a gap."""
        size = len(export.body)
        with self._lock:
            is_room = len(self._exports) < self._max_exports
            if is_room and self.num_bytes + size <= self._max_bytes:
                self._exports.append(export)
                self.num_bytes += size
            else:
                self._lost_exports += 1
                self._lost_rows += export.records

    def refuse(self, refusal: Refusal, count: int) -> None:
        """Leave a refusal."""
        with self._lock:
            if refusal not in self._refusals and len(self._refusals) >= MAX_REFUSALS:
                refusal = _OTHERS
            self._refusals[refusal] = self._refusals.get(refusal, 0) + count

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not (self._exports or self._refusals or self._lost_exports)

    def take(self, *, export: bool) -> Taken:
        """Take out all refusals and the gap, and the oldest ``export`` if one is wanted."""
        with self._lock:
            taken = self._exports.popleft() if export and self._exports else None
            if taken is not None:
                self.num_bytes -= len(taken.body)
            lost = Lost(self._lost_exports, self._lost_rows)
            refusals, self._refusals = self._refusals, {}
            self._lost_exports = self._lost_rows = 0
            return Taken(taken, lost, refusals)
