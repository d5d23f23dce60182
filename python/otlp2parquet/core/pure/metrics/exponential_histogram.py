"""ExponentialHistogramDataPoint -> otel_metrics_exponential_histogram: one point, one row."""

from typing import Final

from otlp2parquet.core.pure.enums import name_of
from otlp2parquet.core.pure.error import RejectError
from otlp2parquet.core.pure.fields import TEMPORALITIES
from otlp2parquet.core.pure.metrics.exemplars import render_exemplars
from otlp2parquet.core.pure.metrics.point import (
    BASE_BYTES,
    STATISTICS_BYTES,
    Metric,
    base,
    check_count,
    check_counts,
)
from otlp2parquet.core.pure.placing import Row
from otlp2parquet.core.pure.reading import Reading
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.value import render_attributes
from otlp2parquet.core.pure.wire import Span

POINT: Final = Reading(
    "ExponentialHistogramDataPoint",
    "attributes start_time_unix_nano time_unix_nano count sum=null scale zero_count positive"
    " negative flags exemplars min=null max=null zero_threshold",
)
BUCKETS: Final = Reading("Buckets", "offset bucket_counts")
ROW_BYTES: Final = BASE_BYTES + STATISTICS_BYTES + 42
"""What a row is charged with beside its text."""


def read(request: Request, metric: Metric, at: int, stop: int, shared: Row) -> tuple[int, Row]:
    """A row of otel_metrics_exponential_histogram."""
    (
        attributes, start, time, count, total, scale, zeros, positive, negative, flags, exemplars,
        least, most, zero_threshold,
    ) = request.read(POINT, [(at, stop)])  # fmt: skip
    notes = request.notes()
    try:
        rendered = render_attributes(request, at, attributes)
        exemplars = render_exemplars(request, exemplars)
        check_count(at, count)
        check_count(at, zeros)
        positive = _side(request, at, positive)
        negative = _side(request, at, negative)
    except RejectError:
        request.take_back(notes)
        raise
    row = base(request, metric, (start, time), shared, rendered, flags)
    temporality = name_of(TEMPORALITIES, metric.temporality)
    statistics = (exemplars, count, total, least, most)
    own = (scale, zeros, zero_threshold, *positive, *negative, temporality)
    return time or request.received_at, row + statistics + own


def _side(request: Request, at: int, parts: list[Span]) -> tuple[int | None, list[int]]:
    """Offset and counts of one side; "an offset is null when that side is not given"."""
    offset, counts = request.read(BUCKETS, parts)
    check_counts(at, counts)
    return offset if parts else None, counts
