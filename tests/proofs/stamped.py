"""Export requests that carry a number: which request a row came from can be read from the row.

Knows the official protobuf classes. The number is the version of every scope, ten digits wide
in each request, so that stamping a serialized request is a replacement of bytes and costs a
client next to nothing. Must not know who receives the requests.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

UNSTAMPED = "@@@@@@@@@@"
"""Stands in a template where the number comes; no other text in it looks like this."""


@dataclass(frozen=True, slots=True)
class Template:
    """A serialized request without its number, and the rows it becomes in each table."""

    signal: str
    parts: tuple[bytes, ...]
    rows: Mapping[str, int]

    def stamped(self, number: int) -> bytes:
        """The request with this number."""
        return (b"%010d" % number).join(self.parts)


def template(signal: str, service: str, records: int, seed: int = 0) -> Template:
    """A request of ``records`` records (for metrics: data points over all five kinds)."""
    fill = {"logs": _logs, "traces": _traces, "metrics": _metrics}[signal]
    request, rows = fill(random.Random(f"{signal} {records} {seed}"), service, records)
    parts = request.SerializeToString(deterministic=True).split(UNSTAMPED.encode())
    return Template(signal, tuple(parts), rows)


def _describe(message: Any, scope: Any, service: str) -> None:
    message.resource.attributes.add(key="service.name").value.string_value = service
    message.resource.attributes.add(key="host.name").value.string_value = "node-7"
    scope.scope.name, scope.scope.version = "proof", UNSTAMPED


def _logs(source: random.Random, service: str, records: int) -> tuple[Any, dict[str, int]]:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    scope = resource.scope_logs.add()
    _describe(resource, scope, service)
    for _ in range(records):
        record = scope.log_records.add(
            time_unix_nano=time.time_ns(),
            severity_number=9,
            severity_text="INFO",
            trace_id=source.randbytes(16),
            span_id=source.randbytes(8),
        )
        user = source.randrange(100_000)
        record.body.string_value = f"request of user {user} took {source.random():.6f} s"
        record.attributes.add(key="http.status_code").value.int_value = source.choice((200, 404))
        record.attributes.add(key="user.id").value.string_value = f"u{user}"
    return request, {"otel_logs": records}


def _traces(source: random.Random, service: str, records: int) -> tuple[Any, dict[str, int]]:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    scope = resource.scope_spans.add()
    _describe(resource, scope, service)
    for _ in range(records):
        start = time.time_ns()
        span = scope.spans.add(
            trace_id=source.randbytes(16),
            span_id=source.randbytes(8),
            name="GET /api/cart",
            kind=2,
            start_time_unix_nano=start,
            end_time_unix_nano=start + source.randrange(10**9),
        )
        span.attributes.add(key="user.id").value.string_value = f"u{source.randrange(100_000)}"
    return request, {"otel_traces": records}


def _metrics(source: random.Random, service: str, records: int) -> tuple[Any, dict[str, int]]:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    scope = resource.scope_metrics.add()
    _describe(resource, scope, service)
    kinds = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
    rows: Counter[str] = Counter()
    for number in range(records):
        kind = kinds[number % len(kinds)]
        metric = scope.metrics.add(name=f"proof.{kind}", unit="ms")
        point = getattr(metric, kind).data_points.add(time_unix_nano=time.time_ns())
        if kind in ("gauge", "sum"):
            point.as_double = source.random()
        else:
            point.count, point.sum = 1, source.random()
        if kind == "histogram":
            point.explicit_bounds.append(0.5)
            point.bucket_counts.extend((1, 0))
        if kind in ("sum", "histogram", "exponential_histogram"):
            getattr(metric, kind).aggregation_temporality = 2
        rows[f"otel_metrics_{kind}"] += 1
    return request, dict(rows)
