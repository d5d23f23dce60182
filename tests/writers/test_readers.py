"""Tables in folders: DuckDB, polars, pyarrow and Spark read ``data/logs`` by its folders' names.

Whatever services call themselves: every reader finds the table whole, with the columns service,
date and hour, and by filters on them the rows that are there.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import duckdb
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from otlp2parquet import BatchBuilder, ParquetWriter, plan_files
from otlp2parquet.core.files import group_key
from otlp2parquet.core.layout import service_folder
from otlp2parquet.core.pure.schema import TABLES
from otlp2parquet.writers import ParquetSettings, encode_pyarrow, encode_stdlib
from tests.components import query_with_spark
from tests.support.plain import MICROS, arrow_batch, made_up_batch
from tests.support.requests import logs_request
from tests.support.tables import BATCH_ID

if TYPE_CHECKING:
    from pathlib import Path

ODD_SERVICES = (
    None,
    "unknown-service",
    "Foo",
    "foo",
    "con",
    "dot.",
    "_leading",
    "../x",
    "né" * 67,  # 201 bytes of UTF-8
    "a=b%",
)
HOURS = {9: 0, 23: 14 * 3600, 0: 15 * 3600}
"""Each hour of the rows, and how many seconds after the first record it begins; the last is of
the next day. A padded ``hour=09`` would be a text here and a number there."""

Counts = Counter[tuple[str, str, int]]
"""Rows by service, date and hour, as folders name them."""


def rows_of(service: str | None) -> int:
    """A number of rows that tells services apart."""
    return ODD_SERVICES.index(service) + 1


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``data/logs`` with all services in all hours, of one batch."""
    builder = BatchBuilder()
    for service in ODD_SERVICES:
        for after in HOURS.values():
            builder.append(logs_request(rows_of(service), service or "", first=after), "logs")
    batches = builder.finish(dictionaries=True)
    root = tmp_path_factory.mktemp("data")
    writer = ParquetWriter(root)
    for file in plan_files(batches):
        mine = {batch.service: batch for batch in batches if group_key(batch) in file.groups}
        writer.store(file, [mine[service] for service in file.services], BATCH_ID)
    return root / "logs"


def expected(encoding: str = "utf-8") -> Counts:
    """Rows by what a reader makes of the folders' names."""
    counts: Counts = Counter()
    for service in ODD_SERVICES:
        name = unquote_to_bytes(service_folder(service)).decode(encoding)
        for hour in HOURS:
            day = "2026-07-02" if hour == 0 else "2026-07-01"
            counts[name, day, hour] += rows_of(service)
    return counts


NIGHT = "date >= DATE '2026-07-01' AND hour >= 23 OR date > DATE '2026-07-01'"
"""From the last hour of a day into the next one, in SQL."""


def test_expected_counts() -> None:
    """No two services are one to a reader, except the one that is called as those without."""
    assert len(expected()) == (len(ODD_SERVICES) - 1) * len(HOURS)
    assert expected()["unknown-service", "2026-07-01", 9] == 3
    assert sum(expected().values()) == 3 * 55


def test_duckdb(logs: Path) -> None:
    """As the README asks it: by a glob, without an option."""
    with duckdb.connect() as connection:
        files = connection.sql(f"SELECT * FROM '{logs}/**/*.parquet'")  # noqa: S608 - ours
        kinds = dict(zip(files.columns, map(str, files.types), strict=True))
        assert (kinds["service"], kinds["date"], kinds["hour"]) == ("VARCHAR", "DATE", "BIGINT")
        found = connection.sql(
            "SELECT service, date::VARCHAR, hour, count(*) FROM files GROUP BY ALL"
        ).fetchall()
        assert {tuple(row[:3]): row[3] for row in found} == expected()
        assert connection.sql(
            "SELECT count(*) FROM files WHERE service = 'a=b%' AND hour < 10"
        ).fetchall() == [(20,)]
        assert connection.sql(f"SELECT count(*) FROM files WHERE {NIGHT}").fetchall() == [(110,)]  # noqa: S608
        names = connection.sql("SELECT DISTINCT ServiceName FROM files").fetchall()
        assert {name for (name,) in names} == set(ODD_SERVICES)


def test_polars(logs: Path) -> None:
    """A folder is scanned as it is."""
    files = pl.scan_parquet(logs)
    kinds = files.collect_schema()
    for column, kind in {"service": pl.String(), "date": pl.Date(), "hour": pl.Int64()}.items():
        assert kinds[column] == kind
    found = files.group_by("service", "date", "hour").len().collect()
    counts = {(service, str(day), hour): rows for service, day, hour, rows in found.rows()}
    assert counts == expected()
    chosen = files.filter(pl.col("service") == "a=b%", pl.col("hour") < 10).collect()
    assert set(chosen["ServiceName"]) == {"a=b%"}
    assert chosen.height == 20
    assert files.filter(pl.col("date") > date(2026, 7, 1)).collect().height == 55


def test_pyarrow(logs: Path) -> None:
    """A folder is read as it is; the date is a text, which has the same order."""
    found = pq.read_table(logs, columns=["service", "date", "hour"]).to_pylist()
    counts = Counter((row["service"], row["date"], row["hour"]) for row in found)
    assert counts == expected()
    chosen = pq.read_table(logs, filters=(pc.field("service") == "a=b%") & (pc.field("hour") < 10))
    assert set(chosen["ServiceName"].to_pylist()) == {"a=b%"}
    assert chosen.num_rows == 20


def written_both_ways(folder: Path) -> dict[str, str]:
    """Queries that find, by table, how many rows two files share: one of each encoder.

    The file of the standard library has row groups and pages enough to be skipped.
    """
    folder.mkdir()
    queries = {}
    for table in TABLES:
        batch = made_up_batch(table, 64, 5, rare=False)
        ours, theirs = (folder / f"{table}.{name}.parquet" for name in ("stdlib", "pyarrow"))
        with ours.open("wb") as sink:
            settings = ParquetSettings("gzip", row_group_rows=25)
            encode_stdlib.write_parquet(table, [batch], sink, settings, {})
        with theirs.open("wb") as sink:
            rows = encode_pyarrow.arrow_table(table, [arrow_batch(table, batch)])
            encode_pyarrow.write_parquet(rows, sink, ParquetSettings(), {})
        queries[table] = (
            "SELECT count(*) FROM ("  # noqa: S608 - ours
            f"SELECT * FROM parquet.`{ours}` INTERSECT ALL SELECT * FROM parquet.`{theirs}`)"
        )
    return queries


def test_spark(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One table, whatever the services; Spark takes each ``%XX`` for a character of Latin-1.

    It finds the same rows in the files of the standard library as in pyarrow's, and the right ones
    by their page indexes.
    """
    monkeypatch.setattr("otlp2parquet.writers.column_chunk.PAGE_ROWS", 10)
    same = written_both_ways(tmp_path / "both")
    indexed = tmp_path / "both" / "otel_logs.indexed.parquet"
    batch = made_up_batch("otel_logs", 1000, 5, rare=False)
    batch[0] = [MICROS + 1_000_000 * number for number in range(1000)]
    with indexed.open("wb") as sink:
        encode_stdlib.write_parquet("otel_logs", [batch], sink, ParquetSettings("gzip"), {})
    queries = {
        "kinds": "DESCRIBE files",
        "counts": "SELECT service, date, hour, count(*) FROM files GROUP BY ALL",
        "chosen": "SELECT count(*) FROM files WHERE service = 'a=b%' AND hour < 10",
        "night": f"SELECT count(*) FROM files WHERE {NIGHT}",  # noqa: S608 - ours
        "names": "SELECT DISTINCT ServiceName FROM files",
        **same,
        "indexed": (
            "SELECT count(*), count(TraceId), sum(length(LogAttributes)) "  # noqa: S608 - ours
            f"FROM parquet.`{indexed}` WHERE "
            f"Timestamp >= timestamp_micros({batch[0][333]}) AND "
            f"Timestamp < timestamp_micros({batch[0][487]})"
        ),
    }
    answers: dict[str, list[list[Any]]] = query_with_spark(logs, queries, tmp_path)
    kinds = {name: kind for name, kind, _ in answers["kinds"]}
    assert (kinds["service"], kinds["date"], kinds["hour"]) == ("string", "date", "int")
    counts = {(service, day, hour): rows for service, day, hour, rows in answers["counts"]}
    assert counts == expected("latin-1"), json.dumps(answers["counts"])
    assert answers["chosen"] == [[20]]
    assert answers["night"] == [[110]]
    assert {name for (name,) in answers["names"]} == set(ODD_SERVICES)
    assert {table: answers[table] for table in same} == {table: [[64]] for table in TABLES}
    ids, attributes = (
        batch[place][333:487]
        for place, column in enumerate(TABLES["otel_logs"])
        if column.name in ("TraceId", "LogAttributes")
    )
    lengths = sum(map(len, attributes))
    assert answers["indexed"] == [[154, 154 - ids.count(None), lengths]]
