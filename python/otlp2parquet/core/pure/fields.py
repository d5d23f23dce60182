"""The messages of OTLP 1.11 as data: one table of their fields, from which all else follows.

A line says a field's number, its name in JSON and how its value is written; the name in protobuf
follows. Readers match on whole tags (``number << 3 | wire type``), so "a known field with another
wire type is an unknown field" needs no code of its own. All as in opentelemetry-proto v1.11.0, and
beside it the names that senders of long ago use. Knows no bytes.
"""

import re
from typing import Final, NamedTuple

from otlp2parquet.core.pure.wire import FIXED32, FIXED64, LEN, VARINT, varint

SEVERITY_NUMBERS: Final = (
    "SEVERITY_NUMBER_UNSPECIFIED",
    *(
        f"SEVERITY_NUMBER_{name}{number or ''}"
        for name in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
        for number in (0, 2, 3, 4)
    ),
)
SPAN_KINDS: Final = tuple(
    f"SPAN_KIND_{name}"
    for name in ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
)
STATUS_CODES: Final = ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")
TEMPORALITIES: Final = tuple(
    f"AGGREGATION_TEMPORALITY_{name}" for name in ("UNSPECIFIED", "DELTA", "CUMULATIVE")
)
ENUMS: Final = {
    "SEVERITY_NUMBERS": SEVERITY_NUMBERS,
    "SPAN_KINDS": SPAN_KINDS,
    "STATUS_CODES": STATUS_CODES,
    "TEMPORALITIES": TEMPORALITIES,
}

_WIRE: Final = {
    "Bool": VARINT,
    "Int64": VARINT,
    "Int32": VARINT,
    "Sint32": VARINT,
    "Uint32": VARINT,
    "Enum": VARINT,
    "Fixed32": FIXED32,
    "Fixed64": FIXED64,
    "Sfixed64": FIXED64,
    "Double": FIXED64,
}
"""The wire type of a kind; all others have a length, lists of numbers (packed) among them."""

_MESSAGES: Final = """
AnyValue oneof=1,3,4,2,5,6,7,8
  1 stringValue Text | 3 intValue Int64 | 4 doubleValue Double | 2 boolValue Bool
  5 arrayValue Message ArrayValue | 6 kvlistValue Message KeyValueList | 7 bytesValue Bytes
  8 stringValueStrindex Int32
ArrayValue nests
  1 values Messages AnyValue
KeyValueList nests
  1 values Messages KeyValue
KeyValue
  1 key Text | 2 value Message AnyValue | 3 keyStrindex Int32
EntityRef
  1 schemaUrl Text | 2 type Text | 3 idKeys Texts | 4 descriptionKeys Texts
Resource length=2
  1 attributes Messages KeyValue | 2 droppedAttributesCount Uint32
  3 entityRefs Messages EntityRef
Scope length=2
  1 name Text | 2 version Text | 3 attributes Messages KeyValue
  4 droppedAttributesCount Uint32

LogsRequest length=5
  1 resourceLogs Groups ResourceLogs
ResourceLogs length=5
  1 resource Message Resource | 2 scopeLogs Groups ScopeLogs | 3 schemaUrl Text
  1000 instrumentationLibraryLogs Groups ScopeLogs
ScopeLogs length=5
  1 scope Message Scope | 2 logRecords Records LogRecord | 3 schemaUrl Text
LogRecord length=2
  1 timeUnixNano Fixed64 | 11 observedTimeUnixNano Fixed64
  2 severityNumber Enum SEVERITY_NUMBERS | 3 severityText Text | 5 body Message AnyValue
  6 attributes Messages KeyValue | 7 droppedAttributesCount Uint32 | 8 flags Fixed32
  9 traceId Id 16 | 10 spanId Id 8 | 12 eventName Text

TracesRequest length=5
  1 resourceSpans Groups ResourceSpans
ResourceSpans length=5
  1 resource Message Resource | 2 scopeSpans Groups ScopeSpans | 3 schemaUrl Text
  1000 instrumentationLibrarySpans Groups ScopeSpans
ScopeSpans length=5
  1 scope Message Scope | 2 spans Records Span | 3 schemaUrl Text
Span length=2
  1 traceId Id 16 | 2 spanId Id 8 | 3 traceState Text | 4 parentSpanId Id 8 | 16 flags Fixed32
  5 name Text | 6 kind Enum SPAN_KINDS | 7 startTimeUnixNano Fixed64
  8 endTimeUnixNano Fixed64 | 9 attributes Messages KeyValue | 10 droppedAttributesCount Uint32
  11 events Messages Event | 12 droppedEventsCount Uint32 | 13 links Messages Link
  14 droppedLinksCount Uint32 | 15 status Message Status
Event
  1 timeUnixNano Fixed64 | 2 name Text | 3 attributes Messages KeyValue
  4 droppedAttributesCount Uint32
Link
  1 traceId Id 16 | 2 spanId Id 8 | 3 traceState Text | 4 attributes Messages KeyValue
  5 droppedAttributesCount Uint32 | 6 flags Fixed32
Status
  2 message Text | 3 code Enum STATUS_CODES

MetricsRequest length=5
  1 resourceMetrics Groups ResourceMetrics
ResourceMetrics length=5
  1 resource Message Resource | 2 scopeMetrics Groups ScopeMetrics | 3 schemaUrl Text
  1000 instrumentationLibraryMetrics Groups ScopeMetrics
ScopeMetrics length=5
  1 scope Message Scope | 2 metrics Groups Metric | 3 schemaUrl Text
Metric length=5 oneof=5,7,9,10,11,4,6,8
  1 name Text | 2 description Text | 3 unit Text | 5 gauge Message Gauge | 7 sum Message Sum
  9 histogram Message Histogram | 10 exponentialHistogram Message ExponentialHistogram
  11 summary Message Summary | 12 metadata Messages KeyValue
  4 intGauge Old OldData | 6 intSum Old OldData | 8 intHistogram Old OldData
  4 doubleGauge Old OldData | 6 doubleSum Old OldData | 8 doubleHistogram Old OldData
  4 doubleSummary Old OldData
OldData length=5
  1 dataPoints Records OldPoint
OldPoint length=2
Gauge length=5
  1 dataPoints Records NumberDataPoint
Sum length=5
  1 dataPoints Records NumberDataPoint | 2 aggregationTemporality Enum TEMPORALITIES
  3 isMonotonic Bool
Histogram length=5
  1 dataPoints Records HistogramDataPoint | 2 aggregationTemporality Enum TEMPORALITIES
ExponentialHistogram length=5
  1 dataPoints Records ExponentialHistogramDataPoint
  2 aggregationTemporality Enum TEMPORALITIES
Summary length=5
  1 dataPoints Records SummaryDataPoint
NumberDataPoint length=2 oneof=4,6
  7 attributes Messages KeyValue | 2 startTimeUnixNano Fixed64 | 3 timeUnixNano Fixed64
  4 asDouble Double | 6 asInt Sfixed64 | 5 exemplars Messages Exemplar | 8 flags Uint32
  1 labels Labels
HistogramDataPoint length=2
  9 attributes Messages KeyValue | 2 startTimeUnixNano Fixed64 | 3 timeUnixNano Fixed64
  4 count Fixed64 | 5 sum Double | 6 bucketCounts Fixed64s | 7 explicitBounds Doubles
  8 exemplars Messages Exemplar | 10 flags Uint32 | 11 min Double | 12 max Double
  1 labels Labels
ExponentialHistogramDataPoint length=2
  1 attributes Messages KeyValue | 2 startTimeUnixNano Fixed64 | 3 timeUnixNano Fixed64
  4 count Fixed64 | 5 sum Double | 6 scale Sint32 | 7 zeroCount Fixed64
  8 positive Message Buckets | 9 negative Message Buckets | 10 flags Uint32
  11 exemplars Messages Exemplar | 12 min Double | 13 max Double | 14 zeroThreshold Double
Buckets
  1 offset Sint32 | 2 bucketCounts Uint64s
SummaryDataPoint length=2
  7 attributes Messages KeyValue | 2 startTimeUnixNano Fixed64 | 3 timeUnixNano Fixed64
  4 count Fixed64 | 5 sum Double | 6 quantileValues Messages ValueAtQuantile | 8 flags Uint32
  1 labels Labels
ValueAtQuantile
  1 quantile Double | 2 value Double
Exemplar oneof=3,6
  2 timeUnixNano Fixed64 | 3 asDouble Double | 6 asInt Sfixed64 | 4 spanId Id 8
  5 traceId Id 16 | 7 filteredAttributes Messages KeyValue
"""


class Field(NamedTuple):
    """A field of a message."""

    name: str
    """In JSON: lowerCamelCase."""
    snake: str
    """In protobuf."""
    tag: int
    kind: str
    of: str
    """The message, the enum, or the number of bytes of an id; empty for other kinds."""
    position: int
    """Among the fields of its message."""
    displaces: frozenset[int]
    """The indexes of the fields that this one takes the place of: its own, or its ``oneof``'s."""
    tag_bytes: bytes

    @property
    def message(self) -> "tuple[Descriptor, bool] | None":
        """What protobuf goes into, and whether it is a list; kinds of OTLP 0.8 are not."""
        if self.kind == "Message":
            return DESCRIPTORS[self.of], False
        if self.kind in ("Messages", "Records", "Groups"):
            return DESCRIPTORS[self.of], True
        return None


class Descriptor:
    """A message: its fields in the order of the table, by tag, and by their names in JSON."""

    def __init__(
        self, name: str, fields: tuple[Field, ...], *, nests: bool, length_bytes: int
    ) -> None:
        self.name = name
        self.length_bytes = length_bytes
        """Set aside for the length where JSON becomes protobuf; a longer message is moved."""
        self.fields = fields
        self.nests = nests
        """An array or key-value list: one level of nesting."""
        self.by_tag: dict[int, Field] = {}
        self.by_key: dict[bytes, Field] = {}
        for field in fields:
            self.by_tag.setdefault(field.tag, field)
            for key in (field.name, field.snake):
                self.by_key.setdefault(key.encode(), field)
        # What a scope, and a scope's log records, were called before 2022.
        for old, new in _OLD_NAMES.items():
            if new in self.by_key:
                self.by_key[old] = self.by_key[new]


_OLD_NAMES: Final = {
    b"instrumentationLibrary": b"scope",
    b"instrumentation_library": b"scope",
    b"logs": b"logRecords",
}


def _snake(camel: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", camel)


def _read_table() -> dict[str, Descriptor]:
    descriptors = {}
    for block in re.split(r"\n(?=\w)", _MESSAGES.strip()):
        head, *lines = block.split("\n")
        name, *options = head.split()
        entries = [line.split() for line in " | ".join(lines).split("|") if line.split()]
        oneof = next((o[6:].split(",") for o in options if o.startswith("oneof=")), [])
        together = frozenset(i for i, entry in enumerate(entries) if entry[0] in oneof)
        fields = tuple(
            Field(
                camel,
                _snake(camel),
                int(number) << 3 | _WIRE.get(kind, LEN),
                kind,
                of[0] if of else "",
                index,
                together if index in together else frozenset((index,)),
                varint(int(number) << 3 | _WIRE.get(kind, LEN)),
            )
            for index, (number, camel, kind, *of) in enumerate(entries)
        )
        length_bytes = next((int(o[7:]) for o in options if o.startswith("length=")), 1)
        descriptors[name] = Descriptor(
            name, fields, nests="nests" in options, length_bytes=length_bytes
        )
    return descriptors


DESCRIPTORS: Final = _read_table()
"""Every message by its name."""

REQUESTS: Final = {
    "logs": DESCRIPTORS["LogsRequest"],
    "traces": DESCRIPTORS["TracesRequest"],
    "metrics": DESCRIPTORS["MetricsRequest"],
}
"""The message that a signal's export request is."""
