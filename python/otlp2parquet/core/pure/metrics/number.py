"""NumberDataPoint -> otel_metrics_gauge and otel_metrics_sum: one point, one row."""

from typing import Any, Final

from otlp2parquet.core.pure.enums import name_of
from otlp2parquet.core.pure.error import RejectError
from otlp2parquet.core.pure.fields import TEMPORALITIES
from otlp2parquet.core.pure.metrics.exemplars import render_exemplars
from otlp2parquet.core.pure.metrics.point import BASE_BYTES, Metric, base, check_labels
from otlp2parquet.core.pure.placing import Row
from otlp2parquet.core.pure.reading import Reading
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.value import render_attributes

POINT: Final = Reading(
    "NumberDataPoint",
    "start_time_unix_nano time_unix_nano as_double|as_int=null exemplars labels attributes flags",
)
ROW_BYTES: Final = BASE_BYTES + 23
"""What a row is charged with beside its text."""


def read_gauge(
    request: Request, metric: Metric, at: int, stop: int, shared: Row
) -> tuple[int, Row]:
    """A row of otel_metrics_gauge."""
    start, time, value, exemplars, labels, attributes, flags = request.read(POINT, [(at, stop)])
    check_labels(at, labels)
    notes = request.notes()
    try:
        rendered = render_attributes(request, at, attributes)
        exemplars = render_exemplars(request, exemplars)
    except RejectError:
        request.take_back(notes)
        raise
    row = base(request, metric, (start, time), shared, rendered, flags)
    return time or request.received_at, (*row, exemplars, *_numbers(value))


def read_sum(request: Request, metric: Metric, at: int, stop: int, shared: Row) -> tuple[int, Row]:
    """A row of otel_metrics_sum."""
    time, row = read_gauge(request, metric, at, stop, shared)
    return time, (*row, name_of(TEMPORALITIES, metric.temporality), metric.is_monotonic)


def _numbers(value: Any) -> tuple[float | None, int | None]:
    """Value and IntValue: "null when the point has no value; an int also as its double"."""
    return (float(value), value) if isinstance(value, int) else (value, None)
