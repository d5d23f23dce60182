"""SummaryDataPoint -> otel_metrics_summary: one point, one row."""

from typing import Final

from otlp2parquet.core.pure.error import RejectError
from otlp2parquet.core.pure.metrics.point import (
    BASE_BYTES,
    Metric,
    base,
    check_count,
    check_labels,
)
from otlp2parquet.core.pure.placing import Row
from otlp2parquet.core.pure.reading import Reading
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.value import render_attributes

POINT: Final = Reading(
    "SummaryDataPoint",
    "start_time_unix_nano time_unix_nano count sum quantile_values labels attributes flags",
)
QUANTILE: Final = Reading("ValueAtQuantile", "quantile value")
ROW_BYTES: Final = BASE_BYTES + 24
"""What a row is charged with beside its text."""


def read(request: Request, metric: Metric, at: int, stop: int, shared: Row) -> tuple[int, Row]:
    """A row of otel_metrics_summary."""
    start, time, count, total, _, labels, attributes, flags = request.read(POINT, [(at, stop)])
    check_labels(at, labels)
    notes = request.notes()
    try:
        rendered = render_attributes(request, at, attributes)
        check_count(at, count)
        quantiles, values = [], []
        for span in request.entries(at, stop, 0x32):
            request.charge(16)
            quantile, value = request.read(QUANTILE, [span])
            quantiles.append(quantile)
            values.append(value)
    except RejectError:
        request.take_back(notes)
        raise
    row = base(request, metric, (start, time), shared, rendered, flags)
    return time or request.received_at, (*row, count, total, quantiles, values)
