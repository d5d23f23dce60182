"""The encoder of the standard library: its files hold what pyarrow's do, for every reader."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet import ConfigError, process_otlp
from otlp2parquet.core.pure.schema import TABLES
from otlp2parquet.core.schema import table_schema
from otlp2parquet.core.signals import SIGNALS
from otlp2parquet.version import __version__
from otlp2parquet.writers import ParquetSettings, encode_pyarrow
from otlp2parquet.writers.encode_stdlib import write_parquet
from tests.support.encoded_files import (
    GZIPPED,
    assert_equal_files,
    encoded,
    encoded_by_pyarrow,
    statistics_in,
)
from tests.support.parquet_pages import GZIP, UNCOMPRESSED, read_chunks
from tests.support.plain import arrow_batch, made_up_batch, plain_columns
from tests.support.shapes import every_field
from tests.support.strategies import examples
from tests.support.tables import all_batches

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("table", TABLES)
@examples(8)
@given(st.data())
def test_the_same_as_pyarrows(table: str, data: st.DataObject) -> None:
    """Rows, schema, field ids, notes, row groups, statistics and receipt, for any rows."""
    seed = data.draw(st.integers(0, 2**32))
    sizes = data.draw(
        st.lists(st.sampled_from([0, 1, 2, 7, 8, 9, 64, 150]), min_size=1, max_size=3)
    )
    batches = [made_up_batch(table, size, seed + n) for n, size in enumerate([*sizes, 1])]
    settings = ParquetSettings(
        data.draw(st.sampled_from(["gzip", "none"])),
        row_group_rows=data.draw(st.sampled_from([262_144, 100, 32, 1 + sum(sizes)])),
    )
    assert_equal_files(table, batches, settings)


@pytest.mark.parametrize("table", TABLES)
def test_statistics_of_any_column(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever columns are to have them: they are those that pyarrow finds, for all types.

    Bounds that are too long, NaN, zeros of both signs, lists without items among them.
    """
    everywhere = frozenset(column.name for column in TABLES[table])
    monkeypatch.setattr("otlp2parquet.writers.columns.STATISTICS_COLUMNS", everywhere)
    monkeypatch.setattr("otlp2parquet.writers.encode_pyarrow.STATISTICS_COLUMNS", everywhere)
    for seed in range(15):
        batches = [made_up_batch(table, 1 + seed % 23, seed)]
        settings = ParquetSettings("none", row_group_rows=9)
        content, _ = encoded(table, batches, settings)
        _, expected = encoded_by_pyarrow(table, batches, settings)
        assert statistics_in(pq.read_metadata(io.BytesIO(content))) == statistics_in(expected)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("row_group_rows", [262_144, 25])
def test_every_reader(tmp_path: Path, table: str, row_group_rows: int) -> None:
    """pyarrow, DuckDB and polars find the rows that were written, with the table's types."""
    path = tmp_path / "file.parquet"
    schema = pa.schema(table_schema(table))
    for seed in range(3):
        batches = [made_up_batch(table, 100, seed, rare=False), made_up_batch(table, 1, seed)]
        batches[1:] = []
        expected = repr(arrow_batch(table, batches[0]).to_pylist())
        path.write_bytes(
            encoded(table, batches, ParquetSettings("gzip", row_group_rows=row_group_rows))[0]
        )
        assert repr(pq.ParquetFile(path).read().to_pylist()) == expected
        with duckdb.connect() as connection:
            relation = connection.read_parquet(str(path), hive_partitioning=False)
            assert repr(relation.to_arrow_table().cast(schema).to_pylist()) == expected
        frame = pl.read_parquet(path, hive_partitioning=False)
        assert repr(frame.to_arrow().cast(schema).to_pylist()) == expected


def test_vectors() -> None:
    """Every field of every signal, decoded natively and written both ways, is the same."""
    tables = set()
    for signal in SIGNALS:
        for batch in process_otlp(every_field(signal).SerializeToString(), signal).batches:
            assert_equal_files(batch.table, [plain_columns(batch)])
            tables.add(batch.table)
    assert tables == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_usual_rows(table: str) -> None:
    """What senders send, in dictionary arrays: the rows and the receipt are pyarrow's."""
    batch = all_batches(dictionaries=True)[table]
    plain = plain_columns(batch)
    assert_equal_files(table, [plain])
    assert_equal_files(table, [plain, plain], ParquetSettings("gzip", 1, row_group_rows=30))


def test_codecs() -> None:
    """Gzip where it makes a chunk smaller; nothing is compressed in vain, or unasked."""
    columns = all_batches(dictionaries=False)["otel_logs"]
    for compression, expected in (("gzip", {GZIP, UNCOMPRESSED}), ("none", {UNCOMPRESSED})):
        content, _ = encoded(
            "otel_logs",
            [plain_columns(columns)],
            ParquetSettings(compression),  # type: ignore[arg-type]
        )
        (chunks,) = read_chunks(content)
        assert {chunk.metadata[4] for chunk in chunks} == expected
        for chunk in chunks:
            assert (chunk.metadata[4] == GZIP) == (chunk.metadata[7] < chunk.metadata[6])


def test_levels_of_compression() -> None:
    """A higher level is used when asked for: smaller files."""
    batches = [made_up_batch("otel_logs", 3000, 1)]
    sizes = [
        encoded("otel_logs", batches, ParquetSettings("gzip", level))[1].bytes for level in (1, 9)
    ]
    assert sizes[0] > sizes[1]


def test_other_field_ids() -> None:
    """An existing table's ids: of the columns, then of the items of lists; the receipt keeps ours.

    As the other encoder writes them.
    """
    table = "otel_traces"
    batch = plain_columns(all_batches(dictionaries=False)[table])
    count = len(TABLES[table]) + sum(column.is_list for column in TABLES[table])
    field_ids = list(range(1000, 1000 + count))
    content, receipt = encoded(table, [batch], field_ids=field_ids)
    rows = encode_pyarrow.arrow_table(table, [arrow_batch(table, batch)])
    sink = io.BytesIO()
    rows = encode_pyarrow.with_field_ids(table, rows, field_ids)
    encode_pyarrow.write_parquet(rows, sink, GZIPPED, {})
    schemas = [pq.ParquetFile(io.BytesIO(one)).schema for one in (content, sink.getvalue())]
    assert str(schemas[0]).split("\n", 1)[1] == str(schemas[1]).split("\n", 1)[1]
    assert receipt.columns == encoded(table, [batch])[1].columns


def test_who_wrote_it() -> None:
    """The footer says so, in the words of Parquet's specification; readers go by it."""
    metadata = pq.read_metadata(
        io.BytesIO(encoded("otel_logs", [made_up_batch("otel_logs", 3, 1)])[0])
    )
    assert metadata.created_by == f"otlp2parquet version {__version__}"
    assert metadata.format_version == "2.6"


@pytest.mark.parametrize("table", TABLES)
def test_same_rows_give_the_same_bytes(table: str) -> None:
    """However they are cut into batches."""
    whole = made_up_batch(table, 50, 3)
    parts = [[column[a:b] for column in whole] for a, b in ((0, 20), (20, 20), (20, 50))]
    settings = ParquetSettings("gzip", row_group_rows=15)
    assert encoded(table, [whole], settings) == encoded(table, parts, settings)


def place_of(table: str, name: str) -> int:
    """Where a column stands."""
    return [column.name for column in TABLES[table]].index(name)


@pytest.mark.parametrize(
    ("table", "name", "value", "message"),
    [
        ("otel_logs", "Timestamp", None, "is null: expected an int"),
        ("otel_logs", "Timestamp", 2**63, "is 9223372036854775808, which 64 bits do not hold"),
        ("otel_logs", "TraceFlags", -(2**63) - 1, "which 64 bits do not hold"),
        ("otel_logs", "SeverityNumber", 2**31, "is 2147483648, which 32 bits do not hold"),
        ("otel_logs", "TimestampNanos", -(2**31) - 1, "which 32 bits do not hold"),
        ("otel_logs", "TimestampNanos", 1.5, "is float: expected an int"),
        ("otel_logs", "ResourceAttributes", None, "is null: expected a str"),
        ("otel_logs", "LogAttributes", None, "is null: expected a str"),
        ("otel_logs", "LogAttributes", b"{}", "is bytes: expected a str"),
        ("otel_logs", "Body", "a\ud800", "is a text with a lone surrogate at character 1"),
        ("otel_logs", "ServiceName", "\udfff", "is a text with a lone surrogate at character 0"),
        ("otel_logs", "ServiceName", ["a"], "is list: expected a str"),
        ("otel_traces", "EventsName", None, "is NoneType: expected a list"),
        ("otel_traces", "EventsName", ["a", "b\ud800"], "with a lone surrogate at character 1"),
        ("otel_traces", "EventsTimestamp", [1, 2**63], "which 64 bits do not hold"),
        ("otel_traces", "EventsTimestampNanos", [1, "2"], "is str: expected an int"),
        ("otel_metrics_sum", "IsMonotonic", None, "is null: expected a bool"),
        ("otel_metrics_sum", "IsMonotonic", 2, "is int: expected a bool"),
        ("otel_metrics_sum", "Value", "1", "is str: expected a float"),
        ("otel_metrics_exponential_histogram", "ZeroThreshold", None, "is null: expected a float"),
        ("otel_metrics_histogram", "ExplicitBounds", ["1"], "is str: expected a float"),
    ],
)
@pytest.mark.parametrize("row", [0, 9])
def test_what_a_column_cannot_hold(
    table: str, name: str, value: object, message: str, row: int
) -> None:
    """The error names the table, the column and the row in the file."""
    batches = [plain_columns(all_batches(dictionaries=False)[table]) for _ in range(2)]
    batches[1][place_of(table, name)][row] = value
    number = len(batches[0][0]) + row
    settings = ParquetSettings("gzip", row_group_rows=7)
    with pytest.raises(ValueError, match=name) as caught:
        encoded(table, batches, settings)
    assert str(caught.value).startswith(f"column {name} of {table}, row {number}, ")
    assert message in str(caught.value)


def test_batches_that_are_none() -> None:
    """No rows, other columns, columns of different lengths."""
    batch = made_up_batch("otel_logs", 3, 1)
    for batches, message in (
        ([], "no rows to write in 0 batches"),
        ([made_up_batch("otel_logs", 0, 1)], "no rows to write in 1 batches"),
        ([batch, batch[:-1]], "a batch has 24 columns: otel_logs expects 25"),
        ([[*batch[:-1], []]], "column DroppedAttributesCount of a batch has 0 rows: expected 3"),
    ):
        with pytest.raises(ValueError, match=r"rows|columns") as caught:
            encoded("otel_logs", batches)
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
def test_compressions_that_are_not_there(compression: Any) -> None:
    """Nothing is written then."""
    sink = io.BytesIO()
    with pytest.raises(
        ConfigError, match=f"'{compression}': without pyarrow expected gzip or none"
    ):
        write_parquet("otel_logs", [], sink, ParquetSettings(compression), {})
    assert sink.getvalue() == b""


def test_the_standard_library_is_enough() -> None:
    """Where there is neither pyarrow nor the extension nor anything else that is installed."""
    program = f"""
import sys
sys.modules["otlp2parquet._native"] = None
sys.path[:0] = {[path for path in sys.path if path]}
before = set(sys.modules)
from io import BytesIO
from otlp2parquet.core.pure.schema import TABLES
from otlp2parquet.writers import ParquetSettings
from otlp2parquet.writers.encode_stdlib import write_parquet
values = {{"string": "a", "double": 1.5, "bool": True}}
for table, columns in TABLES.items():
    row = [values.get(column.type, 1) for column in columns]
    batch = [[[value] if column.is_list else value] for column, value in zip(columns, row)]
    write_parquet(table, [batch], BytesIO(), ParquetSettings("gzip"), {{}})
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
foreign = loaded - set(sys.stdlib_module_names) - {{"otlp2parquet"}}
sys.exit(f"loaded {{foreign}}" if foreign else 0)
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
