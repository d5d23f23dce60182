"""The rows that telemetry of the SDK must become, written down from the table contract.

Knows the SDK's objects and the documented columns. Must not know protobuf or otlp2parquet:
what it says is a second opinion on the whole way from the application to the file.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import export as sdk_metrics
from opentelemetry.trace import format_span_id, format_trace_id

from .sdk import Sent, points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HAS_IS_REMOTE, IS_REMOTE = 0x100, 0x200
"""The two bits of the OTLP flags that say whether a context came from another process."""
ENVELOPES = {"bytesValue", "doubleValue", "kvlistValue"}


def micros(nanos: int) -> datetime | None:
    """Nanoseconds since 1970 as a time of microseconds; 0 is "not given"."""
    return EPOCH + timedelta(microseconds=nanos // 1000) if nanos else None


def nanos_within(nanos: int) -> int | None:
    """The nanoseconds inside of the microsecond; null when no time was given."""
    return nanos % 1000 if nanos else None


def json_value(value: Any) -> Any:
    """An attribute value as its JSON form, for values whose Python spelling is JSON's."""
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        members = {key: json_value(item) for key, item in value.items()}
        return {"kvlistValue": members} if len(value) == 1 and ENVELOPES & set(value) else members
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    return value


def text(value: Any) -> str:
    """JSON as every decoder must spell it: no white space, non-ASCII characters raw."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def attributes(values: Mapping[str, Any] | None) -> str:
    """An attribute column."""
    return text({key: json_value(value) for key, value in (values or {}).items()})


def otlp_value(value: Any) -> Any:
    """An attribute value in the OTLP/JSON form that exemplars use."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value}


def shared(resource: Any, scope: Any, time: int, fallback: int = 0) -> Row:
    """The thirteen columns that all tables share."""
    return {
        "Timestamp": micros(time or fallback),
        "TimestampNanos": nanos_within(time),
        "ServiceName": resource.attributes["service.name"],
        "ServiceNamespace": resource.attributes["service.namespace"],
        "ServiceInstanceId": resource.attributes["service.instance.id"],
        "ResourceAttributes": attributes(resource.attributes),
        "ResourceDroppedAttributesCount": 0,
        "ResourceSchemaUrl": resource.schema_url or None,
        "ScopeName": scope.name or None,
        "ScopeVersion": scope.version or None,
        "ScopeAttributes": attributes(scope.attributes),
        "ScopeDroppedAttributesCount": 0,
        "ScopeSchemaUrl": scope.schema_url or None,
    }


def body_columns(body: Any) -> Row:
    """``Body`` and ``BodyType``: text as it is, anything else as JSON."""
    kinds = {str: "string", bool: "bool", int: "int", float: "double", bytes: "bytes"}
    kinds |= {list: "array", tuple: "array", dict: "kvlist", type(None): "empty"}
    stored = body if isinstance(body, str) else text(json_value(body))
    return {"Body": stored, "BodyType": kinds[type(body)]}


def log_row(record: ReadableLogRecord) -> Row:
    """The row of ``otel_logs`` for one log record."""
    log = record.log_record
    time, observed = log.timestamp or 0, log.observed_timestamp or 0
    severity = log.severity_number
    return {
        **shared(record.resource, record.instrumentation_scope, time, observed),
        "ObservedTimestamp": micros(observed),
        "ObservedTimestampNanos": nanos_within(observed),
        "TraceId": format_trace_id(log.trace_id) if log.trace_id else None,
        "SpanId": format_span_id(log.span_id) if log.span_id else None,
        "TraceFlags": int(log.trace_flags or 0),
        "SeverityNumber": severity.value if severity else 0,
        "SeverityText": log.severity_text or None,
        "EventName": log.event_name or None,
        **body_columns(log.body),
        "LogAttributes": attributes(log.attributes),
        "DroppedAttributesCount": 0,
    }


def span_flags(context: Any) -> int:
    """What the SDK's exporter writes into ``flags`` for a parent or a link."""
    return HAS_IS_REMOTE | (IS_REMOTE if context and context.is_remote else 0)


def span_row(span: ReadableSpan) -> Row:
    """The row of ``otel_traces`` for one span."""
    context: Any = span.get_span_context()
    start, end = span.start_time or 0, span.end_time or 0
    links = [link.context for link in span.links]
    state = ",".join(f"{key}={value}" for key, value in context.trace_state.items())
    return {
        **shared(span.resource, span.instrumentation_scope, start),
        "Duration": end - start,
        "TraceId": format_trace_id(context.trace_id),
        "SpanId": format_span_id(context.span_id),
        "ParentSpanId": format_span_id(span.parent.span_id) if span.parent else None,
        "TraceState": state or None,
        "SpanName": span.name,
        "SpanKind": f"SPAN_KIND_{span.kind.name}",
        "SpanFlags": span_flags(span.parent),
        "SpanAttributes": attributes(span.attributes),
        "DroppedAttributesCount": 0,
        "DroppedEventsCount": 0,
        "DroppedLinksCount": 0,
        "StatusCode": f"STATUS_CODE_{span.status.status_code.name}",
        "StatusMessage": span.status.description or None,
        "EventsTimestamp": [micros(event.timestamp) for event in span.events],
        "EventsTimestampNanos": [nanos_within(event.timestamp) for event in span.events],
        "EventsName": [event.name for event in span.events],
        "EventsAttributes": [attributes(event.attributes) for event in span.events],
        "EventsDroppedAttributesCount": [0 for _ in span.events],
        "LinksTraceId": [format_trace_id(link.trace_id) for link in links],
        "LinksSpanId": [format_span_id(link.span_id) for link in links],
        # The SDK's exporter leaves a link's trace state out.
        "LinksTraceState": [None for _ in links],
        "LinksFlags": [span_flags(link) for link in links],
        "LinksAttributes": [attributes(link.attributes) for link in span.links],
        "LinksDroppedAttributesCount": [0 for _ in links],
    }


def exemplars(point: Any) -> str:
    """The ``Exemplars`` column: OTLP/JSON, members in the order of their field numbers."""
    found = []
    for exemplar in point.exemplars:
        one: Row = {"timeUnixNano": str(exemplar.time_unix_nano)}
        if isinstance(exemplar.value, float):
            one["asDouble"] = exemplar.value
        if exemplar.span_id is not None:
            one["spanId"] = format_span_id(exemplar.span_id)
            one["traceId"] = format_trace_id(exemplar.trace_id)
        if isinstance(exemplar.value, int):
            one["asInt"] = str(exemplar.value)
        if exemplar.filtered_attributes:
            one["filteredAttributes"] = [
                {"key": key, "value": otlp_value(value)}
                for key, value in exemplar.filtered_attributes.items()
            ]
        found.append(one)
    return text(found)


def number_columns(value: float) -> Row:
    """``Value`` and ``IntValue`` of a gauge or sum."""
    return {"Value": float(value), "IntValue": value if isinstance(value, int) else None}


def exponential_columns(point: Any) -> Row:
    """The columns of an exponential histogram; a side without buckets is not sent."""
    return {
        "Scale": point.scale,
        "ZeroCount": point.zero_count,
        "ZeroThreshold": 0.0,
        "PositiveOffset": point.positive.offset if point.positive.bucket_counts else None,
        "PositiveBucketCounts": list(point.positive.bucket_counts),
        "NegativeOffset": point.negative.offset if point.negative.bucket_counts else None,
        "NegativeBucketCounts": list(point.negative.bucket_counts),
    }


def metric_rows(sent: Sent) -> dict[str, list[Row]]:
    """The rows of each ``otel_metrics_*`` table."""
    tables: dict[str, list[Row]] = {}
    for resource_metrics, scope_metrics, metric, point in points(sent):
        data = metric.data
        # The exporter sends no start time with a gauge.
        start = 0 if isinstance(data, sdk_metrics.Gauge) else point.start_time_unix_nano
        row = {
            **shared(resource_metrics.resource, scope_metrics.scope, point.time_unix_nano),
            "StartTimestamp": micros(start),
            "StartTimestampNanos": nanos_within(start),
            "MetricName": metric.name,
            "MetricDescription": metric.description or None,
            "MetricUnit": metric.unit or None,
            "MetricMetadata": "{}",
            "Attributes": attributes(point.attributes),
            "Flags": 0,
            "Exemplars": exemplars(point),
        }
        if isinstance(data, (sdk_metrics.Histogram, sdk_metrics.ExponentialHistogram)):
            row |= {"Count": point.count, "Sum": float(point.sum)}
            row |= {"Min": float(point.min), "Max": float(point.max)}
        if not isinstance(data, sdk_metrics.Gauge):
            temporality = f"AGGREGATION_TEMPORALITY_{data.aggregation_temporality.name}"
            row["AggregationTemporality"] = temporality
        if isinstance(data, sdk_metrics.Gauge):
            table = "gauge"
            row |= number_columns(point.value)
        elif isinstance(data, sdk_metrics.Sum):
            table = "sum"
            row |= {**number_columns(point.value), "IsMonotonic": data.is_monotonic}
        elif isinstance(data, sdk_metrics.Histogram):
            table = "histogram"
            row["BucketCounts"] = list(point.bucket_counts)
            row["ExplicitBounds"] = list(point.explicit_bounds)
        else:
            table = "exponential_histogram"
            row |= exponential_columns(point)
        tables.setdefault(f"otel_metrics_{table}", []).append(row)
    return tables


def expected_tables(sent: Sent) -> dict[str, list[Row]]:
    """Every row that must be there, by table; only tables that have rows."""
    tables = {
        "otel_logs": [log_row(record) for record in sent.logs],
        "otel_traces": [span_row(span) for span in sent.spans],
        **metric_rows(sent),
    }
    return {table: rows for table, rows in tables.items() if rows}
