"""What is in the files, as an independent reader (DuckDB) sees it.

Knows the documented folders of the seven tables. Must not import otlp2parquet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

Row = dict[str, Any]
FOLDERS = {
    "otel_logs": "logs",
    "otel_traces": "traces",
    **{
        f"otel_metrics_{kind}": f"metrics/{kind}"
        for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary")
    },
}


def stored_tables(data: Path) -> dict[str, list[Row]]:
    """Every row under ``data`` by table; only tables that have files."""
    tables = {}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, folder in FOLDERS.items():
            if any((data / folder).rglob("*.parquet")):
                pattern = f"{data / folder}/**/*.parquet"
                relation = connection.sql(
                    "SELECT * FROM read_parquet($files, hive_partitioning = false)",
                    params={"files": pattern},
                )
                tables[table] = relation.to_arrow_table().to_pylist()
    return tables


def assert_same_tables(found: dict[str, list[Row]], expected: dict[str, list[Row]]) -> None:
    """Insist on exactly the expected rows in each table, in any order, with all columns."""
    counts = {table: len(rows) for table, rows in expected.items()}
    assert {table: len(rows) for table, rows in found.items()} == counts
    for table, rows in expected.items():
        for got, wanted in zip(in_order(found[table]), in_order(rows), strict=True):
            assert got == wanted, f"a row of {table} differs"


def in_order(rows: list[Row]) -> list[Row]:
    """Rows sorted by everything in them, so that two sets of rows can be compared."""
    return sorted(
        rows,
        key=lambda row: (row["Timestamp"], row["TimestampNanos"] or 0, repr(sorted(row.items()))),
    )
