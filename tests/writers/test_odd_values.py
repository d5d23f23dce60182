"""Values at the ends of what types hold, in the files of the standard library's encoder.

``test_encode_stdlib`` holds these files to pyarrow's for any rows. Here every column is of odd
values alone, and the readers are asked questions: they may skip by statistics and page indexes, and
no row may be missing then.
"""

from __future__ import annotations

import io
import math
import operator as operator_module
import random
import struct
from typing import TYPE_CHECKING, Any, Final

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.core.pure.schema import TABLES, Column
from otlp2parquet.core.schema import table_schema
from otlp2parquet.writers import ParquetSettings
from tests.support.encoded_files import assert_equal_files, encoded
from tests.support.plain import arrow_batch
from tests.support.strategies import examples

if TYPE_CHECKING:
    from pathlib import Path

NANS: Final = tuple(struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (
    0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000001, 0xFFFFFFFFFFFFFFFF,
))  # fmt: skip
DOUBLES: Final = (
    *NANS, math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324, 1.7976931348623157e308, 1.5,
)  # fmt: skip
STRINGS: Final = (
    "", "\0", "\0\0", "a\0b", "a", "\x7f", "\x80", "\ud7ff\ue000", "\uffff", "\U00010000",
    "\U0010ffff" * 80, "é" * 5000, "x" * 70_000, "\U0001f600" * 16_400, "z" * 4095, "z" * 4096,
    "z" * 4097, "z" * 4094 + "é", "z" * 4095 + "é",
)  # fmt: skip
ODD: Final[dict[str, tuple[Any, ...]]] = {
    "timestamp": (-(2**63), 2**63 - 1, 0, -1, 1),
    "int64": (-(2**63), 2**63 - 1, 0, -1, 2**53 + 1),
    "int32": (-(2**31), 2**31 - 1, 0, -1),
    "double": DOUBLES,
    "bool": (True, False),
    "string": STRINGS,
}
COMPARED: Final = ("int64", "int32", "double", "string")
"""Types by which readers are asked; timestamps at the ends of 64 bits are beyond DuckDB's."""


def odd_batch(table: str, rows: int, source: random.Random) -> list[list[Any]]:
    """Rows in which each column has some of the odd values: one, few or all; null now and then."""
    return [_odd_column(column, rows, source) for column in TABLES[table]]


def _odd_column(column: Column, rows: int, source: random.Random) -> list[Any]:
    pool = list(ODD[column.type])
    some = source.sample(pool, source.choice([1, 2, len(pool)]))
    null_rate = source.choice([0, 0.3, 1])

    def draw(*, may_be_null: bool) -> Any:
        return None if may_be_null and source.random() < null_rate else source.choice(some)

    if not column.is_list:
        return [draw(may_be_null=column.is_nullable) for _ in range(rows)]
    longest = source.choice([0, 1, 2, 40])
    return [
        [draw(may_be_null=True) for _ in range(source.choice([0, longest]))] for _ in range(rows)
    ]


def settings_for(rows: int, source: random.Random) -> ParquetSettings:
    """With row groups of one row, of some, or of all."""
    group = source.choice([1, 7, 262_144]) if rows < 40 else source.choice([100, 262_144])
    return ParquetSettings(source.choice(["gzip", "none"]), row_group_rows=group)


@pytest.mark.parametrize("table", TABLES)
@examples(6)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 8, 9, 31, 250]))
def test_files_of_odd_values(table: str, seed: int, rows: int) -> None:
    """They are pyarrow's: rows to the bit, statistics, receipt, schema."""
    source = random.Random(seed)
    batch = odd_batch(table, rows, source)
    assert_equal_files(table, [batch], settings_for(rows, source))


@pytest.mark.parametrize("table", TABLES)
@examples(2)
@given(st.integers(0, 2**32), st.sampled_from([1, 3, 9, 31]))
def test_no_row_is_skipped(
    table: str, tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int
) -> None:
    """DuckDB, polars and pyarrow find as many rows as there are, for each value and comparison.

    All columns have statistics here, so that readers have something to skip by. What a reader
    makes of NaN is its own: bounds say nothing of it, so DuckDB finds it below what is above them.
    """
    source = random.Random(seed)
    batch = odd_batch(table, rows, source)
    everywhere = frozenset(column.name for column in TABLES[table])
    path = tmp_path_factory.mktemp("odd") / "file.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("otlp2parquet.writers.columns.STATISTICS_COLUMNS", everywhere)
        path.write_bytes(encoded(table, [batch], settings_for(rows, source))[0])
    asked = [
        (column, values)
        for column, values in zip(TABLES[table], batch, strict=True)
        if column.type in COMPARED and not column.is_list
    ]
    with duckdb.connect() as connection:
        for column, values in source.sample(asked, min(len(asked), 5)):
            value = source.choice([one for one in ODD[column.type] if not is_nan(one)])
            for operator in "=<>":
                given_values = [one for one in values if one is not None]
                least = sum(COMPARISONS[operator](one, value) for one in given_values)
                nans = sum(map(is_nan, given_values)) if operator != "=" else 0
                for found in (
                    _duckdb_count(connection, path, column.name, operator, value),
                    _polars_count(path, column.name, operator, value),
                    _pyarrow_count(path, column.name, operator, value),
                ):
                    assert least <= found <= least + nans, (column.name, operator, value)


COMPARISONS: Final = {"=": operator_module.eq, "<": operator_module.lt, ">": operator_module.gt}


def is_nan(value: Any) -> bool:
    """Whether it is one of the values that are not equal to themselves."""
    return isinstance(value, float) and math.isnan(value)


def _duckdb_count(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str, operator: str, value: Any
) -> int:
    statement = f"SELECT count(*) FROM read_parquet('{path}') WHERE \"{name}\" {operator} ?"  # noqa: S608 - names of our own
    (row,) = connection.execute(statement, [value]).fetchall()
    return int(row[0])


def _polars_count(path: Path, name: str, operator: str, value: Any) -> int:
    column = pl.col(name)
    condition = {"=": column == value, "<": column < value, ">": column > value}[operator]
    frame = pl.scan_parquet(path, hive_partitioning=False).filter(condition)
    return int(frame.select(pl.len()).collect().item())


def _pyarrow_count(path: Path, name: str, operator: str, value: Any) -> int:
    column = pc.field(name)
    condition = {"=": column == value, "<": column < value, ">": column > value}[operator]
    return int(ds.dataset(path, format="parquet").count_rows(filter=condition))


@pytest.mark.parametrize("table", TABLES)
def test_every_reader_has_the_values(table: str, tmp_path: Path) -> None:
    """To the bit, but for the bits of NaN; timestamps near the ends of 64 bits in polars alone.

    DuckDB has infinity there.
    """
    schema = pa.schema(table_schema(table))
    path = tmp_path / "file.parquet"
    for seed in range(2):
        batch = odd_batch(table, 60, random.Random(seed))
        path.write_bytes(encoded(table, [batch], ParquetSettings("gzip", row_group_rows=25))[0])
        expected = arrow_batch(table, batch)
        frame = pl.read_parquet(path, hive_partitioning=False)
        with duckdb.connect() as connection:
            duck = connection.read_parquet(str(path), hive_partitioning=False).to_arrow_table()
        for column, values in zip(TABLES[table], expected.columns, strict=True):
            field = schema.field(column.name)
            in_polars = frame[column.name].to_arrow().cast(field.type)
            in_duckdb = duck[column.name].combine_chunks()
            integers = _integers(field.type)
            if column.type == "timestamp":
                assert in_polars.cast(integers).to_pylist() == values.cast(integers).to_pylist()
                continue
            wanted = repr(values.to_pylist())
            assert repr(in_polars.to_pylist()) == wanted, column.name
            assert repr(in_duckdb.cast(field.type).to_pylist()) == wanted, column.name


def _integers(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.int64()) if pa.types.is_list(kind) else pa.int64()


def statistics_of(table: str, name: str, values: list[Any]) -> pq.Statistics:
    """What the file says of a column that has these values."""
    usual: dict[str, Any] = {"string": "", "double": 0.0, "bool": False}
    batch: list[list[Any]] = []
    for column in TABLES[table]:
        rows = [None if column.is_nullable else usual.get(column.type, 0)] * len(values)
        batch.append(
            values if column.name == name else [[]] * len(rows) if column.is_list else rows
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("otlp2parquet.writers.columns.STATISTICS_COLUMNS", frozenset({name}))
        content, _ = encoded(table, [batch])
    group = pq.read_metadata(io.BytesIO(content)).row_group(0)
    place = [column.name for column in TABLES[table]].index(name)
    return group.column(place).statistics


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([math.nan], None),
        ([*NANS], None),
        ([math.nan, 1.0, math.nan], (1.0, 1.0)),
        ([0.0], (-0.0, 0.0)),
        ([-0.0], (-0.0, 0.0)),
        ([0.0, -0.0, 0.0], (-0.0, 0.0)),
        ([-0.0, 5.0], (-0.0, 5.0)),
        ([0.0, 5.0], (-0.0, 5.0)),
        ([-5.0, -0.0], (-5.0, 0.0)),
        ([math.inf, -math.inf, math.nan], (-math.inf, math.inf)),
        ([math.inf, math.nan], (math.inf, math.inf)),
        ([5e-324, -5e-324], (-5e-324, 5e-324)),
    ],
)
def test_bounds_of_doubles(values: list[float], bounds: tuple[float, float] | None) -> None:
    """Parquet's rules: NaN is none, a zero below is negative and one above is positive."""
    found = statistics_of("otel_metrics_gauge", "Value", values)
    assert found.null_count == 0
    assert found.has_min_max == (bounds is not None)
    if bounds is not None:
        assert repr((found.min, found.max)) == repr(bounds)


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        (["", "a"], ("", "a")),
        (["\0", ""], ("", "\0")),
        (["\uffff", "\U00010000"], ("\uffff", "\U00010000")),
        (["a" * 4096, "a"], ("a", "a" * 4096)),
        (["a" * 4097, "a"], None),
        (["é" * 2048], ("é" * 2048, "é" * 2048)),
        (["é" * 2048 + "a"], None),
        (["x" * 70_000], None),
        ([None, None], None),
        ([None, ""], ("", "")),
    ],
)
def test_bounds_of_texts(values: list[str | None], bounds: tuple[str, str] | None) -> None:
    """In the order of their bytes, whole; where one is too long there are none, never a part.

    A part of an upper bound would be below what it bounds.
    """
    found = statistics_of("otel_logs", "SeverityText", values)
    assert found.null_count == values.count(None)
    assert found.has_min_max == (bounds is not None)
    if bounds is not None:
        assert (found.min_raw, found.max_raw) == tuple(one.encode() for one in bounds)


@pytest.mark.parametrize("distinct", [255, 256, 257])
def test_dictionaries_of_every_width(distinct: int) -> None:
    """Places of 8 and of 16 bits; nulls between them, which take one place of the 8."""
    columns = TABLES["otel_logs"]
    source = random.Random(distinct)
    texts = [f"v{number}" for number in range(distinct)] * 2
    source.shuffle(texts)
    rows = len(texts)
    usual: dict[str, Any] = {"string": "", "bool": False}
    batch: list[list[Any]] = [
        [None if column.is_nullable else usual.get(column.type, 0)] * rows for column in columns
    ]
    names = [column.name for column in columns]
    batch[names.index("ServiceName")] = texts
    batch[names.index("EventName")] = [None if n % 7 == 0 else t for n, t in enumerate(texts)]
    batch[names.index("TraceFlags")] = [int(text[1:]) for text in texts]
    assert_equal_files("otel_logs", [batch])


def test_more_rows_than_a_page_and_a_row_group_have() -> None:
    """The second page of the first row group, and the second row group, are as pyarrow has them."""
    table, rows = "otel_traces", 22_000
    few = odd_batch(table, 110, random.Random(1))
    batch = [[_shorter(value) for value in column] * (rows // 110) for column in few]
    assert_equal_files(table, [batch], ParquetSettings("gzip", 1, row_group_rows=21_000))


def _shorter(value: Any) -> Any:
    if isinstance(value, list):
        return [_shorter(item) for item in value[:3]]
    return value[:50] if isinstance(value, str) else value
