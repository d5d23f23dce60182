"""Export requests of all three signals, as an SDK would fill them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

START = 1_782_896_400_000_000_000  # 2026-07-01T09:00:00Z
HOUR = datetime(2026, 7, 1, 9, tzinfo=UTC)


def set_attributes(target: Any, **values: str | int) -> None:
    """Add attributes; an underscore in a name stands for a dot."""
    for key, value in values.items():
        pair = target.add(key=key.replace("_", "."))
        if isinstance(value, str):
            pair.value.string_value = value
        else:
            pair.value.int_value = value


def logs_request(count: int, service: str = "checkout", first: int = 0, blob: str = "") -> bytes:
    """``count`` log records of one service, a second apart."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    set_attributes(resource.resource.attributes, service_name=service, host_name="h1")
    if blob:
        set_attributes(resource.resource.attributes, blob=blob)
    scope = resource.scope_logs.add()
    scope.scope.name = "app"
    for number in range(first, first + count):
        record = scope.log_records.add(
            time_unix_nano=START + number * 1_000_000_123,
            severity_number=9 + 8 * (number % 2),
            severity_text=("INFO", "ERROR")[number % 2],
            trace_id=number.to_bytes(16, "big") if number % 3 else b"",
        )
        record.body.string_value = f"order {number} placed, naïve ✓"
        set_attributes(record.attributes, order_id=number, user_name=f"u{number % 7}")
    return bytes(request.SerializeToString())


def traces_request(count: int) -> bytes:
    """``count`` spans; every second one with events and a link, one without anything."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    set_attributes(resource.resource.attributes, service_name="checkout")
    scope = resource.scope_spans.add()
    for number in range(count):
        span = scope.spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name=f"GET /{number % 3}",
            start_time_unix_nano=START + number,
            end_time_unix_nano=START + number * 1000,
        )
        if number % 2:
            span.events.add(name="retry", time_unix_nano=START + number)
            set_attributes(span.events.add(time_unix_nano=0).attributes, n=number)
            span.links.add(trace_id=b"\1" * 16, trace_state="a=b")
            span.status.code = 2
    return bytes(request.SerializeToString())


def metrics_request(count: int) -> bytes:
    """``count`` points of each of the five kinds of metric."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    set_attributes(resource.resource.attributes, service_name="checkout")
    metrics = resource.scope_metrics.add().metrics
    gauge, total = metrics.add(name="g").gauge, metrics.add(name="s", unit="By").sum
    total.is_monotonic, total.aggregation_temporality = True, 2
    histogram = metrics.add(name="h").histogram
    exponential = metrics.add(name="e").exponential_histogram
    summary = metrics.add(name="q").summary
    for number in range(count):
        time = {"time_unix_nano": START + number, "start_time_unix_nano": START}
        gauge.data_points.add(as_double=number / 3, **time)
        total.data_points.add(as_int=number, **time)
        histogram.data_points.add(
            count=3, sum=4.5, bucket_counts=[1, 2, number], explicit_bounds=[0.5, 1.5], **time
        ).exemplars.add(as_int=number)
        point = exponential.data_points.add(count=number, scale=-1, zero_count=2, **time)
        if number % 2:
            point.positive.offset = -3
            point.positive.bucket_counts.extend([1, number])
        summary.data_points.add(count=1, sum=2.0, **time).quantile_values.add(
            quantile=0.5, value=float(number)
        )
    return bytes(request.SerializeToString())
