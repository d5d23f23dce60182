"""An ``sql`` catalog in PostgreSQL, to which several servers commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from tests.components.postgres import Postgres
from tests.support.catalog_server import ALL, QUICK, counts, is_committed, ready, send_all
from tests.support.server_process import Server
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def postgres(catalog_folders: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The database."""
    with Postgres(catalog_folders.mktemp("postgres")) as running:
        yield running


def test_two_servers_and_a_database(tmp_path: Path, postgres: Postgres) -> None:
    """Both make its tables, both commit, and nothing is lost; the password is in no log."""
    settings = {
        **QUICK,
        "OTLP2PARQUET_CATALOG_TYPE": "sql",
        "OTLP2PARQUET_CATALOG_URI": postgres.uri,
        "OTLP2PARQUET_CATALOG_WAREHOUSE": str(tmp_path / "warehouse"),
    }
    with (
        Server(tmp_path / "a", settings=settings) as first,
        Server(tmp_path / "b", settings=settings) as second,
    ):
        for _ in range(2):
            send_all(first)
            send_all(second)
            for server in (first, second):
                wait_for(lambda server=server: is_committed(server))  # type: ignore[misc]
        catalog = ready(first)["catalog"]
        assert (first.stop(), second.stop()) == (0, 0)
    assert "hush" not in first.log + second.log + str(catalog)
    there = SqlCatalog("otlp2parquet", uri=postgres.uri, warehouse=f"file://{tmp_path}/warehouse")
    assert counts(there) == {table: 4 * count for table, count in ALL.items()}


def test_a_database_that_was_started_anew(tmp_path: Path, postgres: Postgres) -> None:
    """Connections that died with it are made again, without a restart of ours."""
    settings = {
        **QUICK,
        "OTLP2PARQUET_CATALOG_TYPE": "sql",
        "OTLP2PARQUET_CATALOG_URI": postgres.uri,
        "OTLP2PARQUET_CATALOG_WAREHOUSE": str(tmp_path / "warehouse"),
        "OTLP2PARQUET_ICEBERG_NAMESPACE": "anew",
    }
    there = SqlCatalog("otlp2parquet", uri=postgres.uri, warehouse=f"file://{tmp_path}/warehouse")
    with Server(tmp_path, settings=settings) as server:
        send_all(server)
        wait_for(lambda: is_committed(server))
        with there.engine.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        send_all(server)
        wait_for(lambda: is_committed(server))
        assert server.stop() == 0
    assert counts(there, "anew") == {table: 2 * count for table, count in ALL.items()}
