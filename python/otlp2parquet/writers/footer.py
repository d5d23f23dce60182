"""What a Parquet file's footer says: whose file it is, and the statistics of its columns.

Knows Parquet's metadata. Must not know where the file lies.
"""

import io
import re
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from otlp2parquet.core.files import BATCH_ID_KEY, PART_KEY, TABLE_KEY, FoundFile
from otlp2parquet.core.schema import table_schema
from otlp2parquet.writers.bounds import merged_statistics
from otlp2parquet.writers.columns import STATISTICS_COLUMNS
from otlp2parquet.writers.protocol import ColumnStatistics

_TAIL_BYTES: Final = 8  # "4-byte length in bytes of file metadata (little endian)", then "PAR1"
_FIRST_READ_BYTES: Final = 64 << 10
_PART: Final = re.compile(r"[0-9]{1,9}")
_FIELD_ID: Final = b"PARQUET:field_id"


@dataclass(frozen=True, slots=True)
class Footer:
    """A footer that was read, and the size of the file at whose end it was."""

    metadata: pq.FileMetaData
    file_bytes: int


def read_footer(file: BinaryIO) -> Footer | None:
    """The footer of an open file; ``None`` if that is no Parquet file.

    It reads the end of the file itself: so what the storage raises is never taken for a file of
    another kind.
    """
    size = file.seek(0, io.SEEK_END)
    tail = _last(file, min(size, _FIRST_READ_BYTES))
    if len(tail) < _TAIL_BYTES:
        return None
    footer_bytes = int.from_bytes(tail[-8:-4], "little") + _TAIL_BYTES
    if tail[-4:] != b"PAR1" or footer_bytes > size:
        return None
    if footer_bytes > len(tail):
        tail = _last(file, footer_bytes)
    try:
        metadata = pq.read_metadata(pa.BufferReader(tail[-footer_bytes:]))
    except (OSError, ValueError, pa.ArrowException):
        return None  # from the bytes alone: they are no footer
    return Footer(metadata, size)


def _last(file: BinaryIO, count: int) -> bytes:
    file.seek(-count, io.SEEK_END)
    return file.read(count)


def found_file(metadata: pq.FileMetaData) -> FoundFile:
    """What a footer says of whose file it is."""
    notes = metadata.metadata or {}

    def note(key: str) -> str | None:
        value = notes.get(key.encode())
        return None if value is None else value.decode(errors="replace")

    part = note(PART_KEY)
    number = int(part) if part is not None and _PART.fullmatch(part) else None
    return FoundFile(note(TABLE_KEY), note(BATCH_ID_KEY), number, metadata.num_rows)


def column_statistics(metadata: pq.FileMetaData, table: str) -> dict[int, ColumnStatistics]:
    """The statistics of the columns of ``table`` that have them, by Parquet field id.

    Not for a footer that was read: pyarrow ends the process at some that are damaged.
    """
    row_groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = {}
    for index, number in statistics_columns(table).items():
        chunks = [group.column(index).statistics for group in row_groups]
        if all(chunk is not None and chunk.has_null_count for chunk in chunks):
            columns[number] = merged_statistics(chunks)
    return columns


@cache
def statistics_columns(table: str) -> dict[int, int]:
    """The field id of each column of ``table`` that has statistics, by its place in a file."""
    columns = {}
    for index, field in enumerate(pa.schema(table_schema(table))):
        # Each has one column of values in a file: there is none with fields of its own.
        values = field.type.value_field if pa.types.is_list(field.type) else field
        if field.name in STATISTICS_COLUMNS:
            columns[index] = int(values.metadata[_FIELD_ID])
    return columns
