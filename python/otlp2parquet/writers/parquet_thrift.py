"""Parquet's structures as Thrift: page headers, the metadata of chunks and of the file, indexes.

Knows parquet.thrift of the format's specification, whose names and numbers these are, and the
tables' columns. It must not know how values are encoded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from otlp2parquet.core.pure.schema import TABLES, Column, Type
from otlp2parquet.writers import thrift
from otlp2parquet.writers.column_chunk import Statistics

# Type
_PHYSICAL: Final[dict[Type, int]] = {
    "bool": 0, "int32": 1, "int64": 2, "timestamp": 2, "double": 5, "string": 6
}  # fmt: skip
# ConvertedType
_UTF8, _LIST, _TIMESTAMP_MICROS = 0, 3, 10
# FieldRepetitionType
_REQUIRED, _OPTIONAL, _REPEATED = 0, 1, 2
# Encoding
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
# CompressionCodec
UNCOMPRESSED, GZIP = 0, 2
# PageType
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
# BoundaryOrder
_UNORDERED, _ASCENDING, _DESCENDING = 0, 1, 2

_FORMAT_VERSION: Final = 2


class WrittenPage(NamedTuple):
    """A data page that lies in the file."""

    offset: int
    compressed_page_size: int
    """With the page's header."""
    first_row_index: int
    """Within the row group."""
    num_values: int
    """Levels: nulls and empty lists count."""
    statistics: Statistics | None


@dataclass(frozen=True, slots=True)
class WrittenChunk:
    """A column chunk that lies in the file."""

    column: Column
    codec: int
    dictionary_page_offset: int | None
    pages: Sequence[WrittenPage]
    total_uncompressed_size: int
    total_compressed_size: int
    statistics: Statistics | None


class Index(NamedTuple):
    """Where an index lies in the file."""

    offset: int
    length: int


def data_page_header(size: int, compressed_size: int, num_values: int, encoding: int) -> bytes:
    """The header of a data page, version 1."""
    return thrift.struct_of(
        (
            thrift.i32(1, _DATA_PAGE),
            thrift.i32(2, size),
            thrift.i32(3, compressed_size),
            thrift.struct(
                5,
                thrift.i32(1, num_values),
                thrift.i32(2, encoding),
                thrift.i32(3, RLE),  # of definition levels
                thrift.i32(4, RLE),  # of repetition levels
            ),
        )
    )


def dictionary_page_header(size: int, compressed_size: int, num_values: int) -> bytes:
    """The header of a dictionary page."""
    return thrift.struct_of(
        (
            thrift.i32(1, _DICTIONARY_PAGE),
            thrift.i32(2, size),
            thrift.i32(3, compressed_size),
            thrift.struct(7, thrift.i32(1, num_values), thrift.i32(2, PLAIN)),
        )
    )


def column_index(written: WrittenChunk) -> bytes | None:
    """Bounds and nulls of each page; ``None`` if some page with values has no bounds."""
    pages = [page.statistics for page in written.pages if page.statistics]
    if not pages or any(page.num_values and not page.has_min_max for page in pages):
        return None
    bounds = [page.encoded_bounds or (b"", b"") for page in pages]
    return thrift.struct_of(
        (
            thrift.booleans(1, [not page.num_values for page in pages]),
            thrift.binaries(2, [lower for lower, _ in bounds]),
            thrift.binaries(3, [upper for _, upper in bounds]),
            thrift.i32(4, _boundary_order(pages)),
            thrift.i64s(5, [page.null_count for page in pages]),
        )
    )


def _boundary_order(pages: Iterable[Statistics]) -> int:
    """Whether both bounds only rise, or only fall; pages of nulls have none."""
    bounds = [page.bounds for page in pages if page.bounds is not None]
    for order, ordered in ((_ASCENDING, bounds), (_DESCENDING, bounds[::-1])):
        lower, upper = [low for low, _ in ordered], [high for _, high in ordered]
        if bounds and lower == sorted(lower) and upper == sorted(upper):
            return order
    return _UNORDERED


def offset_index(written: WrittenChunk) -> bytes:
    """Where each page lies."""
    return thrift.struct_of(
        (
            thrift.structs(
                1,
                [
                    thrift.struct_of(
                        (
                            thrift.i64(1, page.offset),
                            thrift.i32(2, page.compressed_page_size),
                            thrift.i64(3, page.first_row_index),
                        )
                    )
                    for page in written.pages
                ],
            ),
        )
    )


def column_metadata(
    written: WrittenChunk, offset_at: Index | None, column_at: Index | None
) -> bytes:
    """The metadata of a column chunk, and where its indexes lie."""
    column = written.column
    has_dictionary = written.dictionary_page_offset is not None
    encoding = RLE_DICTIONARY if has_dictionary else PLAIN
    encodings = [PLAIN, RLE, RLE_DICTIONARY] if has_dictionary else [PLAIN, RLE]
    path = [column.name.encode(), b"list", b"element"]
    statistics = [_page_encoding_stats(_DATA_PAGE, encoding, len(written.pages))]
    if has_dictionary:
        statistics.insert(0, _page_encoding_stats(_DICTIONARY_PAGE, PLAIN, 1))
    return thrift.struct_of(
        (
            thrift.i64(2, 0),  # file_offset: "deprecated", "should be set to 0"
            thrift.struct(
                3,
                thrift.i32(1, _PHYSICAL[column.type]),
                thrift.i32s(2, encodings),
                thrift.binaries(3, path if column.is_list else path[:1]),
                thrift.i32(4, written.codec),
                thrift.i64(5, sum(page.num_values for page in written.pages)),
                thrift.i64(6, written.total_uncompressed_size),
                thrift.i64(7, written.total_compressed_size),
                thrift.i64(9, written.pages[0].offset),
                None
                if written.dictionary_page_offset is None
                else thrift.i64(11, written.dictionary_page_offset),
                None if written.statistics is None else _statistics(12, written.statistics),
                thrift.structs(13, statistics),
            ),
            offset_at and thrift.i64(4, offset_at.offset),
            offset_at and thrift.i32(5, offset_at.length),
            column_at and thrift.i64(6, column_at.offset),
            column_at and thrift.i32(7, column_at.length),
        )
    )


def _page_encoding_stats(page_type: int, encoding: int, count: int) -> bytes:
    return thrift.struct_of(
        (thrift.i32(1, page_type), thrift.i32(2, encoding), thrift.i32(3, count))
    )


def _statistics(number: int, statistics: Statistics) -> thrift.Field:
    bounds = statistics.encoded_bounds
    return thrift.struct(
        number,
        thrift.i64(3, statistics.null_count),
        bounds and thrift.binary(5, bounds[1]),
        bounds and thrift.binary(6, bounds[0]),
        bounds and thrift.true(7),  # is_max_value_exact
        bounds and thrift.true(8),  # is_min_value_exact
    )


def row_group(
    columns: Sequence[bytes], chunks: Sequence[WrittenChunk], num_rows: int, ordinal: int
) -> bytes:
    """The metadata of a row group, with that of its columns."""
    first = chunks[0]
    begin = first.dictionary_page_offset or first.pages[0].offset
    return thrift.struct_of(
        (
            thrift.structs(1, columns),
            thrift.i64(2, sum(chunk.total_uncompressed_size for chunk in chunks)),
            thrift.i64(3, num_rows),
            thrift.i64(5, begin),
            thrift.i64(6, sum(chunk.total_compressed_size for chunk in chunks)),
            # "Row group ordinal in the file", of 16 bits
            thrift.i16(7, ordinal) if ordinal < 1 << 15 else None,
        )
    )


def file_metadata(
    table: str,
    field_ids: tuple[int, ...],
    *,
    num_rows: int,
    row_groups: Sequence[bytes],
    metadata: Mapping[str, str],
    created_by: str,
) -> bytes:
    """The footer. ``field_ids`` are those of the columns, then of the items of lists."""
    columns = TABLES[table]
    pairs = [
        thrift.struct_of((thrift.binary(1, key.encode()), thrift.binary(2, value.encode())))
        for key, value in metadata.items()
    ]
    by_type = thrift.struct_of((thrift.struct(1),))  # TypeDefinedOrder
    return thrift.struct_of(
        (
            thrift.i32(1, _FORMAT_VERSION),
            thrift.structs(2, _schema(table, field_ids)),
            thrift.i64(3, num_rows),
            thrift.structs(4, row_groups),
            thrift.structs(5, pairs),
            thrift.binary(6, created_by.encode()),
            thrift.structs(7, [by_type] * len(columns)),
        )
    )


@cache
def _schema(table: str, field_ids: tuple[int, ...]) -> Sequence[bytes]:
    """The schema's elements, depth first."""
    columns = TABLES[table]
    item_ids = iter(field_ids[len(columns) :])
    root = (thrift.i32(3, _REQUIRED), thrift.binary(4, b"schema"), thrift.i32(5, len(columns)))
    elements = [thrift.struct_of(root)]
    for column, field_id in zip(columns, field_ids, strict=False):
        name = column.name.encode()
        if not column.is_list:
            repetition = _OPTIONAL if column.is_nullable else _REQUIRED
            elements.append(_leaf(column.type, repetition, name, field_id))
            continue
        group = (
            thrift.i32(3, _REQUIRED),
            thrift.binary(4, name),
            thrift.i32(5, 1),
            thrift.i32(6, _LIST),
            thrift.i32(9, field_id),
            thrift.struct(10, thrift.struct(3)),  # ListType
        )
        repeated = (thrift.i32(3, _REPEATED), thrift.binary(4, b"list"), thrift.i32(5, 1))
        elements += [thrift.struct_of(group), thrift.struct_of(repeated)]
        elements.append(_leaf(column.type, _OPTIONAL, b"element", next(item_ids)))
    return elements


def _leaf(kind: Type, repetition: int, name: bytes, field_id: int) -> bytes:
    converted = {"string": _UTF8, "timestamp": _TIMESTAMP_MICROS}.get(kind)
    logical = None
    if kind == "string":
        logical = thrift.struct(10, thrift.struct(1))  # StringType
    elif kind == "timestamp":
        micros = thrift.struct(2, thrift.struct(2))  # MicroSeconds
        logical = thrift.struct(10, thrift.struct(8, thrift.true(1), micros))
    return thrift.struct_of(
        (
            thrift.i32(1, _PHYSICAL[kind]),
            thrift.i32(3, repetition),
            thrift.binary(4, name),
            None if converted is None else thrift.i32(6, converted),
            thrift.i32(9, field_id),
            logical,
        )
    )


def own_field_ids(columns: Sequence[Column]) -> tuple[int, ...]:
    """Those of the schema: of the columns, then of the items of lists."""
    items = [column.item_id for column in columns if column.item_id is not None]
    return (*[column.field_id for column in columns], *items)
