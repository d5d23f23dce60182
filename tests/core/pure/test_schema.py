"""The tables in plain Python are the extension's, to the field id."""

from __future__ import annotations

import pyarrow as pa
import pytest

from otlp2parquet.core.pure.schema import TABLES, Column
from otlp2parquet.core.schema import TABLE_FOLDERS, table_schema

ARROW = {
    "timestamp": pa.timestamp("us", "UTC"),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


def field_of(column: Column) -> pa.Field:
    """The Arrow field of a column."""
    kind = ARROW[column.type]
    if column.item_id is not None:
        item = {"PARQUET:field_id": str(column.item_id)}
        kind = pa.list_(pa.field("element", kind, metadata=item))
    return pa.field(
        column.name, kind, column.is_nullable, {"PARQUET:field_id": str(column.field_id)}
    )


def test_the_tables_are_the_same_in_the_same_order() -> None:
    """What results list first, both list first."""
    assert list(TABLES) == list(TABLE_FOLDERS)


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_the_extensions(table: str) -> None:
    """Names, types, nulls and field ids."""
    expected = pa.schema(table_schema(table))
    given = pa.schema([field_of(column) for column in TABLES[table]])
    assert given.equals(expected, check_metadata=True)
