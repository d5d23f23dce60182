"""What happened in the batch layer since the start, as numbers for whoever shows them.

Knows nothing but numbers. Each is changed by one thread, or under a lock of its owner.
"""

from bisect import bisect_left
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
    """Counters, each from zero at the start of the process."""

    batches_closed: dict[str, int] = field(default_factory=dict)
    """By reason."""
    batches_stored: int = 0
    batches_replayed: int = 0
    files_stored: int = 0
    rows_stored: int = 0
    bytes_stored: int = 0
    storage_failures: int = 0
    log_groups: int = 0
    log_records: int = 0
    log_written_bytes: int = 0
    log_failures: int = 0
    torn_tails: int = 0
    damaged_records: int = 0
    replayed_requests: int = 0
    replay_differences: int = 0
    """Files whose rows are not those of the plan: the decoder is another than then."""
    sync_buckets: list[int] = field(default_factory=lambda: [0] * (len(SYNC_SECS) + 1))
    sync_secs: float = 0.0

    def synced(self, secs: float) -> None:
        """One sync of the log."""
        self.sync_buckets[bisect_left(SYNC_SECS, secs)] += 1
        self.sync_secs += secs
