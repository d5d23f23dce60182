"""Telemetry as applications make it: the Python OpenTelemetry SDK and its OTLP exporters.

Knows how to make every kind of record that the SDK can make, and keeps what the exporters sent.
Must not know how otlp2parquet stores it (``sdk_rows`` does).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry import trace as trace_api
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import (
    OTLPLogExporter as GrpcLogExporter,
)
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetricExporter,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

EXPORTERS: dict[str, tuple[type[Any], type[Any]]] = {
    "logs": (OTLPLogExporter, GrpcLogExporter),
    "traces": (OTLPSpanExporter, GrpcSpanExporter),
    "metrics": (OTLPMetricExporter, GrpcMetricExporter),
}
"""Of each signal: over HTTP, and over gRPC."""

NEVER_MILLIS = 3_600_000
"""The periodic readers export when they are flushed, not by the clock."""

ATTRIBUTES: dict[str, Any] = {
    "http.request.method": "GET",
    "http.response.status_code": 200,
    "ratio": 0.25,
    "cached": False,
    "tags": ("a", "ö", ""),
    "counts": (1, -2, 9_007_199_254_740_993),
    'quote"d\n': "tab\tand \\ and \u0001",
}
RESOURCE = Resource(
    {
        "service.name": "shop ☕/cart",
        "service.namespace": "store",
        "service.instance.id": "i-1",
        "host.cpus": 8,
    },
    schema_url="https://opentelemetry.io/schemas/1.36.0",
)
SCOPE: dict[str, Any] = {
    "version": "1.2.3",
    "schema_url": "https://opentelemetry.io/schemas/1.35.0",
    "attributes": {"scope.part": "checkout"},
}


class Sent:
    """What went out through the exporters, in the SDK's own types."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.logs: list[ReadableLogRecord] = []
        self.spans: list[ReadableSpan] = []
        self.metrics: list[MetricsData] = []


class ExportRefusedError(Exception):
    """The receiver did not accept an export that it should have accepted."""


def exporter_of(
    signal: str,
    endpoint: str,
    compression: Compression | grpc.Compression,
    keep: Callable[[Any], None],
) -> Any:
    """The exporter of a signal; ``keep`` is given what was sent, its ``refused`` says if any was.

    It is one of gRPC if the compression is one of gRPC's, else of HTTP; everything else is its own
    default.
    """
    over_http, over_grpc = EXPORTERS[signal]
    if isinstance(compression, grpc.Compression):
        exporter = over_grpc(endpoint=endpoint, compression=compression)
    else:
        exporter = over_http(endpoint=f"{endpoint}/v1/{signal}", compression=compression)
    send = exporter.export
    exporter.refused = False

    def export(batch: Any, *rest: Any, **named: Any) -> Any:
        result = send(batch, *rest, **named)
        exporter.refused |= result.name != "SUCCESS"
        keep(batch)
        return result

    exporter.export = export
    return exporter


def send_logs(
    endpoint: str, compression: Compression | grpc.Compression, sent: Sent, count: int
) -> None:
    """Log every kind of body, then plain records up to ``count``."""
    exporter = exporter_of("logs", endpoint, compression, sent.logs.extend)
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(
        BatchLogRecordProcessor(exporter, max_export_batch_size=256, max_queue_size=count + 256)
    )
    logger = provider.get_logger("shop.cart", **SCOPE)
    bodies: list[Any] = [
        "plain ☕ text",
        "",
        True,
        -7,
        1.5,
        b"\x00\xff",
        ["a", 1, None, ["b"]],
        {"nested": {"deep": [1.5]}, "bytesValue": "x"},
        {"bytesValue": "looks like bytes"},
        None,
    ]
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("in a span")
    for number, body in enumerate(bodies):
        with tracer.start_as_current_span("work"):
            logger.emit(
                timestamp=1_790_000_000_000_000_001 + number,
                observed_timestamp=1_790_000_000_123_456_789 + number,
                severity_number=SeverityNumber.WARN2,
                severity_text="WARN",
                body=body,
                attributes={**ATTRIBUTES, "payload": b"\x01\x02", "map": {"k": {"n": 1}}},
                event_name="cart.changed",
            )
    # No time, no severity, no span: the observed time stands in.
    logger.emit(observed_timestamp=1_790_000_000_999_999_999, body="bare")
    for number in range(count - len(bodies) - 1):
        logger.emit(timestamp=1_790_000_001_000_000_000 + number, body=f"line {number}")
    flush(provider, exporter)


def send_spans(
    endpoint: str, compression: Compression | grpc.Compression, sent: Sent, count: int
) -> None:
    """Every span kind and status, events and links, then plain spans up to ``count``."""
    exporter = exporter_of("traces", endpoint, compression, sent.spans.extend)
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_export_batch_size=256, max_queue_size=count + 256)
    )
    tracer = provider.get_tracer(
        "shop.cart",
        SCOPE["version"],
        schema_url=SCOPE["schema_url"],
        attributes=SCOPE["attributes"],
    )
    remote = SpanContext(
        0x0102030405060708090A0B0C0D0E0F10,
        0x0102030405060708,
        is_remote=True,
        trace_flags=TraceFlags(1),
        trace_state=TraceState([("vendor", "a"), ("other", "b")]),
    )
    parent = trace_api.set_span_in_context(trace_api.NonRecordingSpan(remote))
    statuses = [Status(StatusCode.OK), Status(StatusCode.ERROR, "out of ☕"), Status()]
    for number, kind in enumerate(SpanKind):
        span = tracer.start_span(
            f"{kind.name} span",
            context=parent,
            kind=kind,
            attributes=ATTRIBUTES,
            links=[Link(remote, {"why": "follows"}), Link(remote)],
            start_time=1_790_000_000_000_000_001 + number,
        )
        span.add_event("first", {"n": 1}, timestamp=1_790_000_000_000_000_777)
        span.add_event("second", timestamp=1_790_000_000_000_001_000)
        span.set_status(statuses[number % len(statuses)])
        span.end(end_time=1_790_000_000_250_000_003)
    for number in range(count - len(SpanKind)):
        start = 1_790_000_001_000_000_000 + number
        tracer.start_span(f"plain {number}", start_time=start).end(end_time=start + 1_000)
    flush(provider, exporter)


def send_metrics(endpoint: str, compression: Compression | grpc.Compression, sent: Sent) -> None:
    """Every instrument of the SDK, an exponential histogram by a view, and exemplars."""
    exporter = exporter_of("metrics", endpoint, compression, sent.metrics.append)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=NEVER_MILLIS)
    exponential = View(
        instrument_name="shop.latency.exponential",
        aggregation=ExponentialBucketHistogramAggregation(),
    )
    provider = MeterProvider(
        [reader], resource=RESOURCE, shutdown_on_exit=False, views=[exponential]
    )
    record_instruments(provider)
    flush(provider, exporter)


def record_instruments(provider: MeterProvider) -> None:
    """Record on each of the seven instruments of ``provider``; some inside of a span."""
    meter = provider.get_meter("shop.cart", **SCOPE)

    def observe(value: float) -> Any:
        def callback(_: CallbackOptions) -> Iterable[Observation]:
            yield Observation(value, {"zone": "a"})

        return callback

    meter.create_observable_counter("shop.ticks", [observe(11)], "1", "ticks seen")
    meter.create_observable_up_down_counter("shop.queue", [observe(-3)], "{item}")
    meter.create_observable_gauge("shop.temperature", [observe(21.5)], "Cel")
    counter = meter.create_counter("shop.orders", "{order}", "orders taken")
    level = meter.create_up_down_counter("shop.stock", "{item}")
    gauge = meter.create_gauge("shop.load", "1")
    latency = meter.create_histogram("shop.latency", "ms", "time to answer")
    exponential = meter.create_histogram("shop.latency.exponential", "ms")
    # The SDK takes exemplars from measurements made inside of a sampled span.
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("exemplars")
    with tracer.start_as_current_span("measured"):
        for number, zone in enumerate(("a", "b", "ö")):
            attributes: dict[str, str | int] = {"zone": zone, "number": number}
            counter.add(number + 1, attributes)
            level.add(number - 1.5, attributes)
            gauge.set(0.5 * number, attributes)
            for value in (0, 3.5, 42, 7_500.25):
                latency.record(value + number, attributes)
                exponential.record(value + number, attributes)


def flush(provider: Any, exporter: Any) -> None:
    """Shut down, which sends what is still queued, and insist that everything was accepted."""
    provider.shutdown()
    if exporter.refused:
        message = "an export of the SDK was refused"
        raise ExportRefusedError(message)


def points(sent: Sent) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Each data point sent, as (resource metrics, scope metrics, metric, point)."""
    for data in sent.metrics:
        for resource_metrics in data.resource_metrics:
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    for point in metric.data.data_points:
                        yield resource_metrics, scope_metrics, metric, point
