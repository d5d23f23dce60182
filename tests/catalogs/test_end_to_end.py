"""The server with a catalog: what is sent is read from the tables, by engines that are not ours."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from otlp2parquet.catalogs.connection import connect, connection_of
from otlp2parquet.catalogs.receipts import FOLDER
from otlp2parquet.config import load
from tests.components import nessie
from tests.components.s3 import CREDENTIALS, Versitygw
from tests.support.catalog_server import (
    ALL,
    QUICK,
    counts,
    is_committed,
    page_of,
    ready,
    send_all,
)
from tests.support.duckdb_rows import query
from tests.support.requests import logs_request
from tests.support.server_process import COMMAND, Server, environment, logs_of
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pyiceberg.catalog import Catalog


SQL = {**QUICK, "OTLP2PARQUET_CATALOG_TYPE": "sql"}


def sql_of(server: Server) -> SqlCatalog:
    """The server's catalog as anybody opens it."""
    return SqlCatalog(
        "otlp2parquet",
        uri=f"sqlite:///{server.data}/catalog.db",
        warehouse=f"file://{server.data}/warehouse",
    )


def test_what_is_sent_is_in_the_tables(tmp_path: Path) -> None:
    """With the embedded catalog: no other server, no other setting than its name."""
    with Server(tmp_path, settings=SQL) as server:
        send_all(server)
        wait_for(lambda: is_committed(server))
        assert counts(sql_of(server)) == ALL
        page = page_of(server, "/metrics").decode()
        assert "otlp2parquet_committed_rows_total 42.0" in page
        assert "otlp2parquet_uncommitted_receipts 0.0" in page
        assert server.stop() == 0
    assert counts(sql_of(server)) == ALL
    table = sql_of(server).load_table("otlp.otel_logs")
    folder = table.location().removeprefix("file://")
    (row,) = query(
        "SELECT count(*), count(DISTINCT Body) FROM read_parquet($1)",
        [f"{folder}/data/**/*.parquet"],
    )
    assert row == (10, 10)
    assert not list((server.data / FOLDER).rglob("*.json")), "receipts go when tables have them"


def test_a_stop_commits_what_it_stores(tmp_path: Path) -> None:
    """SIGTERM: the last batch is stored, and one last attempt makes it part of its table."""
    settings = {**SQL, "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "60",
                "OTLP2PARQUET_ICEBERG_COMMIT_INTERVAL_SECS": "60"}  # fmt: skip
    with Server(tmp_path, settings=settings) as server:
        assert server.post(logs_request(10))[0] == 200
        assert server.stop() == 0
    assert counts(sql_of(server)) == {"otel_logs": 10}


def test_a_catalog_that_is_down_stops_nothing(tmp_path: Path) -> None:
    """Rows are acknowledged, stored and kept; reconcile commits them when it is back."""
    with Server(tmp_path, settings=SQL) as server:
        assert server.post(logs_request(4))[0] == 200
        wait_for(lambda: is_committed(server))
        # Another program holds the database: nothing can be written to it.
        database = sqlite3.connect(server.data / "catalog.db", isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        assert server.post(logs_request(6))[0] == 200
        wait_for(lambda: bool(list((server.data / FOLDER).rglob("*.json"))))
        process = server.process
        process.kill()
        process.wait()
        database.execute("ROLLBACK")
        database.close()
    done = run_reconcile(tmp_path, SQL)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 6
    assert counts(sql_of(server)) == {"otel_logs": 10}
    again = json.loads(run_reconcile(tmp_path, SQL).stdout)
    assert (again["rows"], again["left"]) == (0, 0)


def run_reconcile(
    folder: Path, settings: Mapping[str, str], timeout_secs: float = 20
) -> subprocess.CompletedProcess[str]:
    """``otlp2parquet reconcile`` in the server's folder."""
    return subprocess.run(
        [COMMAND, "reconcile", "--format", "json", "--timeout", str(timeout_secs)],
        cwd=folder,
        env=environment() | dict(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def kill_again_and_again(
    folder: Path, settings: Mapping[str, str], kills: int
) -> tuple[list[str], Server]:
    """Servers that are killed while they are sent to; what was acknowledged, and the last one.

    Each lives for a while that is drawn: so kills fall on every step of storing and committing.
    """
    rng = random.Random(11)
    kept: list[str] = []
    for number in range(kills):
        with Server(folder, settings=settings) as server:
            until = time.monotonic() + rng.uniform(0.2, 2.0)
            while time.monotonic() < until:
                bodies = [f"{number} {len(kept)} {one}" for one in range(3)]
                assert server.post(logs_of(*bodies))[0] == 200
                kept += bodies
                threading.Event().wait(0.02)
            server.kill()
    with Server(folder, settings=settings) as server:
        wait_for(lambda: is_committed(server))
        assert server.stop() == 0
    return kept, server


def test_killed_servers_double_nothing(tmp_path: Path) -> None:
    """With kill -9 anywhere, and a start again: each row is in the table once.

    (``make prove-catalog`` does it 200 times, over S3.)
    """
    kept, server = kill_again_and_again(tmp_path, SQL, 4)
    rows = sql_of(server).load_table("otlp.otel_logs").scan().to_arrow()
    assert sorted(rows.column("Body").to_pylist()) == sorted(kept)
    assert not list((server.data / FOLDER).rglob("*.json"))


@pytest.mark.parametrize("mode", ["memory", "stored"])
def test_every_mode_commits(tmp_path: Path, mode: str) -> None:
    """Without a log, too: receipts are what outlives the process then."""
    settings = {**SQL, "OTLP2PARQUET_DURABILITY_MODE": mode}
    with Server(tmp_path, settings=settings) as server:
        assert server.post(logs_request(10))[0] == 200
        wait_for(lambda: is_committed(server))
        assert counts(sql_of(server)) == {"otel_logs": 10}
        assert server.stop() == 0


def test_a_catalog_that_cannot_be_reached_is_told_at_the_start(tmp_path: Path) -> None:
    """One warning, and telemetry is taken all the same: it waits in the log."""
    settings = {**QUICK, "OTLP2PARQUET_ICEBERG_REST_URI": "http://127.0.0.1:9"}
    with Server(tmp_path, settings=settings) as server:
        assert server.post(logs_request(4))[0] == 200
        wait_for(lambda: "the catalog does not answer as it should" in server.log)
        wait_for(lambda: "has not told yet where the table otel_logs lies" in server.log)
        assert ready(server)["status"] == "ready"
        server.kill()
    assert run_reconcile(tmp_path, settings, 0).returncode == 0, "there is no receipt yet"


def test_who_reconciles_without_a_catalog_is_told(tmp_path: Path) -> None:
    """Nothing could be committed."""
    done = run_reconcile(tmp_path, {})
    assert done.returncode == 1
    assert "no catalog is configured" in done.stderr


@pytest.fixture(scope="module")
def lake(catalog_folders: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings for a real Nessie over a real S3 server."""
    folder = catalog_folders.mktemp("lake")
    with Versitygw(folder) as s3, nessie.Nessie(folder, s3.endpoint) as running:
        yield {
            **QUICK,
            **CREDENTIALS,
            "OTLP2PARQUET_STORAGE_BACKEND": "s3",
            "OTLP2PARQUET_S3_BUCKET": "telemetry",
            "OTLP2PARQUET_S3_REGION": "us-east-1",
            "OTLP2PARQUET_S3_ENDPOINT": s3.endpoint,
            "OTLP2PARQUET_STORAGE_S3_PREFIX": "otlp",
            "OTLP2PARQUET_ICEBERG_REST_URI": running.uri,
            "OTLP2PARQUET_ICEBERG_WAREHOUSE": "warehouse",
            "OTLP2PARQUET_ICEBERG_NAMESPACE": "otel",
        }


def open_lake(
    folder: Path, settings: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Catalog:
    """The catalog of these settings as anybody opens it."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return connect(connection_of(load(environ={**os.environ, **settings}, folder=folder).config))


def test_nessie_over_s3(
    tmp_path: Path, lake: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mission's own configuration, a real Nessie, and two servers that commit at once."""
    with (
        Server(tmp_path / "a", settings=lake) as first,
        Server(tmp_path / "b", settings=lake) as second,
    ):
        send_all(first)
        send_all(second)
        for server in (first, second):
            wait_for(lambda server=server: is_committed(server))  # type: ignore[misc]
        assert "is Nessie's own API" in first.log
        assert (first.stop(), second.stop()) == (0, 0)
    catalog = open_lake(tmp_path, lake, monkeypatch)
    assert counts(catalog, "otel") == {table: 2 * count for table, count in ALL.items()}
    table = catalog.load_table("otel.otel_traces")
    rows = table.scan().to_arrow()
    assert any(rows.column("EventsName").to_pylist())
    paths = [task.file.file_path for task in table.scan().plan_files()]
    assert all(
        path.startswith(f"{table.location()}/data/date=2026-07-01/hour=9/") for path in paths
    )
    late = table.scan(row_filter="Timestamp > '2026-07-02T00:00:00+00:00'")
    assert not list(late.plan_files())
