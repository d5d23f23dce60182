"""Values in Parquet's PLAIN encoding, bounds among them, and what a column cannot hold.

Knows the types of ``core.pure.schema``. It must not know levels, pages or dictionaries: values
are those that are given, without nulls.

No value is looked at by itself where all are right. What a value that does not fit raises is any
error; ``misfit`` then finds it and says it in words.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final

from otlp2parquet.core.pure.schema import Type

ERRORS: Final = (TypeError, ValueError, OverflowError, struct.error)
"""What the functions of this module raise for values that do not fit."""

_FORMATS: Final[dict[Type, str]] = {"timestamp": "q", "int64": "q", "int32": "i", "double": "d"}
_BITS: Final[dict[Type, int]] = {"timestamp": 64, "int64": 64, "int32": 32}
_BOOLEANS: Final = frozenset((False, True))


def plain(kind: Type, values: Sequence[Any]) -> bytes:
    """The values one after another."""
    if kind == "string":
        return _strings(values)
    if kind == "bool":
        return _booleans(values)
    return struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)


def _strings(values: Sequence[str]) -> bytes:
    """Each with its length before it: "4 byte length stored as little endian"."""
    if not all(map(str.isascii, values)):
        return _prefixed(list(map(str.encode, values)))
    # All in one text, of which each character becomes a byte: the lengths are text as well.
    lengths = list(map(len, values))
    prefixes = {length: _length(length).decode("latin-1") for length in set(lengths)}
    if len(prefixes) == 1:
        (prefix,) = prefixes.values()
        return (prefix + prefix.join(values)).encode("latin-1")
    parts = [""] * (2 * len(values))
    parts[::2] = map(prefixes.__getitem__, lengths)
    parts[1::2] = values
    return "".join(parts).encode("latin-1")


def _prefixed(values: Sequence[bytes]) -> bytes:
    lengths = list(map(len, values))
    prefixes = {length: _length(length) for length in set(lengths)}
    parts = [b""] * (2 * len(values))
    parts[::2] = map(prefixes.__getitem__, lengths)
    parts[1::2] = values
    return b"".join(parts)


def _length(length: int) -> bytes:
    return length.to_bytes(4, "little")


def _booleans(values: Sequence[bool]) -> bytes:
    """A bit each, the first one in the lowest."""
    if not _BOOLEANS.issuperset(values):
        raise TypeError("not all are true or false")
    if not values:
        return b""
    digits = bytes(values).translate(bytes.maketrans(b"\0\1", b"01"))[::-1]
    return int(digits, 2).to_bytes(-(-len(values) // 8), "little")


def bound(kind: Type, value: Any) -> bytes:  # noqa: ANN401 - a value of that type
    """A minimum or maximum: PLAIN, but texts without their length."""
    return value.encode() if kind == "string" else plain(kind, [value])


def bounds(kind: Type, values: Sequence[Any]) -> tuple[Any, Any] | None:
    """The least and the greatest value; ``None`` if nothing has an order here.

    Texts are compared by their characters, which is the order of their bytes in UTF-8.
    """
    if kind != "double":
        return (min(values), max(values)) if values else None
    # "NaNs should not be written to min or max statistics fields"
    ordered = [value for value in values if value == value]  # noqa: PLR0124 - NaN is not
    if not ordered:
        return None
    lower, upper = min(ordered), max(ordered)
    # "If the computed max value is zero [...] `+0.0` should be written into the max statistics
    # field", "if the computed min value is zero [...] `-0.0`"
    return (lower or -0.0, upper or 0.0)


def misfit(kind: Type, value: Any) -> str | None:  # noqa: ANN401 - whatever was given
    """Why a value is none of that type, in words; ``None`` if it is one."""
    if kind == "string":
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                return f"a text with a lone surrogate at character {error.start}"
            return None
        expected = "a str"
    elif kind == "bool":
        if value in (False, True):
            return None
        expected = "a bool"
    elif kind == "double":
        if isinstance(value, float):
            return None
        expected = "a float"
    else:
        bits = _BITS[kind]
        if isinstance(value, int):
            if -(1 << bits - 1) <= value < 1 << bits - 1:
                return None
            return f"{value}, which {bits} bits do not hold"
        expected = "an int"
    return f"{'null' if value is None else type(value).__name__}: expected {expected}"
