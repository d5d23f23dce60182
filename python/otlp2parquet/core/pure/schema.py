"""The seven tables as plain data: columns in order, their types, field ids, and what may be null.

Says again what ``rust/core/src/schema.rs`` says, for where there is no extension; a test holds the
two to each other. Knows nothing but the tables.

A batch in plain Python is a list of columns in this order, each a sequence with one value a row:

=============  ==========================================================================
``timestamp``  ``int``: microseconds since the epoch, UTC
``int32``      ``int``
``int64``      ``int``
``double``     ``float``
``bool``       ``bool``
``string``     ``str`` that UTF-8 can encode (no lone surrogates)
=============  ==========================================================================

and ``None`` where a column may be null. A list column has a sequence of such values in each row.
"""

from itertools import count
from typing import Final, Literal, NamedTuple

Type = Literal["timestamp", "int32", "int64", "double", "bool", "string"]


class Column(NamedTuple):
    """A column of a table."""

    name: str
    type: Type
    """Of the column, or of the items of a list column."""
    is_nullable: bool
    field_id: int
    item_id: int | None = None
    """The field id of the items of a list column, which may be null; None for any other column."""

    @property
    def is_list(self) -> bool:
        """Whether each row has a list of values."""
        return self.item_id is not None


_SHARED: Final = """
    Timestamp timestamp | TimestampNanos int32? | ServiceName string? | ServiceNamespace string?
    ServiceInstanceId string? | ResourceAttributes string | ResourceDroppedAttributesCount int64
    ResourceSchemaUrl string? | ScopeName string? | ScopeVersion string? | ScopeAttributes string
    ScopeDroppedAttributesCount int64 | ScopeSchemaUrl string?
"""
_LOGS: Final = """
    ObservedTimestamp timestamp? | ObservedTimestampNanos int32? | TraceId string? | SpanId string?
    TraceFlags int64 | SeverityNumber int32 | SeverityText string? | EventName string?
    Body string? | BodyType string? | LogAttributes string | DroppedAttributesCount int64
"""
_TRACES: Final = """
    Duration int64 | TraceId string? | SpanId string? | ParentSpanId string? | TraceState string?
    SpanName string | SpanKind string | SpanFlags int64 | SpanAttributes string
    DroppedAttributesCount int64 | DroppedEventsCount int64 | DroppedLinksCount int64
    StatusCode string | StatusMessage string?
    EventsTimestamp timestamp[] | EventsTimestampNanos int32[] | EventsName string[]
    EventsAttributes string[] | EventsDroppedAttributesCount int64[]
    LinksTraceId string[] | LinksSpanId string[] | LinksTraceState string[] | LinksFlags int64[]
    LinksAttributes string[] | LinksDroppedAttributesCount int64[]
"""
_METRIC: Final = """
    StartTimestamp timestamp? | StartTimestampNanos int32? | MetricName string
    MetricDescription string? | MetricUnit string? | MetricMetadata string | Attributes string
    Flags int64
"""
_EXEMPLARS: Final = "Exemplars string"
_NUMBER: Final = "Value double? | IntValue int64?"
_STATISTICS: Final = "Count int64 | Sum double? | Min double? | Max double?"
_HISTOGRAM: Final = "BucketCounts int64[] | ExplicitBounds double[]"
_EXPONENTIAL_HISTOGRAM: Final = """
    Scale int32 | ZeroCount int64 | ZeroThreshold double | PositiveOffset int32?
    PositiveBucketCounts int64[] | NegativeOffset int32? | NegativeBucketCounts int64[]
"""
_TEMPORALITY: Final = "AggregationTemporality string"
_SUMMARY: Final = "Count int64 | Sum double | Quantiles double[] | QuantileValues double[]"


def _table(*parts: str) -> tuple[Column, ...]:
    """The columns of a table; "the top-level columns first, then the items", as Iceberg numbers."""
    words = " ".join(parts).replace("|", " ").split()
    named = list(zip(words[::2], words[1::2], strict=True))
    item_ids = count(len(named) + 1)
    columns = []
    for field_id, (name, kind) in enumerate(named, start=1):
        item_id = next(item_ids) if kind.endswith("[]") else None
        plain: Type = kind.rstrip("?[]")  # type: ignore[assignment]  # a test names all of them
        columns.append(Column(name, plain, kind.endswith("?"), field_id, item_id))
    return tuple(columns)


TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "otel_logs": _table(_SHARED, _LOGS),
    "otel_traces": _table(_SHARED, _TRACES),
    "otel_metrics_gauge": _table(_SHARED, _METRIC, _EXEMPLARS, _NUMBER),
    "otel_metrics_sum": _table(
        _SHARED, _METRIC, _EXEMPLARS, _NUMBER, _TEMPORALITY, "IsMonotonic bool"
    ),
    "otel_metrics_histogram": _table(
        _SHARED, _METRIC, _EXEMPLARS, _STATISTICS, _HISTOGRAM, _TEMPORALITY
    ),
    "otel_metrics_exponential_histogram": _table(
        _SHARED, _METRIC, _EXEMPLARS, _STATISTICS, _EXPONENTIAL_HISTOGRAM, _TEMPORALITY
    ),
    "otel_metrics_summary": _table(_SHARED, _METRIC, _SUMMARY),
}
"""The columns of every table, in the order in which results list the tables."""
