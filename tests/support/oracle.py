"""The witness: a slow, obvious decoder of OTLP protobuf into the rows of schema version 1.

It is written from the description of the tables alone and stands on the official protobuf
classes, so that a mistake in the native decoder is unlikely to be made here too. It must
never look at the native module, share code with it or learn from it, and it has no need to
be fast. Rows are plain dicts in column order; a timestamp is an int of microseconds since
the epoch.

Two things keep the official generated classes from being used as they are:

* Their parser refuses invalid UTF-8 in a ``string`` field, where the tables want U+FFFD.
  So the official descriptors are loaded into a pool of our own with every ``string`` field
  declared as ``bytes``: the same on the wire, but unchecked.
* The tables allow 64 levels of nested values and promise not to look below them, which a
  recursive type cannot say. So AnyValue, ArrayValue, KeyValueList and KeyValue are unrolled
  into one type per level, and at level 65 the array and the kvlist are opaque ``bytes``. One
  official parse of the unrolled types then merges, overwrites and validates everything as
  protobuf defines it, down to level 64 and no further. These are more than 100 messages in
  one another, so the parser's ceiling is raised while it runs (`unlimited_depth`).
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from google._upb import _message as upb
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from google.protobuf.descriptor import FileDescriptor
    from google.protobuf.message import Message

Row = dict[str, Any]
GroupKey = tuple[str, str | None, datetime]

MAX_DEPTH = 64
MAX_ATTRIBUTES = 10_000
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
MAX_RECORDS = 1_000_000
MAX_PARTS = 1_000_000
"""Events, links and exemplars of one request, together."""
MAX_GROUPS = 10_000
MAX_INT64 = 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

REQUESTS: dict[str, type[Message]] = {
    "logs": logs_service_pb2.ExportLogsServiceRequest,
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
}
"""The official generated class of each signal's request."""


class UndecodableError(Exception):
    """The official parser refuses the bytes."""


class OverLimitError(Exception):
    """The request as a whole is over a limit."""


class RejectedError(Exception):
    """One record cannot be stored; the message is the reason."""


@dataclass
class Decoded:
    """What one request becomes."""

    groups: dict[GroupKey, list[Row]] = field(default_factory=dict)
    accepted: int = 0
    rejected: int = 0
    undated: int = 0
    replaced: int = 0
    """Invalid parts of UTF-8 that became U+FFFD in an accepted row; a value that several
    rows share counts once."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why records were rejected, with how many each."""
    unknown_instead: bool = False
    """Whether there is something that OTLP does not know, and not a single record."""

    @property
    def speaks(self) -> bool:
        """Whether there is something to tell the sender."""
        return bool(self.rejected or self.replaced or self.unknown_instead)


# The rewritten official types -----------------------------------------------------------


def _unroll(common: descriptor_pb2.FileDescriptorProto) -> None:
    """Replace the recursive value types of common.proto by one copy of them per level."""
    package = ".opentelemetry.proto.common.v1."
    kinds = {m.name: m for m in common.message_type}
    for level in range(1, MAX_DEPTH + 2):
        here = "" if level == 1 else str(level)
        for name in ("AnyValue", "KeyValue", "ArrayValue", "KeyValueList"):
            if level == MAX_DEPTH + 1 and name in ("ArrayValue", "KeyValueList"):
                continue  # never reached: AnyValue65 holds them as bytes
            if level == 1 and name in ("AnyValue", "KeyValue"):
                copy = kinds[name]
            else:
                copy = common.message_type.add()
                copy.CopyFrom(_PRISTINE[name])
                copy.name = f"{name}{level}"
            for f in copy.field:
                if f.name in ("array_value", "kvlist_value"):
                    if level > MAX_DEPTH:
                        f.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
                        f.ClearField("type_name")
                    else:
                        kind = "ArrayValue" if f.name == "array_value" else "KeyValueList"
                        f.type_name = f"{package}{kind}{level}"
                elif f.name == "value":  # of KeyValue
                    f.type_name = f"{package}AnyValue{here}"
                elif f.name == "values":
                    kind = "AnyValue" if name == "ArrayValue" else "KeyValue"
                    f.type_name = f"{package}{kind}{level + 1}"


_PRISTINE: dict[str, descriptor_pb2.DescriptorProto] = {}

OLD_KINDS = {"int_gauge": 4, "int_sum": 6, "int_histogram": 8}
"""Members of a metric's data in OTLP 0.8, as opaque bytes."""


def _give_old_names(message: descriptor_pb2.DescriptorProto) -> None:
    """Declare what senders in the field still use: lists of before 2022, and OTLP 0.8's metrics."""
    proto = descriptor_pb2.FieldDescriptorProto

    def add(name: str, number: int, label: Any, **rest: Any) -> None:
        message.ClearField("reserved_range")
        message.ClearField("reserved_name")
        message.field.add(name=name, number=number, label=label, **rest)

    if message.name in ("ResourceLogs", "ResourceSpans", "ResourceMetrics"):
        scopes = next(f for f in message.field if f.number == 2)
        add(
            scopes.name.replace("scope", "instrumentation_library"),
            1000,
            proto.LABEL_REPEATED,
            type=proto.TYPE_MESSAGE,
            type_name=scopes.type_name,
        )
    if message.name == "Metric":
        for name, number in OLD_KINDS.items():
            add(name, number, proto.LABEL_OPTIONAL, type=proto.TYPE_BYTES, oneof_index=0)
    if message.name in ("NumberDataPoint", "HistogramDataPoint", "SummaryDataPoint"):
        add("labels", 1, proto.LABEL_REPEATED, type=proto.TYPE_BYTES)


def _load() -> dict[str, type[Any]]:
    pool = descriptor_pool.DescriptorPool()
    loaded: set[str] = set()

    def strings_to_bytes(message: descriptor_pb2.DescriptorProto) -> None:
        for f in message.field:
            if f.type == descriptor_pb2.FieldDescriptorProto.TYPE_STRING:
                f.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
        for nested in message.nested_type:
            strings_to_bytes(nested)

    def load(file: FileDescriptor) -> None:
        if file.name in loaded:
            return
        loaded.add(file.name)
        for dependency in file.dependencies:
            load(dependency)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        for message in proto.message_type:
            strings_to_bytes(message)
            _give_old_names(message)
        if file.name == "opentelemetry/proto/common/v1/common.proto":
            for message in proto.message_type:
                _PRISTINE[message.name] = descriptor_pb2.DescriptorProto()
                _PRISTINE[message.name].CopyFrom(message)
            _unroll(proto)
        pool.Add(proto)

    classes = {}
    for signal, official in REQUESTS.items():
        load(official.DESCRIPTOR.file)
        classes[signal] = message_factory.GetMessageClass(
            pool.FindMessageTypeByName(official.DESCRIPTOR.full_name)
        )
    old = descriptor_pb2.FileDescriptorProto(name="old_data.proto", syntax="proto3")
    old.message_type.add(name="OldData").field.add(
        name="data_points",
        number=1,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    )
    pool.Add(old)
    classes["old data"] = message_factory.GetMessageClass(pool.FindMessageTypeByName("OldData"))
    return classes


CLASSES = _load()


@contextmanager
def unlimited_depth() -> Iterator[None]:
    """Let the official parser nest messages deeper than its usual 100."""
    upb.SetAllowOversizeProtos(True)  # noqa: FBT003 - the function takes no keyword
    try:
        yield
    finally:
        upb.SetAllowOversizeProtos(False)  # noqa: FBT003 - as above


# Text and numbers -----------------------------------------------------------------------


class _Text:
    """Turns bytes into text and counts what had to be replaced."""

    def __init__(self) -> None:
        self.replaced = 0

    def __call__(self, raw: bytes) -> str:
        done = ""
        while True:
            try:
                return done + raw.decode("utf-8")
            except UnicodeDecodeError as error:
                # start and end mark one maximal invalid part, as in Unicode's chapter 3.
                done += raw[: error.start].decode("utf-8") + "\ufffd"
                raw = raw[error.end :]
                self.replaced += 1

    def or_null(self, raw: bytes) -> str | None:
        return self(raw) or None


def spell_double(x: float) -> str:
    """A double as the ryu algorithm prints it; not finite ones by their protobuf names."""
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "Infinity" if x > 0 else "-Infinity"
    sign = "-" if math.copysign(1.0, x) < 0 else ""
    if x == 0:
        return sign + "0.0"
    # repr() gives the shortest digits that round-trip, as ryu does; only the layout differs.
    mantissa, _, exponent = repr(abs(x)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or "0")  # the value is 0.DIGITS * 10**point
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    if 1e-5 <= abs(x) < 1e16:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        if point >= len(digits):
            return f"{sign}{digits}{'0' * (point - len(digits))}.0"
        return f"{sign}{digits[:point]}.{digits[point:]}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1}"


_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


def quote(text: str) -> str:
    """A JSON string: short escapes, other control characters by number, the rest raw."""
    out = []
    for c in text:
        if c in _ESCAPES:
            out.append(_ESCAPES[c])
        elif ord(c) < 0x20:
            out.append(f"\\u{ord(c):04x}")
        else:
            out.append(c)
    return '"' + "".join(out) + '"'


def _array(items: Iterable[str]) -> str:
    return "[" + ",".join(items) + "]"


def _object(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{quote(k)}:{v}" for k, v in pairs) + "}"


def _hex(raw: bytes) -> str | None:
    """An id; one of nothing but zeros is none."""
    return raw.hex() if any(raw) else None


def _micros(nanos: int) -> int | None:
    return nanos // 1000 if nanos else None


def _nanos(nanos: int) -> int | None:
    return nanos % 1000 if nanos else None


def _count(n: int, what: str) -> int:
    if n > MAX_INT64:
        raise RejectedError(f"count: {what}")
    return n


def _enum_name(message: Any, name: str) -> str:
    number = getattr(message, name)
    known = message.DESCRIPTOR.fields_by_name[name].enum_type.values_by_number
    return known[number].name if number in known else str(number)


# AnyValue -------------------------------------------------------------------------------


def _kind(value: Any) -> str | None:
    """The member that is set; an index into a profile's strings reads as none."""
    kind: str | None = value.WhichOneof("value")
    return None if kind == "string_value_strindex" else kind


def value_json(value: Any, text: _Text, level: int = 1) -> str:
    """AnyValue as the JSON text of the attribute columns and of Body."""
    kind = _kind(value)
    if kind in ("array_value", "kvlist_value") and level > MAX_DEPTH:
        raise RejectedError("depth")
    if kind is None:
        return "null"
    if kind == "string_value":
        return quote(text(value.string_value))
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "int_value":
        return str(value.int_value)
    if kind == "double_value":
        spelled = spell_double(value.double_value)
        if math.isfinite(value.double_value):
            return spelled
        return _object([("doubleValue", quote(spelled))])
    if kind == "bytes_value":
        encoded = base64.b64encode(value.bytes_value).decode("ascii")
        return _object([("bytesValue", quote(encoded))])
    if kind == "array_value":
        return _array(value_json(v, text, level + 1) for v in value.array_value.values)
    pairs = [
        (text(pair.key), value_json(pair.value, text, level + 1))
        for pair in value.kvlist_value.values
    ]
    if len(pairs) == 1 and pairs[0][0] in ("bytesValue", "doubleValue", "kvlistValue"):
        return _object([("kvlistValue", _object(pairs))])
    return _object(pairs)


def _attributes(pairs: Any, text: _Text) -> str:
    if len(pairs) > MAX_ATTRIBUTES:
        raise RejectedError("attributes")
    return _object([(text(p.key), value_json(p.value, text)) for p in pairs])


def _otlp_json_value(value: Any, text: _Text, level: int = 1) -> str | None:
    """AnyValue in the OTLP/JSON form; None when it has no value set."""
    kind = _kind(value)
    if kind in ("array_value", "kvlist_value") and level > MAX_DEPTH:
        raise RejectedError("depth")
    if kind is None:
        return None
    if kind == "string_value":
        return _object([("stringValue", quote(text(value.string_value)))])
    if kind == "bool_value":
        return _object([("boolValue", "true" if value.bool_value else "false")])
    if kind == "int_value":
        return _object([("intValue", quote(str(value.int_value)))])
    if kind == "double_value":
        return _object([("doubleValue", _otlp_json_double(value.double_value))])
    if kind == "bytes_value":
        encoded = base64.b64encode(value.bytes_value).decode("ascii")
        return _object([("bytesValue", quote(encoded))])
    if kind == "array_value":
        items = [_otlp_json_value(v, text, level + 1) or "{}" for v in value.array_value.values]
        return _object([("arrayValue", _object([("values", _array(items))] if items else []))])
    pairs = [_otlp_json_pair(p, text, level + 1) for p in value.kvlist_value.values]
    return _object([("kvlistValue", _object([("values", _array(pairs))] if pairs else []))])


def _otlp_json_double(x: float) -> str:
    return spell_double(x) if math.isfinite(x) else quote(spell_double(x))


def _otlp_json_pair(pair: Any, text: _Text, level: int = 1) -> str:
    members = []
    key = text(pair.key)
    if key:
        members.append(("key", quote(key)))
    value = _otlp_json_value(pair.value, text, level)
    if value is not None:
        members.append(("value", value))
    return _object(members)


def _exemplar(exemplar: Any, text: _Text) -> str:
    members = []
    if exemplar.time_unix_nano:
        members.append(("timeUnixNano", quote(str(exemplar.time_unix_nano))))
    if exemplar.WhichOneof("value") == "as_double":
        members.append(("asDouble", _otlp_json_double(exemplar.as_double)))
    if any(exemplar.span_id):
        members.append(("spanId", quote(exemplar.span_id.hex())))
    if any(exemplar.trace_id):
        members.append(("traceId", quote(exemplar.trace_id.hex())))
    if exemplar.WhichOneof("value") == "as_int":
        members.append(("asInt", quote(str(exemplar.as_int))))
    if len(exemplar.filtered_attributes) > MAX_ATTRIBUTES:
        raise RejectedError("attributes")
    if exemplar.filtered_attributes:
        pairs = [_otlp_json_pair(p, text) for p in exemplar.filtered_attributes]
        members.append(("filteredAttributes", _array(pairs)))
    return _object(members)


# Rows -----------------------------------------------------------------------------------


def _from_resource(parent: Any, text: _Text) -> Row:
    resource = parent.resource
    attributes = _attributes(resource.attributes, text)

    def first(key: bytes) -> str | None:
        for pair in resource.attributes:
            if pair.key == key:
                is_text = pair.value.WhichOneof("value") == "string_value"
                return _Text().or_null(pair.value.string_value) if is_text else None
        return None

    return {
        "ServiceName": first(b"service.name"),
        "ServiceNamespace": first(b"service.namespace"),
        "ServiceInstanceId": first(b"service.instance.id"),
        "ResourceAttributes": attributes,
        "ResourceDroppedAttributesCount": resource.dropped_attributes_count,
        "ResourceSchemaUrl": text.or_null(parent.schema_url),
    }


def _from_scope(parent: Any, text: _Text) -> Row:
    scope = parent.scope
    return {
        "ScopeName": text.or_null(scope.name),
        "ScopeVersion": text.or_null(scope.version),
        "ScopeAttributes": _attributes(scope.attributes, text),
        "ScopeDroppedAttributesCount": scope.dropped_attributes_count,
        "ScopeSchemaUrl": text.or_null(parent.schema_url),
    }


_BODY_TYPES = {
    None: "empty",
    "string_value": "string",
    "bool_value": "bool",
    "int_value": "int",
    "double_value": "double",
    "bytes_value": "bytes",
    "array_value": "array",
    "kvlist_value": "kvlist",
}


def _from_log(record: Any, text: _Text) -> Row:
    body = body_type = None
    if record.HasField("body"):
        body_type = _BODY_TYPES[_kind(record.body)]
        if body_type == "string":
            body = text(record.body.string_value)
        else:
            body = value_json(record.body, text)
    return {
        "ObservedTimestamp": _micros(record.observed_time_unix_nano),
        "ObservedTimestampNanos": _nanos(record.observed_time_unix_nano),
        "TraceId": _hex(record.trace_id),
        "SpanId": _hex(record.span_id),
        "TraceFlags": record.flags,
        "SeverityNumber": record.severity_number,
        "SeverityText": text.or_null(record.severity_text),
        "EventName": text.or_null(record.event_name),
        "Body": body,
        "BodyType": body_type,
        "LogAttributes": _attributes(record.attributes, text),
        "DroppedAttributesCount": record.dropped_attributes_count,
    }


def _from_span(span: Any, text: _Text) -> Row:
    duration = span.end_time_unix_nano - span.start_time_unix_nano
    if not -(2**63) <= duration <= MAX_INT64:
        raise RejectedError("duration")
    return {
        "Duration": duration,
        "TraceId": _hex(span.trace_id),
        "SpanId": _hex(span.span_id),
        "ParentSpanId": _hex(span.parent_span_id),
        "TraceState": text.or_null(span.trace_state),
        "SpanName": text(span.name),
        "SpanKind": _enum_name(span, "kind"),
        "SpanFlags": span.flags,
        "SpanAttributes": _attributes(span.attributes, text),
        "DroppedAttributesCount": span.dropped_attributes_count,
        "DroppedEventsCount": span.dropped_events_count,
        "DroppedLinksCount": span.dropped_links_count,
        "StatusCode": _enum_name(span.status, "code"),
        "StatusMessage": text.or_null(span.status.message),
        "EventsTimestamp": [_micros(e.time_unix_nano) for e in span.events],
        "EventsTimestampNanos": [_nanos(e.time_unix_nano) for e in span.events],
        "EventsName": [text.or_null(e.name) for e in span.events],
        "EventsAttributes": [_attributes(e.attributes, text) for e in span.events],
        "EventsDroppedAttributesCount": [e.dropped_attributes_count for e in span.events],
        "LinksTraceId": [_hex(k.trace_id) for k in span.links],
        "LinksSpanId": [_hex(k.span_id) for k in span.links],
        "LinksTraceState": [text.or_null(k.trace_state) for k in span.links],
        "LinksFlags": [k.flags for k in span.links],
        "LinksAttributes": [_attributes(k.attributes, text) for k in span.links],
        "LinksDroppedAttributesCount": [k.dropped_attributes_count for k in span.links],
    }


def _from_metric(metric: Any, text: _Text) -> Row:
    return {
        "MetricName": text(metric.name),
        "MetricDescription": text.or_null(metric.description),
        "MetricUnit": text.or_null(metric.unit),
        "MetricMetadata": _attributes(metric.metadata, text),
    }


def _number(point: Any) -> Row:
    kind = point.WhichOneof("value")
    if kind == "as_int":
        return {"Value": float(point.as_int), "IntValue": point.as_int}
    return {"Value": point.as_double if kind == "as_double" else None, "IntValue": None}


def _optional(point: Any, name: str) -> Any:
    return getattr(point, name) if point.HasField(name) else None


def _point_values(data: Any, point: Any) -> Row:
    """The columns of one metric type, after those that all metric tables share."""
    name = data.DESCRIPTOR.name
    if name == "Gauge":
        return _number(point)
    if name == "Summary":
        return {
            "Count": _count(point.count, "count"),
            "Sum": point.sum,
            "Quantiles": [q.quantile for q in point.quantile_values],
            "QuantileValues": [q.value for q in point.quantile_values],
        }
    temporality = {"AggregationTemporality": _enum_name(data, "aggregation_temporality")}
    if name == "Sum":
        return _number(point) | temporality | {"IsMonotonic": data.is_monotonic}
    row: Row = {
        "Count": _count(point.count, "count"),
        "Sum": _optional(point, "sum"),
        "Min": _optional(point, "min"),
        "Max": _optional(point, "max"),
    }
    if name == "Histogram":
        row["BucketCounts"] = [_count(n, "bucket_counts") for n in point.bucket_counts]
        row["ExplicitBounds"] = list(point.explicit_bounds)
    else:
        row["Scale"] = point.scale
        row["ZeroCount"] = _count(point.zero_count, "zero_count")
        row["ZeroThreshold"] = point.zero_threshold
        for side in ("positive", "negative"):
            buckets = getattr(point, side)
            row[f"{side.title()}Offset"] = buckets.offset if point.HasField(side) else None
            row[f"{side.title()}BucketCounts"] = [
                _count(n, "bucket_counts") for n in buckets.bucket_counts
            ]
    return row | temporality


def _from_point(data: Any, point: Any, metric_row: Row, text: _Text) -> Row:
    if "labels" in point.DESCRIPTOR.fields_by_name and point.labels:
        raise RejectedError("labels")
    row = {
        "StartTimestamp": _micros(point.start_time_unix_nano),
        "StartTimestampNanos": _nanos(point.start_time_unix_nano),
        **metric_row,
        "Attributes": _attributes(point.attributes, text),
        "Flags": point.flags,
    }
    if data.DESCRIPTOR.name != "Summary":
        row["Exemplars"] = _array([_exemplar(e, text) for e in point.exemplars])
    return row | _point_values(data, point)


# The request ----------------------------------------------------------------------------


class _Shared:
    """Columns that every record below a resource, scope or metric shares.

    A value that cannot be stored rejects each of these records, so the reason is kept until
    there is one; the replaced text counts once, with the first record that is accepted.
    """

    def __init__(self, make: Callable[[_Text], Row]) -> None:
        text = _Text()
        self.reason: str | None = None
        self.row: Row = {}
        try:
            self.row = make(text)
        except RejectedError as reason:
            self.reason = str(reason)
        self.replaced = text.replaced

    def use(self) -> Row:
        if self.reason is not None:
            raise RejectedError(self.reason)
        return self.row


class _Collector:
    def __init__(self, received_at: int) -> None:
        self.decoded = Decoded()
        self.received_at = received_at
        self.parts = 0

    def add(
        self, table: str, nanos: int, fallback: int, above: list[_Shared], make: Callable[..., Row]
    ) -> None:
        """Add one record, dated by the first time that is given.

        ``nanos`` is the time that TimestampNanos belongs to; ``fallback`` stands in for it.
        """
        text = _Text()
        try:
            shared: Row = {}
            for part in above:
                shared |= part.use()
            own = make(text)  # of a point: with the columns of its metric among its own
        except RejectedError as reason:
            self.decoded.rejected += 1
            self.decoded.reasons[str(reason)] += 1
            return
        at = nanos or fallback or self.received_at
        hour = EPOCH + timedelta(hours=at // 3_600_000_000_000)
        row: Row = {"Timestamp": at // 1000, "TimestampNanos": _nanos(nanos)}
        row |= {name: value for name, value in shared.items() if name not in own} | own
        self.decoded.groups.setdefault((table, row["ServiceName"], hour), []).append(row)
        if len(self.decoded.groups) > MAX_GROUPS:
            raise OverLimitError("groups")
        self.decoded.accepted += 1
        self.decoded.undated += not (nanos or fallback)
        self.decoded.replaced += text.replaced
        for part in above:
            self.decoded.replaced += part.replaced
            part.replaced = 0

    def reject_old(self, data: bytes) -> None:
        """Count the points of a metric kind that is none any more; one, if that cannot be."""
        old = CLASSES["old data"]()
        try:
            old.ParseFromString(data)
            points = len(old.data_points)
        except DecodeError:
            points = 1
        self.decoded.rejected += points
        self.decoded.reasons["old kind"] += points
        self.seen(0)

    def seen(self, parts: int) -> None:
        """Hold the limits on records and on their parts."""
        self.parts += parts
        if self.decoded.accepted + self.decoded.rejected > MAX_RECORDS or self.parts > MAX_PARTS:
            raise OverLimitError("records")


def decode(payload: bytes, signal: str, received_at: int | None = None) -> Decoded:
    """Decode one export request.

    ``received_at`` is in nanoseconds; without one it is the epoch. Raises
    ``UndecodableError`` or ``OverLimitError`` when the request as a whole gives nothing.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise OverLimitError("bytes")
    request = CLASSES[signal]()
    try:
        with unlimited_depth():
            request.ParseFromString(payload)
    except DecodeError as error:
        raise UndecodableError(str(error)) from error
    into = _Collector(received_at or 0)
    {"logs": _logs, "traces": _traces, "metrics": _metrics}[signal](request, into)
    decoded = into.decoded
    if not decoded.accepted + decoded.rejected:
        decoded.unknown_instead = _has_unknown(request)
    return decoded


def _has_unknown(message: Any) -> bool:
    """Whether a message or one in it has a field that OTLP does not define."""
    if len(UnknownFieldSet(message)):
        return True
    inner = [
        value
        for f, value in message.ListFields()
        if f.message_type is not None and f.name != "entity_refs"
    ]
    return any(
        _has_unknown(one) for value in inner for one in (value if _is_list(value) else [value])
    )


def _is_list(value: Any) -> bool:
    return not hasattr(value, "DESCRIPTOR")


def _logs(request: Any, into: _Collector) -> None:
    for resource in request.resource_logs:
        by_resource = _Shared(partial(_from_resource, resource))
        for scope in [*resource.scope_logs, *resource.instrumentation_library_logs]:
            above = [by_resource, _Shared(partial(_from_scope, scope))]
            for record in scope.log_records:
                # Nanos stay null unless time_unix_nano itself was given: were they set from
                # observed_time_unix_nano too, "not given" and "the same" would be one row,
                # and the message could not be rebuilt.
                into.add(
                    "otel_logs",
                    record.time_unix_nano,
                    record.observed_time_unix_nano,
                    above,
                    partial(_from_log, record),
                )
                into.seen(0)


def _traces(request: Any, into: _Collector) -> None:
    for resource in request.resource_spans:
        by_resource = _Shared(partial(_from_resource, resource))
        for scope in [*resource.scope_spans, *resource.instrumentation_library_spans]:
            above = [by_resource, _Shared(partial(_from_scope, scope))]
            for span in scope.spans:
                into.add(
                    "otel_traces",
                    span.start_time_unix_nano,
                    0,
                    above,
                    partial(_from_span, span),
                )
                into.seen(len(span.events) + len(span.links))


def _metrics(request: Any, into: _Collector) -> None:
    for resource in request.resource_metrics:
        by_resource = _Shared(partial(_from_resource, resource))
        for scope in [*resource.scope_metrics, *resource.instrumentation_library_metrics]:
            by_scope = _Shared(partial(_from_scope, scope))
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                data = getattr(metric, kind)
                if kind in OLD_KINDS:
                    into.reject_old(data)
                    continue
                by_metric = _Shared(partial(_from_metric, metric))
                for point in data.data_points:

                    def make(text: _Text, d: Any = data, p: Any = point, m: Any = by_metric) -> Row:
                        return _from_point(d, p, m.row, text)

                    into.add(
                        f"otel_metrics_{kind}",
                        point.time_unix_nano,
                        0,
                        [by_resource, by_scope, by_metric],
                        make,
                    )
                    into.seen(0 if kind == "summary" else len(point.exemplars))
