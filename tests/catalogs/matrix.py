"""``python -m tests.catalogs.matrix``: rows by independent readers for every storage and catalog.

Each cell is a server that is sent telemetry of two days. Then its rows are counted by engines that
are not ours, and it is looked how many files they read for one of the days. Writes
``benchmarks/results/catalogs.json`` and docs/catalog_matrix.md, and ends with 1 unless every count
is what was sent.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from pyiceberg.expressions import AlwaysTrue, BooleanExpression

from otlp2parquet.catalogs.connection import connect, connection_of
from otlp2parquet.config import load
from otlp2parquet.storage import open_storage, store_at
from otlp2parquet.stores.location import root_of
from tests.catalogs.cells import GROUPS, NAMESPACE, Cell
from tests.components import run_statement
from tests.components.process import wait_until
from tests.components.s3 import KEY_ID, REGION, SECRET
from tests.support.catalog_server import QUICK, is_committed, send_all
from tests.support.duckdb_rows import query
from tests.support.requests import logs_request
from tests.support.server_process import Server

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from otlp2parquet.config import Config

HERE: Final = Path(__file__).parents[2]
RESULT: Final = HERE / "benchmarks" / "results" / "catalogs.json"
PAGE: Final = HERE / "docs" / "catalog_matrix.md"

LATE: Final = 6
"""Log records of the second day, behind ten of the first."""
DAY_SECS: Final = 86_400
TABLES: Final = {
    "logs": 10 + LATE,
    "traces": 7,
    "metrics_gauge": 5,
    "metrics_sum": 5,
    "metrics_histogram": 5,
    "metrics_exponential_histogram": 5,
    "metrics_summary": 5,
}
SECOND_DAY: Final = "2026-07-02"
_LATE_ROWS: Final = f"Timestamp >= '{SECOND_DAY}T00:00:00+00:00'"


def fill(cell: Cell, folder: Path) -> None:
    """Send telemetry of two days to a server of the cell."""
    with Server(folder, settings={**QUICK, **cell.settings}) as server:
        send_all(server)
        assert server.post(logs_request(LATE, first=DAY_SECS))[0] == 200
        if cell.catalog != "plain":
            wait_until(lambda: is_committed(server), 120, lambda: server.log)
        assert server.stop() == 0


def read(cell: Cell, folder: Path) -> dict[str, Any]:
    """What readers find; ``counts`` by reader and table, ``files`` for all and for a day."""
    with mock.patch.dict(os.environ, cell.settings):
        config = load(environ=dict(os.environ), folder=folder).config
        if cell.catalog == "plain":
            return _read_plain(config, folder / "copy")
        catalog = connect(connection_of(config))
        tables = {name: catalog.load_table((NAMESPACE, f"otel_{name}")) for name in TABLES}
        logs = tables["logs"]
        return {
            "pyiceberg": {name: table.scan().to_arrow().num_rows for name, table in tables.items()},
            "DuckDB": {
                name: _duckdb_rows(_copied(config, table, folder / "copy" / name))
                for name, table in tables.items()
            },
            "files": _planned(logs, AlwaysTrue()),
            "late": logs.scan(row_filter=_LATE_ROWS).to_arrow().num_rows,
            "files_late": _planned(logs, _LATE_ROWS),
            "metadata": {name: table.metadata_location for name, table in tables.items()},
        }


def _planned(table: Table, row_filter: str | BooleanExpression) -> int:
    return len(list(table.scan(row_filter=row_filter).plan_files()))


def _copied(config: Config, table: Table, folder: Path) -> list[str]:
    """The files that a table names, fetched for a reader that knows no storage."""
    folder.mkdir(parents=True)
    paths = []
    for number, task in enumerate(table.scan().plan_files()):
        place, _, name = task.file.file_path.rpartition("/")
        copy = folder / f"{number}.parquet"
        with store_at(config.storage, root_of(place)).open(name) as source:
            copy.write_bytes(source.read())
        paths.append(str(copy))
    return paths


def _duckdb_rows(files: list[str]) -> int:
    ((rows,),) = query("SELECT count(*) FROM read_parquet($files)", {"files": files})
    return int(rows)


def _read_plain(config: Config, folder: Path) -> dict[str, Any]:
    store = open_storage(config.storage)
    for one in store.list(""):
        if one.path.endswith(".parquet") and not one.path.startswith("."):
            copy = folder / one.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            with store.open(one.path) as source:
                copy.write_bytes(source.read())
    rows = {
        name: _duckdb_rows([str(path) for path in (folder / place).rglob("*.parquet")])
        for name in TABLES
        for place in [name.replace("metrics_", "metrics/")]
    }
    logs = f"read_parquet('{folder}/logs/**/*.parquet', hive_partitioning = true)"
    late = f"FROM {logs} WHERE date = '{SECOND_DAY}'"
    ((late_rows,),) = query(f"SELECT count(*) {late}")
    return {
        "DuckDB": rows,
        "files": sum(1 for _ in (folder / "logs").rglob("*.parquet")),
        "late": int(late_rows),
        "files_late": _files_read(f"SELECT max(Body) {late}"),
    }


def _files_read(statement: str) -> int:
    """How many files DuckDB says it has read for a statement."""
    (row,) = query(f"EXPLAIN ANALYZE {statement}")
    found = re.search(r"Total Files Read:\s*(\d+)", row[1])
    assert found is not None, row[1]
    return int(found[1])


def read_with_spark(
    cells: list[Cell], found: dict[str, dict[str, Any]], s3_endpoint: str, scratch: Path
) -> None:
    """Have Spark count all tables of the cells that it reads, in one session."""
    settings = {
        "spark.hadoop.fs.s3a.endpoint": s3_endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": REGION,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": KEY_ID,
        "spark.hadoop.fs.s3a.secret.key": SECRET,
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        # What catalogs call s3:// is what Spark calls s3a://.
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.sql.extensions": (
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
        ),
    }
    lines = ["rows = []"]
    for cell in cells:
        lake = f"spark.sql.catalog.{cell.catalog}"
        if cell.spark:
            settings |= {
                lake: "org.apache.iceberg.spark.SparkCatalog",
                f"{lake}.type": "rest",
                f"{lake}.io-impl": "org.apache.iceberg.hadoop.HadoopFileIO",
                **{f"{lake}.{key}": value for key, value in cell.spark.items()},
            }
        for name in TABLES:
            asked = (
                f"spark.table('{cell.catalog}.{NAMESPACE}.otel_{name}')"
                if cell.spark
                else f"spark.read.format('iceberg').load({found[cell.name]['metadata'][name]!r})"
            )
            lines.append(f"rows.append(({cell.name!r}, {name!r}, {asked}.count()))")
    lines.append("errors = spark.createDataFrame(rows, 'cell string, name string, rows long')")
    for cell_name, table, count in run_statement("\n".join(lines), settings, scratch, iceberg=True):
        found[cell_name].setdefault("Spark", {})[table] = count


def measure() -> list[dict[str, Any]]:
    """All cells."""
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for group in GROUPS:
            folder = Path(scratch) / group.__name__
            folder.mkdir()
            with ExitStack() as stack:
                cells = group(folder, stack)
                found = {}
                for cell in cells:
                    sys.stderr.write(f"{cell.name}\n")
                    fill(cell, folder / cell.catalog)
                    found[cell.name] = read(cell, folder / cell.catalog)
                if by_spark := [cell for cell in cells if cell.has_spark]:
                    endpoint = by_spark[0].settings.get("OTLP2PARQUET_S3_ENDPOINT", "")
                    read_with_spark(by_spark, found, endpoint, folder)
            results += [
                {"storage": cell.storage, "catalog": cell.catalog, "with": cell.with_}
                | {key: value for key, value in found[cell.name].items() if key != "metadata"}
                for cell in cells
            ]
    return results


def faults(results: list[dict[str, Any]]) -> list[str]:
    """What is not as it was sent, or was not passed by."""
    wrong = []
    for one in results:
        name = f"{one['storage']} {one['catalog']}"
        readers = [reader for reader in ("pyiceberg", "DuckDB", "Spark") if reader in one]
        wrong += [
            f"{name}: {reader} finds {one[reader]}" for reader in readers if one[reader] != TABLES
        ]
        if one["late"] != LATE:
            wrong.append(f"{name}: {one['late']} rows of the second day")
        if not 0 < one["files_late"] < one["files"]:
            wrong.append(f"{name}: {one['files_late']} of {one['files']} files for a day")
    return wrong


def page(results: list[dict[str, Any]]) -> str:
    """docs/catalog_matrix.md."""
    lines = [
        "# Every storage with every catalog",
        "",
        "<!-- Written by `python -m tests.catalogs.matrix`; not to be edited. -->",
        "",
        f"Each row is a server that was sent {sum(TABLES.values())} records for all seven tables,",
        "with log records of two days. Then engines that are not ours counted the rows of every",
        "table: pyiceberg through the catalog, DuckDB in the files (those that the table names,",
        "where there is one), Spark with Iceberg's own runtime, through the REST catalog or from",
        "the table's metadata file. The last column is how many files of log records are read for",
        "all days, and for one.",
        "",
        "| storage | catalog | with | pyiceberg | DuckDB | Spark | files for all, for a day |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    for one in results:
        counts = [
            f"{sum(one[reader].values())}" if reader in one else "-"
            for reader in ("pyiceberg", "DuckDB", "Spark")
        ]
        catalog = "none" if one["catalog"] == "plain" else one["catalog"]
        lines.append(
            f"| {one['storage']} | {catalog} | {one['with']} | {' | '.join(counts)} | "
            f"{one['files']}, {one['files_late']} |"
        )
    lines += [
        "",
        "*In emulation* means that the service itself was not there: what passes here has not",
        "been tried against AWS, Google or Azure. versitygw is an S3 server that checks",
        "signatures; Nessie is a real one. Without a catalog the files of a day are found by the",
        "folder `date=…`, with one by the partition of the table.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, write both files, and tell what is wrong."""
    results = measure()
    wrong = faults(results)
    for text in wrong:
        sys.stderr.write(f"{text}\n")
    if not wrong:
        RESULT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(results), encoding="utf-8")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
