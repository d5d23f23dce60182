"""Export requests as real systems send them: seeded, so the same seed gives the same bytes.

Knows the official protobuf classes and what telemetry looks like. Must not know otlp2parquet:
every peer gets these very bytes.
"""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

Signal = Literal["logs", "traces", "metrics"]
SIGNALS: Final[tuple[Signal, ...]] = ("logs", "traces", "metrics")
START: Final = 1_790_000_000_000_000_000
"""2026-09-21T14:13:20Z; a request's records lie within the second after its time."""
SECOND: Final = 1_000_000_000
SEVERITIES: Final = (
    (9, "INFO"),
    (9, "INFO"),
    (9, "INFO"),
    (5, "DEBUG"),
    (13, "WARN"),
    (17, "ERROR"),
)
ROUTES: Final = ("/api/cart", "/api/cart/{id}", "/api/orders", "/api/users/{id}", "/healthz")
METHODS: Final = ("GET", "GET", "GET", "POST", "PUT", "DELETE")
STATUSES: Final = (200, 200, 200, 200, 201, 204, 304, 404, 500)
MESSAGES: Final = (
    "request finished for user {user} in {ms} ms with {size} bytes",
    "cache miss for key session:{user}, reading from the database took {ms} ms",
    "retrying upstream call, attempt {attempt} of 5, last error was a timeout after {ms} ms",
    "order {size} accepted from user {user}",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How one request looks: ``records`` spread evenly over ``services`` resources."""

    records: int
    services: int = 5


SHAPES: Final = {
    "small": Shape(records=10, services=1),
    "typical": Shape(records=1_000),
    "large": Shape(records=20_000),
    "1,000 services": Shape(records=10_000, services=1_000),
    "5 services": Shape(records=10_000),
}
"""Typical is 1,000 records of 5 services; the last two differ in nothing but the services."""


class Payloads:
    """Requests of one shape; the n-th request of a seed is always the same."""

    def __init__(self, signal: Signal, shape: Shape, seed: int = 1) -> None:
        """``signal`` is ``logs``, ``traces`` or ``metrics`` (number points: gauges and sums)."""
        self.shape = shape
        self.fill = {"logs": fill_logs, "traces": fill_traces, "metrics": fill_metrics}[signal]
        self.random = random.Random(f"{signal} {shape} {seed}")

    def messages(self, count: int) -> Iterator[Any]:
        """``count`` requests as protobuf messages, a second apart."""
        per_service, more = divmod(self.shape.records, self.shape.services)
        for number in range(count):
            records = (per_service + (service < more) for service in range(self.shape.services))
            yield self.fill(self.random, START + number * SECOND, list(records))

    def requests(self, count: int) -> list[bytes]:
        """``count`` requests as the bytes on the wire."""
        return [message.SerializeToString() for message in self.messages(count)]


def as_json(message: Any) -> bytes:
    """A request in OTLP/JSON as the Collector writes it: compact, ids in hex, enums as numbers."""
    tree = MessageToDict(message, use_integers_for_enums=True)

    def ids_in_hex(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                ids_in_hex(item)
        elif isinstance(value, dict):
            for key, member in value.items():
                if key in ("traceId", "spanId", "parentSpanId"):
                    value[key] = base64.b64decode(member).hex()
                else:
                    ids_in_hex(member)

    ids_in_hex(tree)
    return json.dumps(tree, separators=(",", ":")).encode()


def set_attribute(pairs: Any, key: str, value: str | float) -> None:
    """Add one attribute to a repeated KeyValue field."""
    pair = pairs.add(key=key)
    if isinstance(value, str):
        pair.value.string_value = value
    elif isinstance(value, int):
        pair.value.int_value = value
    else:
        pair.value.double_value = value


def describe_resource(message: Any, number: int) -> None:
    """Give a Resource* message its service, as an SDK in a cluster does."""
    pairs = message.resource.attributes
    set_attribute(pairs, "service.name", f"service-{number:04}")
    set_attribute(pairs, "service.namespace", "shop")
    set_attribute(pairs, "service.instance.id", f"7f3c2d1e-{number:012}")
    set_attribute(pairs, "k8s.pod.name", f"service-{number:04}-6d4cf56db6-x2x7k")
    set_attribute(pairs, "telemetry.sdk.language", "python")


def fill_logs(source: random.Random, time: int, services: list[int]) -> Any:
    """Log records of about 252 bytes with five attributes, most of them inside of a trace."""
    request = ExportLogsServiceRequest()
    for number, records in enumerate(services):
        resource = request.resource_logs.add()
        describe_resource(resource, number)
        scope = resource.scope_logs.add()
        scope.scope.name, scope.scope.version = "shop.http.server", "1.4.2"
        for _ in range(records):
            severity, text = source.choice(SEVERITIES)
            user, took = source.randrange(100_000), round(source.expovariate(0.02), 3)
            record = scope.log_records.add(
                time_unix_nano=time + source.randrange(SECOND),
                severity_number=severity,
                severity_text=text,
                trace_id=source.randbytes(16),
                span_id=source.randbytes(8),
                flags=1,
            )
            record.observed_time_unix_nano = record.time_unix_nano + source.randrange(100_000)
            record.body.string_value = source.choice(MESSAGES).format(
                user=user, ms=took, size=source.randrange(100_000), attempt=source.randrange(1, 5)
            )
            set_attribute(record.attributes, "http.method", source.choice(METHODS))
            set_attribute(record.attributes, "http.route", source.choice(ROUTES))
            set_attribute(record.attributes, "http.status_code", source.choice(STATUSES))
            set_attribute(record.attributes, "user.id", f"u{user}")
            set_attribute(record.attributes, "duration.ms", took)
    return request


def fill_traces(source: random.Random, time: int, services: list[int]) -> Any:
    """Spans with six attributes; every fourth has an event, every tenth a link."""
    request = ExportTraceServiceRequest()
    for number, records in enumerate(services):
        resource = request.resource_spans.add()
        describe_resource(resource, number)
        scope = resource.scope_spans.add()
        scope.scope.name, scope.scope.version = "shop.http.server", "1.4.2"
        trace = source.randbytes(16)
        for index in range(records):
            if index % 8 == 0:
                trace = source.randbytes(16)
            start = time + source.randrange(SECOND)
            method, route = source.choice(METHODS), source.choice(ROUTES)
            span = scope.spans.add(
                trace_id=trace,
                span_id=source.randbytes(8),
                parent_span_id=source.randbytes(8) if index % 8 else b"",
                flags=0x101,
                name=f"{method} {route}",
                kind=source.choice((1, 2, 3)),
                start_time_unix_nano=start,
                end_time_unix_nano=start + int(source.expovariate(0.02) * 1e6),
            )
            status = source.choice(STATUSES)
            span.status.code = 2 if status == 500 else 0
            set_attribute(span.attributes, "http.request.method", method)
            set_attribute(span.attributes, "http.route", route)
            set_attribute(span.attributes, "http.response.status_code", status)
            set_attribute(span.attributes, "server.address", f"10.0.{number % 256}.7")
            set_attribute(span.attributes, "server.port", 8080)
            set_attribute(span.attributes, "user.id", f"user-{source.randrange(100_000)}")
            if index % 4 == 0:
                event = span.events.add(time_unix_nano=start + 1_000, name="row fetched")
                set_attribute(event.attributes, "db.rows", source.randrange(500))
            if index % 10 == 0:
                span.links.add(trace_id=source.randbytes(16), span_id=source.randbytes(8))
    return request


def fill_metrics(source: random.Random, time: int, services: list[int]) -> Any:
    """Number points with four attributes: ten series a metric, a sum and a gauge in turn."""
    request = ExportMetricsServiceRequest()
    for number, records in enumerate(services):
        resource = request.resource_metrics.add()
        describe_resource(resource, number)
        scope = resource.scope_metrics.add()
        scope.scope.name, scope.scope.version = "shop.http.server", "1.4.2"
        points: Any = None
        for index in range(records):
            if index % 10 == 0:
                metric = scope.metrics.add(
                    name=f"http.server.measure.{index // 10}",
                    description="what the server measures",
                    unit="ms",
                )
                if index % 20:
                    points = metric.gauge.data_points
                else:
                    metric.sum.aggregation_temporality = 2
                    metric.sum.is_monotonic = True
                    points = metric.sum.data_points
            point = points.add(start_time_unix_nano=START - 3600 * SECOND, time_unix_nano=time)
            if index % 3:
                point.as_double = round(source.expovariate(0.01), 3)
            else:
                point.as_int = source.randrange(1_000_000)
            set_attribute(point.attributes, "http.request.method", METHODS[index % 6])
            set_attribute(point.attributes, "http.route", ROUTES[index % 5])
            set_attribute(point.attributes, "http.response.status_code", STATUSES[index % 9])
            set_attribute(point.attributes, "replica", index % 10)
    return request
