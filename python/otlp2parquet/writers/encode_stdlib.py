"""Batches in plain Python to the bytes of one Parquet file, by the standard library alone.

What ``encode_pyarrow`` does with Arrow's, where there is no pyarrow: a file of the same content,
schema and statistics. Knows the order of what lies in a file. Must not know where the bytes go: the
sink is any binary file object.

Columns are written one after another, so that beside the rows only the pages of one are in memory.
Chunks that gzip does not make smaller are left uncompressed. Where each chunk has one page the
chunk's own metadata says all that page indexes would, and there are none.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any, BinaryIO, Final, NamedTuple

from otlp2parquet.core.pure.schema import TABLES, Column
from otlp2parquet.errors import ConfigError
from otlp2parquet.version import __version__
from otlp2parquet.writers import parquet_thrift as parquet
from otlp2parquet.writers.bounds import merged_statistics
from otlp2parquet.writers.column_chunk import ColumnChunk, column_chunk
from otlp2parquet.writers.plain import ERRORS, misfit
from otlp2parquet.writers.protocol import ColumnStatistics
from otlp2parquet.writers.settings import ParquetSettings

PlainBatch = Sequence[Sequence[Any]]
"""The columns of a table in its order: see ``core.pure.schema``."""

_MAGIC: Final = b"PAR1"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_LEAST_BYTES: Final = 64
"""Chunks below this are not compressed: gzip alone takes 18 bytes a page, and its time."""
_CREATED_BY: Final = f"otlp2parquet version {__version__}"

Compress = Callable[[bytes], bytes]


class EncodedFile(NamedTuple):
    """What a receipt says of a file that was written."""

    rows: int
    bytes: int
    columns: Mapping[int, ColumnStatistics]
    """By the schema's own field ids; only columns that have statistics."""


def write_parquet(
    table: str,
    batches: Sequence[PlainBatch],
    sink: BinaryIO,
    settings: ParquetSettings,
    metadata: Mapping[str, str],
    *,
    field_ids: Sequence[int] = (),
) -> EncodedFile:
    """Write the batches, one after another, as one Parquet file with ``metadata`` in its footer.

    ``field_ids`` are those of the columns, then of the items of lists, where they are not the
    schema's own. The same batches give the same bytes, as long as zlib is the same. What the sink
    raises passes through.

    Raises ``ValueError`` when there is no row, when a batch has not the columns of ``table``, all
    of one length, and when a column cannot hold a value, with the value's place; ``ConfigError``
    for a compression that the standard library has not.
    """
    compress = _compression(settings)
    columns = TABLES[table]
    num_rows = sum(_num_rows(table, columns, batch) for batch in batches)
    if not num_rows:
        raise ValueError(f"no rows to write in {len(batches)} batches")
    file = _File(sink)
    file.write(_MAGIC)
    groups: list[tuple[int, list[parquet.WrittenChunk]]] = []
    for first in range(0, num_rows, settings.row_group_rows):
        stop = min(first + settings.row_group_rows, num_rows)
        chunks = []
        for place, column in enumerate(columns):
            rows = _rows(batches, place, first, stop)
            try:
                chunk = column_chunk(column, rows)
            except ERRORS as error:
                raise ValueError(_what_is_wrong(table, column, rows, first, error)) from error
            chunks.append(_write_chunk(file, chunk, compress))
        groups.append((stop - first, chunks))
    footer = parquet.file_metadata(
        table,
        tuple(field_ids) or parquet.own_field_ids(columns),
        num_rows=num_rows,
        row_groups=_write_indexes(file, groups),
        metadata=metadata,
        created_by=_CREATED_BY,
    )
    # The end: "4-byte length in bytes of file metadata (little endian)", then the magic number.
    file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)
    statistics = {
        column.item_id or column.field_id: merged_statistics(given)
        for place, column in enumerate(columns)
        if (given := [found for _, chunks in groups if (found := chunks[place].statistics)])
    }
    return EncodedFile(num_rows, file.position, statistics)


class _File:
    """A sink, and how far it is filled."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.position = 0

    def write(self, content: bytes) -> int:
        """Write all of it; gives where it begins."""
        begin = self.position
        self._sink.write(content)
        self.position += len(content)
        return begin


def _compression(settings: ParquetSettings) -> Compress | None:
    """What compresses a page."""
    if settings.compression == "none":
        return None
    if settings.compression != "gzip":
        raise ConfigError(
            f"compression is {settings.compression!r}: without pyarrow expected gzip or none"
        )
    level = settings.effective_level

    def compress(content: bytes) -> bytes:
        return zlib.compress(content, -1 if level is None else level, _GZIP_WINDOW)

    return compress


def _num_rows(table: str, columns: Sequence[Column], batch: PlainBatch) -> int:
    """The length of all columns of a batch."""
    if len(batch) != len(columns):
        raise ValueError(f"a batch has {len(batch)} columns: {table} expects {len(columns)}")
    for column, values in zip(columns, batch, strict=True):
        if len(values) != len(batch[0]):
            raise ValueError(
                f"column {column.name} of a batch has {len(values)} rows: expected "
                f"{len(batch[0])}, as {columns[0].name} of {table} has"
            )
    return len(batch[0])


def _rows(batches: Sequence[PlainBatch], place: int, first: int, stop: int) -> Sequence[Any]:
    """The rows of one column, from one row of the file to another."""
    parts = []
    for batch in batches:
        values = batch[place]
        whole = first <= 0 and stop >= len(values)
        part = values if whole else values[max(first, 0) : max(stop, 0)]
        if part:
            parts.append(part)
        first -= len(values)
        stop -= len(values)
    return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))


def _write_chunk(
    file: _File, chunk: ColumnChunk, compress: Compress | None
) -> parquet.WrittenChunk:
    """Write the pages of a column chunk, the dictionary first."""
    contents = [page.content for page in chunk.pages]
    if chunk.dictionary is not None:
        contents.insert(0, chunk.dictionary)
    stored, codec = contents, parquet.UNCOMPRESSED
    size = sum(map(len, contents))
    if compress is not None and size >= _LEAST_BYTES:
        compressed = [compress(content) for content in contents]
        if sum(map(len, compressed)) < size:
            stored, codec = compressed, parquet.GZIP
    begin = file.position
    total = 0
    dictionary_at = None
    if chunk.dictionary is not None:
        content, *contents = contents
        page, *stored = stored
        header = parquet.dictionary_page_header(len(content), len(page), chunk.num_entries)
        dictionary_at = file.write(header + page)
        total = len(header) + len(content)
    encoding = parquet.PLAIN if dictionary_at is None else parquet.RLE_DICTIONARY
    pages = []
    for data, content, page in zip(chunk.pages, contents, stored, strict=True):
        header = parquet.data_page_header(len(content), len(page), data.num_values, encoding)
        offset = file.write(header + page)
        size = len(header) + len(page)
        pages.append(
            parquet.WrittenPage(offset, size, data.first_row, data.num_values, data.statistics)
        )
        total += len(header) + len(content)
    return parquet.WrittenChunk(
        chunk.column, codec, dictionary_at, pages, total, file.position - begin, chunk.statistics
    )


Groups = Sequence[tuple[int, Sequence[parquet.WrittenChunk]]]
"""Row groups that are written: their rows and their columns."""


def _write_indexes(file: _File, groups: Groups) -> list[bytes]:
    """Write the page indexes, all of them or none; gives the metadata of the row groups."""
    written = [chunk for _, chunks in groups for chunk in chunks]
    columns_at: Iterable[parquet.Index | None] = repeat(None)
    offsets_at: Iterable[parquet.Index | None] = repeat(None)
    if any(len(chunk.pages) > 1 for chunk in written):
        # All of one kind lie together: a reader takes those of a row group in one go.
        columns_at = [_write_index(file, parquet.column_index(chunk)) for chunk in written]
        offsets_at = [_write_index(file, parquet.offset_index(chunk)) for chunk in written]
    metadata = map(parquet.column_metadata, written, offsets_at, columns_at)
    return [
        parquet.row_group(list(islice(metadata, len(chunks))), chunks, num_rows, ordinal)
        for ordinal, (num_rows, chunks) in enumerate(groups)
    ]


def _write_index(file: _File, content: bytes | None) -> parquet.Index | None:
    return None if content is None else parquet.Index(file.write(content), len(content))


def _what_is_wrong(
    table: str, column: Column, rows: Sequence[Any], first: int, error: Exception
) -> str:
    """Which value a column cannot hold, and why."""
    for number, row in enumerate(rows, start=first):
        place = f"column {column.name} of {table}, row {number}"
        if column.is_list and (
            row is None or isinstance(row, str) or not isinstance(row, Sequence)
        ):
            return f"{place}, is {type(row).__name__}: expected a list"
        for item in row if column.is_list else [row]:
            if item is None and (column.is_list or column.is_nullable):
                continue
            wrong = misfit(column.type, item)
            if wrong is not None:
                return f"{place}, is {wrong}"
    return f"column {column.name} of {table}: {error}"
