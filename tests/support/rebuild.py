"""The reverse of the tables: rows back into an OTLP export request.

Knows the columns of schema version 1 and the official message classes, never how a decoder
makes the rows. It proves that the tables lose nothing: each row alone carries everything, so
each becomes a ResourceLogs (Spans, Metrics) of its own and nothing is looked up elsewhere.
Raises ValueError or AssertionError for rows that contradict themselves.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar

from tests.support.oracle import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from tests.support.oracle import Row

MARKED = ("bytesValue", "doubleValue", "kvlistValue")
"""The keys that mark an object with no other key as something else than a kvlist."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all its pairs, in order, repeated keys included."""


def _parse(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_Pairs, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _set_value(target: AnyValue, value: Any) -> None:
    """The reverse of AnyValue as JSON text."""
    if value is None:
        target.SetInParent()
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        assert math.isfinite(value), "an infinite double has its own form"
        target.double_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, _Pairs):
        if len(value) == 1 and value[0][0] in MARKED:
            _set_marked(target, *value[0])
        else:
            target.kvlist_value.SetInParent()
            _set_pairs(target.kvlist_value.values, value)
    else:
        target.array_value.SetInParent()
        for item in value:
            _set_value(target.array_value.values.add(), item)


def _set_marked(target: AnyValue, mark: str, inner: Any) -> None:
    if mark == "bytesValue":
        target.bytes_value = base64.b64decode(inner, validate=True)
    elif mark == "doubleValue":
        target.double_value = {
            "NaN": math.nan,
            "Infinity": math.inf,
            "-Infinity": -math.inf,
        }[inner]
    else:
        assert isinstance(inner, _Pairs), inner
        target.kvlist_value.SetInParent()
        _set_pairs(target.kvlist_value.values, inner)


def _set_pairs(target: Any, pairs: Iterable[tuple[str, Any]]) -> None:
    for key, value in pairs:
        _set_value(target.add(key=key).value, value)


def _set_attributes(target: Any, text: str) -> None:
    pairs = _parse(text)
    assert isinstance(pairs, _Pairs), text
    _set_pairs(target, pairs)


def _set_body(record: Any, row: Row) -> None:
    body, kind = row["Body"], row["BodyType"]
    assert (body is None) == (kind is None), row
    if kind is None:
        return
    if kind == "string":
        record.body.string_value = body
        return
    _set_value(record.body, _parse(body))
    made = (record.body.WhichOneof("value") or "empty").removesuffix("_value")
    assert made == kind, f"a body of kind {made} in a row that says {kind}"


def _nanoseconds(micros: int | None, nanos: int | None) -> int:
    return 0 if micros is None or nanos is None else micros * 1000 + nanos


def _number(enum: Any, name: str) -> int:
    number = enum.values_by_name[name].number if name in enum.values_by_name else int(name)
    assert isinstance(number, int)
    return number


def _id(text: str | None) -> bytes:
    return bytes.fromhex(text or "")


def _set_shared(resource_level: Any, scope_level: Any, row: Row) -> None:
    resource, scope = resource_level.resource, scope_level.scope
    _set_attributes(resource.attributes, row["ResourceAttributes"])
    resource.dropped_attributes_count = row["ResourceDroppedAttributesCount"]
    resource_level.schema_url = row["ResourceSchemaUrl"] or ""
    scope.name = row["ScopeName"] or ""
    scope.version = row["ScopeVersion"] or ""
    _set_attributes(scope.attributes, row["ScopeAttributes"])
    scope.dropped_attributes_count = row["ScopeDroppedAttributesCount"]
    scope_level.schema_url = row["ScopeSchemaUrl"] or ""


def _add_log(request: Any, row: Row) -> None:
    above = request.resource_logs.add()
    scope = above.scope_logs.add()
    _set_shared(above, scope, row)
    record = scope.log_records.add(
        time_unix_nano=_nanoseconds(row["Timestamp"], row["TimestampNanos"]),
        observed_time_unix_nano=_nanoseconds(
            row["ObservedTimestamp"], row["ObservedTimestampNanos"]
        ),
        trace_id=_id(row["TraceId"]),
        span_id=_id(row["SpanId"]),
        flags=row["TraceFlags"],
        severity_number=row["SeverityNumber"],
        severity_text=row["SeverityText"],
        event_name=row["EventName"],
        dropped_attributes_count=row["DroppedAttributesCount"],
    )
    _set_body(record, row)
    _set_attributes(record.attributes, row["LogAttributes"])


def _add_span(request: Any, row: Row) -> None:
    above = request.resource_spans.add()
    scope = above.scope_spans.add()
    _set_shared(above, scope, row)
    start = _nanoseconds(row["Timestamp"], row["TimestampNanos"])
    span = scope.spans.add(
        start_time_unix_nano=start,
        end_time_unix_nano=start + row["Duration"],
        trace_id=_id(row["TraceId"]),
        span_id=_id(row["SpanId"]),
        parent_span_id=_id(row["ParentSpanId"]),
        trace_state=row["TraceState"],
        name=row["SpanName"],
        flags=row["SpanFlags"],
        dropped_attributes_count=row["DroppedAttributesCount"],
        dropped_events_count=row["DroppedEventsCount"],
        dropped_links_count=row["DroppedLinksCount"],
    )
    span.kind = _number(span.DESCRIPTOR.fields_by_name["kind"].enum_type, row["SpanKind"])
    code = span.status.DESCRIPTOR.fields_by_name["code"].enum_type
    span.status.code = _number(code, row["StatusCode"])
    span.status.message = row["StatusMessage"] or ""
    _set_attributes(span.attributes, row["SpanAttributes"])
    for micros, nanos, name, attributes, dropped in zip(
        row["EventsTimestamp"],
        row["EventsTimestampNanos"],
        row["EventsName"],
        row["EventsAttributes"],
        row["EventsDroppedAttributesCount"],
        strict=True,
    ):
        event = span.events.add(
            time_unix_nano=_nanoseconds(micros, nanos), name=name, dropped_attributes_count=dropped
        )
        _set_attributes(event.attributes, attributes)
    for trace_id, span_id, state, flags, attributes, dropped in zip(
        row["LinksTraceId"],
        row["LinksSpanId"],
        row["LinksTraceState"],
        row["LinksFlags"],
        row["LinksAttributes"],
        row["LinksDroppedAttributesCount"],
        strict=True,
    ):
        link = span.links.add(
            trace_id=_id(trace_id),
            span_id=_id(span_id),
            trace_state=state,
            flags=flags,
            dropped_attributes_count=dropped,
        )
        _set_attributes(link.attributes, attributes)


def _exemplar(member: Mapping[str, Any]) -> Exemplar:
    """OTLP/JSON is protobuf's own JSON but for its ids in hex."""
    member = dict(member)
    for name in ("traceId", "spanId"):
        if name in member:
            member[name] = base64.b64encode(bytes.fromhex(member[name])).decode()
    exemplar = Exemplar()
    json_format.ParseDict(member, exemplar, max_recursion_depth=1000)
    return exemplar


def _set_number(point: Any, row: Row) -> None:
    if row["IntValue"] is not None:
        assert row["Value"] == float(row["IntValue"]), row
        point.as_int = row["IntValue"]
    elif row["Value"] is not None:
        point.as_double = row["Value"]


def _set_histogram(point: Any, row: Row) -> None:
    point.count = row["Count"]
    for name in ("sum", "min", "max"):
        if row[name.title()] is not None:
            setattr(point, name, row[name.title()])


def _add_point(request: Any, row: Row, kind: str) -> None:
    above = request.resource_metrics.add()
    scope = above.scope_metrics.add()
    _set_shared(above, scope, row)
    metric = scope.metrics.add(
        name=row["MetricName"], description=row["MetricDescription"], unit=row["MetricUnit"]
    )
    _set_attributes(metric.metadata, row["MetricMetadata"])
    data: Any = getattr(metric, kind)
    point = data.data_points.add(
        start_time_unix_nano=_nanoseconds(row["StartTimestamp"], row["StartTimestampNanos"]),
        time_unix_nano=_nanoseconds(row["Timestamp"], row["TimestampNanos"]),
        flags=row["Flags"],
    )
    _set_attributes(point.attributes, row["Attributes"])
    if kind != "summary":
        point.exemplars.extend(map(_exemplar, json.loads(row["Exemplars"])))
    if "AggregationTemporality" in row:
        temporality = data.DESCRIPTOR.fields_by_name["aggregation_temporality"].enum_type
        data.aggregation_temporality = _number(temporality, row["AggregationTemporality"])
    if kind in ("gauge", "sum"):
        _set_number(point, row)
        if kind == "sum":
            data.is_monotonic = row["IsMonotonic"]
    elif kind == "summary":
        point.count, point.sum = row["Count"], row["Sum"]
        for quantile, value in zip(row["Quantiles"], row["QuantileValues"], strict=True):
            point.quantile_values.add(quantile=quantile, value=value)
    else:
        _set_histogram(point, row)
        if kind == "histogram":
            point.bucket_counts.extend(row["BucketCounts"])
            point.explicit_bounds.extend(row["ExplicitBounds"])
        else:
            _set_buckets(point, row)


def _set_buckets(point: Any, row: Row) -> None:
    point.scale = row["Scale"]
    point.zero_count = row["ZeroCount"]
    point.zero_threshold = row["ZeroThreshold"]
    for side in ("positive", "negative"):
        offset, counts = row[f"{side.title()}Offset"], row[f"{side.title()}BucketCounts"]
        if offset is None:
            assert not counts, row
            continue
        buckets = getattr(point, side)
        buckets.SetInParent()
        buckets.offset = offset
        buckets.bucket_counts.extend(counts)


def rebuild(signal: str, rows_by_table: Iterable[tuple[str, Iterable[Row]]]) -> Any:
    """The export request that (table, rows) pairs hold, one resource per row."""
    request = REQUESTS[signal]()
    for table, rows in rows_by_table:
        for row in rows:
            if table == "otel_logs":
                _add_log(request, row)
            elif table == "otel_traces":
                _add_span(request, row)
            else:
                _add_point(request, row, table.removeprefix("otel_metrics_"))
    return request
