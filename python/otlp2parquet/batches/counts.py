"""What happened in the batch layer since the start, as numbers for whoever shows them.

Knows nothing but numbers. Any thread may count: every change is made under one lock.
"""

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

SYNC_SECS: Final = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1.0,
)
"""Upper bounds of the histogram of syncs."""


@dataclass(slots=True)
class Counts:
    """Counters, each from zero at the start of the process; change them by ``add`` only."""

    batches_closed: Counter[str] = field(default_factory=Counter)
    """By reason."""
    batches_stored: int = 0
    batches_replayed: int = 0
    batches_lost: int = 0
    """Batches whose log was gone before they were stored: somebody removed it."""
    files_stored: int = 0
    rows_stored: int = 0
    bytes_stored: int = 0
    storage_failures: int = 0
    names_taken: int = 0
    """Files whose name something foreign had; they were stored under another."""
    log_groups: int = 0
    log_records: int = 0
    log_written_bytes: int = 0
    log_failures: int = 0
    torn_tails: int = 0
    damaged_records: int = 0
    replay_differences: int = 0
    """Files whose rows are not those of the plan: the decoder is another than then."""
    sync_buckets: list[int] = field(default_factory=lambda: [0] * (len(SYNC_SECS) + 1))
    sync_secs: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **counts: int) -> None:
        """Add to counters, by name."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)

    def closed(self, reason: str) -> None:
        """A batch was closed."""
        with self._lock:
            self.batches_closed[reason] += 1

    def logged(self, records: int, count: int) -> None:
        """So many records, and bytes of them, were written to the log."""
        with self._lock:
            self.log_records += records
            self.log_written_bytes += count

    def synced(self, secs: float) -> None:
        """A group of the log was synced."""
        with self._lock:
            self.log_groups += 1
            self.sync_buckets[bisect_left(SYNC_SECS, secs)] += 1
            self.sync_secs += secs
