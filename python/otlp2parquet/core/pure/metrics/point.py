"""What data points of all kinds have: their metric's values, and the columns up to Flags."""

from collections.abc import Callable
from typing import Any, Final

from otlp2parquet.core.pure.error import OLD_LABELS, Reject, RejectError, count_too_large
from otlp2parquet.core.pure.placing import Row
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.times import given, of_row

BASE_BYTES: Final = 48
"""What a row is charged with for the columns of all metrics, beside its text."""
STATISTICS_BYTES: Final = 35
"""And for Count, Sum, Min and Max."""

I63: Final = 1 << 63


class Metric:
    """What the points of a metric share."""

    def __init__(self) -> None:
        self.values: tuple[Any, ...] = ()
        """Name, description, unit and metadata."""
        self.text_bytes = 0
        self.stamp = 0
        """Names these values among all that a builder has read."""
        self.temporality = 0
        self.is_monotonic = False
        self.reject: Reject | None = None
        """Why the points are rejected, if they are."""


ReadPoint = Callable[[Request, Metric, int, int, Row], tuple[int, Row]]
"""Gives the time that decides the hour, and the row; or raises ``RejectError``."""


def check_labels(at: int, labels: int) -> None:
    """OTLP had labels before attributes."""
    if labels:
        raise RejectError(at, OLD_LABELS)


def base(
    request: Request,
    metric: Metric,
    times: tuple[int, int],
    shared: Row,
    attributes: str,
    flags: int,
) -> Row:
    """The columns from Timestamp to Flags; ``times`` are start and time."""
    start, time = times
    request.undated += not time
    return (
        *of_row(time, request.received_at), *shared, *given(start), *metric.values, attributes,
        flags,
    )  # fmt: skip


def check_count(at: int, count: int) -> None:
    """A count must fit: "counts above 2^63-1 make that record rejected"."""
    if count >= I63:
        raise RejectError(at, count_too_large(count))


def check_counts(at: int, counts: list[int]) -> None:
    """As ``check_count``, of the first that does not fit."""
    if counts and max(counts) >= I63:
        check_count(at, next(count for count in counts if count >= I63))
