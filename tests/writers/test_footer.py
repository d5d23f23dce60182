"""A receipt's statistics: what a file's footer says of its columns, by field id."""

from __future__ import annotations

import io
import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet import ColumnStatistics, ParquetWriter
from otlp2parquet.core.files import FoundFile
from otlp2parquet.core.schema import TABLE_FOLDERS, table_schema
from otlp2parquet.writers.bounds import merged_statistics
from otlp2parquet.writers.columns import STATISTICS_COLUMNS
from otlp2parquet.writers.footer import (
    column_statistics,
    found_file,
    read_footer,
    statistics_columns,
)
from tests.support.stores import MemoryStore
from tests.support.tables import all_batches, rows_of, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIELD_ID = b"PARQUET:field_id"


def plain(value: Any) -> Any:
    """A value as a bound has it."""
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    return value


def expected_statistics(values: Sequence[Any]) -> ColumnStatistics:
    """Those of a column with these values."""
    given = [plain(value) for value in values if value is not None]
    return ColumnStatistics(
        len(values) - len(given), min(given, default=None), max(given, default=None)
    )


@pytest.mark.parametrize("row_group_rows", [262_144, 7])
@pytest.mark.parametrize("table", list(TABLE_FOLDERS))
def test_receipt(table: str, row_group_rows: int) -> None:
    """Null counts and bounds are those of the rows, over all row groups; JSON has them as well."""
    batch = all_batches(dictionaries=True)[table]
    rows = rows_of(batch)
    receipt = write(ParquetWriter(MemoryStore(), row_group_rows=row_group_rows), [batch])
    expected = {
        int(field.metadata[FIELD_ID]): expected_statistics([row[field.name] for row in rows])
        for field in pa.schema(table_schema(table))
        if field.name in STATISTICS_COLUMNS
    }
    assert receipt.columns == expected
    assert 1 in receipt.columns  # Timestamp
    for one in receipt.columns.values():
        assert type(one.lower) in (int, float, str, bool)
        assert json.loads(json.dumps([one.lower, one.upper])) == [one.lower, one.upper]


@pytest.mark.parametrize("table", list(TABLE_FOLDERS))
def test_the_file_says_the_same(table: str) -> None:
    """What was told while the file was written is what stands in its footer."""
    store = MemoryStore()
    receipt = write(ParquetWriter(store, row_group_rows=7), [all_batches(dictionaries=True)[table]])
    with store.open(receipt.path) as file:
        footer = read_footer(file)
    assert footer is not None
    assert footer.file_bytes == receipt.bytes
    assert footer.metadata.num_rows == receipt.rows
    assert column_statistics(footer.metadata, table) == receipt.columns


@pytest.mark.parametrize("table", list(TABLE_FOLDERS))
def test_statistics_columns(table: str) -> None:
    """A column is at its field's place in a file too, and is known by its field id."""
    receipt = write(ParquetWriter(store := MemoryStore()), [all_batches(dictionaries=True)[table]])
    metadata = pq.read_metadata(pa.BufferReader(store.objects[receipt.path]))
    schema = metadata.schema.to_arrow_schema()
    for index, number in statistics_columns(table).items():
        assert metadata.schema.column(index).path in STATISTICS_COLUMNS
        assert int(schema.field(index).metadata[FIELD_ID]) == number


def chunks_of(kind: pa.DataType, row_groups: Iterable[Sequence[Any]]) -> list[Any]:
    """What Parquet says of a column with a row group for each sequence of values."""
    footers: list[Any] = []
    schema = pa.schema([pa.field("c", kind)])
    with pq.ParquetWriter(pa.MockOutputStream(), schema, metadata_collector=footers) as writer:
        for values in row_groups:
            writer.write_table(pa.table([pa.array(values, kind)], schema=schema))
    (metadata,) = footers
    return [
        metadata.row_group(number).column(0).statistics for number in range(metadata.num_row_groups)
    ]


NAN = math.nan
INFINITY = math.inf


@pytest.mark.parametrize(
    ("kind", "row_groups", "expected"),
    [
        (pa.int64(), [[3, None], [1, 2]], (1, 1, 3)),
        (pa.int64(), [[-(2**63)], [2**63 - 1]], (0, -(2**63), 2**63 - 1)),
        # A row group of nulls alone has no bounds, and takes none from the others.
        (pa.int64(), [[None, None], [1, 2]], (2, 1, 2)),
        (pa.int64(), [[None], [None]], (2, None, None)),
        (pa.bool_(), [[True], [None, False]], (1, False, True)),
        (pa.bool_(), [[True], [True]], (0, True, True)),
        (pa.timestamp("us", "UTC"), [[EPOCH], [EPOCH + timedelta(days=1)]], (0, 0, 86_400_000_000)),
        (pa.timestamp("us", "UTC"), [[EPOCH - timedelta(seconds=1)]], (0, -1_000_000, -1_000_000)),
        (pa.string(), [["b", None], ["a"]], (1, "a", "b")),
        (pa.string(), [[""], ["a"]], (0, "", "a")),
        # In the order of bytes, which is that of characters: not that of UTF-16.
        (pa.string(), [["\uffff"], ["\U0001f600"]], (0, "\uffff", "\U0001f600")),
        # Parquet writes no bounds of more than 4096 bytes: then nothing is known of the file.
        (pa.string(), [["a"], ["b" * 5000]], (0, None, None)),
        (pa.string(), [["b" * 5000], [None]], (1, None, None)),
        (pa.binary(), [[b"\xff"], [b"\xfe"]], (0, None, None)),
        (pa.float64(), [[1.5], [-2.5, None]], (1, -2.5, 1.5)),
        # NaN is beside the order: the others have bounds, unless a row group has no other.
        (pa.float64(), [[NAN, 1.0], [2.0]], (0, 1.0, 2.0)),
        (pa.float64(), [[NAN], [2.0]], (0, None, None)),
        # Infinity bounds nothing, and JSON has no word for it.
        (pa.float64(), [[INFINITY, 1.0]], (0, 1.0, None)),
        (pa.float64(), [[-INFINITY, 1.0]], (0, None, 1.0)),
    ],
)
def test_merging(kind: pa.DataType, row_groups: list[list[Any]], expected: tuple[Any, ...]) -> None:
    """Null counts add up; bounds are the outermost, and known only if every row group's are."""
    chunks = chunks_of(kind, row_groups)
    assert len(chunks) == len(row_groups)
    assert merged_statistics(chunks) == ColumnStatistics(*expected)


def test_bounds_of_a_list() -> None:
    """The bounds of a list are those of its items."""
    found = merged_statistics(chunks_of(pa.list_(pa.int64()), [[[3, 1], []], [[None, 2]]]))
    assert (found.lower, found.upper) == (1, 3)


@given(st.lists(st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=4), min_size=1))
def test_texts(row_groups: list[list[str | None]]) -> None:
    """Over any row groups the bounds of texts are those of all values together."""
    values = [value for group in row_groups for value in group]
    found = merged_statistics(chunks_of(pa.string(), row_groups))
    assert found == expected_statistics(values)


class Slow(io.BytesIO):
    """A file that says how much was read of it."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read and count."""
        content = super().read(size)
        self.read_bytes += len(content)
        return content


def test_a_footer_is_read_from_the_end() -> None:
    """Also one that is larger than the first read; the columns are not looked at."""
    for keys, most in ((1, 64 << 10), (5_000, 1 << 20)):
        sink = Slow()
        table = pa.table({"c": pa.array(range(500_000))})
        with pq.ParquetWriter(sink, table.schema, compression="none") as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({f"k{key}": "x" * 20 for key in range(keys)})
        sink.read_bytes = 0
        footer = read_footer(sink)
        assert footer is not None
        assert footer.metadata.num_rows == 500_000
        assert len(footer.metadata.metadata) >= keys
        assert sink.read_bytes <= most < footer.file_bytes


@given(st.binary(max_size=200))
def test_what_is_no_parquet_file(content: bytes) -> None:
    """Any bytes are a footer or none; nothing is raised."""
    assert read_footer(io.BytesIO(content + b"PAR1")) is None
    assert read_footer(io.BytesIO(content[:7])) is None


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ({}, (None, None, None)),
        (
            {"otlp2parquet.table": "otel_logs", "otlp2parquet.batch_id": "b"},
            ("otel_logs", "b", None),
        ),
        ({"otlp2parquet.part": "12"}, (None, None, 12)),
        ({"otlp2parquet.part": "-1"}, (None, None, None)),
        ({"otlp2parquet.part": "1.0"}, (None, None, None)),
        ({"otlp2parquet.part": "٣"}, (None, None, None)),
        ({"otlp2parquet.part": "9" * 5000}, (None, None, None)),
    ],
)
def test_found_file(
    notes: dict[str, str], expected: tuple[str | None, str | None, int | None]
) -> None:
    """Whose file it is stands in the footer, or does not; a part that is no number is none."""
    sink = io.BytesIO()
    table = pa.table({"c": [1, 2]})
    with pq.ParquetWriter(sink, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(notes)
    footer = read_footer(sink)
    assert footer is not None
    assert found_file(footer.metadata) == FoundFile(*expected, 2)
