"""What is in the Parquet files, read and shown by DuckDB: an engine that is not ours.

Knows SQL and the documented folders. Must not know how the files came to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
from rich.table import Table

from tests.components.parquet_rows import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

SAMPLES = {
    "otel_logs": "ServiceName, SeverityText, Body, BodyType, TraceId[:8] AS TraceId",
    "otel_traces": "ServiceName, SpanName, SpanKind, StatusCode, round(Duration / 1e6, 3) AS ms",
    "otel_metrics_gauge": "ServiceName, MetricName, Value, IntValue, Attributes",
    "otel_metrics_sum": "MetricName, Value, IntValue, IsMonotonic, Attributes",
    "otel_metrics_histogram": "MetricName, Count, round(Sum, 1) AS Sum, BucketCounts",
    "otel_metrics_exponential_histogram": (
        "MetricName, Count, Scale, Attributes, json_array_length(Exemplars) AS exemplars"
    ),
}
"""Columns worth a look, by table."""
SAMPLE_ROWS = 4


def pattern(data: Path, table: str) -> str:
    """The files of ``table``."""
    return f"{data / FOLDERS[table]}/**/*.parquet"


def count_rows(data: Path, table: str) -> int:
    """How many rows the files of ``table`` hold; 0 when there are none."""
    if not any((data / FOLDERS[table]).rglob("*.parquet")):
        return 0
    query = "SELECT count(*) FROM read_parquet($files, hive_partitioning = false)"
    with duckdb.connect() as connection:
        row = connection.execute(query, {"files": pattern(data, table)}).fetchone()
    return int(row[0]) if row else 0


def missing(data: Path, expected: Mapping[str, int]) -> Sequence[str]:
    """Every table whose number of rows is not the number of records sent, in words."""
    troubles = []
    for table in FOLDERS:
        wanted, found = expected.get(table, 0), count_rows(data, table)
        if wanted != found:
            troubles.append(f"{table} holds {found} rows, {wanted} records were sent")
    return troubles


def show_counts(data: Path, expected: Mapping[str, int], console: Console) -> None:
    """Show records sent, rows found, files and bytes of each table."""
    shown = Table(title="records sent, and rows in the files")
    for column in ("table", "sent", "rows", "files", "bytes"):
        shown.add_column(column, justify="left" if column == "table" else "right")
    for table, wanted in expected.items():
        files = list((data / FOLDERS[table]).rglob("*.parquet"))
        size = sum(file.stat().st_size for file in files)
        found = count_rows(data, table)
        shown.add_row(table, f"{wanted:,}", f"{found:,}", f"{len(files)}", f"{size:,}")
    console.print(shown)


def show_rows(data: Path, console: Console) -> None:
    """Show a few rows of each table that has some."""
    with duckdb.connect() as connection:
        for table, columns in SAMPLES.items():
            if not count_rows(data, table):
                continue
            # The newest rows; the columns are the constants above, never input.
            query = (
                f"SELECT {columns} FROM read_parquet($files, hive_partitioning = false) "  # noqa: S608
                f"ORDER BY Timestamp DESC, TimestampNanos DESC LIMIT {SAMPLE_ROWS}"
            )
            result = connection.execute(query, {"files": pattern(data, table)})
            shown = Table(title=table)
            for column in result.description or ():
                shown.add_column(str(column[0]), overflow="fold")
            for row in result.fetchall():
                shown.add_row(*("" if value is None else str(value) for value in row))
            console.print(shown)
