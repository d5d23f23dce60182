"""What each column of the tables holds, in words, and what SQL calls its type.

For people and their queries: pages and commands have it, and nothing that takes data needs it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

COLUMN_NOTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Timestamp": "when it happened; the receive time when OTLP gives no time",
        "TimestampNanos": "nanoseconds inside the microsecond, 0 to 999; null without a time",
        "ServiceName": "resource attribute service.name",
        "ServiceNamespace": "resource attribute service.namespace",
        "ServiceInstanceId": "resource attribute service.instance.id",
        "ResourceAttributes": "JSON: all resource attributes",
        "ResourceDroppedAttributesCount": "resource attributes that the sender dropped",
        "ResourceSchemaUrl": "schema URL of the resource",
        "ScopeName": "instrumentation scope",
        "ScopeVersion": "version of the instrumentation scope",
        "ScopeAttributes": "JSON: all scope attributes",
        "ScopeDroppedAttributesCount": "scope attributes that the sender dropped",
        "ScopeSchemaUrl": "schema URL of the scope",
        "ObservedTimestamp": "when the collection system saw the log record",
        "ObservedTimestampNanos": "nanoseconds inside the microsecond of ObservedTimestamp",
        "TraceId": "lower-case hex",
        "SpanId": "lower-case hex",
        "TraceFlags": "the log record's flags, all 32 bits",
        "SeverityNumber": "1 to 24 by the specification, 0 when not given",
        "SeverityText": "the severity as the source calls it",
        "EventName": "name of the event that the log record stands for",
        "Body": "a string as it is, any other kind as JSON; null when absent",
        "BodyType": "string, bool, int, double, bytes, array, kvlist or empty; null when absent",
        "LogAttributes": "JSON: all attributes of the log record",
        "DroppedAttributesCount": "attributes that the sender dropped",
        "Duration": "end minus start in nanoseconds, signed and never clamped",
        "ParentSpanId": "lower-case hex; null for a root span",
        "TraceState": "W3C trace state",
        "SpanName": "name of the operation",
        "SpanKind": "SPAN_KIND_SERVER, SPAN_KIND_CLIENT, …",
        "SpanFlags": "the span's flags, all 32 bits",
        "SpanAttributes": "JSON: all attributes of the span",
        "DroppedEventsCount": "events that the sender dropped",
        "DroppedLinksCount": "links that the sender dropped",
        "StatusCode": "STATUS_CODE_UNSET, STATUS_CODE_OK or STATUS_CODE_ERROR",
        "StatusMessage": "the status in words",
        "EventsTimestamp": "one item an event: its time",
        "EventsTimestampNanos": "one item an event: nanoseconds inside the microsecond",
        "EventsName": "one item an event: its name",
        "EventsAttributes": "one item an event: JSON, its attributes",
        "EventsDroppedAttributesCount": "one item an event: attributes that the sender dropped",
        "LinksTraceId": "one item a link: lower-case hex",
        "LinksSpanId": "one item a link: lower-case hex",
        "LinksTraceState": "one item a link: W3C trace state",
        "LinksFlags": "one item a link: its flags, all 32 bits",
        "LinksAttributes": "one item a link: JSON, its attributes",
        "LinksDroppedAttributesCount": "one item a link: attributes that the sender dropped",
        "StartTimestamp": "start of the time that the point covers",
        "StartTimestampNanos": "nanoseconds inside the microsecond of StartTimestamp",
        "MetricName": "name of the metric",
        "MetricDescription": "what the metric measures",
        "MetricUnit": "unit, in UCUM",
        "MetricMetadata": "JSON: metadata of the metric",
        "Attributes": "JSON: all attributes of the data point",
        "Flags": "the data point's flags, all 32 bits",
        "Exemplars": "JSON array: exemplars in their OTLP/JSON form",
        "Value": "the value, an integer as its double; null when the point has none",
        "IntValue": "the exact value when the point is an integer",
        "AggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA or …_CUMULATIVE",
        "IsMonotonic": "whether the sum only grows",
        "Count": "number of values in the population",
        "Sum": "sum of the values",
        "Min": "smallest value; null when not given",
        "Max": "largest value; null when not given",
        "BucketCounts": "values in each bucket",
        "ExplicitBounds": "upper bounds of the buckets but the last",
        "Scale": "resolution: bucket bounds are powers of 2^(2^-Scale)",
        "ZeroCount": "values that count as zero",
        "ZeroThreshold": "largest absolute value that counts as zero",
        "PositiveOffset": "index of the first positive bucket; null when that side is not given",
        "PositiveBucketCounts": "values in each positive bucket",
        "NegativeOffset": "index of the first negative bucket; null when that side is not given",
        "NegativeBucketCounts": "values in each negative bucket",
        "Quantiles": "the quantiles, 0 to 1",
        "QuantileValues": "the value at each of Quantiles",
    }
)
"""What each column holds. One name means one thing, so a name has one note for all tables."""

SQL_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "double": "DOUBLE",
        "bool": "BOOLEAN",
        "string": "VARCHAR",
    }
)
"""The name that DuckDB has for each of Arrow's types; PostgreSQL and Trino largely share it."""
