"""ParquetWriter: what is in a file, and that every reader finds the same in it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otlp2parquet import (
    BatchBuilder,
    ConfigError,
    NameTakenError,
    ParquetWriter,
    StorageError,
    __version__,
    new_batch_id,
    process_otlp,
)
from otlp2parquet.core.schema import TABLE_FOLDERS, table_schema
from otlp2parquet.writers.columns import PLAIN_COLUMNS, STATISTICS_COLUMNS
from otlp2parquet.writers.encode_pyarrow import leaf_path
from tests.support.requests import (
    HOUR,
    logs_request,
)
from tests.support.tables import BATCH_ID, ROWS, all_batches, logs_batch, rows_of, write

if TYPE_CHECKING:
    from pathlib import Path


TABLES = list(TABLE_FOLDERS)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("dictionaries", [True, False])
def test_schema_of_the_file(tmp_path: Path, table: str, *, dictionaries: bool) -> None:
    """The file has exactly the table's types, names, order, nullability and field ids."""
    stored = write(ParquetWriter(tmp_path), [all_batches(dictionaries=dictionaries)[table]])
    found = pq.read_schema(tmp_path / stored.path)
    expected = pa.schema(table_schema(table))
    assert list(found) == list(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.metadata == other.metadata
        if pa.types.is_list(one.type):
            assert one.type.value_field.equals(other.type.value_field, check_metadata=True)
    # Readers that know nothing of Arrow must find it in the Parquet types themselves.
    assert b"ARROW:schema" not in pq.read_metadata(tmp_path / stored.path).metadata


@pytest.mark.parametrize("table", TABLES)
def test_reads_back_equal(tmp_path: Path, table: str) -> None:
    """pyarrow, DuckDB and polars find the rows that were written, all values in order."""
    batch = all_batches(dictionaries=True)[table]
    expected = rows_of(batch)
    assert len(expected) == ROWS
    path = tmp_path / write(ParquetWriter(tmp_path), [batch]).path
    assert pq.ParquetFile(path).read().to_pylist() == expected
    schema = pa.schema(table_schema(table))
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(path), hive_partitioning=False)
        assert relation.to_arrow_table().cast(schema).to_pylist() == expected
    frame = pl.read_parquet(path, hive_partitioning=False)
    assert frame.to_arrow().cast(schema).to_pylist() == expected


def test_footer(tmp_path: Path) -> None:
    """The footer says what the file is, of which batch, and how many rows it has."""
    stored = write(ParquetWriter(tmp_path), [logs_batch(5)])
    footer = pq.read_metadata(tmp_path / stored.path)
    assert footer.metadata == {
        b"otlp2parquet.schema_version": b"1",
        b"otlp2parquet.table": b"otel_logs",
        b"otlp2parquet.version": __version__.encode(),
        b"otlp2parquet.batch_id": BATCH_ID.encode(),
        b"otlp2parquet.part": b"0",
    }
    assert footer.num_rows == 5


def test_receipt(tmp_path: Path) -> None:
    """The answer tells where the file is, how many rows it has, and its size."""
    stored = write(ParquetWriter(tmp_path), [logs_batch(5)])
    path = f"logs/service=checkout/date=2026-07-01/hour=9/{BATCH_ID}.parquet"
    assert stored.path == path
    assert (stored.rows, stored.bytes) == (5, (tmp_path / path).stat().st_size)
    assert stored.columns
    assert not stored.was_there


def test_parts_have_names_of_their_own(tmp_path: Path) -> None:
    """A batch that is split has a file for each part, all beginning with its id."""
    writer = ParquetWriter(tmp_path)
    names = [write(writer, [logs_batch(1)], part=part).path for part in range(3)]
    suffixes = [name.rpartition(BATCH_ID)[2] for name in names]
    assert suffixes == [".parquet", "-1.parquet", "-2.parquet"]
    footers = [pq.read_metadata(tmp_path / name).metadata for name in names]
    assert [footer[b"otlp2parquet.part"] for footer in footers] == [b"0", b"1", b"2"]


def test_batches_follow_one_another(tmp_path: Path) -> None:
    """Several batches become one file with their rows in the given order."""
    batches = [logs_batch(7, first=10), logs_batch(3), logs_batch(5, first=100)]
    expected = [row for batch in batches for row in rows_of(batch)]
    stored = write(ParquetWriter(tmp_path), batches)
    assert stored.rows == 15
    assert pq.ParquetFile(tmp_path / stored.path).read().to_pylist() == expected


def test_mixed_encodings_of_the_same_columns(tmp_path: Path) -> None:
    """Batches with and without dictionary arrays may be written together."""
    batches = [logs_batch(3), logs_batch(3, first=3, dictionaries=False)]
    for number, mixed in enumerate([batches, batches[::-1]]):
        expected = [row for batch in mixed for row in rows_of(batch)]
        stored = write(ParquetWriter(tmp_path), mixed, part=number)
        assert pq.ParquetFile(tmp_path / stored.path).read().to_pylist() == expected


def test_batches_of_other_libraries(tmp_path: Path) -> None:
    """Anything with ``__arrow_c_array__`` is a batch, such as pyarrow's."""
    batch = pa.record_batch(logs_batch(4, dictionaries=False))
    stored = ParquetWriter(tmp_path).write(
        [batch.slice(0, 2), batch.slice(2)],
        table="otel_logs",
        service=None,
        hour=HOUR,
        batch_id=BATCH_ID,
    )
    assert stored.path.startswith("logs/service=unknown-service/")
    assert pq.ParquetFile(tmp_path / stored.path).read().to_pylist() == batch.to_pylist()


def test_no_rows(tmp_path: Path) -> None:
    """There is no such thing as a file without rows."""
    empty = pa.RecordBatch.from_pylist([], schema=pa.schema(table_schema("otel_logs")))
    for batches, message in (([], "no batch to write"), ([empty], "no rows to write")):
        with pytest.raises(ValueError, match=message):
            ParquetWriter(tmp_path).write(
                batches, table="otel_logs", service=None, hour=HOUR, batch_id=BATCH_ID
            )
    assert list(tmp_path.iterdir()) == []


def columns_of(path: Path) -> dict[str, list[Any]]:
    """The column chunks by path, one for each row group."""
    footer = pq.read_metadata(path)
    found: dict[str, list[Any]] = {}
    for group in range(footer.num_row_groups):
        for column in range(footer.num_columns):
            chunk = footer.row_group(group).column(column)
            found.setdefault(chunk.path_in_schema, []).append(chunk)
    return found


@pytest.mark.parametrize("table", TABLES)
def test_column_settings(tmp_path: Path, table: str) -> None:
    """Dictionary, statistics and page index are where they were meant to be, nowhere else.

    Encodings are PLAIN and RLE_DICTIONARY alone (RLE is for levels and booleans): the
    vectorised Iceberg readers in use know no other.
    """
    path = tmp_path / write(ParquetWriter(tmp_path), [all_batches(dictionaries=True)[table]]).path
    columns = columns_of(path)
    for field in pa.schema(table_schema(table)):
        (chunk,) = columns[leaf_path(field)]
        assert set(chunk.encodings) <= {"PLAIN", "RLE", "RLE_DICTIONARY"}
        assert chunk.compression == "ZSTD"
        boolean = pa.types.is_boolean(field.type)  # a bit a value: Parquet has no dictionary
        assert chunk.has_dictionary_page == (field.name not in PLAIN_COLUMNS and not boolean)
        assert chunk.is_stats_set == (field.name in STATISTICS_COLUMNS)
        assert chunk.has_offset_index
        assert chunk.has_column_index == (field.name in STATISTICS_COLUMNS)


def test_statistics_are_right(tmp_path: Path) -> None:
    """Minimum and maximum in the footer are those of the rows."""
    batch = logs_batch(50)
    path = tmp_path / write(ParquetWriter(tmp_path), [batch]).path
    (chunk,) = columns_of(path)["Timestamp"]
    times = [row["Timestamp"] for row in rows_of(batch)]
    assert (chunk.statistics.min, chunk.statistics.max) == (min(times), max(times))
    assert chunk.statistics.null_count == 0


def test_dictionaries_of_many_batches_are_one(tmp_path: Path) -> None:
    """Batches that bring different dictionaries cost no more than one batch with all rows."""
    bodies = [logs_batch(50, first=50 * n, service=f"s{n:02}") for n in range(20)]
    many = write(ParquetWriter(tmp_path, layout="hour"), bodies)
    plain = pa.Table.from_batches([pa.record_batch(batch) for batch in bodies]).cast(
        pa.schema(table_schema("otel_logs"))
    )
    (whole,) = plain.combine_chunks().to_batches()
    one = ParquetWriter(tmp_path / "one").write(
        [whole], table="otel_logs", service=None, hour=HOUR, batch_id=BATCH_ID
    )
    sizes = [
        columns_of(path)["ResourceAttributes"][0].total_uncompressed_size
        for path in (tmp_path / many.path, tmp_path / "one" / one.path)
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("dictionaries", [True, False])
def test_large_resources_are_written_once(tmp_path: Path, *, dictionaries: bool) -> None:
    """Resources of more than Parquet's usual megabyte stay a dictionary, whatever repeats them."""
    size, resources = 30_000, 200
    builder = BatchBuilder()
    for number in range(resources):
        blob = f"{number:03}" * (size // 3)
        builder.append(logs_request(15, first=15 * number, blob=blob), "logs")
    (batch,) = builder.finish(dictionaries=dictionaries)
    path = tmp_path / write(ParquetWriter(tmp_path, compression="none"), [batch]).path
    once = size * resources
    assert once < path.stat().st_size < once + 1_000_000


@pytest.mark.parametrize(
    ("compression", "codec"),
    [("zstd", "ZSTD"), ("snappy", "SNAPPY"), ("gzip", "GZIP"), ("none", "UNCOMPRESSED")],
)
def test_compression(tmp_path: Path, compression: Any, codec: str) -> None:
    """Each compression is the one that is found in the file, and the rows are the same."""
    batch = logs_batch(30)
    path = tmp_path / write(ParquetWriter(tmp_path, compression=compression), [batch]).path
    assert {chunk.compression for chunks in columns_of(path).values() for chunk in chunks} == {
        codec
    }
    assert pq.ParquetFile(path).read().to_pylist() == rows_of(batch)


def test_level(tmp_path: Path) -> None:
    """A higher level is used when asked for: smaller files."""
    batch = logs_batch(3000)
    fast = write(ParquetWriter(tmp_path / "1"), [batch])
    small = write(ParquetWriter(tmp_path / "19", level=19), [batch])
    assert small.bytes < fast.bytes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compression": "lz4"}, "compression is 'lz4': expected one of zstd, snappy, gzip, none"),
        ({"compression": "snappy", "level": 1}, "snappy has no level, but level is 1"),
        ({"level": 23}, "zstd level is 23: expected 1 to 22"),
        ({"compression": "gzip", "level": 0}, "gzip level is 0: expected 1 to 9"),
        ({"row_group_rows": 0}, "row_group_rows is 0: expected at least 1"),
        ({"layout": "day"}, "layout is 'day': expected one of service, hour, classic"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, options: Any, message: str) -> None:
    """A contradiction is found before any row comes."""
    with pytest.raises(ConfigError) as caught:
        ParquetWriter(tmp_path, **options)
    assert str(caught.value) == message


def test_row_groups(tmp_path: Path) -> None:
    """No row group is larger than asked for, and the rows stay in order."""
    batches = [logs_batch(15), logs_batch(10, first=15)]
    path = tmp_path / write(ParquetWriter(tmp_path, row_group_rows=10), batches).path
    footer = pq.read_metadata(path)
    assert [footer.row_group(n).num_rows for n in range(footer.num_row_groups)] == [10, 10, 5]
    assert pq.ParquetFile(path).read().to_pylist() == [
        row for batch in batches for row in rows_of(batch)
    ]


@pytest.mark.parametrize("table", TABLES)
def test_same_bytes_give_the_same_file(tmp_path: Path, table: str) -> None:
    """Decoded and written twice under one name, a request gives one and the same file."""
    contents = []
    for attempt in ("first", "second"):
        writer = ParquetWriter(tmp_path / attempt)
        stored = write(writer, [all_batches(dictionaries=True)[table]])
        contents.append((tmp_path / attempt / stored.path).read_bytes())
    assert contents[0] == contents[1]


def test_taken_name(tmp_path: Path) -> None:
    """An existing file is never overwritten; the error says what was found in it."""
    writer = ParquetWriter(tmp_path)
    stored = write(writer, [logs_batch(5)])
    before = (tmp_path / stored.path).read_bytes()
    with pytest.raises(NameTakenError, match=rf"holds batch {BATCH_ID} with 5 rows") as caught:
        write(writer, [logs_batch(6)])
    assert caught.value.path == stored.path
    assert isinstance(caught.value, StorageError)
    assert (tmp_path / stored.path).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"PAR1", b"something else entirely"])
def test_taken_by_something_else(tmp_path: Path, content: bytes) -> None:
    """A file that is no Parquet is reported as that, and left alone."""
    writer = ParquetWriter(tmp_path)
    path = tmp_path / write(writer, [logs_batch(5)]).path
    path.write_bytes(content)
    with pytest.raises(NameTakenError, match="is not a readable parquet file") as caught:
        write(writer, [logs_batch(5)])
    assert str(caught.value).startswith("logs/service=checkout/")
    assert path.read_bytes() == content


def test_taken_by_foreign_parquet(tmp_path: Path) -> None:
    """A Parquet file of other origin names no batch, and so is never taken for one of ours."""
    writer = ParquetWriter(tmp_path)
    path = tmp_path / write(writer, [logs_batch(5)]).path
    pq.write_table(pa.table({"a": [1, 2]}), path, store_schema=False)
    with pytest.raises(NameTakenError, match="holds 2 rows of no batch; expected a free name"):
        write(writer, [logs_batch(5)])


def test_disk_error_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that fails in the middle is a StorageError, and no trace of the file remains."""
    monkeypatch.setattr("otlp2parquet.stores.local._BUFFER_BYTES", 4096)
    import resource  # noqa: PLC0415 - not on Windows, and only here

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(StorageError, match="file too large"):
            write(ParquetWriter(tmp_path, compression="none"), [logs_batch(3000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_many_threads(tmp_path: Path) -> None:
    """One writer serves many threads at once, each file whole."""
    writer = ParquetWriter(tmp_path)
    batches = {new_batch_id(): logs_batch(20, first=20 * n) for n in range(16)}
    threads = [
        threading.Thread(target=write, args=[writer, [batch], batch_id])
        for batch_id, batch in batches.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in tmp_path.rglob("*.parquet"):
        assert pq.ParquetFile(path).read().to_pylist() == rows_of(batches.pop(path.stem))
    assert batches == {}


def test_results_of_the_public_api(tmp_path: Path) -> None:
    """What ``process_otlp`` gives can be written as it is."""
    for batch in process_otlp(logs_request(3), "logs").batches:
        stored = write(ParquetWriter(tmp_path), [batch])
        assert pq.ParquetFile(tmp_path / stored.path).read().to_pylist() == rows_of(batch)
