"""The protobuf cursor: tags, varints, lengths, and what is skipped.

Knows the wire format and no message. A message is a range of the payload, ``at`` to ``stop``, and
nothing is copied to look into it. It accepts what the official parsers accept: overlong varints
(up to 10 bytes, the bits beyond 64 dropped), tags of up to 5 bytes, unknown fields of every wire
type. What is wrong is a ``MalformedError`` at the place where reading stopped.
"""

from typing import Final

from otlp2parquet.core.pure import error
from otlp2parquet.core.pure.error import MalformedError

VARINT: Final = 0
FIXED64: Final = 1
LEN: Final = 2
START_GROUP: Final = 3
END_GROUP: Final = 4
FIXED32: Final = 5

Span = tuple[int, int]
"""Where a value begins and ends in the payload."""

MOST_GROUP_DEPTH: Final = 100
"""How deep groups may nest; the official parsers' bound on recursion."""

U64: Final = (1 << 64) - 1


def read_tag(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """The tag at ``at``, of any spelling, and where it ends; there must be a byte."""
    if 8 <= data[at] < 0x80:
        return data[at], at + 1
    tag, end = _read_any_tag(data, at, stop)
    if tag >> 3 == 0:
        raise MalformedError(at, error.FIELD_NUMBER_ZERO)
    return tag, end


def _read_any_tag(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """As `read_tag`, also of field number 0."""
    tag = 0
    for count in range(min(5, stop - at)):
        byte = data[at + count]
        tag |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if tag >> 32:
                raise MalformedError(at, error.TAG_TOO_LARGE)
            return tag, at + count + 1
    raise MalformedError(at, error.TRUNCATED if stop - at < 5 else error.TAG_TOO_LARGE)


def read_varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """The 64-bit varint at ``at``, and where it ends."""
    if at < stop and data[at] < 0x80:
        return data[at], at + 1
    value = 0
    for count in range(min(10, stop - at)):
        byte = data[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            # The tenth byte's upper bits fall off, as in the official parsers.
            return value & U64, at + count + 1
    raise MalformedError(at, error.TRUNCATED if stop - at < 10 else error.VARINT_TOO_LONG)


def read_len(data: bytes, at: int, stop: int) -> Span:
    """Where the length-delimited value begins and ends whose length is at ``at``."""
    if at < stop and data[at] < 0x80:
        length, start = data[at], at + 1
    else:
        length, start = read_varint(data, at, stop)
    # The official parsers read a length of at most five bytes, overlong ones included.
    if start - at > 5:
        raise MalformedError(at, error.LENGTH_TOO_LONG)
    if length > stop - start:
        raise MalformedError(at, error.LENGTH_BEYOND_END)
    return start, start + length


def varint(value: int) -> bytes:
    """A varint."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def skip(data: bytes, tag: int, at: int, stop: int) -> int:
    """Where the field ends whose tag was read before ``at``; groups without recursion."""
    kind = tag & 7
    if kind == VARINT:
        return read_varint(data, at, stop)[1]
    if kind == LEN:
        return read_len(data, at, stop)[1]
    if kind in (FIXED64, FIXED32):
        end = at + (8 if kind == FIXED64 else 4)
        if end > stop:
            raise MalformedError(at)
        return end
    if kind == START_GROUP:
        return _skip_group(data, tag >> 3, at, stop)
    if kind == END_GROUP:
        raise MalformedError(at, error.UNMATCHED_END_GROUP)
    raise MalformedError(at, error.WIRE_TYPE.format(kind))


def _skip_group(data: bytes, number: int, at: int, stop: int) -> int:
    numbers = [number]
    while numbers:
        start = at
        if at == stop:
            raise MalformedError(at)
        # The official parsers do not look at the numbers of fields in a group that they skip.
        tag, at = _read_any_tag(data, at, stop)
        if tag & 7 == START_GROUP:
            if len(numbers) >= MOST_GROUP_DEPTH:
                raise MalformedError(start, error.GROUPS_TOO_DEEP)
            numbers.append(tag >> 3)
        elif tag & 7 == END_GROUP and tag >> 3 == numbers[-1]:
            numbers.pop()
        else:
            at = skip(data, tag, at, stop)
    return at
