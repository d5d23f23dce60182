"""One request while it is read: what it may still hold, what was left out of it, and why.

Knows counts, limits and how the fields of any message are read. Must not know what the fields of
records mean: those are the signals' own.

**Its measure.** A request is charged with the same bytes for the same things as the extension
charges it, so that both refuse the same ones. A row of Python objects takes more memory than a row
of Arrow columns: ``OBJECT_FACTOR`` is how much more at most, so a bound on memory that a caller
gives is divided by it, and then holds.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from struct import unpack_from
from typing import Any, Final

from otlp2parquet.core.pure import error, limits
from otlp2parquet.core.pure.error import MalformedError, Reject
from otlp2parquet.core.pure.fields import DESCRIPTORS
from otlp2parquet.core.pure.reading import (
    ATTRIBUTES,
    BOOL,
    DOUBLE,
    DOUBLES,
    EMPTY,
    ENTITY_REFS,
    FIXED64,
    FIXED64S,
    INT32,
    MESSAGE,
    NESTED,
    PRESENCE,
    SFIXED64,
    SINT32,
    TEXT,
    VARINT32,
    VARINTS,
    Attributes,
    Reading,
    Value,
)
from otlp2parquet.core.pure.text import mended, utf8_bytes
from otlp2parquet.core.pure.usual import remembered, usual
from otlp2parquet.core.pure.well_formed import check
from otlp2parquet.core.pure.wire import Span, read_len, read_tag, read_varint, skip
from otlp2parquet.errors import TooLargeError

OBJECT_FACTOR: Final = 5

CHUNK: Final = 4 << 20
LONG: Final = 64 << 10
"""Texts up to this length are rendered without asking what comes of them."""
MOST_EXPLAINED: Final = 3

Notes = tuple[int, int, int, int, int]


class Request:
    """One request while it is read."""

    is_plain = False
    """Whether it is read from objects of JSON."""

    def __init__(
        self,
        data: bytes,
        received_at: int,
        stamp: int,
        *,
        total: int,
        room: int,
        repeats: bool,
    ) -> None:
        self.data = data
        """The payload in protobuf."""
        self.received_at = received_at
        """Stands in for times that OTLP does not give, in nanoseconds since the epoch."""
        self.stamp = stamp
        """Grows with every resource, scope and metric read by any request of a builder; never 0."""
        self.total = total
        """All the memory that the request may take, as its sender is told."""
        self.room = room
        """What is left of that for rows, beside the payload."""
        self.repeats = repeats
        """Whether resources, scopes and metrics count as memory in every row."""
        self.charged = 0
        self.size = 0
        """Bytes of the text that is being rendered."""
        self.most = 0
        """What is being rendered must not pass this."""
        self.records = 0
        self.nested = 0
        self.parts = 0
        self.rows = 0
        self.repeated = 0
        self.groups_left = limits.GROUPS
        self.rejected = 0
        self.rejects: list[Reject] = []
        """The first few."""
        self.undated = 0
        self.is_doubtful = False
        """Something was not read to its end: whether it is well-formed must be looked at."""
        self.replaced = 0
        self.unknown_fields = 0
        self.entity_refs = 0
        self.string_indices = 0
        self.without_records = 0
        self.first_unknown: tuple[int, int] | None = None
        """The first field that OTLP does not know: where it is, and its number."""

    # What it may hold ------------------------------------------------------------------------

    def charge(self, count: int) -> None:
        """Count bytes of memory that the request takes; they are never given back."""
        self.charged += count
        if self.charged > self.room:
            raise self.too_much()

    def too_much(self) -> TooLargeError:
        """The error of a request that takes too much memory."""
        return TooLargeError(error.too_much_memory(self.total))

    def count_record(self, count: int) -> None:
        """Count a record before it is read, and the bytes that it takes beside its text."""
        self.records += 1
        if self.records > limits.RECORDS:
            raise TooLargeError(error.too_many_records(limits.RECORDS))
        self.charged += count
        if self.charged > self.room:
            raise self.too_much()

    def count_nested(self, count: int) -> None:
        """Count an event, link or exemplar, and the bytes that it takes beside its text."""
        self.nested += 1
        if self.nested > limits.NESTED:
            raise TooLargeError(error.too_many_nested(limits.NESTED))
        self.charge(count)

    def count_row(self, count: int) -> None:
        """Count a row, and the bytes of the values that it shares with others."""
        self.rows += 1
        self.repeated += count
        if self.repeats:
            self.charge(count)
        elif self.repeated > limits.REPEATED_BYTES:
            raise TooLargeError(error.too_much_repeated(limits.REPEATED_BYTES))

    def count_part(self) -> None:
        """Count a part of a message that is given more than once."""
        self.parts += 1
        if self.parts > limits.PARTS:
            raise TooLargeError(error.too_many_parts(limits.PARTS))

    # What is rendered ------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin to render something of any size."""
        left = max(0, self.room - self.charged)
        self.most = left // 2 if left <= 2 * CHUNK else CHUNK + (left - 2 * CHUNK) // 13 * 4
        self.size = 0

    def check_size(self, more: int) -> None:
        """Whether there is memory for what has been rendered since ``begin``, and ``more``."""
        if self.size + more > self.most:
            raise self.too_much()

    def end(self, count: int) -> None:
        """Count what was rendered."""
        self.charge(2 * count if count <= CHUNK else 2 * count + (count - CHUNK) // 4 * 5)

    def text(self, raw: bytes) -> str:
        """Text made valid UTF-8."""
        try:
            text = raw.decode()
            count = len(raw)
            if count > LONG:
                self.begin()
                self.check_size(count)
        except UnicodeDecodeError:
            self.begin()
            if len(raw) > LONG:
                self.check_size(3 * len(raw))
            text, replaced = mended(raw)
            self.replaced += replaced
            count = utf8_bytes(text)
        self.end(count)
        return text

    def label(self, raw: bytes) -> str | None:
        """Text of few different values, made valid; an empty one is null."""
        return self.required_label(raw) if raw else None

    def required_label(self, raw: bytes) -> str:
        """Text of few different values, made valid."""
        self.charge(len(raw))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return self.text(raw)

    def hex_id(self, raw: bytes) -> str | None:
        """An id: lower-case hex of the bytes, whatever their length; null when empty or zero."""
        if not raw.strip(b"\0"):
            return None
        self.charged += 4 * len(raw)
        if self.charged > self.room:
            raise self.too_much()
        return raw.hex()

    # What is left out ------------------------------------------------------------------------

    def notes(self) -> Notes:
        """What was met so far; for ``take_back``."""
        return (
            self.replaced,
            self.unknown_fields,
            self.entity_refs,
            self.string_indices,
            self.without_records,
        )

    def take_back(self, notes: Notes) -> None:
        """Forget what was met in a record that is rejected."""
        (
            self.replaced,
            self.unknown_fields,
            self.entity_refs,
            self.string_indices,
            self.without_records,
        ) = notes

    def reject(self, reject: Reject) -> None:
        """Count a record that is not stored; its bytes must be well-formed all the same."""
        self.is_doubtful = True
        self.count_reject(reject)

    def count_reject(self, reject: Reject) -> None:
        """Count a record that is not stored, of which nothing has to be well-formed."""
        self.rejected += 1
        if len(self.rejects) < MOST_EXPLAINED:
            self.rejects.append(reject)

    def skip_unknown(self, tag: int, at: int, stop: int) -> int:
        """Pass over a field that has no place in the tables; gives where it ends."""
        self.unknown_fields += 1
        if self.first_unknown is None:
            self.first_unknown = (at, tag >> 3)
        return skip(self.data, tag, at, stop)

    # What is read ----------------------------------------------------------------------------

    def read(self, reading: Reading, parts: list[Span]) -> list[Any]:
        """The values of a message's fields; of one that is given in parts, merged."""
        values = list(reading.defaults)
        for slot, made in reading.made:
            values[slot] = made()
        for at, stop in parts:
            self._read_part(reading.slots, values, at, stop)
        return values

    def _read_part(
        self, slots: Mapping[int, tuple[int, int, int]], values: list[Any], at: int, stop: int
    ) -> None:
        data = self.data
        while at < stop:
            tag = data[at]
            if 8 <= tag < 0x80:
                at += 1
            else:
                tag, at = read_tag(data, at, stop)
            entry = slots.get(tag)
            if entry is None:
                at = self.skip_unknown(tag, at, stop)
                continue
            slot, how, detail = entry
            kind = tag & 7
            if kind == 2:
                start, at = read_len(data, at, stop)
                if how == TEXT:
                    values[slot] = data[start:at]
                elif how == ATTRIBUTES:
                    attributes = values[slot]
                    attributes.count += 1
                    if attributes.count <= limits.ATTRIBUTES:
                        attributes.spans.append((start, at))
                elif how == NESTED:
                    self.count_nested(detail)
                    values[slot].append((start, at))
                elif how == MESSAGE:
                    if values[slot]:
                        self.count_part()
                    values[slot].append((start, at))
                elif how == PRESENCE:
                    values[slot] = 1
                elif how == ENTITY_REFS:
                    check(_ENTITY_REF, data, start, at, 0)
                    self.entity_refs += 1
                else:
                    self._read_packed(values[slot], how, start, at)
            elif kind == 0:
                value, at = read_varint(data, at, stop)
                if how == VARINT32:
                    values[slot] = value & 0xFFFF_FFFF
                elif how == INT32:
                    value &= 0xFFFF_FFFF
                    values[slot] = value - (value >> 31 << 32)
                elif how == SINT32:
                    value &= 0xFFFF_FFFF
                    values[slot] = value >> 1 ^ -(value & 1)
                elif how == BOOL:
                    values[slot] = value != 0
                else:
                    self.charge(8)
                    values[slot].append(value)
            else:
                if at + (8 if kind == 1 else 4) > stop:
                    raise MalformedError(at)
                if kind == 5:
                    values[slot] = unpack_from("<I", data, at)[0]
                    at += 4
                    continue
                value = unpack_from(_FORMATS[how], data, at)[0]
                at += 8
                if detail:
                    values[slot].append(value)
                else:
                    values[slot] = value

    def _read_packed(self, items: list[Any], how: int, at: int, stop: int) -> None:
        data = self.data
        if how != VARINTS:
            count, rest = divmod(stop - at, 8)
            if rest:
                raise MalformedError(at, error.PACKED_LENGTH)
            self.charge(stop - at)
            items.extend(unpack_from(f"<{count}{_FORMATS[how][1]}", data, at))
            return
        packed = data[at:stop]
        if packed.isascii():
            self.charge(8 * len(packed))
            items.extend(packed)
            return
        self.charge(8 * sum(byte < 0x80 for byte in packed))
        while at < stop:
            value, at = read_varint(data, at, stop)
            items.append(value)

    # What values are read ---------------------------------------------------------------------

    def read_any_value(self, parts: list[Span]) -> Value:
        """Decide the ``oneof`` of an AnyValue: the last member set counts."""
        data = self.data
        value = EMPTY
        for at, stop in parts:
            while at < stop:
                tag, at = read_tag(data, at, stop)
                following: Value
                if tag == 0x0A:
                    start, at = read_len(data, at, stop)
                    following = ("string", data[start:at])
                elif tag == 0x10:
                    number, at = read_varint(data, at, stop)
                    following = ("bool", number != 0)
                elif tag == 0x18:
                    number, at = read_varint(data, at, stop)
                    following = ("int", number - (number >> 63 << 64))
                elif tag == 0x21:
                    if at + 8 > stop:
                        raise MalformedError(at)
                    following = ("double", unpack_from("<d", data, at)[0])
                    at += 8
                elif tag == 0x3A:
                    start, at = read_len(data, at, stop)
                    following = ("bytes", data[start:at])
                elif tag in (0x2A, 0x32):
                    start, at = read_len(data, at, stop)
                    kind = "array" if tag == 0x2A else "kvlist"
                    if value[0] == kind:
                        self.count_part()
                        value[1].append((start, at))
                        continue
                    following = (kind, [(start, at)])
                elif tag == 0x40:
                    at = read_varint(data, at, stop)[1]
                    self.string_indices += 1
                    following = EMPTY
                else:
                    at = self.skip_unknown(tag, at, stop)
                    continue
                if value[0] in ("array", "kvlist"):
                    # A member that loses is not stored, but must be well-formed.
                    self.is_doubtful = True
                value = following
        return value

    def read_key_value(self, at: int, stop: int) -> tuple[bytes, list[Span]]:
        """The key, and the parts of the value."""
        data = self.data
        key = b""
        value: list[Span] = []
        while at < stop:
            tag, at = read_tag(data, at, stop)
            if tag == 0x0A:
                start, at = read_len(data, at, stop)
                key = data[start:at]
            elif tag == 0x12:
                start, at = read_len(data, at, stop)
                if value:
                    self.count_part()
                value.append((start, at))
            elif tag == 0x18:
                at = read_varint(data, at, stop)[1]
                self.string_indices += 1
            else:
                at = self.skip_unknown(tag, at, stop)
        return key, value

    def usual_pairs(self, attributes: Attributes) -> list[Any]:
        """The texts of KeyValues that are of the usual form; None for others."""
        data = self.data
        return [
            remembered.get(pair := data[at:stop]) or usual(pair) for at, stop in attributes.spans
        ]

    def each_of(self, parts: list[Span], wanted: int) -> Iterator[Span]:
        """The messages of a repeated field, one after another; all else is counted as unknown."""
        for at, stop in parts:
            yield from self._wanted(at, stop, wanted, self.skip_unknown)

    def entries(self, at: int, stop: int, wanted: int) -> Iterator[Span]:
        """The entries of one repeated message field; everything else is passed over."""
        return self._wanted(at, stop, wanted, partial(skip, self.data))

    def _wanted(
        self, at: int, stop: int, wanted: int, pass_over: Callable[[int, int, int], int]
    ) -> Iterator[Span]:
        data = self.data
        while at < stop:
            tag, at = read_tag(data, at, stop)
            if tag == wanted:
                start, at = read_len(data, at, stop)
                yield start, at
            else:
                at = pass_over(tag, at, stop)


_FORMATS: Final = {
    FIXED64: "<Q", DOUBLE: "<d", SFIXED64: "<q", FIXED64S: "<Q", DOUBLES: "<d",
}  # fmt: skip
_ENTITY_REF: Final = DESCRIPTORS["EntityRef"]
