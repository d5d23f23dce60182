"""Avro object container files, as far as Iceberg's manifests need them.

Knows Avro's encoding and nothing of Iceberg. Records are mappings by field name, maps of Iceberg
(arrays of key and value) are mappings too where the schema says ``"logicalType": "map"``; a union
is of null and one more type. A schema is compiled once into functions, because a manifest has
thousands of values. Sections of https://avro.apache.org/docs/1.12.0/specification are quoted.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MAGIC: Final = b"Obj\x01"
DEFLATE: Final = "deflate"
_SYNC_BYTES: Final = 16
_MOST_VARINT_BITS: Final = 70

Write = Callable[[Any, bytearray], object]
Read = Callable[["Cursor"], Any]


class AvroError(ValueError):
    """Bytes that are no Avro file, or one in a form that is not read here."""


class Cursor:
    """A place in bytes, from which values are read."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or self.at + count > len(self.data):
            raise AvroError(f"found {len(self.data)} bytes, expected {count} more at {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def long(self) -> int:
        """An int or long: "variable-length zig-zag coding"."""
        shift = number = 0
        while True:
            if self.at >= len(self.data) or shift >= _MOST_VARINT_BITS:
                raise AvroError(f"found no whole number at {self.at}")
            byte = self.data[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
                return (number >> 1) ^ -(number & 1)
            shift += 7

    def bytes(self) -> bytes:
        """Bytes or a string: "a long followed by that many bytes"."""
        return self.take(self.long())

    def counts(self) -> Iterator[int]:
        """The blocks of an array or map: their numbers of items, the last of which is 0."""
        while count := self.long():
            if count < 0:  # "followed immediately by a long block size"
                self.long()
            yield abs(count)


def write_long(number: int, out: bytearray) -> None:
    """The reverse of ``Cursor.long``."""
    number = (number << 1) ^ (number >> 63)
    while number > 0x7F:  # noqa: PLR2004 - as there
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _write_bytes(value: bytes, out: bytearray) -> None:
    write_long(len(value), out)
    out += value


def _write_text(value: str, out: bytearray) -> None:
    _write_bytes(value.encode(), out)


_WRITERS: Final[Mapping[str, Write]] = {
    "null": lambda _, __: None,
    "boolean": lambda value, out: out.append(1 if value else 0),
    "int": write_long,
    "long": write_long,
    "float": lambda value, out: out.extend(struct.pack("<f", value)),
    "double": lambda value, out: out.extend(struct.pack("<d", value)),
    "bytes": _write_bytes,
    "string": _write_text,
}
_READERS: Final[Mapping[str, Read]] = {
    "null": lambda _: None,
    "boolean": lambda cursor: cursor.take(1) != b"\0",
    "int": Cursor.long,
    "long": Cursor.long,
    "float": lambda cursor: struct.unpack("<f", cursor.take(4))[0],
    "double": lambda cursor: struct.unpack("<d", cursor.take(8))[0],
    "bytes": Cursor.bytes,
    "string": lambda cursor: cursor.bytes().decode(),
}


def writer_of(schema: Any) -> Write:  # noqa: ANN401 - JSON
    """The function that appends a value of a schema to bytes."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(schema, list):
        return _optional_writer(schema)
    if kind == "record":
        fields = [(one["name"], writer_of(one["type"])) for one in schema["fields"]]

        def write_record(value: Mapping[str, Any], out: bytearray) -> None:
            for name, write in fields:
                write(value[name], out)

        return write_record
    if kind == "array":
        write_item = writer_of(schema["items"])
        is_map = schema.get("logicalType") == "map"

        def write_array(value: Any, out: bytearray) -> None:  # noqa: ANN401
            if value:
                write_long(len(value), out)
                for item in _pairs(value) if is_map else value:
                    write_item(item, out)
            out.append(0)

        return write_array
    if isinstance(kind, dict | list):
        return writer_of(kind)
    return _WRITERS[kind]


def _pairs(value: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    return ({"key": key, "value": item} for key, item in sorted(value.items()))


def _optional_writer(branches: list[Any]) -> Write:
    null = branches.index("null")
    write = writer_of(branches[1 - null])

    def write_optional(value: Any, out: bytearray) -> None:  # noqa: ANN401
        write_long(null if value is None else 1 - null, out)
        if value is not None:
            write(value, out)

    return write_optional


def reader_of(schema: Any, named: dict[str, Read] | None = None) -> Read:  # noqa: ANN401 - JSON
    """The function that reads a value of a schema, whoever wrote it."""
    named = {} if named is None else named
    if isinstance(schema, str):
        known = _READERS.get(schema)
        # A name may be used before its record is complete, so it is looked up when it is read.
        return known or (lambda cursor: named[schema](cursor))  # noqa: PLW0108 - as said
    if isinstance(schema, list):
        branches = [reader_of(branch, named) for branch in schema]
        return lambda cursor: _branch(branches, cursor.long())(cursor)
    kind = schema["type"]
    if kind == "record":
        fields = [(one["name"], reader_of(one["type"], named)) for one in schema["fields"]]
        read: Read = lambda cursor: {name: part(cursor) for name, part in fields}  # noqa: E731
        return named.setdefault(schema["name"], read)
    if kind == "array":
        item = reader_of(schema["items"], named)
        if schema.get("logicalType") == "map":
            return lambda cursor: {pair["key"]: pair["value"] for pair in _items(cursor, item)}
        return lambda cursor: list(_items(cursor, item))
    if kind == "map":
        value = reader_of(schema["values"], named)
        return lambda cursor: {
            cursor.bytes().decode(): value(cursor)
            for count in cursor.counts()
            for _ in range(count)
        }
    if kind == "fixed":
        size = int(schema["size"])
        return named.setdefault(schema["name"], lambda cursor: cursor.take(size))
    if kind == "enum":
        symbols = list(schema["symbols"])
        return named.setdefault(schema["name"], lambda cursor: symbols[cursor.long()])
    return reader_of(kind, named)


def _branch(branches: list[Read], number: int) -> Read:
    if not 0 <= number < len(branches):
        raise AvroError(f"found the branch {number} of a union, expected one of {len(branches)}")
    return branches[number]


def _items(cursor: Cursor, item: Read) -> Iterator[Any]:
    for count in cursor.counts():
        for _ in range(count):
            yield item(cursor)


@dataclass(frozen=True, slots=True)
class AvroFile:
    """A container file that was taken apart."""

    schema: Any
    metadata: Mapping[str, bytes]
    codec: str
    blocks: tuple[tuple[int, bytes], ...]
    """Of each block the number of its rows, and its bytes as they lie in the file."""

    def rows(self) -> Iterator[Any]:
        """All rows."""
        read = reader_of(self.schema)
        for count, packed in self.blocks:
            cursor = Cursor(_unpack(packed, self.codec))
            for _ in range(count):
                yield read(cursor)


def _unpack(packed: bytes, codec: str) -> bytes:
    if codec == "null":
        return packed
    if codec != DEFLATE:
        raise AvroError(f"found the codec {codec}, expected deflate or null")
    try:
        # "deflate as specified in RFC 1951", without zlib's header
        return zlib.decompress(packed, -15)
    except zlib.error as error:
        raise AvroError(f"found a block that cannot be inflated: {error}") from error


def read_file(data: bytes) -> AvroFile:
    """Take a container file apart. Raises ``AvroError``."""
    cursor = Cursor(data)
    if cursor.take(len(MAGIC)) != MAGIC:
        raise AvroError("found no Avro file, expected one")
    metadata = reader_of({"type": "map", "values": "bytes"})(cursor)
    sync = cursor.take(_SYNC_BYTES)
    blocks = []
    while cursor.at < len(data):
        count, packed = cursor.long(), cursor.bytes()
        if cursor.take(_SYNC_BYTES) != sync:
            raise AvroError(f"found no end of a block at {cursor.at}")
        blocks.append((count, packed))
    try:
        schema = json.loads(metadata["avro.schema"])
    except (KeyError, ValueError) as error:
        raise AvroError("found an Avro file without a schema") from error
    codec = metadata.get("avro.codec", b"null").decode()
    return AvroFile(schema, metadata, codec, tuple(blocks))


def write_file(
    schema: Any,  # noqa: ANN401 - JSON
    rows: Sequence[Any],
    metadata: Mapping[str, str],
    sync: bytes,
    blocks: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """A container file of rows in one block, with the codec deflate.

    ``sync`` are 16 bytes that appear nowhere by chance. ``blocks`` of another file of this schema
    and codec come behind the rows as they are.
    """
    write, packed = writer_of(schema), bytearray()
    for row in rows:
        write(row, packed)
    deflate = zlib.compressobj(wbits=-15)
    own = [(len(rows), deflate.compress(bytes(packed)) + deflate.flush())] if rows else []
    out = bytearray(MAGIC)
    header = {**metadata, "avro.schema": json.dumps(schema), "avro.codec": DEFLATE}
    write_long(len(header), out)
    for name, value in header.items():
        _write_text(name, out)
        _write_text(value, out)
    out.append(0)
    out += sync
    for count, block in (*own, *blocks):
        write_long(count, out)
        _write_bytes(block, out)
        out += sync
    return bytes(out)
