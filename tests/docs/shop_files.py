"""The shop's telemetry as OTLP requests, and as the files that are made of these.

Knows OTLP's messages and the public API. It must not know what is asked of the files.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp2parquet import ParquetWriter, process_otlp

from .shop import BOUNDS, MINUTES, SECOND, START, Attributes, Served, shop

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otlp2parquet.core.signals import Signal

DELTA, CUMULATIVE = 1, 2
RESTARTS = 70, 100
"""After which minute the gateway, which says so, and the cart, which does not, begin anew."""
COARSER = 90
"""The minute after which the cart's exponential histogram has half as many buckets."""
ZERO_BELOW = 3.0
ROUTES = ("/api/cart", "/api/checkout")


def minute_of(time: int) -> int:
    """The minute at whose end something is reported, the first one being 1."""
    return max(1, math.ceil((time - START) / (60 * SECOND)))


def write_files(folder: Path) -> None:
    """All tables of the shop, below ``folder``."""
    writer = ParquetWriter(folder)
    requests: dict[Signal, Any] = {"logs": _logs(), "traces": _traces(), "metrics": _metrics()}
    for signal, request in requests.items():
        for batch in process_otlp(request.SerializeToString(), signal).batches:
            writer.write(batch)


def _set(attributes: Any, values: Attributes) -> None:
    for key, value in values.items():
        one = attributes.add(key=key).value
        if isinstance(value, bool):
            one.bool_value = value
        elif isinstance(value, int):
            one.int_value = value
        elif isinstance(value, float):
            one.double_value = value
        else:
            one.string_value = value


def _resource(group: Any, service: str) -> Any:
    if service:
        _set(group.resource.attributes, {"service.name": service, "host.name": f"{service}-1"})
    return group


def _logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    for service in {one.service: None for one in shop().logs}:
        records: Any = _resource(request.resource_logs.add(), service).scope_logs.add().log_records
        for one in shop().logs:
            if one.service == service:
                record = records.add(
                    time_unix_nano=one.time,
                    severity_number=one.severity,
                    trace_id=bytes.fromhex(one.trace),
                    span_id=bytes.fromhex(one.span),
                )
                record.body.string_value = one.body
                _set(record.attributes, one.attributes)
    return request


def _traces() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for service in {one.service: None for one in shop().spans}:
        spans: Any = _resource(request.resource_spans.add(), service).scope_spans.add().spans
        for one in shop().spans:
            if one.service == service:
                span = spans.add(
                    trace_id=bytes.fromhex(one.trace),
                    span_id=bytes.fromhex(one.id),
                    parent_span_id=bytes.fromhex(one.parent),
                    name=one.name,
                    kind=one.kind,
                    start_time_unix_nano=one.start,
                    end_time_unix_nano=one.end,
                )
                span.status.code = 2 if one.is_error else 0
                _set(span.attributes, one.attributes)
    return request


def _metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metrics: Any = None
    for service in ("gateway", "cart", "payment"):
        metrics = _resource(request.resource_metrics.add(), service).scope_metrics.add().metrics
        served = [one for one in shop().served if one.service == service]
        _add_counter(metrics, service, served)
        if service != "payment":
            _add_histogram(metrics, service, served)
        if service != "gateway":
            _add_exponential_histogram(metrics, service, served)
    metrics.add(name="shop.stock").gauge.data_points.add(time_unix_nano=START, as_int=3)
    metrics.add(name="shop.summary").summary.data_points.add(time_unix_nano=START, count=3)
    return request


def _periods(service: str, restart: int) -> Iterable[tuple[int, int]]:
    """Of each report the minutes that it is about: from the end of the first to that of the last.

    The payments are reported as deltas, everything else since the process began.
    """
    for minute in range(1, MINUTES + 1):
        if service == "payment" or (service == "gateway" and not restart):
            yield minute - 1, minute
        else:
            yield (restart if minute > restart else 0), minute


def _times(point: Any, first: int, last: int) -> Any:
    point.time_unix_nano = START + last * 60 * SECOND
    point.start_time_unix_nano = START + first * 60 * SECOND
    return point


def _within(served: Iterable[Served], first: int, last: int) -> list[Served]:
    return [one for one in served if first < minute_of(one.time) <= last]


def _add_counter(metrics: Any, service: str, served: list[Served]) -> None:
    counter = metrics.add(name="shop.requests", unit="{request}").sum
    counter.is_monotonic = True
    counter.aggregation_temporality = DELTA if service == "payment" else CUMULATIVE
    for first, last in _periods(service, RESTARTS[service == "cart"]):
        found = Counter(one.route for one in _within(served, first, last))
        for route in ROUTES:
            point = _times(counter.data_points.add(), first, last)
            _set(point.attributes, {"http.route": route})
            if service == "cart":
                point.start_time_unix_nano = 0
            if service == "gateway" and last == 50:
                point.flags = 1  # no recorded value
            else:
                point.as_int = found[route]


def _add_histogram(metrics: Any, service: str, served: list[Served]) -> None:
    histogram = metrics.add(name="shop.duration", unit="ms").histogram
    histogram.aggregation_temporality = DELTA if service == "gateway" else CUMULATIVE
    for first, last in _periods(service, 0 if service == "gateway" else RESTARTS[0]):
        found = _within(served, first, last)
        point = _times(histogram.data_points.add(), first, last)
        counts = Counter(bisect_left(BOUNDS, one.millis) for one in found)
        point.explicit_bounds.extend(BOUNDS)
        point.bucket_counts.extend(counts[index] for index in range(len(BOUNDS) + 1))
        point.count = len(found)
        point.sum = sum(one.millis for one in found)
        if service == "gateway":
            for one in found:
                if one.trace:
                    point.exemplars.add(
                        time_unix_nano=one.time,
                        as_double=one.millis,
                        trace_id=bytes.fromhex(one.trace),
                        span_id=bytes.fromhex(one.span),
                    )


def _add_exponential_histogram(metrics: Any, service: str, served: list[Served]) -> None:
    histogram = metrics.add(name="shop.duration.exponential", unit="ms").exponential_histogram
    histogram.aggregation_temporality = DELTA if service == "payment" else CUMULATIVE
    for first, last in _periods(service, RESTARTS[0]):
        found = _within(served, first, last)
        point = _times(histogram.data_points.add(), first, last)
        point.scale = 5 if service == "payment" else 4 if last <= COARSER else 3
        counts = Counter(
            exponential_bucket(one.millis, point.scale) for one in found if one.millis > ZERO_BELOW
        )
        point.zero_threshold = ZERO_BELOW
        point.zero_count = len(found) - counts.total()
        if counts:
            point.positive.offset = min(counts)
            reach = range(min(counts), max(counts) + 1)
            point.positive.bucket_counts.extend(counts[index] for index in reach)
        point.count = len(found)
        point.sum = sum(one.millis for one in found)


def exponential_bucket(value: float, scale: int) -> int:
    """The index of a value's bucket, (base ** index, base ** (index + 1)], of a scale."""
    return math.ceil(math.log2(value) * (1 << scale)) - 1
