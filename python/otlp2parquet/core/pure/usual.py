"""A KeyValue as nearly every sender writes it: a key and a scalar, with lengths of a byte.

In this order, and most of them were there before: what is rendered is remembered for as many as
fit. Anything else goes the general way (``value``).
"""

from struct import error as struct_error
from struct import unpack_from
from typing import Final

from otlp2parquet.core.pure.error import MalformedError
from otlp2parquet.core.pure.text import quoted, scalar
from otlp2parquet.core.pure.wire import read_varint

_MOST_REMEMBERED: Final = 20_000
_LONGEST_REMEMBERED: Final = 160
remembered: Final[dict[bytes, str]] = {}
"""Rendered key-value pairs by their bytes: a bounded number of short ones."""
_keys: Final[dict[bytes, str]] = {}

UNUSUAL: Final = (IndexError, struct_error, ValueError)
"""What comes of reading beyond the end, or text that is none, by who did not look before."""


def usual(pair: bytes) -> str | None:
    """``"key":value`` of a KeyValue of the usual form, which is remembered; None of another."""
    try:
        value_at = 2 + pair[1]
        if pair[0] != 0x0A or value_at > 0x7F or pair[value_at] != 0x12:
            return None
        size = pair[value_at + 1]
        kind = pair[value_at + 2]
        value_at += 2
        if size > 0x7F or value_at + size != len(pair):
            return None
        if kind == 0x0A:
            if pair[value_at + 1] != size - 2:
                return None
            value = quoted(pair[value_at + 2 :].decode())
        elif kind == 0x18:
            value_at += 1
            byte = pair[value_at]
            if byte < 0x80 and size == 2:
                value = str(byte)
            else:
                number, end = read_varint(pair, value_at, len(pair))
                if end != len(pair):
                    return None
                value = str(number - (number >> 63 << 64))
        elif kind == 0x21 and size == 9:
            value = scalar("double", unpack_from("<d", pair, value_at + 1)[0])
        elif kind == 0x10 and size == 2:
            value = scalar("bool", pair[-1])
            if pair[-1] > 0x7F:
                return None
        else:
            return None
        key = _key_of(pair[2 : 2 + pair[1]])
    except (*UNUSUAL, MalformedError):
        return None
    text = f"{key}:{value}"
    if len(pair) <= _LONGEST_REMEMBERED:
        if len(remembered) >= _MOST_REMEMBERED:
            remembered.clear()
        remembered[pair] = text
    return text


def _key_of(raw: bytes) -> str:
    key = _keys.get(raw)
    if key is None:
        key = quoted(raw.decode())
        if len(_keys) >= _MOST_REMEMBERED:
            _keys.clear()
        _keys[raw] = key
    return key
