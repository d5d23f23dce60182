"""Hypothesis strategies for OTLP payloads: valid, odd, mutated and arbitrary ones.

Works on the wire format with an encoder of its own, because the interesting payloads are
those that no library writes: overlong varints, merged submessages, a oneof set twice, known
fields with another wire type. It knows the official descriptors, so a field that OTLP gains
is generated without a change here, and it knows nothing of rows, tables or decoders.

Each payload is made from one drawn byte string, read as a tape of choices on which 0 is
always the plainest one. That is many times cheaper than a Hypothesis draw per field, and
still shrinks: Hypothesis shortens the tape and lowers its bytes.
"""

from __future__ import annotations

import os
import struct
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from otlp2parquet.core.signals import SIGNALS
from tests.support.oracle import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from otlp2parquet import Signal

T = TypeVar("T")

FACTOR = int(os.environ.get("TESTS_EXAMPLES", "1"))
"""``TESTS_EXAMPLES=200`` asks for so many times the examples."""


def examples(count: int) -> settings:
    """The settings of one property test: ``count`` examples, or ``FACTOR`` times as many."""
    return settings(
        max_examples=count * FACTOR,
        deadline=None,  # the machines that run this are shared and slow
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


class Tape:
    """A byte string read as choices. Past its end every choice is 0, the plainest."""

    def __init__(self, choices: bytes) -> None:
        self._choices = choices
        self._at = 0

    def take(self, n: int) -> bytes:
        """The next n bytes, zeros past the end."""
        taken = self._choices[self._at : self._at + n]
        self._at += n
        return taken.ljust(n, b"\0")

    @property
    def is_at_end(self) -> bool:
        """Whether every choice from here on is 0."""
        return self._at >= len(self._choices)

    def _byte(self) -> int:
        """The next byte. A message takes hundreds, most of them past the end."""
        at = self._at
        self._at = at + 1
        return self._choices[at] if at < len(self._choices) else 0

    def below(self, n: int) -> int:
        """A choice among n; the tape gives a byte, or four for more than 256."""
        if n > 256:
            return int.from_bytes(self.take(4), "little") % n
        return self._byte() % n

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; the first is the plainest."""
        return options[self.below(len(options))]

    def rarely(self, one_in: int) -> bool:
        """True about once in ``one_in`` times."""
        return self._byte() >= 256 - (256 // one_in or 1)

    def shuffled(self, items: list[T]) -> list[T]:
        """The items in any order."""
        items = list(items)
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items


# The wire --------------------------------------------------------------------------------

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)


def varint(n: int, pad: int = 0) -> bytes:
    """``n`` as a varint, modulo 2^64, with ``pad`` bytes more than it needs."""
    n %= 1 << 64
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    for _ in range(pad):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def tag(number: int, wire_type: int, pad: int = 0) -> bytes:
    """What every field begins with."""
    return varint(number << 3 | wire_type, pad)


def delimited(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return tag(number, LENGTH) + varint(len(payload)) + payload


def nested(numbers: Sequence[int], payload: bytes) -> bytes:
    """``payload`` inside one length-delimited field of each number, the first outermost."""
    for number in reversed(numbers):
        payload = delimited(number, payload)
    return payload


# Values ----------------------------------------------------------------------------------

HOUR = 3_600_000_000_000
NOW = 1_790_000_000_123_456_789
TIMES = (
    0,
    NOW,
    NOW + 1,
    NOW + HOUR,
    NOW - HOUR,
    NOW // HOUR * HOUR,
    NOW // HOUR * HOUR - 1,
    1,
    999,
    1000,
    1001,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
COUNTS = (0, 1, 2, 10, 2**31, 2**32, 2**53 + 1, 2**63 - 1)
INTS = (0, 1, -1, 42, 2**31, -(2**31), 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
INT32S = (0, 1, -1, 2, 20, 2**31 - 1, -(2**31))
UINT32S = (0, 1, 256, 0x1FF, 2**31, 2**32 - 1)
ENUMS = (0, 1, 2, 3, 4, 5, 9, 24, 25, 99, -1, 2**31 - 1, -(2**31))
DOUBLES = (
    0.0,
    1.0,
    -0.0,
    0.5,
    -2.75,
    0.1,
    1e-5,
    9.999e-6,
    1e15,
    1e16,
    9999999999999998.0,
    1.2345678901234567e-300,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    2.2250738585072014e-308,
    5e-324,
    1.5e-310,
    float("nan"),
    float("inf"),
    float("-inf"),
    2.0**53,
    123456.789,
)
TEXTS = (
    "",
    "checkout",
    "cart",
    "GET /",
    "naïve ☂ 𝄞",
    'quote " slash / back \\',
    "".join(map(chr, range(0x20))),
    "\x7f\x80\x9f\u2028\u2029\ufeff\ufffd",
    "\ud7ff\ue000\U0010ffff",
    "line\nbreak\ttab\r\b\f",
    "null",
    '{"bytesValue":"AA=="}',
    "NaN",
    "x" * 300,
    "\x00",
)
KEYS = (
    "key",
    "service.name",
    "service.name",
    "service.name",
    "service.name",
    "service.namespace",
    "service.instance.id",
    "bytesValue",
    "doubleValue",
    "kvlistValue",
    "",
    "http.method",
    "key",
    "Service.Name",
    "sche\u0301ma",
    '"',
)
BROKEN = (
    b"\xff",
    b"a\xc3",
    b"\xe2\x82",
    b"\xf0\x90\x80z",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\x80\x80",
    b"\xf4\x90\x80\x80",
)
ID_SIZES = (0, 8, 16, 1, 3, 7, 9, 15, 17, 32)


def _text(tape: Tape, field: FieldDescriptor, *, odd: bool) -> bytes:
    pool = KEYS if field.name == "key" else TEXTS
    text = tape.pick(pool).encode()
    if tape.rarely(12):
        text += bytes(b & 0x7F for b in tape.take(tape.below(12)))
    if odd and tape.rarely(40):
        broken = tape.pick(BROKEN)
        text = tape.pick((text + broken, broken + text, broken, text + broken + text))
    return text


def _id(tape: Tape) -> bytes:
    return tape.take(tape.pick(ID_SIZES))


def _double(tape: Tape) -> float:
    if tape.rarely(4):
        value: float = struct.unpack("<d", tape.take(8))[0]
        return value
    return tape.pick(DOUBLES)


def _int(tape: Tape, pool: Sequence[int], bits: int, *, signed: bool) -> int:
    if tape.rarely(8):
        return int.from_bytes(tape.take(bits // 8), "little", signed=signed)
    return tape.pick(pool)


F = FieldDescriptor


def scalar(tape: Tape, field: FieldDescriptor, *, odd: bool) -> Any:
    """A value for one scalar field, as the official classes take it (text as bytes)."""
    if field.type == F.TYPE_STRING:
        return _text(tape, field, odd=odd)
    if field.type == F.TYPE_BYTES:
        return _id(tape)
    if field.type == F.TYPE_BOOL:
        return bool(tape.below(2))
    if field.type == F.TYPE_DOUBLE:
        return _double(tape)
    if field.type in (F.TYPE_FIXED64, F.TYPE_UINT64):
        if field.name.endswith("time_unix_nano"):
            return _int(tape, TIMES, 64, signed=False)
        if tape.rarely(100):  # a count that does not fit rejects its record
            return tape.pick((2**63, 2**64 - 1))
        return tape.pick(COUNTS)
    if field.type in (F.TYPE_INT64, F.TYPE_SFIXED64):
        return _int(tape, INTS, 64, signed=True)
    if field.type in (F.TYPE_UINT32, F.TYPE_FIXED32):
        return _int(tape, UINT32S, 32, signed=False)
    if field.type == F.TYPE_ENUM:
        return _int(tape, ENUMS, 32, signed=True)
    assert field.type in (F.TYPE_INT32, F.TYPE_SINT32), field.full_name
    return _int(tape, INT32S, 32, signed=True)


_FIXED = {
    F.TYPE_DOUBLE: ("<d", FIXED64),
    F.TYPE_FIXED64: ("<Q", FIXED64),
    F.TYPE_SFIXED64: ("<q", FIXED64),
    F.TYPE_FIXED32: ("<I", FIXED32),
}


def _overlong(tape: Tape, encoded: bytes, *, odd: bool) -> bytes:
    """A tag or length, rarely longer than it needs to be, never beyond its five bytes."""
    if not (odd and tape.rarely(50)) or len(encoded) == 5:
        return encoded
    pad = 1 + tape.below(5 - len(encoded))
    return encoded[:-1] + bytes([encoded[-1] | 0x80]) + b"\x80" * (pad - 1) + b"\x00"


def _encode(tape: Tape, field: FieldDescriptor, *, odd: bool) -> tuple[int, bytes]:
    """The wire type and payload of one scalar."""
    value = scalar(tape, field, odd=odd)
    if field.type in (F.TYPE_STRING, F.TYPE_BYTES):
        return LENGTH, _overlong(tape, varint(len(value)), odd=odd) + value
    if field.type in _FIXED:
        layout, wire_type = _FIXED[field.type]
        return wire_type, struct.pack(layout, value)
    if field.type == F.TYPE_SINT32:
        value = value * 2 if value >= 0 else -value * 2 - 1
    number = int(value)
    if odd and tape.rarely(30):
        # Parsers keep the low 32 bits of what is declared as 32 bits wide; any bit is true.
        number += tape.pick((1 << 32, 1 << 40, 1 << 63))
    encoded = varint(number)
    if odd and tape.rarely(20):
        encoded = varint(number, pad=tape.below(11 - len(encoded)))
    return VARINT, encoded


def unknown_field(tape: Tape, number: int, depth: int = 0) -> bytes:
    """A field of any wire type, groups included."""
    wire_type = tape.pick((VARINT, FIXED64, LENGTH, FIXED32, START_GROUP))
    if wire_type == VARINT:
        return tag(number, VARINT) + varint(int.from_bytes(tape.take(tape.below(9)), "little"))
    if wire_type == LENGTH:
        return delimited(number, tape.take(tape.below(20)))
    if wire_type == START_GROUP:
        inside = b""
        if depth < 6:
            for _ in range(tape.below(3)):
                inside += unknown_field(tape, tape.pick((*UNKNOWN_NUMBERS, 1, 2, 3)), depth + 1)
        return tag(number, START_GROUP) + inside + tag(number, END_GROUP)
    return tag(number, wire_type) + tape.take(8 if wire_type == FIXED64 else 4)


UNKNOWN_NUMBERS = (100, 19, 50, 536_870_911)


RECORDS = ("log_records", "spans", "metrics", "data_points")

_REPEATED, _ONEOF, _OF_PAIR, _MESSAGE, _SCALAR = range(5)


@cache
def _places(message: Descriptor) -> list[tuple[int, FieldDescriptor, Sequence[Any]]]:
    """What a message may carry: of which kind, the field, and what is picked from.

    That is how many of a repeated submessage, mostly some of what leads down to the records, and
    the members of a oneof, which is one place. Descriptors are slow to ask, so each is asked once.
    """
    places: list[tuple[int, FieldDescriptor, Sequence[Any]]] = []
    done: set[str] = set()
    for field in message.fields:
        oneof = field.containing_oneof
        if field.is_repeated:
            counts: Sequence[int] = (0, 0, 1, 1, 2, 3)
            if field.message_type is None:
                counts = ()
            elif field.name.startswith(("resource_", "scope_")) or field.name in RECORDS:
                counts = (1, 1, 1, 2, 2, 3, 1, 0)
            places.append((_REPEATED, field, counts))
        elif oneof is not None and len(oneof.fields) > 1:
            if oneof.name not in done:
                places.append((_ONEOF, field, list(oneof.fields)))
            done.add(oneof.name)
        elif message.name == "KeyValue":
            places.append((_OF_PAIR, field, ()))
        else:
            places.append((_SCALAR if field.message_type is None else _MESSAGE, field, ()))
    return places


def _chosen(tape: Tape, message: Descriptor, depth: int, *, odd: bool) -> list[FieldDescriptor]:
    """The fields that one message carries; a field may be in the list more than once."""
    chosen: list[FieldDescriptor] = []
    for kind, field, options in _places(message):
        if kind == _REPEATED:
            chosen += [field] * (tape.pick(options) if options else not tape.rarely(3))
        elif kind == _ONEOF:
            if not tape.rarely(8):
                members = [f for f in options if depth < 12 or f.message_type is None]
                chosen.append(tape.pick(members))
                while odd and tape.rarely(10):
                    chosen.append(tape.pick(members))
        elif kind == _OF_PAIR:
            chosen += [field] * (not tape.rarely(10))
        elif not tape.rarely(4) if kind == _MESSAGE else tape.below(3):
            chosen.append(field)
            while odd and tape.rarely(16):
                chosen.append(field)
    return chosen


def wire_message(tape: Tape, message: Descriptor, *, odd: bool, depth: int = 0) -> bytes:
    """One message of the given type as bytes; ``odd`` allows what no library would write."""
    parts: list[bytes] = []
    for field in _chosen(tape, message, depth, odd=odd):
        if odd and tape.rarely(100):
            # Another wire type makes a known field an unknown one.
            number, before = field.number, len(parts)
            parts.append(unknown_field(tape, number))
            if parts[before][0] & 7 == LENGTH and field.type not in _FIXED:
                parts.pop()  # but this could be a string or a submessage, and a broken one
            continue
        if field.message_type is not None:
            body = wire_message(tape, field.message_type, odd=odd, depth=depth + 1)
            parts.append(
                _overlong(tape, tag(field.number, LENGTH), odd=odd)
                + _overlong(tape, varint(len(body)), odd=odd)
                + body
            )
        elif field.is_repeated and field.type not in (F.TYPE_STRING, F.TYPE_BYTES):
            parts += _repeated_scalar(tape, field, odd=odd)
        else:
            wire_type, encoded = _encode(tape, field, odd=odd)
            parts.append(_overlong(tape, tag(field.number, wire_type), odd=odd) + encoded)
        if odd and tape.rarely(60):
            parts.append(unknown_field(tape, tape.pick(UNKNOWN_NUMBERS)))
    if odd and tape.rarely(6):
        parts = tape.shuffled(parts)
    return b"".join(parts)


def _repeated_scalar(tape: Tape, field: FieldDescriptor, *, odd: bool) -> list[bytes]:
    """Packed by default; odd ones are in several chunks, unpacked, or a mixture."""
    encoded = [_encode(tape, field, odd=odd) for _ in range(tape.below(6))]
    parts: list[bytes] = []
    way = tape.below(4) if odd else 0
    while encoded:
        n = len(encoded) if way == 0 else 1 + tape.below(len(encoded))
        chunk, encoded = encoded[:n], encoded[n:]
        if way in (0, 1) or (way == 3 and tape.below(2)):
            parts.append(delimited(field.number, b"".join(payload for _, payload in chunk)))
        else:
            parts += [tag(field.number, wire_type) + payload for wire_type, payload in chunk]
    return parts


# Message objects -------------------------------------------------------------------------


def fill(message: Message, tape: Tape, depth: int = 0) -> None:
    """Set fields of an official message object through its public attributes."""
    for field in _chosen(tape, message.DESCRIPTOR, depth, odd=False):
        if field.is_repeated and field.message_type is not None:
            fill(getattr(message, field.name).add(), tape, depth + 1)
        elif field.message_type is not None:
            part = getattr(message, field.name)
            part.SetInParent()
            fill(part, tape, depth + 1)
        else:
            values = [scalar(tape, field, odd=False) for _ in range(tape.below(6))]
            if field.is_repeated:
                getattr(message, field.name).extend(values)
            else:
                setattr(message, field.name, scalar(tape, field, odd=False))


# Strategies ------------------------------------------------------------------------------


def tapes(largest: int = 3000) -> st.SearchStrategy[Tape]:
    """Tapes of many lengths: short ones for shrinking, long ones for rich messages."""
    sizes = st.sampled_from([n for n in (20, 80, 200, 400, 800, 1500, 3000) if n <= largest])
    return sizes.flatmap(lambda n: st.binary(min_size=n, max_size=n)).map(Tape)


def _payloads(
    make: Callable[[Tape, Signal], bytes], largest: int = 3000
) -> st.SearchStrategy[tuple[Signal, bytes]]:
    def payload(signal: Signal, tape: Tape) -> tuple[Signal, bytes]:
        return signal, make(tape, signal)

    return st.builds(payload, st.sampled_from(SIGNALS), tapes(largest))


def _from_wire(*, odd: bool) -> Callable[[Tape, Signal], bytes]:
    return lambda tape, signal: wire_message(tape, REQUESTS[signal].DESCRIPTOR, odd=odd)


def from_object(tape: Tape, signal: Signal) -> bytes:
    """What the official classes write."""
    request = REQUESTS[signal]()
    fill(request, tape)
    return bytes(request.SerializeToString())


def mutated(tape: Tape, payload: bytes) -> bytes:
    """A few random edits."""
    data = bytearray(payload)
    for _ in range(1 + tape.below(3)):
        at = tape.below(len(data) + 1)
        size = tape.below(9)
        edit = tape.below(6)
        if edit == 0:
            data[at : at + 1] = tape.pick((b"\x00", b"\x80", b"\xff", b"\x7f", b"\x0b", b"\x0c"))
        elif edit == 1:
            data[at : at + 1] = tape.take(1)
        elif edit == 2:
            del data[at : at + size]
        elif edit == 3:
            data[at:at] = tape.take(size)
        elif edit == 4:
            data[at:at] = data[at : at + 4 * size]
        elif at < len(data):
            data[at] ^= 1 << tape.below(8)
    return bytes(data)


plain_payloads = _payloads(_from_wire(odd=False))
"""(signal, payload): valid messages as any library would write them, valid UTF-8."""
odd_payloads = _payloads(_from_wire(odd=True))
"""(signal, payload): nearly all valid, written in every unusual way the wire allows."""
object_payloads = _payloads(from_object)
"""(signal, payload): written by the official classes from message objects."""
small_payloads = _payloads(_from_wire(odd=True), largest=200)
"""(signal, payload): like odd ones, and short enough to look at each of their prefixes."""
valid_payloads = st.one_of(plain_payloads, odd_payloads, object_payloads)


@st.composite
def mutated_payloads(draw: st.DrawFn) -> tuple[Signal, bytes]:
    """(signal, payload): a valid message with a few random edits; some are still valid."""
    signal, payload = draw(valid_payloads)
    return signal, mutated(draw(tapes(80)), payload)


def skipped_groups() -> st.SearchStrategy[bytes]:
    """What may stand in a group: tags of every wire type, few numbers, 0 among them, and ends."""
    tags = [tag(number, kind) for number in (0, 1, 99) for kind in range(8)]
    pieces = st.sampled_from([*tags, b"\x80\x00", b"\xff\xff\xff\xff\x0f", b"\x00" * 8, b"\x01"])
    return st.lists(pieces, max_size=8).map(b"".join)


def arbitrary_payloads() -> st.SearchStrategy[tuple[Signal, bytes]]:
    """(signal, payload): bytes that nobody meant as OTLP."""
    return st.tuples(st.sampled_from(SIGNALS), st.binary(max_size=300))


RECEIVED_AT = st.sampled_from([None, 0, 1, NOW, NOW + 7 * HOUR, 2**63 - 1])
