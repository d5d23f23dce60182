"""Files of both encoders of Parquet, and how they are held together.

Knows what a file says of itself, as pyarrow reads it. Must not know which rows are odd.
"""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from otlp2parquet.core.schema import table_schema
from otlp2parquet.writers import ParquetSettings, encode_pyarrow
from otlp2parquet.writers.encode_stdlib import EncodedFile, write_parquet
from otlp2parquet.writers.footer import column_statistics
from tests.support.plain import arrow_batch, plain_columns

Batches = list[list[list[Any]]]

NOTES = {"otlp2parquet.table": "a table", "é": "✓"}
GZIPPED = ParquetSettings("gzip")


def encoded(
    table: str, batches: Batches, settings: ParquetSettings = GZIPPED, **options: Any
) -> tuple[bytes, EncodedFile]:
    """A file, and what its receipt says."""
    sink = io.BytesIO()
    receipt = write_parquet(table, batches, sink, settings, NOTES, **options)
    return sink.getvalue(), receipt


def encoded_by_pyarrow(
    table: str, batches: Batches, settings: ParquetSettings
) -> tuple[bytes, pq.FileMetaData]:
    """The same rows by the other encoder."""
    rows = encode_pyarrow.arrow_table(table, [arrow_batch(table, batch) for batch in batches])
    sink = io.BytesIO()
    metadata = encode_pyarrow.write_parquet(rows, sink, settings, NOTES)
    return sink.getvalue(), metadata


def rows_in(content: bytes) -> str:
    """All values of a file, to the bit but for those of NaN: ``repr`` tells zeros apart."""
    table = pq.ParquetFile(io.BytesIO(content)).read()
    table.validate(full=True)
    return repr([plain_columns(batch) for batch in table.combine_chunks().to_batches()])


def statistics_in(metadata: pq.FileMetaData) -> list[Any]:
    """What a footer says of each column in each row group."""
    found = []
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            one = metadata.row_group(group).column(place).statistics
            found.append(
                one
                and (
                    one.null_count,
                    one.num_values,
                    one.has_min_max,
                    repr((one.min_raw, one.max_raw)) if one.has_min_max else None,
                )
            )
    return found


def assert_equal_files(table: str, batches: Batches, settings: ParquetSettings = GZIPPED) -> None:
    """Write both ways, and hold the files together."""
    content, receipt = encoded(table, batches, settings)
    others, expected = encoded_by_pyarrow(table, batches, settings)
    found = pq.read_metadata(io.BytesIO(content))
    assert rows_in(content) == rows_in(others)
    assert str(found.schema).split("\n", 1)[1] == str(expected.schema).split("\n", 1)[1]
    schema = pq.read_schema(io.BytesIO(content))
    assert schema.remove_metadata().equals(pa.schema(table_schema(table)), check_metadata=True)
    assert found.metadata == {key.encode(): value.encode() for key, value in NOTES.items()}
    assert found.num_rows == expected.num_rows == receipt.rows
    assert [found.row_group(number).num_rows for number in range(found.num_row_groups)] == [
        expected.row_group(number).num_rows for number in range(expected.num_row_groups)
    ]
    assert statistics_in(found) == statistics_in(expected)
    assert receipt.bytes == len(content)
    assert receipt.columns == column_statistics(expected, table)
    assert receipt.columns == column_statistics(found, table)
