"""The deployed folder with a catalog, under Pyodide over Miniflare's R2; the catalog is scripted.

The Worker's requests go through the runtime's own ``fetch`` to a catalog that applies updates with
pyiceberg's code, and pyiceberg scans what the bucket and the tables then hold.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from otlp2parquet import process_otlp
from otlp2parquet.catalogs.receipts import FOLDER
from tests.components.process import wait_until
from tests.support.bucket_io import rows_in, scanned, sorted_rows
from tests.support.requests import logs_request, metrics_request, traces_request
from tests.support.rest_catalog import LOST, Fault, RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.components.worker_runtime import WorkerRuntime

TABLE = ("otlp", "otel_logs")
COMMIT = ("POST", "/v1/namespaces/otlp/tables/otel_logs")
PATIENT = """
import otlp2parquet.platforms.cloudflare_worker.catalog as catalog
catalog.SHAPE_SECS = catalog.RECEIPT_SECS = catalog.COMMIT_SECS = catalog.RECONCILE_SECS = 300
"""
DOWN = Fault(503, "not now")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestCatalogServer]:
    """A catalog whose tables lie in the Worker's bucket."""
    with RestCatalogServer(tmp_path, location="s3://otlp/tables") as running:
        yield running


@pytest.fixture
def restart(worker: WorkerRuntime, server: RestCatalogServer) -> Callable[[], None]:
    """Give the Worker the catalog and memory that is new; what it was doing is gone."""

    def restart() -> None:
        variables = {
            "CATALOG_TYPE": "r2",
            "R2_BUCKET": "otlp",
            "R2_PREFIX": "telemetry",
            "ICEBERG_REST_URI": server.uri,
            "ICEBERG_TOKEN": "secret",
        }
        worker.restart({f"OTLP2PARQUET_{name}": value for name, value in variables.items()})
        worker.order("python", PATIENT)

    return restart


@pytest.fixture
def iceberg(worker: WorkerRuntime, restart: Callable[[], None]) -> WorkerRuntime:
    """The Worker with the catalog."""
    restart()
    return worker


def post(worker: WorkerRuntime, body: bytes, signal: str = "logs") -> int:
    """The status of the answer to an export request."""
    headers = [(b"content-type", b"application/x-protobuf"), (b"content-length", b"%d" % len(body))]
    return worker.fetch("POST", f"/v1/{signal}", headers, body).status


def receipts(worker: WorkerRuntime) -> list[str]:
    """Those that are left."""
    return [key for key in worker.keys() if key.startswith(f"telemetry/{FOLDER}/")]  # noqa: SIM118


def expected(*requests: tuple[str, bytes]) -> dict[str, list[str]]:
    """The rows of requests, by the extension."""
    return sorted_rows(
        (batch.table, batch)
        for signal, body in requests
        for batch in process_otlp(body, signal).batches  # type: ignore[arg-type]
    )


def found(worker: WorkerRuntime, server: RestCatalogServer, folder: Path) -> dict[str, list[str]]:
    """What pyiceberg's scan of all tables gives."""
    worker.save(folder)
    return rows_in(scanned(server, folder))


def snapshots(server: RestCatalogServer) -> int:
    """How many the table of logs has."""
    table = server.state.tables.get(TABLE)
    return 0 if table is None else len(table.snapshots)


def test_rows_are_in_tables(
    iceberg: WorkerRuntime, server: RestCatalogServer, tmp_path: Path
) -> None:
    """Of every signal, once, by pyiceberg's scan; nothing is left, the token was shown."""
    requests = [
        ("logs", logs_request(5)),
        ("traces", traces_request(4)),
        ("metrics", metrics_request(3)),
    ]
    for signal, body in requests:
        assert post(iceberg, body, signal) == 200, iceberg.lines()
        iceberg.settle()
    assert found(iceberg, server, tmp_path / "saved") == expected(*requests)
    assert receipts(iceberg) == []
    shown = {
        value
        for headers in server.headers
        for name, value in headers.items()
        if name.lower() == "authorization"
    }
    assert shown == {"Bearer secret"}
    iceberg.scheduled()
    said = iceberg.lines()[-1]
    assert (said["message"], said["commits"], said["left"]) == ("reconciled", 0, 0)


def test_killed_between_put_and_commit(
    iceberg: WorkerRuntime,
    restart: Callable[[], None],
    server: RestCatalogServer,
    tmp_path: Path,
) -> None:
    """The cron trigger finishes what the Worker had acknowledged, once."""
    assert post(iceberg, logs_request(2)) == 200
    iceberg.settle()
    # The file, its receipt; then the commit's manifest, at which everything ends.
    iceberg.fail("put works", "put works", "put hangs")
    assert post(iceberg, logs_request(3)) == 200
    wait_until(lambda: iceberg.order("waiting"), 60, lambda: iceberg.log)
    restart()
    iceberg.fail()
    assert len(receipts(iceberg)) == 1
    iceberg.scheduled()
    both = expected(("logs", logs_request(2)), ("logs", logs_request(3)))
    assert found(iceberg, server, tmp_path / "saved") == both
    assert receipts(iceberg) == []


def test_killed_behind_the_commit(
    iceberg: WorkerRuntime,
    restart: Callable[[], None],
    server: RestCatalogServer,
    tmp_path: Path,
) -> None:
    """The table names the batch, so the cron trigger only removes its receipt."""
    assert post(iceberg, logs_request(2)) == 200
    iceberg.settle()
    iceberg.fail("delete hangs")
    assert post(iceberg, logs_request(3)) == 200
    wait_until(lambda: iceberg.order("waiting"), 60, lambda: iceberg.log)
    restart()
    iceberg.fail()
    assert len(receipts(iceberg)) == 1
    iceberg.scheduled()
    both = expected(("logs", logs_request(2)), ("logs", logs_request(3)))
    assert found(iceberg, server, tmp_path / "saved") == both
    assert receipts(iceberg) == []


def test_another_writer_is_faster(
    iceberg: WorkerRuntime, server: RestCatalogServer, tmp_path: Path
) -> None:
    """The commit that lost begins again from "load"; both are in the table, once."""
    assert post(iceberg, logs_request(1)) == 200
    iceberg.settle()
    there, held, go = snapshots(server), threading.Event(), threading.Event()

    def script(*request: str) -> Fault | None:
        if request == COMMIT and not held.is_set():
            held.set()
            return Fault(waits_for=go)
        return None

    server.script = script
    assert post(iceberg, logs_request(2)) == 200
    assert held.wait(60)
    assert post(iceberg, logs_request(3)) == 200
    wait_until(lambda: snapshots(server) == there + 1, 60, lambda: iceberg.log)
    go.set()
    iceberg.settle()
    assert server.requests.count(COMMIT) >= 4
    all_rows = expected(*[("logs", logs_request(count)) for count in (1, 2, 3)])
    assert found(iceberg, server, tmp_path / "saved") == all_rows
    assert receipts(iceberg) == []


def test_a_catalog_that_is_down(
    iceberg: WorkerRuntime, server: RestCatalogServer, tmp_path: Path
) -> None:
    """200s go on, before and after it was ever reached; the cron trigger commits later."""
    iceberg.order("python", "catalog.COMMIT_SECS = catalog.RECONCILE_SECS = 0.1")
    server.script = lambda *_: DOWN
    assert post(iceberg, logs_request(1)) == 200
    iceberg.settle()
    iceberg.scheduled()
    assert len(receipts(iceberg)) == 1
    assert server.state.tables == {}
    iceberg.order("python", "catalog.COMMIT_SECS = catalog.RECONCILE_SECS = 300")
    server.script = lambda *_: None
    iceberg.scheduled()
    assert receipts(iceberg) == []
    assert post(iceberg, logs_request(2)) == 200
    iceberg.settle()
    both = expected(("logs", logs_request(1)), ("logs", logs_request(2)))
    assert found(iceberg, server, tmp_path / "saved") == both


@pytest.mark.parametrize("fault", [LOST, Fault(502, "lost", applies=True)], ids=["cut", "502"])
def test_a_lost_answer_of_the_catalog(
    fault: Fault, iceberg: WorkerRuntime, server: RestCatalogServer, tmp_path: Path
) -> None:
    """The commit had its effect, and nobody heard of it: looked up, not done again."""
    assert post(iceberg, logs_request(1)) == 200
    iceberg.settle()
    there, faults = snapshots(server), [fault]
    server.script = lambda *request: faults.pop() if faults and request == COMMIT else None
    assert post(iceberg, logs_request(2)) == 200
    iceberg.settle()
    assert snapshots(server) == there + 1
    both = expected(("logs", logs_request(1)), ("logs", logs_request(2)))
    assert found(iceberg, server, tmp_path / "saved") == both
    assert receipts(iceberg) == []


def test_without_a_catalog_nothing_of_it_is_loaded(worker: WorkerRuntime) -> None:
    """It would be read at each cold start."""
    assert post(worker, logs_request(1)) == 200
    worker.scheduled()
    loaded = worker.order("python", "str([n for n in sys.modules if 'catalogs' in n])")
    assert loaded == "[]"


def test_the_cron_trigger_of_a_wrong_configuration(worker: WorkerRuntime) -> None:
    """Says so, and does nothing."""
    worker.restart({"OTLP2PARQUET_CATALOG_TYPE": "r2"})
    worker.scheduled()
    assert "nothing can be reconciled" in worker.lines()[-1]["message"]
