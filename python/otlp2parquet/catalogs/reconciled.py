"""A committer that ends: what waits is committed in bounded time, and what was done is told.

Knows the committer. Must not know whose receipts it takes, nor whether its clients block.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from otlp2parquet.catalogs.awaiting import settled
from otlp2parquet.catalogs.committer import Committer


@dataclass(slots=True)
class Report:
    """What was done, and what is left."""

    files: int = 0
    rows: int = 0
    commits: int = 0
    already: int = 0
    """Receipts whose files their tables had."""
    left: int = 0
    """Receipts that could not be committed."""
    younger: int = 0
    """Receipts that are left to the servers that wrote them: their batches are younger than an
    hour."""
    unreadable: int = 0
    error: str = ""
    waiting: dict[str, int] = field(default_factory=dict)
    """Of those that are left, how many wait for each table."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left that should have been committed."""
        return not self.left and not self.unreadable and not self.error


async def reconciled(
    committer: Committer,
    secs: float,
    monotonic: Callable[[], float],
    sleep: Callable[[float], Awaitable[None] | None],
    *,
    listed: bool = True,
) -> Report:
    """Commit what waits, for about ``secs`` at most. No step begins when the time is over.

    With ``listed`` it is not over before it is known what waits.
    """
    end = monotonic() + secs
    while True:
        while monotonic() < end and await committer.step():
            pass
        due = committer.secs_until_due()
        is_done = (committer.is_listed or not listed) and not committer.status().receipts
        if is_done or due is None or monotonic() + due >= end:
            return report_of(committer)
        await settled(sleep(due))


def report_of(committer: Committer) -> Report:
    """What a committer has done since its start."""
    counts, status = committer.counts, committer.status()
    return Report(
        counts.files,
        counts.rows,
        counts.commits,
        counts.already,
        status.receipts,
        counts.younger,
        counts.unreadable,
        status.error if status.receipts or not committer.is_listed else "",
        committer.waiting(),
    )
