"""The tables are the written ones, and every engine takes a batch by its capsule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given

from otlp2parquet import Result, process_otlp
from otlp2parquet._native import table_names, table_schema
from otlp2parquet.core.signals import SIGNALS
from tests.support import oracle, strategies
from tests.support.shapes import VECTORS, every_field

if TYPE_CHECKING:
    from otlp2parquet import Signal

TYPES: dict[str, pa.DataType] = {
    "ts": pa.timestamp("us", tz="UTC"),
    "string": pa.string(),
    "JSON": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
}


def written_tables() -> dict[str, list[tuple[str, str, bool]]]:
    """The tables as the document has them: (column, type, whether it may be null)."""
    tables: dict[str, list[tuple[str, str, bool]]] = {}
    current: list[tuple[str, str, bool]] = []
    for line in (VECTORS / "tables.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            name, _, base = line.removeprefix("[").partition("] ")
            current = list(tables.get(base, []))
            tables[name.rstrip("]")] = current
        else:
            column, kind, *required = line.split()
            current.append((column, kind, not required))
    return {name: columns for name, columns in tables.items() if name.startswith("otel_")}


def written_schema(columns: list[tuple[str, str, bool]]) -> list[tuple[Any, ...]]:
    """Arrow facts of each column; ids: the columns first, then the list elements."""
    facts: list[tuple[Any, ...]] = []
    next_element = len(columns) + 1
    for number, (name, kind, nullable) in enumerate(columns, start=1):
        item = None
        if kind.startswith("list<"):
            item = ("element", TYPES[kind[5:-1]], True, str(next_element))
            next_element += 1
        facts.append((name, item or TYPES[kind], nullable, str(number)))
    return facts


def arrow_schema(schema: pa.Schema) -> list[tuple[Any, ...]]:
    """The same facts of an Arrow schema."""

    def field_id(field: pa.Field) -> str:
        value: bytes = field.metadata[b"PARQUET:field_id"]
        return value.decode()

    facts: list[tuple[Any, ...]] = []
    for field in schema:
        kind: Any = field.type
        if pa.types.is_list(kind):
            item = kind.value_field
            kind = (item.name, item.type, item.nullable, field_id(item))
        facts.append((field.name, kind, field.nullable, field_id(field)))
    return facts


def test_there_are_seven_tables() -> None:
    """The tables are the seven of the document and no others."""
    assert sorted(table_names()) == sorted(written_tables())
    assert len(table_names()) == 7


@pytest.mark.parametrize("table", sorted(written_tables()))
def test_schemas_are_the_written_ones(table: str) -> None:
    """Names, order, types, nullability and field ids are the contract's."""
    want = written_schema(written_tables()[table])
    assert arrow_schema(pa.schema(table_schema(table))) == want


@strategies.examples(100)
@given(strategies.valid_payloads)
def test_batches_have_the_written_schemas(signal_payload: tuple[Signal, bytes]) -> None:
    """A batch has exactly its table's schema, whatever is in it, and names its own place."""
    signal, payload = signal_payload
    for batch in process_otlp(payload, signal).batches:
        schema = pa.record_batch(batch).schema
        assert schema.equals(pa.schema(table_schema(batch.table)), check_metadata=True)
        assert schema.equals(pa.schema(batch), check_metadata=True)
        for row in oracle.decode(payload, signal).groups[batch.table, batch.service, batch.hour]:
            assert list(row) == schema.names


def test_unknown_table_is_refused() -> None:
    """A table that does not exist is the caller's mistake."""
    with pytest.raises(ValueError, match="otel_profiles"):
        table_schema("otel_profiles")


def full_result(signal: Signal) -> Result:
    """Batches of the message with every field set."""
    return process_otlp(every_field(signal).SerializeToString(), signal)


# Capsules --------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", SIGNALS)
def test_pyarrow_takes_batches(signal: Signal) -> None:
    """Pyarrow reads the array, the stream and the schema, and sees the same rows in each."""
    for batch in full_result(signal).batches:
        arrow = pa.record_batch(batch)
        arrow.validate(full=True)
        assert pa.table(batch).to_batches() == [arrow]
        reader = pa.RecordBatchReader.from_stream(batch)
        assert list(reader) == [arrow]
        assert pa.schema(batch) == arrow.schema


@pytest.mark.parametrize("signal", SIGNALS)
def test_arrow_outlives_its_batch(signal: Signal) -> None:
    """The consumer owns the buffers: they stay after batch and result are gone."""
    result = full_result(signal)
    want = [pa.record_batch(batch).to_pylist() for batch in result.batches]
    arrays = [pa.record_batch(batch) for batch in result.batches]
    del result
    assert [array.to_pylist() for array in arrays] == want


@pytest.mark.parametrize("signal", SIGNALS)
def test_duckdb_takes_batches(signal: Signal) -> None:
    """DuckDB queries a batch by its capsule and sees the rows pyarrow sees."""
    for batch in full_result(signal).batches:
        arrow = pa.record_batch(batch)
        names = ", ".join(f'"{name}"' for name in arrow.schema.names)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("batch", batch)
            rows = connection.sql(f"SELECT {names} FROM batch").to_arrow_table()  # noqa: S608
        assert rows.to_pylist() == arrow.to_pylist()


@pytest.mark.parametrize("signal", SIGNALS)
def test_polars_takes_batches(signal: Signal) -> None:
    """Polars makes a frame of a batch by its capsule and sees the rows pyarrow sees."""
    for batch in full_result(signal).batches:
        assert pl.DataFrame(batch).to_dicts() == pa.record_batch(batch).to_pylist()
