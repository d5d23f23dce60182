"""REST catalogs: storms, lost answers, throttling, slowness, and servers with own rules."""

from __future__ import annotations

import contextlib
import random
import threading
import uuid
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.catalogs.committer import PARKED_SECS, Committer
from otlp2parquet.catalogs.connection import connect, connection_of
from otlp2parquet.catalogs.receipt_folder import ReceiptFolder
from otlp2parquet.catalogs.receipts import Receipt
from otlp2parquet.catalogs.service import make_catalog
from otlp2parquet.catalogs.tables import our_ids
from otlp2parquet.config import Config, load
from otlp2parquet.errors import CatalogRefusedError, CatalogUnavailableError
from tests.support.iceberg import NODE, commit, logs_receipt, traces_receipt
from tests.support.memory_store import MemoryStore
from tests.support.rest_catalog import CUT, LOST, Fault, RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otlp2parquet.catalogs.iceberg import IcebergCatalog


def config_for(server: RestCatalogServer, **environ: str) -> Config:
    """The settings for a catalog at a server."""
    path = "/api/v1" if server.nessie else ""
    given = {"ICEBERG_REST_URI": f"{server.uri}{path}", **environ}
    named = {f"OTLP2PARQUET_{key}": value for key, value in given.items()}
    return load(environ=named, folder=server.folder).config


def catalog_at(server: RestCatalogServer, **environ: str) -> IcebergCatalog:
    """Our side of it."""
    config = config_for(server, **environ)
    return make_catalog(config, connection_of(config))


@pytest.fixture(params=["rest", "nessie"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RestCatalogServer]:
    """A catalog, with and without Nessie's peculiarities."""
    with RestCatalogServer(tmp_path, nessie=request.param == "nessie") as running:
        yield running


def test_tables_are_made_and_committed_to(server: RestCatalogServer, tmp_path: Path) -> None:
    """As at any catalog; the address of Nessie's own API is the right one for people."""
    catalog = catalog_at(server)
    commit(catalog, logs_receipt(tmp_path / "a", 3))
    commit(catalog, logs_receipt(tmp_path / "b", 4))
    assert catalog.load("otel_logs").table.scan().to_arrow().num_rows == 7
    prefix = "/iceberg/v1" if server.nessie else "/v1"
    assert {path.startswith(prefix) for _, path in server.requests} == {True}
    (schema,) = [
        update
        for body in server.bodies
        for update in body.get("updates", [])
        if update["action"] == "add-schema"
    ]
    assert schema["last-column-id"] == 25


def storm(rng: random.Random, share: float) -> Fault | None:
    """What becomes of one request, at random."""
    if rng.random() >= share:
        return None
    return rng.choice(
        (
            LOST,
            LOST,
            CUT,
            Fault(409, "branch main has changed"),
            Fault(503, "busy"),
            Fault(500, "who knows", applies=True),
            Fault(502, "who knows"),
            Fault(504, "who knows", applies=True),
            Fault(429, "too many requests"),
            Fault(400, "ThrottlingException: Rate exceeded"),
        )
    )


def test_every_file_once_in_a_storm(server: RestCatalogServer, tmp_path: Path) -> None:
    """Several writers, with real metadata: conflicts, lost answers and refusals for a while."""
    rng = random.Random(5)
    with_faults = [0.35]
    server.script = lambda _method, path: (
        storm(rng, with_faults[0]) if not path.endswith("/config") else None
    )
    folder = ReceiptFolder(MemoryStore())
    now = [0.0]
    nodes = [str(uuid.UUID(int=number, version=4)) for number in range(1, 4)]
    committers = [
        Committer(catalog_at(server), folder, node, interval_secs=0.0, monotonic=lambda: now[0])
        for node in nodes
    ]
    files: list[str] = []
    for turn in range(90):
        now[0] += 20.0
        committer = committers[turn % 3]
        if turn < 45:
            pattern = logs_receipt(tmp_path / str(turn), 1)
            receipt = Receipt(committer.node, pattern.batch_id, pattern.table, pattern.files)
            files += [file.location for file in receipt.files]
            committer.add(folder.create(receipt))
        else:
            with_faults[0] = 0.0
        while committer.run_one():
            pass
        if turn > 48 and all(one.is_idle for one in committers):
            break
    assert all(one.is_idle for one in committers)
    tasks = list(catalog_at(server).load("otel_logs").table.scan().plan_files())
    assert sorted(task.file.file_path for task in tasks) == sorted(files)
    assert list(folder.list()) == []
    assert sum(one.counts.conflicts + one.counts.failures for one in committers) > 5


def test_two_first_writers_lose_nothing(server: RestCatalogServer, tmp_path: Path) -> None:
    """Where a first snapshot is not asserted, too: the table is born with one."""
    gate = threading.Barrier(2, timeout=30)
    met = threading.local()

    def script(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/tables/otel_logs") and not hasattr(met, "done"):
            met.done = True
            with contextlib.suppress(threading.BrokenBarrierError):
                gate.wait()

    server.script = script
    receipts = [logs_receipt(tmp_path / name, 2) for name in ("a", "b")]

    def write(receipt: Receipt) -> None:
        catalog = catalog_at(server)
        for _ in range(10):
            try:
                table = catalog.load("otel_logs")
                if receipt.key in table.committed(NODE):
                    return
                names = table.committed(NODE) | {receipt.key}
                table.append([receipt], {NODE: names})
            except Exception:  # noqa: BLE001, S112 - whatever it was, the next attempt begins anew
                continue
            else:
                return

    threads = [threading.Thread(target=write, args=(one,)) for one in receipts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gate.abort()
    assert catalog_at(server).load("otel_logs").table.scan().to_arrow().num_rows == 4


def test_lists_are_read_whatever_ids_the_server_gives(
    server: RestCatalogServer, tmp_path: Path
) -> None:
    """Files are written with the table's own ids, where it has been asked for them."""
    catalog = catalog_at(server)
    ids = catalog.load("otel_traces").shape.field_ids
    assert sorted(ids) == sorted(our_ids("otel_traces"))
    commit(catalog, traces_receipt(tmp_path / "a", 4, ids))
    rows = catalog.load("otel_traces").table.scan().to_arrow()
    assert any(rows.column("EventsName").to_pylist())


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(400, "ThrottlingException: Rate exceeded"), CatalogUnavailableError),
        (Fault(429, "slow down"), CatalogUnavailableError),
        (Fault(503, "away"), CatalogUnavailableError),
        (Fault(419, "token expired"), CatalogUnavailableError),
        (CUT, CatalogUnavailableError),
        (Fault(400, "no such field"), CatalogRefusedError),
        (Fault(403, "not yours"), CatalogRefusedError),
    ],
)
def test_answers_are_told_apart(fault: Fault, expected: type[Exception], tmp_path: Path) -> None:
    """What passes is tried again soon, what was decided is parked."""
    with RestCatalogServer(tmp_path) as server:
        catalog = catalog_at(server)
        table = catalog.load("otel_logs")
        receipt = logs_receipt(tmp_path / "a", 1)
        server.script = lambda method, _path: fault if method == "POST" else None
        with pytest.raises(expected):
            table.append([receipt], {NODE: frozenset({receipt.key})})
        commits = [path for method, path in server.requests if method == "POST"][3:]
        assert 1 <= len(commits) <= 2, "one attempt; pyiceberg asks again only for a new token"


def test_a_refusal_parks_and_is_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One warning that says so, a long rest, and then all is committed."""
    with RestCatalogServer(tmp_path) as server:
        folder, now = ReceiptFolder(MemoryStore()), [0.0]
        committer = Committer(catalog_at(server), folder, NODE, monotonic=lambda: now[0])
        committer.add(folder.create(logs_receipt(tmp_path / "a", 1)))
        server.script = lambda _method, path: (
            Fault(403, "not yours") if "/namespaces" in path else None
        )
        while committer.run_one():
            pass
        status = committer.status()
        assert status.is_parked
        assert "not yours" in status.error
        assert committer.counts.refusals == 1
        assert "the catalog refuses files" in caplog.text
        server.script = lambda _method, _path: None
        now[0] += PARKED_SECS / 2
        assert not committer.run_one()
        now[0] += PARKED_SECS
        while committer.run_one():
            pass
        assert committer.is_idle
        assert committer.counts.rows == 1


def test_no_request_waits_for_ever(tmp_path: Path) -> None:
    """A catalog that takes a request and says nothing is one that is away."""
    released = threading.Event()
    with RestCatalogServer(tmp_path) as server:
        catalog = catalog_at(server, ICEBERG_TIMEOUT_SECS="1")
        table = catalog.load("otel_logs")
        server.script = lambda method, _path: (
            Fault(waits_for=released) if method == "POST" else None
        )
        receipt = logs_receipt(tmp_path / "a", 1)
        with pytest.raises(CatalogUnavailableError, match=r"Timeout|timed out"):
            table.append([receipt], {NODE: frozenset({receipt.key})})
        released.set()
        server.script = lambda _method, _path: None


def test_a_token_is_sent(tmp_path: Path) -> None:
    """In every request."""
    with RestCatalogServer(tmp_path) as server:
        catalog_at(server, ICEBERG_TOKEN="hush").load("otel_logs")  # noqa: S106 - a test's
        sent = [headers.get("Authorization") for headers in server.headers]
        assert set(sent[1:]) == {"Bearer hush"}


def test_properties_of_the_settings_precede(tmp_path: Path) -> None:
    """What pyiceberg can do more than we have settings for."""
    with RestCatalogServer(tmp_path) as server:
        catalog_at(server, ICEBERG_PROPERTIES="header.X-Tenant=a, warehouse=w").load("otel_logs")
        assert server.headers[-1]["X-Tenant"] == "a"


def test_connecting_is_lazy_and_tried_again(tmp_path: Path) -> None:
    """A catalog that is away when the server starts is found later."""
    with RestCatalogServer(tmp_path) as server:
        config = config_for(server)
        server.script = lambda _method, _path: Fault(503, "away")
        catalog = make_catalog(config, connection_of(config))
        with pytest.raises(CatalogUnavailableError):
            catalog.reach()
        server.script = lambda _method, _path: None
        catalog.reach()
        assert connect(connection_of(config)).properties["uri"] == server.uri
