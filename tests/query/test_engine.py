"""What is run and what is refused, what an error says, and storages that are no folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from otlp2parquet import ParquetWriter
from otlp2parquet.errors import QueryError
from otlp2parquet.query.engine import Engine
from otlp2parquet.stores import LocalStore
from tests.support.memory_store import MemoryStore
from tests.support.questions import ask, write_all_tables
from tests.support.tables import logs_batch

if TYPE_CHECKING:
    from pathlib import Path

READING = [
    "SELECT 1 AS x",
    "VALUES (1)",
    "FROM logs",
    "WITH x AS (FROM logs) FROM x",
    "DESCRIBE logs",
    "SUMMARIZE metrics",
    "SHOW TABLES",
    "EXPLAIN FROM logs",
    "EXPLAIN ANALYZE FROM logs",
    "explain (format json) from logs",
    "PIVOT logs ON SeverityText USING count(*)",
    "-- a comment\n/* and another */ SELECT 1 AS x;",
    "CREATE MACRO twice(x) AS 2 * x; SELECT twice(2) AS x",
    "SET VARIABLE x = 1; SELECT getvariable('x') AS x",
    "FROM logs; SELECT 2 AS x",
    "SET TimeZone = 'Asia/Tokyo'; SELECT Timestamp FROM logs",
]
WRITING = [
    "COPY logs TO 'stolen.csv'",
    "COPY (SELECT 1) TO 'stolen.csv'",
    "EXPLAIN ANALYZE COPY logs TO 'stolen.csv'",
    "EXPLAIN (ANALYZE) COPY logs TO 'stolen.csv'",
    "EXPLAIN /* */ ANALYZE COPY logs TO 'stolen.csv'",
    "/* */ EXPLAIN ANALYZE COPY logs TO 'stolen.csv'",
    "SELECT 1; COPY logs TO 'stolen.csv'",
    "PREPARE x AS COPY logs TO 'stolen.csv'; EXECUTE x",
    "ATTACH 'stolen.db'",
    "EXPORT DATABASE 'stolen'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET profiling_output = 'stolen.json'",
    "PRAGMA profiling_output = 'stolen.json'",
    "CALL checkpoint()",
    "INSERT INTO logs SELECT * FROM logs",
    "DELETE FROM logs",
    "DROP VIEW logs",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """A file of every table."""
    folder = tmp_path_factory.mktemp("tables")
    write_all_tables(folder)
    return LocalStore(folder)


@pytest.mark.parametrize("sql", READING)
def test_what_reads_is_run(sql: str, store: LocalStore) -> None:
    """And answers something."""
    assert ask(store, sql)


@pytest.mark.parametrize("sql", WRITING)
def test_what_does_more_is_refused(
    sql: str, store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is done, whatever stands before it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError, match="expected statements that read"):
        ask(store, sql)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sql", ["", "  ", "-- nothing", ";"])
def test_no_statement(sql: str, store: LocalStore) -> None:
    """It is said."""
    with pytest.raises(QueryError, match="found no statement"):
        ask(store, sql)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", ['syntax error at or near "SELEC"', "LINE 1: SELEC 1", "^"]),
        ("SELECT 1\nFROM logs\nWHER x", ["LINE 3: WHER x"]),
        ("FROM lgos", ["lgos does not exist", "the views are logs, traces, metrics_gauge"]),
        ("SELECT SevrityNumber FROM logs", ["near to it: SeverityNumber (in logs)", "LINE 1"]),
        ("SELECT spanName2 FROM traces", ["near to it: SpanName (in traces)"]),
        ("SELECT qqqqqqqq FROM logs", ["otlp2parquet schema shows the columns"]),
        ("SELECT nothing(Body) FROM logs", ["nothing does not exist", "LINE 1"]),
        ("SELECT Body::INT FROM logs", ["could not convert", "order"]),
    ],
)
def test_an_error_says_where_and_what_there_is(
    sql: str, said: list[str], store: LocalStore
) -> None:
    """In DuckDB's words, and with what is near."""
    with pytest.raises(QueryError) as error:
        ask(store, sql)
    for text in said:
        assert text in str(error.value)


def test_an_error_is_harmless(store: LocalStore) -> None:
    """A statement or a value in it may hold anything."""
    with pytest.raises(QueryError) as error:
        ask(store, "SELECT 'x\x1b[31m\x9b' FROM")
    assert "\\x1b[31m\\x9b" in str(error.value)
    assert "\x1b" not in str(error.value)


def test_times_are_in_utc(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the asker is."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    (row,) = ask(
        store, "SELECT min(Timestamp)::VARCHAR AS t, date_part('hour', t::TIMESTAMPTZ) h FROM logs"
    )
    assert row == {"t": "2026-07-01 09:00:00+00", "h": 9}


def test_any_store_is_read(tmp_path: Path) -> None:
    """By its own client, as a folder is; what is excluded is not opened there either."""
    store = MemoryStore()
    writer = ParquetWriter(store)
    for number in range(3):
        writer.write(logs_batch(5, service=f"s {number}"))
    assert [
        row["service"] for row in ask(store, "SELECT DISTINCT service FROM logs ORDER BY 1")
    ] == [f"s {number}" for number in range(3)]
    ParquetWriter(tmp_path).write(logs_batch(5, service="s 1"))
    sql = "FROM logs WHERE service = 's 1'"
    assert ask(store, sql) == ask(LocalStore(tmp_path), sql)


@pytest.mark.parametrize("content", [b"PA", b"no Parquet at all", b"PAR1" + bytes(50) + b"PAR1"])
def test_a_file_that_is_no_parquet(tmp_path: Path, content: bytes) -> None:
    """It is named, and what names all of its kind."""
    stored = ParquetWriter(tmp_path).write(logs_batch(1))
    (tmp_path / stored.path).write_bytes(content)
    with pytest.raises(QueryError) as error:
        ask(LocalStore(tmp_path), "SELECT Body FROM logs")
    assert stored.path in str(error.value)
    assert "'otlp2parquet ls' names all of them" in str(error.value)


def test_a_store_that_fails(tmp_path: Path) -> None:
    """Its own words reach the asker."""

    class Broken(MemoryStore):
        def open(self, path: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
            raise QueryError(f"nothing answers for {path}")

    store = Broken()
    ParquetWriter(store).write(logs_batch(1))
    with pytest.raises(QueryError, match="nothing answers for logs/service=checkout"):
        ask(store, "FROM logs")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said how to get it."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(QueryError, match=r"duckdb.*pip install 'otlp2parquet\[query\]'"):
        Engine(store)


@pytest.mark.parametrize(
    ("value", "said"),
    [("error('boom')", "boom"), ("'a'::INT", "could not convert string 'a'")],
)
def test_an_error_behind_rows_that_were_taken(value: str, said: str, store: LocalStore) -> None:
    """It is one of ours, as before the first row."""
    sql = f"SELECT CASE WHEN x > 60000 THEN {value} ELSE 1 END FROM range(70000) t(x)"
    with Engine(store) as engine, pytest.raises(QueryError, match=said):
        list(engine.ask(sql).batches)


def test_an_answer_is_computed_while_it_is_taken(store: LocalStore) -> None:
    """Memory for all rows of a large table is never needed."""
    with Engine(store) as engine:
        answer = engine.ask("SELECT * FROM range(100_000_000_000)")
        assert next(iter(answer.batches)).num_rows > 0
