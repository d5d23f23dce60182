"""Arrow batches to the bytes of one Parquet file, the same bytes for the same batches.

Knows Parquet and the tables' schemas. Must not know where the bytes go: the sink is any binary
file object. What a file's footer says is read in ``footer``.
"""

import contextlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from otlp2parquet.core import Batch
from otlp2parquet.core.schema import table_schema
from otlp2parquet.writers.columns import DICTIONARY_BYTES, PLAIN_COLUMNS, STATISTICS_COLUMNS
from otlp2parquet.writers.protocol import ArrowArrayExportable
from otlp2parquet.writers.settings import ParquetSettings


def arrow_table(table: str, batches: Sequence[ArrowArrayExportable]) -> pa.Table:
    """The batches, one after another, as rows of ``table`` without a copy of their values.

    Dictionaries are unified: chunks of one column with different dictionaries would make the
    Parquet writer fall back to plain. When some batches have dictionary arrays where others
    have plain ones, all become plain.

    Raises ``ValueError`` when there is no row, or when a batch has not the columns of ``table``:
    its names and types in order, nothing null where the table has none.
    """
    parts = [_part(table, batch) for batch in batches]
    if sum(part.num_rows for part in parts) == 0:
        raise ValueError(f"no rows to write in {len(parts)} batches")
    if any(part.schema != parts[0].schema for part in parts):
        parts = [_with_fields_of(table, _plain(part)) for part in parts]
    return pa.Table.from_batches(parts).unify_dictionaries()


@cache
def expected_schema(table: str) -> pa.Schema:
    """The schema that readers of the file see: dictionaries are an encoding, not a type."""
    return pa.schema(table_schema(table))


def with_field_ids(table: str, rows: pa.Table, field_ids: Sequence[int]) -> pa.Table:
    """The rows of ``table`` under other field ids: of the columns, then of the items of lists."""
    numbers = iter(field_ids)
    expected = expected_schema(table)
    fields = [_with_id(field, next(numbers)) for field in expected]
    given = []
    for field, column in zip(fields, rows.columns, strict=True):
        if pa.types.is_list(field.type):
            item = _with_id(field.type.value_field, next(numbers))
            given.append(field.with_type(pa.list_(item)))
        elif pa.types.is_dictionary(column.type):
            given.append(field.with_type(column.type))
        else:
            given.append(field)
    return pa.Table.from_arrays(rows.columns, schema=pa.schema(given))


def _with_id(field: pa.Field, number: int) -> pa.Field:
    return field.with_metadata({**(field.metadata or {}), b"PARQUET:field_id": b"%d" % number})


def _part(table: str, batch: ArrowArrayExportable) -> pa.RecordBatch:
    """A batch as pyarrow has it, with the table's own fields."""
    part = pa.record_batch(batch)
    if not isinstance(batch, Batch):
        return _with_fields_of(table, part)
    # The decoder's batches have them: to look is a twentieth of what a small file takes.
    if batch.table != table:
        raise ValueError(f"a batch has rows of {batch.table}: expected {table}")
    return part


def _plain(part: pa.RecordBatch) -> pa.RecordBatch:
    """The same without dictionary arrays."""
    return pa.RecordBatch.from_arrays(
        [
            column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            for column in part.columns
        ],
        part.schema.names,
    )


def _with_fields_of(table: str, part: pa.RecordBatch) -> pa.RecordBatch:
    """The batch under the table's own fields, with their ids and what may be null.

    Batches of other libraries have neither.
    """
    schema, must_be_given = _fields_of(table, part.schema)
    for index in must_be_given:
        if part.column(index).null_count:
            raise ValueError(
                f"column {schema.names[index]} of a batch has {part.column(index).null_count} "
                f"nulls: {table} expects none"
            )
    return pa.RecordBatch.from_arrays(part.columns, schema=schema)


def _fields_of(table: str, schema: pa.Schema) -> tuple[pa.Schema, tuple[int, ...]]:
    """The table's fields for a batch with ``schema``, in which dictionary arrays remain such.

    Then the places of the columns that could hold nulls by ``schema``, and must not in the table.
    """
    expected = expected_schema(table)
    if schema.names != expected.names:
        missing = [name for name in expected.names if name not in schema.names]
        unknown = [name for name in schema.names if name not in expected.names]
        raise ValueError(
            f"a batch has not the columns of {table}: missing {missing}, unknown {unknown}, "
            "expected all of them in the table's order"
        )
    fields, must_be_given = [], []
    for index, (field, wanted) in enumerate(zip(schema, expected, strict=True)):
        is_dictionary = pa.types.is_dictionary(field.type)
        if not wanted.type.equals(field.type.value_type if is_dictionary else field.type):
            raise ValueError(
                f"column {field.name} of a batch is {field.type}: {table} expects {wanted.type}"
            )
        if field.nullable and not wanted.nullable:
            must_be_given.append(index)
        fields.append(wanted.with_type(field.type) if is_dictionary else wanted)
    return pa.schema(fields), tuple(must_be_given)


def leaf_path(field: pa.Field) -> str:
    """The dotted path of a column's values in the Parquet schema."""
    if pa.types.is_list(field.type):
        return f"{field.name}.list.element"
    return str(field.name)


def dictionary_paths(schema: pa.Schema) -> list[str]:
    """Paths of the columns that are written with a dictionary."""
    return [leaf_path(field) for field in schema if field.name not in PLAIN_COLUMNS]


def statistics_paths(schema: pa.Schema) -> list[str]:
    """Paths of the columns that carry statistics."""
    return [leaf_path(field) for field in schema if field.name in STATISTICS_COLUMNS]


class ParquetSink:
    """One Parquet file that is being written: rows in, then a footer.

    Encodings are PLAIN and RLE_DICTIONARY only: newer ones break vectorised Iceberg readers in
    use. What the sink raises passes through.
    """

    def __init__(self, schema: pa.Schema, sink: BinaryIO, settings: ParquetSettings) -> None:
        self._schema = schema
        self._settings = settings
        self._footers: list[pq.FileMetaData] = []
        self._writer = pq.ParquetWriter(
            sink,
            schema,
            compression=settings.compression,
            compression_level=settings.effective_level,
            use_dictionary=dictionary_paths(schema),
            dictionary_pagesize_limit=DICTIONARY_BYTES,
            write_statistics=statistics_paths(schema),
            write_page_index=True,
            # The Arrow schema in the footer would turn dictionary arrays into a type on reading.
            store_schema=False,
            metadata_collector=self._footers,
        )

    def write(self, rows: pa.Table) -> None:
        """Append rows of the same schema, or of one that becomes it, as row groups."""
        if not rows.schema.equals(self._schema):
            rows = rows.cast(self._schema)
        try:
            self._writer.write_table(rows, row_group_size=self._settings.row_group_rows)
        except BaseException:
            self.abandon()
            raise

    def close(self, metadata: Mapping[str, str]) -> pq.FileMetaData:
        """Write the footer with ``metadata``, and give it."""
        try:
            # With store_schema=False this is the only way into the footer.
            self._writer.add_key_value_metadata(dict(metadata))
            self._writer.close()
        except BaseException:
            self.abandon()
            raise
        return self._footers[0]

    def abandon(self) -> None:
        """Close it here: its destructor would try it later, and complain to nobody."""
        with contextlib.suppress(Exception):
            self._writer.close()


def write_parquet(
    rows: pa.Table, sink: BinaryIO, settings: ParquetSettings, metadata: Mapping[str, str]
) -> pq.FileMetaData:
    """Write ``rows`` as one Parquet file with ``metadata`` in its footer; gives the footer."""
    file = ParquetSink(rows.schema, sink, settings)
    file.write(rows)
    return file.close(metadata)
