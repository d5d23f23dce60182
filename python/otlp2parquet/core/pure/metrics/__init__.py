"""ExportMetricsServiceRequest -> the five otel_metrics tables.

A metric's kind decides the table; its data points are the rows. This file walks down to the points;
a file per kind reads them.

``exemplars``               exemplars as JSON text, in their OTLP/JSON form
``number``                  the points of gauges and sums
``histogram``               the points of histograms
``exponential_histogram``   the points of exponential histograms
``summary``                 the points of summaries
``point``                   what the points of all kinds have
"""

from typing import Any, Final

from otlp2parquet.core.pure import error, limits
from otlp2parquet.core.pure.error import MalformedError, Reject, RejectError
from otlp2parquet.core.pure.metrics import exponential_histogram, histogram, number, summary
from otlp2parquet.core.pure.metrics.point import Metric, ReadPoint
from otlp2parquet.core.pure.otlp_json.plain_text import PlainRequest
from otlp2parquet.core.pure.owner import Owner
from otlp2parquet.core.pure.placing import Placing, Rows
from otlp2parquet.core.pure.reading import Attributes
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.text import utf8_bytes
from otlp2parquet.core.pure.times import NANOS_PER_HOUR
from otlp2parquet.core.pure.value import render_attributes
from otlp2parquet.core.pure.walk import forget_unstored_text, walk
from otlp2parquet.core.pure.wire import Span, read_len, read_tag, read_varint

KEYS_BYTES: Final = 40
"""What a metric's values take where they are stored, beside their text."""

_KINDS: Final[dict[int, tuple[str, int, ReadPoint]]] = {
    0x2A: ("otel_metrics_gauge", number.ROW_BYTES, number.read_gauge),
    0x3A: ("otel_metrics_sum", number.ROW_BYTES, number.read_sum),
    0x4A: ("otel_metrics_histogram", histogram.ROW_BYTES, histogram.read),
    0x52: (
        "otel_metrics_exponential_histogram",
        exponential_histogram.ROW_BYTES,
        exponential_histogram.read,
    ),
    0x5A: ("otel_metrics_summary", summary.ROW_BYTES, summary.read),
}
"""By the tag of a metric's data: table, what a row is charged with, and how a point is read."""
_OLD_KINDS: Final = (0x22, 0x32, 0x42)
"""The tags of kinds of OTLP 0.8, which the tables do not have."""
_TEMPORALITY: Final = (0x3A, 0x4A, 0x52)
_SUM: Final = 0x3A


def append(request: Request, tables: dict[str, Rows]) -> None:
    """Append the rows of a request."""

    def read_scope(request: Request, resource: Owner, scope: Owner, at: int, stop: int) -> None:
        # Every table has groups of its own, so each remembers the last one of its own.
        placings: dict[int, Placing] = {}
        for start, end in request.entries(at, stop, 0x12):
            before = (request.rows, request.replaced)
            metric = Metric()
            kind, parts = _read_metric(request, metric, start, end)
            if kind in _OLD_KINDS:
                _reject_old(request, *parts[0])
            elif kind == 0:
                request.without_records += 1
            else:
                placing = placings.get(kind)
                if placing is None:
                    rows = tables[_KINDS[kind][0]]
                    placing = placings[kind] = Placing(rows, resource, scope)
                _append_points(request, placing, metric, kind, parts)
            forget_unstored_text(request, before)

    walk(request, read_scope)


def _read_metric(request: Request, metric: Metric, at: int, stop: int) -> tuple[int, list[Span]]:
    """Read and render what stands beside the points; gives the kind and where its parts are."""
    if isinstance(request, PlainRequest):
        texts, metadata, kind, parts = request.read_metric(at, stop, metric)
    else:
        texts, metadata, kind, parts = _read_fields(request, at, stop)
        if kind in _KINDS:
            _read_beside_points(request, metric, kind, parts)
    request.stamp += 1
    name, description, unit = (request.text(raw) for raw in texts)
    rendered = ""
    try:
        rendered = render_attributes(request, at, metadata)
    except RejectError as reject:
        # Not rendered to the end, so not read to the end.
        metric.reject = reject.reject
        request.is_doubtful = True
    metric.stamp = request.stamp
    metric.values = (name, description or None, unit or None, rendered)
    metric.text_bytes = sum(utf8_bytes(text) for text in (name, description, unit, rendered))
    return kind, parts


def _read_fields(
    request: Request, at: int, stop: int
) -> tuple[list[Any], Attributes, int, list[Span]]:
    """Texts, metadata, the kind and where its parts are."""
    data = request.data
    texts = {0x0A: b"", 0x12: b"", 0x1A: b""}
    metadata = Attributes()
    kind, parts = 0, list[Span]()
    while at < stop:
        tag, at = read_tag(data, at, stop)
        if tag in texts:
            start, at = read_len(data, at, stop)
            texts[tag] = data[start:at]
        elif tag in _KINDS or tag in _OLD_KINDS:
            start, at = read_len(data, at, stop)
            if tag == kind and tag in _KINDS:
                request.count_part()
                parts.append((start, at))
            else:
                # A member that loses is not stored, but must be well-formed.
                request.is_doubtful |= kind in _KINDS
                kind, parts = tag, [(start, at)]
        elif tag == 0x62:
            start, at = read_len(data, at, stop)
            metadata.count += 1
            if metadata.count <= limits.ATTRIBUTES:
                metadata.spans.append((start, at))
        else:
            at = request.skip_unknown(tag, at, stop)
    return list(texts.values()), metadata, kind, parts


def _read_beside_points(request: Request, metric: Metric, kind: int, parts: list[Span]) -> None:
    data = request.data
    for start, stop in parts:
        at = start
        while at < stop:
            tag, at = read_tag(data, at, stop)
            if tag == 0x0A:
                at = read_len(data, at, stop)[1]
            elif tag == 0x10 and kind in _TEMPORALITY:
                value, at = read_varint(data, at, stop)
                value &= 0xFFFF_FFFF
                metric.temporality = value - (value >> 31 << 32)
            elif tag == 0x18 and kind == _SUM:
                value, at = read_varint(data, at, stop)
                metric.is_monotonic = value != 0
            else:
                at = request.skip_unknown(tag, at, stop)


def _append_points(
    request: Request, placing: Placing, metric: Metric, kind: int, parts: list[Span]
) -> None:
    _, row_bytes, read = _KINDS[kind]
    reject = placing.reject or metric.reject
    shared, hour, rows, points = placing.shared, -1, list[Any](), 0
    for start, stop in parts:
        for at, end in request.entries(start, stop, 0x0A):
            points += 1
            request.count_record(row_bytes)
            if reject is not None:
                request.reject(reject)
                continue
            try:
                time, row = read(request, metric, at, end, shared)
            except RejectError as misfit:
                request.reject(misfit.reject)
                continue
            row_hour = time // NANOS_PER_HOUR
            if row_hour != hour:
                placing.rows.set(request, 2, metric.stamp, metric.text_bytes, KEYS_BYTES)
                rows = placing.find(request, row_hour).rows
                hour = row_hour
            request.count_row(placing.shared_bytes)
            rows.append(row)
    request.without_records += points == 0


def _reject_old(request: Request, at: int, stop: int) -> None:
    """Reject the points of a kind that is none any more; one, if they cannot be counted."""
    points = 0
    try:
        for _ in request.entries(at, stop, 0x0A):
            points += 1
    except MalformedError:
        points = 1
    for _ in range(points):
        request.count_record(0)
        request.count_reject(Reject(at, error.OLD_KIND))
    request.without_records += points == 0
