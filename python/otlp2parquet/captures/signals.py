"""Which signals the bytes of a protobuf request can be of.

The three kinds of request are built alike down to their records: a log record, a span and a metric
differ in the fields that they have and in how those are written. So the first records are looked
at, field by field, and no further: what is looked at is bounded, whatever the size of a request.
Knows the numbers of OTLP's fields. Must not know names of files.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from otlp2parquet.core.signals import SIGNALS, Signal

_VARINT, _FIXED_64, _LENGTH, _FIXED_32 = 0, 1, 2, 5

# Fields that a resource's message and a scope's message have, whatever the signal: 1000 is what
# instrumentationLibraryLogs and its like were.
_OF_RESOURCES: Final = frozenset({1, 2, 3, 1000})
_BELOW: Final = frozenset({2, 1000})
_MOST_RECORDS: Final = 4
_MOST_FIELDS: Final = 200
"""Fields that are looked at, on all levels together."""

_Check = Callable[[bytes], bool]
_Range = tuple[int, int, int, int]
"""Number and wire type of a field, and where its value begins and ends."""


def _any(_value: bytes) -> bool:
    return True


def _is_text(value: bytes) -> bool:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return not any(one < " " and one not in "\t\n\r" for one in text)


def _has_length(size: int) -> _Check:
    return lambda value: len(value) in {0, size}


def _has_fields(allowed: Mapping[int, int]) -> _Check:
    def check(value: bytes) -> bool:
        end = 0
        for number, wire, _, end in _fields(value, 0, len(value)):  # noqa: B007 - used behind it
            if allowed.get(number) != wire:
                return False
        return end == len(value)

    return check


_VALUE: Final = _has_fields(
    {1: _LENGTH, 2: _VARINT, 3: _VARINT, 4: _FIXED_64, 5: _LENGTH, 6: _LENGTH, 7: _LENGTH}
)
_POINTS: Final = _has_fields({1: _LENGTH, 2: _VARINT, 3: _VARINT})

_RECORDS: Final[Mapping[Signal, Mapping[int, tuple[int, _Check]]]] = {
    "logs": {
        1: (_FIXED_64, _any),
        2: (_VARINT, _any),
        3: (_LENGTH, _is_text),
        5: (_LENGTH, _VALUE),
        6: (_LENGTH, _any),
        7: (_VARINT, _any),
        8: (_FIXED_32, _any),
        9: (_LENGTH, _has_length(16)),
        10: (_LENGTH, _has_length(8)),
        11: (_FIXED_64, _any),
        12: (_LENGTH, _is_text),
    },
    "traces": {
        1: (_LENGTH, _has_length(16)),
        2: (_LENGTH, _has_length(8)),
        3: (_LENGTH, _is_text),
        4: (_LENGTH, _has_length(8)),
        5: (_LENGTH, _is_text),
        6: (_VARINT, _any),
        7: (_FIXED_64, _any),
        8: (_FIXED_64, _any),
        9: (_LENGTH, _any),
        10: (_VARINT, _any),
        11: (_LENGTH, _any),
        12: (_VARINT, _any),
        13: (_LENGTH, _any),
        14: (_VARINT, _any),
        15: (_LENGTH, _any),
        16: (_FIXED_32, _any),
    },
    "metrics": {
        1: (_LENGTH, _is_text),
        2: (_LENGTH, _is_text),
        3: (_LENGTH, _is_text),
        # Kinds of before 2021, in whole numbers: 4, 6 and 8.
        **dict.fromkeys((4, 5, 6, 7, 8, 9, 10, 11), (_LENGTH, _POINTS)),
        12: (_LENGTH, _any),
    },
}


def plausible(payload: bytes) -> tuple[Signal, ...]:
    """The signals whose fields the records of a request have, as far as they were looked at.

    All of them where nothing tells them apart, none where no signal has such fields.
    """
    records = list(_records(payload))
    return tuple(
        signal
        for signal, fields in _RECORDS.items()
        if all(
            number in fields and fields[number][0] == wire
            for record in records
            for number, wire, _, _ in _fields(record, 0, len(record))
        )
    )


def likeliest(payload: bytes) -> Signal | None:
    """The one signal that a request can be of, by the values of its fields too.

    Of a request without a record that is any. ``None`` where several can be, or none.
    """
    records = list(_records(payload))
    if not records:
        return SIGNALS[0] if looks_like_request(payload) or not payload else None
    found = plausible(payload)
    if len(found) > 1:
        found = tuple(
            signal
            for signal in found
            if all(
                _RECORDS[signal][number][1](record[begin:end])
                for record in records
                for number, wire, begin, end in _fields(record, 0, len(record))
                if wire == _LENGTH
            )
        )
    return found[0] if len(found) == 1 else None


def looks_like_request(head: bytes) -> bool:
    """Whether bytes begin as export requests in protobuf do; more may follow them."""
    for number, wire, begin, end in _fields(head, 0, len(head), is_cut=True):
        if (number, wire) != (1, _LENGTH):
            return False
        for inner, inner_wire, _, _ in _fields(head, begin, end, is_cut=True):
            return inner in _OF_RESOURCES and inner_wire == _LENGTH
        return True
    return False


def is_request(payload: bytes) -> bool:
    """Whether bytes are wholly resources one behind another, as far as their tops tell."""
    end = 0
    for number, wire, begin, end in _fields(payload, 0, len(payload)):
        if (number, wire) != (1, _LENGTH):
            return False
        inner_end = begin
        for inner, inner_wire, _, inner_end in _fields(payload, begin, end):  # noqa: B007
            if inner not in _OF_RESOURCES or inner_wire != _LENGTH:
                return False
        if inner_end != end:
            return False
    return end == len(payload)


def _records(payload: bytes) -> Iterator[bytes]:
    """The first records."""
    left = _MOST_FIELDS
    records = 0
    for number, wire, begin, end in _fields(payload, 0, len(payload)):
        if number != 1 or wire != _LENGTH:
            continue
        for scopes, wire_of_scopes, scope_begin, scope_end in _fields(payload, begin, end):
            left -= 1
            if scopes in _BELOW and wire_of_scopes == _LENGTH:
                for kind, wire_of_kind, first, last in _fields(payload, scope_begin, scope_end):
                    left -= 1
                    if kind == 2 and wire_of_kind == _LENGTH:  # noqa: PLR2004 - the field's number
                        yield payload[first:last]
                        records += 1
                    if left < 0 or records == _MOST_RECORDS:
                        return
            if left < 0:
                return


def _fields(data: bytes, at: int, end: int, *, is_cut: bool = False) -> Iterator[_Range]:
    """The fields of a message up to where it is none; with ``is_cut`` the last may be cut off."""
    for _ in range(_MOST_FIELDS):
        if at >= end:
            return
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if at < 0 or not number:
            return
        begin = at
        if wire == _VARINT:
            _, at = _varint(data, at, end)
        elif wire == _FIXED_64:
            at += 8
        elif wire == _FIXED_32:
            at += 4
        elif wire == _LENGTH:
            size, begin = _varint(data, at, end)
            at = begin + size if begin >= 0 else begin
        else:
            return
        if at < 0 or (at > end and not is_cut):
            return
        yield number, wire, begin, min(at, end)


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends: -1 if it does not."""
    value = 0
    for shift in range(0, 64, 7):
        if at >= end:
            return 0, -1
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return value, at
    return 0, -1
