"""HistogramDataPoint -> otel_metrics_histogram: one point, one row."""

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
    check_labels,
)
from otlp2parquet.core.pure.placing import Row
from otlp2parquet.core.pure.reading import Reading
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.value import render_attributes

POINT: Final = Reading(
    "HistogramDataPoint",
    "start_time_unix_nano time_unix_nano count sum=null min=null max=null bucket_counts"
    " explicit_bounds exemplars labels attributes flags",
)
ROW_BYTES: Final = BASE_BYTES + STATISTICS_BYTES + 12
"""What a row is charged with beside its text."""


def read(request: Request, metric: Metric, at: int, stop: int, shared: Row) -> tuple[int, Row]:
    """A row of otel_metrics_histogram."""
    (
        start, time, count, total, least, most, counts, bounds, exemplars, labels, attributes,
        flags,
    ) = request.read(POINT, [(at, stop)])  # fmt: skip
    check_labels(at, labels)
    notes = request.notes()
    try:
        rendered = render_attributes(request, at, attributes)
        exemplars = render_exemplars(request, exemplars)
        check_count(at, count)
        check_counts(at, counts)
    except RejectError:
        request.take_back(notes)
        raise
    row = base(request, metric, (start, time), shared, rendered, flags)
    temporality = name_of(TEMPORALITIES, metric.temporality)
    own = (exemplars, count, total, least, most, counts, bounds, temporality)
    return time or request.received_at, row + own
