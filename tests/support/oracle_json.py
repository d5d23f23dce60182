"""The witness for OTLP/JSON: the standard json module, then the official protobuf classes.

Written from OTLP's JSON mapping and the project's decisions about it alone; it must never look
at the native module. Text becomes a tree, the tree a message of the official types, and the
message's bytes go to ``oracle.decode``, so rows are made in one place only. What JSON alone can
get wrong is decided here: a value that is not what OTLP has there costs its record, or all
records below its resource, scope or metric.

Invalid UTF-8 is carried through the json module as characters of its own (`_smuggle`), so that
it comes out as the bytes it was: the tables mend it, and count it, as they do for protobuf.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor

from tests.support import oracle
from tests.support.oracle import MAX_DEPTH, MAX_RECORDS, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.descriptor import Descriptor

F = FieldDescriptor
_INVALID = 0xF5300
"""Private characters that no test writes."""

RECORDS = {"log_records", "spans", "data_points"}
GROUPS = {
    *("resource_logs", "resource_spans", "resource_metrics"),
    *("scope_logs", "scope_spans", "scope_metrics", "metrics"),
    "instrumentation_library_logs",
    "instrumentation_library_spans",
    "instrumentation_library_metrics",
}
ID_SIZES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
SIGNED, UNSIGNED = "signed", "unsigned"
INTEGERS = {
    F.TYPE_INT64: (SIGNED, 64),
    F.TYPE_SFIXED64: (SIGNED, 64),
    F.TYPE_UINT64: (UNSIGNED, 64),
    F.TYPE_FIXED64: (UNSIGNED, 64),
    F.TYPE_INT32: (SIGNED, 32),
    F.TYPE_SINT32: (SIGNED, 32),
    F.TYPE_ENUM: (SIGNED, 32),
    F.TYPE_UINT32: (UNSIGNED, 32),
    F.TYPE_FIXED32: (UNSIGNED, 32),
}
NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")


@dataclass(frozen=True)
class OldField:
    """A field that the official classes do not have any more."""

    name: str
    json_name: str
    message_type: Any = None
    containing_oneof: Any = None
    is_repeated: bool = True
    type: int = F.TYPE_MESSAGE


DATA_KINDS = ("gauge", "sum", "histogram", "summary")
OLD_KINDS = {f"int_{kind}" for kind in DATA_KINDS[:3]} | {f"double_{kind}" for kind in DATA_KINDS}
OLD_NAMES = {
    "scope": ("instrumentationLibrary", "instrumentation_library"),
    "log_records": ("logs",),
}
"""What a field was called before 2022."""


def fields_of(official: Descriptor) -> list[Any]:
    """The fields of a message as published, and those that it had long ago."""
    fields: list[Any] = list(official.fields)
    if official.name in ("ResourceLogs", "ResourceSpans", "ResourceMetrics"):
        scopes = official.fields_by_number[2]
        old = scopes.name.replace("scope", "instrumentation_library")
        json_name = scopes.json_name.replace("scope", "instrumentationLibrary")
        fields.append(OldField(old, json_name, scopes.message_type))
    if official.name == "Metric":
        data = official.oneofs_by_name["data"]
        for name in sorted(OLD_KINDS):
            first, _, second = name.partition("_")
            json_name = first + second.title()
            fields.append(OldField(name, json_name, None, data, is_repeated=False))
    if official.name in ("NumberDataPoint", "HistogramDataPoint", "SummaryDataPoint"):
        fields.append(OldField("labels", "labels"))
    return fields


class MisfitError(Exception):
    """A value that is JSON, and not what OTLP has there."""


class Number(str):
    """A JSON number as it was spelled."""

    __slots__ = ()


Members = list[tuple[str, Any]]
"""A JSON object: its members in order, without those that are null, the last of each key."""


@dataclass
class Read:
    """What reading one or more requests counted."""

    rejected: int = 0
    empty_groups: int = 0
    base64_ids: int = 0
    unknown_values: int = 0
    records: int = 0
    unknown_instead: bool = False
    payloads: list[bytes] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def _smuggle(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    invalid = error.object[error.start : error.end]
    return "".join(chr(_INVALID + byte) for byte in invalid), error.end


codecs.register_error("oracle-json-smuggle", _smuggle)


def _bytes(text: str) -> bytes:
    """Text as protobuf carries it; a lone surrogate as one byte that is never valid."""
    out = bytearray()
    for c in text:
        code = ord(c)
        if code >= _INVALID and code <= _INVALID + 0xFF:
            out.append(code - _INVALID)
        elif 0xD800 <= code <= 0xDFFF:
            out.append(0xFF)
        else:
            out += c.encode()
    return bytes(out)


def _members(pairs: Members) -> dict[str, Any]:
    """Members without null ones, and of each key the last: that is what counts."""
    members: dict[str, Any] = {}
    for key, value in pairs:
        if value is not None:
            members.pop(key, None)
            members[key] = value
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def parse(body: bytes) -> Any:
    """One JSON document."""
    text = body.decode("utf-8", "oracle-json-smuggle")
    try:
        return json.loads(
            text,
            object_pairs_hook=_members,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_refuse_constant,
        )
    except ValueError as error:
        raise oracle.UndecodableError(str(error)) from None


# Scalars ---------------------------------------------------------------------------------


def integer(value: Any, kind: str, bits: int) -> int:
    """A 32- or 64-bit integer: a number or a string, exact, within its range."""
    match = NUMBER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise MisfitError("integer")
    sign, whole, fraction, exponent = match.groups()
    digits = (whole + (fraction or "")).lstrip("0")
    scale = int(exponent or 0) - len(fraction or "")
    stripped = digits.rstrip("0")
    scale += len(digits) - len(stripped)
    if not stripped:
        return 0
    if scale < 0 or scale + len(stripped) > 20:
        raise MisfitError("integer")
    number: int = int(stripped) * 10**scale * (-1 if sign else 1)
    least, most = (
        (0, 2**bits - 1) if kind == UNSIGNED else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    if not least <= number <= most:
        raise MisfitError("integer out of range")
    return number


def double(value: Any) -> float:
    """A number, a numeric string, or one of the three names."""
    if not isinstance(value, str):
        raise MisfitError("double")
    if not isinstance(value, Number) and value in {"NaN", "Infinity", "-Infinity"}:
        return float(value)
    if NUMBER.fullmatch(value) is None:
        raise MisfitError("double")
    number = float(value)
    if math.isinf(number):
        raise MisfitError("double out of range")
    return number


def is_text(value: Any) -> bool:
    """Whether a value is a JSON string."""
    return isinstance(value, str) and not isinstance(value, Number)


def unbase64(value: str) -> bytes:
    """Base64 of either alphabet, padding optional."""
    text = value.replace("-", "+").replace("_", "/")
    if re.fullmatch(r"[A-Za-z0-9+/]*(={0,2})", text) is None:
        raise MisfitError("base64")
    bare = text.rstrip("=")
    padded = text != bare
    if len(bare) % 4 == 1 or (padded and (len(text) % 4 or not bare)):
        raise MisfitError("base64")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        raise MisfitError("base64") from None


def an_id(value: Any, size: int, read: Read) -> bytes:
    """Hex of any case; base64 only where it is unmistakable."""
    if not is_text(value):
        raise MisfitError("id")
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})*", value):
        return bytes.fromhex(value)
    if value.endswith("="):
        raw = unbase64(value)
        if len(raw) == size:
            read.base64_ids += 1
            return raw
    raise MisfitError("id")


def scalar(official: FieldDescriptor, value: Any, read: Read) -> Any:
    """A value of a scalar field as the official classes take it, text as bytes."""
    if official.type == F.TYPE_STRING:
        if not is_text(value):
            raise MisfitError("text")
        return _bytes(value)
    if official.type == F.TYPE_BYTES:
        if official.name in ID_SIZES:
            return an_id(value, ID_SIZES[official.name], read)
        if not is_text(value):
            raise MisfitError("bytes")
        return unbase64(value)
    if official.type == F.TYPE_BOOL:
        if not isinstance(value, bool):
            raise MisfitError("bool")
        return value
    if official.type == F.TYPE_DOUBLE:
        return double(value)
    if official.type == F.TYPE_ENUM and is_text(value):
        names = official.enum_type.values_by_name
        # Half a surrogate pair is text in JSON, and an error where names are looked up.
        if value.isascii() and value in names:
            return names[value].number
    return integer(value, *INTEGERS[official.type])


# Messages --------------------------------------------------------------------------------


def names_of(f: Any) -> tuple[str, ...]:
    """What a field may be called."""
    return (f.json_name, f.name, *OLD_NAMES.get(f.name, ()))


@cache
def fields_by_name(official: Descriptor) -> dict[str, list[tuple[str, Any]]]:
    """The fields that a member of each name is, with the place that only one of them can have."""
    fields: dict[str, list[tuple[str, Any]]] = {}
    for f in fields_of(official):
        oneof = f.containing_oneof
        place = oneof.full_name if oneof is not None else f.name
        for name in set(names_of(f)):
            fields.setdefault(name, []).append((place, f))
    return fields


def survivors(official: Descriptor, value: Any) -> list[tuple[Any, Any]]:
    """The members that count: of a field given twice, or of a oneof, the last one."""
    if not isinstance(value, dict):
        raise MisfitError("object")
    found: dict[str, tuple[Any, Any]] = {}
    known = fields_by_name(official)
    for key, member in value.items():
        for place, f in known.get(key, ()):
            found.pop(place, None)
            found[place] = (f, member)
    return list(found.values())


def items(value: Any) -> list[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise MisfitError("list")
    return value


def fill(message: Any, official: Descriptor, value: Any, read: Read, depth: int = 0) -> None:
    """Set the fields of a message of the oracle's types; ``official`` is the type as published."""
    if official.name in ("ArrayValue", "KeyValueList"):
        depth += 1
    members = survivors(official, value)
    read.unknown_values += official.name == "AnyValue" and bool(value) and not members
    for f, member in members:
        if f.name in OLD_KINDS:
            points = old_points(member)
            good = sum(isinstance(point, dict) for point in points)
            read.records += len(points)
            read.rejected += len(points) - good
            setattr(message, "int_gauge", b"\n\0" * good)  # noqa: B010 - not of the official types
        elif f.name == "labels":
            message.labels.extend(b"" for _ in items(member))
        elif f.name in RECORDS | GROUPS:
            for item in items(member):
                _fill_entry(getattr(message, f.name), f, item, read)
        elif f.message_type is None:
            if f.is_repeated:
                getattr(message, f.name).extend(scalar(f, item, read) for item in items(member))
            else:
                setattr(message, f.name, scalar(f, member, read))
        elif f.is_repeated:
            for item in items(member):
                fill(getattr(message, f.name).add(), f.message_type, item, read, depth)
        elif f.name in ("array_value", "kvlist_value") and depth >= MAX_DEPTH:
            raise MisfitError("depth")
        else:
            part = getattr(message, f.name)
            part.SetInParent()
            fill(part, f.message_type, member, read, depth)


def _fill_entry(entries: Any, f: FieldDescriptor, item: Any, read: Read) -> None:
    """A resource, scope, metric or record: bad ones are left out with all records below."""
    read.records += f.name in RECORDS
    before = (read.rejected, read.empty_groups, read.base64_ids, read.unknown_values)
    try:
        fill(entries.add(), f.message_type, item, read)
    except MisfitError as error:
        del entries[-1]
        read.rejected, read.empty_groups, read.base64_ids, read.unknown_values = before
        below = 1 if f.name in RECORDS else records_below(f.message_type, item)
        read.rejected += below
        read.empty_groups += below == 0
        read.reasons[str(error)] += 1


def old_points(value: Any) -> list[Any]:
    """The points of a metric kind of OTLP 0.8."""
    if not isinstance(value, dict):
        raise MisfitError("object")
    points = [member for key, member in value.items() if key in ("dataPoints", "data_points")]
    return items(points[-1]) if points else []


def records_below(official: Descriptor, value: Any) -> int:
    """How many records a bad group holds, as far as it is one."""
    try:
        members = survivors(official, value)
    except MisfitError:
        return 0
    count = 0
    for f, member in members:
        if f.name in OLD_KINDS:
            try:
                count += len(old_points(member))
            except MisfitError:
                continue
        elif f.name in RECORDS:
            count += len(member) if isinstance(member, list) else 0
        elif f.name in GROUPS:
            count += sum(
                records_below(f.message_type, item)
                for item in (member if isinstance(member, list) else [])
            )
        elif official.name == "Metric" and f.message_type is not None and not f.is_repeated:
            count += records_below(f.message_type, member)
    return count


# Requests --------------------------------------------------------------------------------


def read_request(body: bytes, signal: str, read: Read) -> None:
    """One JSON document as the bytes of a protobuf request, added to ``read.payloads``."""
    request = oracle.CLASSES[signal]()
    official = REQUESTS[signal].DESCRIPTOR
    tree, records, groups = parse(body), read.records, read.empty_groups
    try:
        fill(request, official, tree, read)
    except MisfitError as error:
        raise oracle.UndecodableError(str(error)) from None
    if tree and not survivors(official, tree):
        raise oracle.UndecodableError("another signal, or none")
    read.payloads.append(request.SerializeToString())
    if (read.records, read.empty_groups) == (records, groups) and has_unknown(official, tree):
        read.unknown_instead = True


def has_unknown(official: Descriptor, value: Any) -> bool:
    """Whether a member that OTLP does not know is anywhere in what it knows."""
    if not isinstance(value, dict):
        return False
    if not value.keys() <= fields_by_name(official).keys():
        return True
    return any(
        has_unknown(f.message_type, item)
        for f, member in survivors(official, value)
        if f.message_type is not None
        for item in (member if isinstance(member, list) else [member])
    )


def documents(body: bytes, content_type: str) -> Iterable[bytes]:
    """The JSON documents of a body: one, or one for each line that is not blank."""
    if content_type == "application/json":
        return [body]
    return [line for line in body.split(b"\n") if line.strip(b" \t\r")]


@dataclass
class DecodedJson:
    """What a JSON body becomes."""

    decoded: oracle.Decoded
    read: Read

    @property
    def rejected(self) -> int:
        """Records left out by either witness."""
        return self.decoded.rejected + self.read.rejected

    @property
    def speaks(self) -> bool:
        """Whether there is something to tell the sender."""
        read = self.read
        told = self.decoded.replaced or read.empty_groups or read.base64_ids
        return bool(self.rejected or told or read.unknown_values or read.unknown_instead)


def decode(
    body: bytes,
    signal: str,
    received_at: int | None = None,
    content_type: str = "application/json",
) -> DecodedJson:
    """The rows of a body, all of it or an error, as ``oracle.decode`` does for protobuf."""
    read = Read()
    for document in documents(body, content_type):
        read_request(document, signal, read)
    decoded = oracle.decode(b"".join(read.payloads), signal, received_at)
    if decoded.accepted + decoded.rejected + read.rejected > MAX_RECORDS:
        raise oracle.OverLimitError("records")
    return DecodedJson(decoded, read)
