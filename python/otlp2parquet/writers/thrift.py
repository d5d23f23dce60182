"""Thrift's compact protocol, the half that writes: values, fields and structures as bytes.

Knows the protocol alone, nothing of Parquet. A field is its number, its type on the wire and its
value, written; a structure gets its fields in the order of their numbers.
"""

from collections.abc import Iterable, Sequence
from typing import Final

Field = tuple[int, int, bytes]

_TRUE: Final = 1
_FALSE: Final = 2
_I16: Final = 4
_I32: Final = 5
_I64: Final = 6
_BINARY: Final = 8
_LIST: Final = 9
_STRUCT: Final = 12
_SHORT_LIST: Final = 15
_BYTES: Final = tuple(bytes((number,)) for number in range(256))


def varint(number: int) -> bytes:
    """An unsigned number, seven bits a byte, the lowest first."""
    if number < 128:  # noqa: PLR2004 - seven bits
        return _BYTES[number]
    written = bytearray()
    while number > 127:  # noqa: PLR2004
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def zigzag(number: int) -> bytes:
    """A signed number of up to 64 bits: small ones are short, whatever their sign."""
    return varint((number << 1) ^ (number >> 63))


def struct_of(fields: Iterable[Field | None]) -> bytes:
    """A structure; ``None`` stands for a field that is not given."""
    parts: list[bytes] = []
    last = 0
    for field in fields:
        if field is not None:
            number, kind, value = field
            # The short form of a field's header: numbers here never skip more than 15.
            parts += (_BYTES[number - last << 4 | kind], value)
            last = number
    parts.append(b"\0")
    return b"".join(parts)


def _list(kind: int, items: Sequence[bytes]) -> bytes:
    if len(items) < _SHORT_LIST:
        return _BYTES[len(items) << 4 | kind] + b"".join(items)
    return _BYTES[_SHORT_LIST << 4 | kind] + varint(len(items)) + b"".join(items)


def true(number: int) -> Field:
    """A field of type bool that is true: that is its type on the wire."""
    return (number, _TRUE, b"")


def i16(number: int, value: int) -> Field:
    """A field of type i16."""
    return (number, _I16, zigzag(value))


def i32(number: int, value: int) -> Field:
    """A field of type i32, or an enum."""
    return (number, _I32, zigzag(value))


def i64(number: int, value: int) -> Field:
    """A field of type i64."""
    return (number, _I64, zigzag(value))


def binary(number: int, value: bytes) -> Field:
    """A field of type binary, or a string in UTF-8."""
    return (number, _BINARY, varint(len(value)) + value)


def struct(number: int, *fields: Field | None) -> Field:
    """A field that is a structure, or a union with one field."""
    return (number, _STRUCT, struct_of(fields))


def structs(number: int, items: Sequence[bytes]) -> Field:
    """A field that is a list of structures, each written."""
    return (number, _LIST, _list(_STRUCT, items))


def booleans(number: int, items: Iterable[bool]) -> Field:
    """A field that is a list of booleans."""
    return (number, _LIST, _list(_TRUE, [_BYTES[_TRUE if item else _FALSE] for item in items]))


def i32s(number: int, items: Iterable[int]) -> Field:
    """A field that is a list of i32, or of an enum."""
    return (number, _LIST, _list(_I32, [zigzag(item) for item in items]))


def i64s(number: int, items: Iterable[int]) -> Field:
    """A field that is a list of i64."""
    return (number, _LIST, _list(_I64, [zigzag(item) for item in items]))


def binaries(number: int, items: Iterable[bytes]) -> Field:
    """A field that is a list of binary."""
    return (number, _LIST, _list(_BINARY, [varint(len(item)) + item for item in items]))
