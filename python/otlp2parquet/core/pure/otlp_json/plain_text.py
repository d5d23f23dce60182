"""Requests as nearly every sender writes them: read by the ``json`` module, whose scanner is C.

Gives the bytes that ``transcoder`` gives, to the last one, or nothing: whatever is unusual (text
that is not UTF-8 or not JSON, a lone surrogate, an unknown key, one given twice, a value of another
type or beyond its range, depth, size) is left to it, with all that is to be said of it. Knows that
an object of JSON is a tuple of pairs here, and a list a list.
"""

import json
from collections.abc import Callable
from math import isfinite
from struct import pack
from typing import Any, Final

from otlp2parquet.core.pure.fields import DESCRIPTORS, ENUMS, Descriptor, Field
from otlp2parquet.core.pure.otlp_json.octets import from_base64
from otlp2parquet.core.pure.wire import U64, varint

MOST_BYTES: Final = 1 << 20
"""Of a text: the objects that it becomes take some thirty times as much memory at most. It cannot
hold more records than a request may."""
MOST_DEPTH: Final = 24
"""Of messages in messages."""
MOST_ROUNDS: Final = 48
"""So many pairs of a bracket and a brace in one another, at most."""
_NO_STRUCTURE: Final = bytes(set(range(256)) - set(b'"[]{}'))

Put = Callable[[bytearray, Any, int], object]
"""Appends a field's tag and value, inside so many arrays and lists."""

_NOT_FINITE: Final = frozenset(("NaN", "Infinity", "-Infinity"))
_BYTES: Final = tuple(bytes((size,)) for size in range(0x80))
_BYTES_OF_TWO: Final = tuple(bytes((size,)) for size in range(0x80, 0x100))
"""The first of two or more, by what it says of a number."""


class UnusualError(Exception):
    """Something is to be looked at by the transcoder."""


def _refuse(_constant: str) -> None:
    """``NaN`` and ``Infinity`` are no JSON, but in quotes."""
    raise UnusualError


_DECODER: Final = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_refuse)


def transcode_plain(text: bytes, message: Descriptor) -> bytes | None:
    """The protobuf of the one request in ``text``; None if it is for the transcoder."""
    if len(text) > MOST_BYTES or not _is_shallow(text):
        return None
    out = bytearray()
    try:
        tree = _DECODER.decode(text.decode())
        if type(tree) is not tuple:
            return None
        _put_members(out, tree, _members_of(message), 0)
    except (UnusualError, ValueError, OverflowError, RecursionError):
        return None
    return bytes(out)


def _is_shallow(text: bytes) -> bool:
    """Whether brackets are so few in one another that the scanner, which recurses, may read them.

    It must not be tried: a stack of WebAssembly that overflows ends the interpreter. Each round
    takes out the innermost pairs. Linear in any text, JSON or not: without escapes, strings are
    what is between every other quote and the next one.
    """
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(text.translate(None, _NO_STRUCTURE).split(b'"')[::2])
    for _ in range(MOST_ROUNDS):
        shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not shorter or len(shorter) == len(brackets):
            return not shorter
        brackets = shorter
    return False


def _length(size: int, least: int) -> bytes:
    """A length in ``least`` bytes or more, as ``output.end`` writes it."""
    if least == 1:
        return _BYTES[size] if size < 0x80 else varint(size)
    if least == 2 and size < 0x4000:
        return _BYTES_OF_TWO[size & 0x7F] + _BYTES[size >> 7]
    needed = max(least, (size.bit_length() + 6) // 7)
    return bytes(size >> 7 * at & 0x7F | (0x80 if at < needed - 1 else 0) for at in range(needed))


# Messages ------------------------------------------------------------------------------------

Members = dict[str, tuple[Put, int]]
"""By key: how a field is put, and as bits the fields of which it takes the place."""

_known: Final[dict[str, Members]] = {}


def _members_of(message: Descriptor) -> Members:
    """The members of an object that is a message."""
    members = _known.get(message.name)
    if members is None:
        members = _known[message.name] = {
            key.decode(): (_put_of(field), sum(1 << other for other in field.displaces))
            for key, field in message.by_key.items()
            if field.kind not in ("Old", "Labels")
        }
    return members


def _put_members(out: bytearray, pairs: Any, members: Members, depth: int) -> None:
    if type(pairs) is not tuple or depth > MOST_DEPTH:
        raise UnusualError
    seen = 0
    for key, value in pairs:
        if value is None:
            continue  # "A null member is as if it were not written"
        member = members.get(key)
        if member is None or seen & member[1]:
            raise UnusualError
        seen |= member[1]
        member[0](out, value, depth)


def _put_of(field: Field) -> Put:
    """How a field is put."""
    tag, kind = field.tag_bytes, field.kind
    if kind in ("Messages", "Records", "Groups"):
        put = _put_key_value if field.of == "KeyValue" else _put_message_of(field)

        def put_messages(out: bytearray, items: Any, depth: int) -> None:
            if type(items) is not list:
                raise UnusualError
            for item in items:
                put(out, item, depth, tag)

        return put_messages
    if kind == "Message":
        put_one = _put_value if field.of == "AnyValue" else _put_message_of(field)
        return lambda out, value, depth: put_one(out, value, depth, tag)
    if kind in ("Texts", "Fixed64s", "Doubles", "Uint64s"):
        return _put_list_of(tag, kind)
    if kind in _FREQUENT:
        return _FREQUENT[kind](tag)
    pack_value = _SCALARS[kind] if kind != "Enum" else _enum_of(ENUMS[field.of])
    return lambda out, value, _: out.extend(tag + pack_value(value))


def _put_message_of(field: Field) -> Callable[[bytearray, Any, int, bytes], None]:
    inner = DESCRIPTORS[field.of]
    least = inner.length_bytes

    def put_message(out: bytearray, value: Any, depth: int, tag: bytes) -> None:
        body = bytearray()
        _put_members(body, value, _known.get(inner.name) or _members_of(inner), depth + 1)
        out += tag
        out += _length(len(body), least)
        out += body

    return put_message


_MOST_REMEMBERED: Final = 4000
_remembered: Final[dict[Any, bytes]] = {}
"""Short keys with short texts, as bytes. A text equals nothing but that text; numbers of different
types are equal, so that there are none in it."""


def _put_key_value(out: bytearray, pairs: Any, depth: int, tag: bytes) -> None:
    """Put a KeyValue, in one go where it is a short key with a short text or an integer."""
    try:
        usual = _remembered.get(pairs) or _usual_key_value(pairs)
    except (UnusualError, ValueError, TypeError, AttributeError, IndexError):
        usual = b""  # of another form, or longer, or indeed unusual
    if usual:
        out += tag
        out += usual
    else:
        _PUT_ANY_KEY_VALUE(out, pairs, depth, tag)


def _usual_key_value(pairs: Any) -> bytes:
    ((first, key), (second, value)) = pairs
    if not (type(pairs) is tuple and first == "key" and second == "value"):
        return b""
    packed = _usual_value(value)
    name = key.encode()
    size = _BYTES[len(name) + len(packed) + 4]
    usual = b"%b\x0a%b%b\x12%b%b" % (size, _BYTES[len(name)], name, _BYTES[len(packed)], packed)
    if packed[0] == _STRING_VALUE:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[pairs] = usual
    return usual


_STRING_VALUE: Final = 0x0A
"""The first byte of an AnyValue that is a text."""


def _usual_value(pairs: Any) -> bytes:
    """An AnyValue with one member that is a scalar; an error, of some kind, for any other."""
    ((kind, value),) = pairs
    if type(pairs) is not tuple:
        raise UnusualError
    if kind == "stringValue":
        return b"\x0a" + _text(value)
    if kind == "intValue":
        return b"\x18" + _int64(value)
    if kind == "doubleValue":
        return b"\x21" + _double(value)
    if kind == "boolValue":
        return b"\x10" + _bool(value)
    raise UnusualError


def _put_value(out: bytearray, pairs: Any, depth: int, tag: bytes) -> None:
    """Put an AnyValue."""
    try:
        usual = _usual_value(pairs)
    except (UnusualError, ValueError, TypeError):
        _PUT_ANY_VALUE(out, pairs, depth, tag)
        return
    out += tag
    out += _length(len(usual), 1)
    out += usual


# Values --------------------------------------------------------------------------------------


def _put_list_of(tag: bytes, kind: str) -> Put:
    """How a list is put that is not one of messages."""

    def put_texts(out: bytearray, items: Any, _depth: int) -> None:
        if type(items) is not list:
            raise UnusualError
        for item in items:
            out += tag + _text(item)

    def put_packed(out: bytearray, items: Any, _depth: int) -> None:
        if type(items) is not list:
            raise UnusualError
        body = b"".join(map(pack_item, items))
        out += tag + _length(len(body), 1) + body

    pack_item = {"Fixed64s": _fixed64, "Doubles": _double, "Uint64s": _uint64}.get(kind, _text)
    return put_texts if kind == "Texts" else put_packed


def _text(value: Any) -> bytes:
    if type(value) is not str:
        raise UnusualError
    text = value.encode()  # a lone surrogate is a ValueError
    return _length(len(text), 1) + text


def _integer(value: Any, least: int, most: int) -> int:
    if type(value) is str:
        text, value = value, int(value)
        if str(value) != text:
            raise UnusualError  # as Python spells numbers, or people
    if type(value) is not int or not least <= value <= most:
        raise UnusualError
    return value


def _put_text_of(tag: bytes) -> Put:
    def put_text(out: bytearray, value: Any, _depth: int) -> None:
        if type(value) is not str:
            raise UnusualError
        text = value.encode()  # a lone surrogate is a ValueError
        size = len(text)
        out += tag
        out += _BYTES[size] if size < 0x80 else varint(size)
        out += text

    return put_text


def _put_id_of(tag: bytes) -> Put:
    def put_id(out: bytearray, value: Any, _depth: int) -> None:
        out += tag
        out += _id(value)

    return put_id


def _put_fixed64_of(tag: bytes) -> Put:
    def put_fixed64(out: bytearray, value: Any, _depth: int) -> None:
        out += tag
        out += _fixed64(value)

    return put_fixed64


_FREQUENT: Final = {"Text": _put_text_of, "Id": _put_id_of, "Fixed64": _put_fixed64_of}
"""How what is in nearly every record is put, with as few calls as may be."""


def _int64(value: Any) -> bytes:
    return varint(_integer(value, -(1 << 63), (1 << 63) - 1) & U64)


def _int32(value: Any) -> bytes:
    return varint(_integer(value, -(1 << 31), (1 << 31) - 1) & U64)


def _uint32(value: Any) -> bytes:
    return varint(_integer(value, 0, (1 << 32) - 1))


def _sint32(value: Any) -> bytes:
    number = _integer(value, -(1 << 31), (1 << 31) - 1)
    return varint((number << 1 ^ number >> 31) & 0xFFFF_FFFF)


def _uint64(value: Any) -> bytes:
    return varint(_integer(value, 0, U64))


def _fixed64(value: Any) -> bytes:
    return _integer(value, 0, U64).to_bytes(8, "little")


def _sfixed64(value: Any) -> bytes:
    return (_integer(value, -(1 << 63), (1 << 63) - 1) & U64).to_bytes(8, "little")


def _fixed32(value: Any) -> bytes:
    return _integer(value, 0, (1 << 32) - 1).to_bytes(4, "little")


def _double(value: Any) -> bytes:
    kind = type(value)
    if kind is float:
        if not isfinite(value):
            raise UnusualError  # a number beyond a double's range
        return pack("<d", value)
    if kind is str and value in _NOT_FINITE:
        return pack("<d", float(value))
    if kind is not int or not value:
        raise UnusualError  # a zero may have been -0
    return pack("<d", float(value))


def _bool(value: Any) -> bytes:
    if type(value) is not bool:
        raise UnusualError
    return b"\1" if value else b"\0"


def _base64(value: Any) -> bytes:
    raw = from_base64(value.encode()) if type(value) is str else None
    if raw is None:
        raise UnusualError
    return _length(len(raw), 1) + raw


def _id(value: Any) -> bytes:
    if type(value) is not str:
        raise UnusualError
    raw = bytes.fromhex(value)
    if 2 * len(raw) != len(value):
        raise UnusualError  # there is white space between the digits
    return _length(len(raw), 1) + raw


def _enum_of(names: tuple[str, ...]) -> Callable[[Any], bytes]:
    numbers = {name: varint(number) for number, name in enumerate(names)}

    def pack_enum(value: Any) -> bytes:
        known = numbers.get(value) if type(value) is str else None
        return _int32(value) if known is None else known

    return pack_enum


_SCALARS: Final[dict[str, Callable[[Any], bytes]]] = {
    "Text": _text, "Bytes": _base64, "Id": _id, "Bool": _bool, "Double": _double,
    "Int64": _int64, "Int32": _int32, "Uint32": _uint32, "Sint32": _sint32,
    "Fixed32": _fixed32, "Fixed64": _fixed64, "Sfixed64": _sfixed64,
}  # fmt: skip
_PUT_ANY_KEY_VALUE: Final = _put_message_of(
    next(field for field in DESCRIPTORS["Resource"].fields if field.of == "KeyValue")
)
_PUT_ANY_VALUE: Final = _put_message_of(
    next(field for field in DESCRIPTORS["KeyValue"].fields if field.of == "AnyValue")
)
