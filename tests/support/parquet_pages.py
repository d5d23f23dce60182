"""A Parquet file's own structures, read from its bytes: pages and indexes, which pyarrow hides.

Reads Thrift's compact protocol into dictionaries by field number, from its specification alone, and
knows the numbers of parquet.thrift that the tests ask for. It shares nothing with the encoder.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any

DATA_PAGE, DICTIONARY_PAGE = 0, 2
UNCOMPRESSED, GZIP = 0, 2

Struct = dict[int, Any]


class CompactReader:
    """A cursor over bytes in the compact protocol."""

    def __init__(self, content: bytes, position: int = 0) -> None:
        self._content = content
        self.position = position

    def byte(self) -> int:
        """The next byte."""
        self.position += 1
        return self._content[self.position - 1]

    def varint(self) -> int:
        """An unsigned number."""
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def zigzag(self) -> int:
        """A signed number."""
        number = self.varint()
        return number >> 1 ^ -(number & 1)

    def value(self, kind: int) -> Any:
        """A value of a type, as a list has it."""
        if kind in (1, 2):
            return self.byte() == 1
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 8:
            length = self.varint()
            self.position += length
            return self._content[self.position - length : self.position]
        if kind == 9:
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.varint()
            return [self.value(head & 15) for _ in range(count)]
        assert kind == 12, f"type {kind} is in no structure that is read here"
        return self.struct()

    def struct(self) -> Struct:
        """A structure, by its fields' numbers."""
        fields: Struct = {}
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            kind = head & 15
            assert number not in fields
            fields[number] = kind == 1 if kind in (1, 2) else self.value(kind)
        return fields


@dataclass(frozen=True)
class Page:
    """A page as it lies in the file."""

    offset: int
    size: int
    """With its header."""
    kind: int
    num_values: int
    content: bytes
    """Not compressed."""


@dataclass(frozen=True)
class Chunk:
    """A column chunk as it lies in the file."""

    metadata: Struct
    pages: list[Page]
    offset_index: Struct | None
    column_index: Struct | None

    @property
    def path(self) -> str:
        """Dotted, as in the schema."""
        return ".".join(part.decode() for part in self.metadata[3])

    @property
    def data_pages(self) -> list[Page]:
        """Without the dictionary's."""
        return [page for page in self.pages if page.kind == DATA_PAGE]


def read_footer(content: bytes) -> Struct:
    """The metadata of a file."""
    assert content[:4] == content[-4:] == b"PAR1"
    length = int.from_bytes(content[-8:-4], "little")
    reader = CompactReader(content, len(content) - 8 - length)
    footer = reader.struct()
    assert reader.position == len(content) - 8
    return footer


def read_chunks(content: bytes) -> list[list[Chunk]]:
    """The column chunks of each row group, with what all of their pages hold."""
    return [
        [_chunk(content, column) for column in row_group[1]]
        for row_group in read_footer(content)[4]
    ]


def _chunk(content: bytes, column: Struct) -> Chunk:
    metadata = column[3]
    position = begin = metadata.get(11, metadata[9])
    pages = []
    while position < begin + metadata[7]:
        page = _page(content, position, metadata[4])
        pages.append(page)
        position += page.size
    assert position == begin + metadata[7], "pages end where the chunk does"
    return Chunk(metadata, pages, _index(content, column, 4), _index(content, column, 6))


def _page(content: bytes, offset: int, codec: int) -> Page:
    reader = CompactReader(content, offset)
    header = reader.struct()
    end = reader.position + header[3]
    stored = content[reader.position : end]
    assert codec in (UNCOMPRESSED, GZIP)
    raw = gzip.decompress(stored) if codec == GZIP else stored
    assert len(raw) == header[2]
    about = header[7 if header[1] == DICTIONARY_PAGE else 5]
    return Page(offset, end - offset, header[1], about[1], raw)


def _index(content: bytes, column: Struct, number: int) -> Struct | None:
    if number not in column:
        return None
    reader = CompactReader(content, column[number])
    index = reader.struct()
    assert reader.position == column[number] + column[number + 1]
    # Fields 1 to 5 are those that say something of pages.
    return {key: value for key, value in index.items() if key <= 5}
