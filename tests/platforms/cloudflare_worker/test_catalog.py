"""A Worker with a catalog, without the runtime: what is kept, committed, left and finished."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet import process_otlp
from otlp2parquet.catalogs.receipts import FOLDER
from otlp2parquet.platforms.cloudflare_worker import catalog as module
from otlp2parquet.platforms.cloudflare_worker.bucket import PAUSES_SECS
from otlp2parquet.platforms.cloudflare_worker.catalog import (
    COMMITS_AT_ONCE,
    MOST_RECEIPTS,
    OldestReceipts,
    WorkerCatalog,
)
from otlp2parquet.platforms.cloudflare_worker.settings import CatalogSettings
from tests.support.bucket_io import rows_in, scanned, sorted_rows
from tests.support.plain_catalog import fetch_within
from tests.support.requests import logs_request, metrics_request
from tests.support.rest_catalog import RestCatalogServer
from tests.support.worker_bench import WatchedRows, WorkerBench

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from otlp2parquet.catalogs.reconciled import Report

PREFIX = "otlp"
RECEIPTS = f"{PREFIX}/{FOLDER}/"


class CatalogBench(WorkerBench):
    """A Worker of one catalog, which a test may take away."""

    def __init__(self, server: RestCatalogServer, *faults: str) -> None:
        self.fault = 0
        """The status that stands for every answer of the catalog, while there is one."""
        self.asked: list[str] = []
        """Paths of requests to the catalog."""
        self.now = 1000.0
        settings = CatalogSettings(server.uri, "w", "otlp")
        ask = fetch_within(server, fault=self._fault)
        self.catalog = WorkerCatalog(
            settings,
            PREFIX,
            ask,  # type: ignore[arg-type]
            monotonic=lambda: self.now,
            sleep=self._sleep,
        )
        super().__init__(*faults, catalog=self.catalog, prefix=PREFIX)

    def _fault(self, _method: str, path: str) -> int:
        self.asked.append(path)
        self.r2.on_call()
        return -self.fault

    async def _sleep(self, secs: float) -> None:
        self.now += secs

    def reconcile(self) -> Report:
        """What the cron trigger does."""
        return asyncio.run(self.catalog.reconcile(self.bucket))

    def receipts(self) -> list[str]:
        """Those that are left."""
        return [key for key in self.r2.objects if key.startswith(RECEIPTS)]

    def files(self) -> list[str]:
        """Keys of data files."""
        return [key for key in self.r2.objects if key.endswith(".parquet")]

    def rows_of_tables(self, folder: Path) -> dict[str, list[str]]:
        """What a reader of the tables finds."""
        for key, content in self.r2.objects.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return rows_in(scanned(self.server, folder))

    server: RestCatalogServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestCatalogServer]:
    """A catalog whose tables lie in the Worker's bucket."""
    with RestCatalogServer(tmp_path, location="s3://otlp/tables") as running:
        yield running


@pytest.fixture
def bench(server: RestCatalogServer) -> CatalogBench:
    """A Worker of it."""
    made = CatalogBench(server)
    made.server = server
    return made


def expected(*requests: tuple[str, bytes]) -> dict[str, list[str]]:
    """The rows of requests, by the extension."""
    return sorted_rows(
        (batch.table, batch)
        for signal, body in requests
        for batch in process_otlp(body, signal).batches  # type: ignore[arg-type]
    )


def test_a_request_is_committed_behind_its_answer(bench: CatalogBench, tmp_path: Path) -> None:
    """All tables have their rows, files lie below them, and no receipt is left."""
    body = metrics_request(4)
    assert bench.ask(path="/v1/metrics", body=body).status == 200
    assert bench.rows_of_tables(tmp_path / "saved") == expected(("metrics", body))
    assert len(bench.files()) == 5
    assert all(key.startswith("tables/otel_metrics_") for key in bench.files())
    assert all("/data/date=" in key for key in bench.files())
    assert bench.receipts() == []
    assert bench.reconcile().is_complete


def test_a_200_waits_for_receipts_and_not_for_the_commit(bench: CatalogBench) -> None:
    """What is behind the answer may never come: the schedule does it."""
    bench.ask(body=logs_request(1))  # the table is there

    async def answered_and_gone() -> int:
        status = (await bench.answer(body=logs_request(3))).status
        (behind,) = bench.behind
        behind.close()
        return status

    assert asyncio.run(answered_and_gone()) == 200
    assert len(bench.receipts()) == 1
    report = bench.reconcile()
    assert (report.files, report.rows, report.left) == (1, 3, 0)
    assert bench.receipts() == []


def test_a_catalog_that_is_down_stops_nothing(bench: CatalogBench, tmp_path: Path) -> None:
    """Files go to where they can, are committed from there, and it is not asked at each request."""
    bench.fault = 503
    for _ in range(2):
        assert bench.ask(body=logs_request(3)).status == 200
        bench.now += 1
    assert len(bench.receipts()) == 2
    assert all(key.startswith(f"{PREFIX}/otel_logs/date=") for key in bench.files())
    bench.asked.clear()
    assert asyncio.run(bench.answer(body=logs_request(3))).status == 200
    bench.behind.pop().close()
    assert bench.asked == []
    bench.fault = 0
    report = bench.reconcile()
    assert (report.rows, report.left) == (9, 0)
    found = bench.rows_of_tables(tmp_path / "saved")
    assert found == expected(*[("logs", logs_request(3))] * 3)
    bench.now += module.RESTS_SECS
    bench.ask(body=logs_request(2))
    assert sum(key.startswith("tables/otel_logs/data/") for key in bench.files()) == 1


def test_where_tables_lie_is_asked_once(bench: CatalogBench) -> None:
    """Then files go below them, whether the catalog is up or not."""
    bench.ask(body=logs_request(1))
    bench.fault = 503
    assert bench.ask(body=logs_request(1)).status == 200
    assert all(key.startswith("tables/otel_logs/data/") for key in bench.files())
    assert len(bench.receipts()) == 1


def test_receipts_that_are_not_kept_are_a_503(bench: CatalogBench, tmp_path: Path) -> None:
    """No receipt is left to count, no file is removed that one might name."""
    bench.ask(body=logs_request(1))
    bench.r2.faults = ["put works", *["put fails", "head works"] * (1 + len(PAUSES_SECS))]
    got = bench.ask(body=logs_request(2))
    assert got.status == 503
    assert (b"retry-after", b"1") in got.headers
    assert bench.receipts() == []
    assert len(bench.files()) == 2
    assert bench.behind == []
    assert bench.ask(body=logs_request(2)).status == 200
    found = bench.rows_of_tables(tmp_path / "saved")
    assert len(found["otel_logs"]) == 3


def test_a_receipt_that_came_late_is_removed(bench: CatalogBench) -> None:
    """Its answers were lost, its request was refused: the rows come again, and count once."""
    bench.ask(body=logs_request(1))
    lost = ["put lost", "head fails", *["put fails", "head fails"] * len(PAUSES_SECS)]
    bench.r2.faults = ["put works", *lost]
    assert bench.ask(body=logs_request(2)).status == 503
    assert bench.receipts() == []
    assert bench.reconcile().files == 0


def test_files_that_are_not_stored_leave_no_receipt(bench: CatalogBench) -> None:
    """And are taken back, as without a catalog."""
    bench.ask(body=logs_request(1))
    before = set(bench.r2.objects)
    bench.r2.faults = ["put fails", "head works"] * (1 + len(PAUSES_SECS))
    assert bench.ask(body=logs_request(2)).status == 503
    assert set(bench.r2.objects) == before


def test_too_many_commits_at_once_are_left(bench: CatalogBench) -> None:
    """To the schedule; one that vanished without an end counts no more after a while."""
    bench.ask(body=logs_request(1))
    for _ in range(COMMITS_AT_ONCE):
        asyncio.run(vanish(bench))
    bench.ask(body=logs_request(1))
    assert len(bench.receipts()) == COMMITS_AT_ONCE + 1
    bench.now += module.LOST_SECS
    bench.ask(body=logs_request(1))
    assert len(bench.receipts()) == COMMITS_AT_ONCE + 1
    assert bench.reconcile().rows == COMMITS_AT_ONCE + 1


async def vanish(bench: CatalogBench) -> None:
    """A request whose commit begins, and never gets an answer."""
    await bench.answer(body=logs_request(1))
    bench.r2.faults = ["get hangs"]
    doing = asyncio.ensure_future(bench.behind.pop())
    while bench.r2.faults and not doing.done():  # noqa: ASYNC110 - until it is where it hangs
        await asyncio.sleep(0)
    # As where the memory is gone: nothing runs any more, no "finally" either.
    running = dict(bench.catalog._running)  # noqa: SLF001
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    bench.catalog._running.update(running)  # noqa: SLF001


def test_an_unforeseen_trouble_of_a_commit_is_logged(
    bench: CatalogBench, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer has gone; what is behind it raises nothing."""

    class Broken:
        async def commit(self, _secs: float) -> bool:
            raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        asyncio.run(bench.catalog.commit(Broken()))  # type: ignore[arg-type]
    assert "unforeseen" in caplog.text


def test_a_run_of_the_schedule_is_bounded() -> None:
    """The Workers' own receipts first, the oldest of all first; those of one node in full."""
    node, other = (f"00000000-0000-4000-8000-{number:012}" for number in (8, 9))
    own = [f"{FOLDER}/{node}/otel_logs/{number:04}.json" for number in range(MOST_RECEIPTS)]
    foreign = [f"{FOLDER}/{other}/otel_logs/{number:04}.json" for number in range(5)]

    class Listed:
        async def list(self, prefix: str) -> Iterable[str]:
            return [key for key in (*foreign, *reversed(own)) if key.startswith(prefix)]

    receipts = OldestReceipts(Listed(), "", node)  # type: ignore[arg-type]

    def listed(*arguments: Any) -> list[str]:
        return list(asyncio.run(receipts.list(*arguments)))

    assert listed() == own
    assert sorted(listed(node)) == own
    assert listed(other) == foreign
    del own[0]
    assert listed() == [*own, foreign[0]]


@pytest.mark.parametrize(("bucket", "prefix"), [("other", PREFIX), ("otlp", "other"), ("otlp", "")])
def test_another_bucket_or_folder_is_another_node(
    server: RestCatalogServer, bucket: str, prefix: str
) -> None:
    """Nobody forgets the batches of receipts that lie where they do not look."""

    def nodes(settings: CatalogSettings, prefix: str) -> set[str]:
        async def no_answer(*_: object) -> tuple[int, bytes]:
            return 503, b""

        made = WorkerCatalog(settings, prefix, no_answer)
        own = WorkerBench(catalog=made, prefix=prefix)
        assert own.ask(body=logs_request(1)).status == 200
        found = {key.partition(f"{FOLDER}/")[2] for key in own.r2.objects if FOLDER in key}
        return {path.partition("/")[0] for path in found}

    there = CatalogSettings(server.uri, "w", "otlp")
    first = nodes(there, PREFIX)
    assert len(first) == 1
    assert nodes(there, PREFIX) == first
    assert nodes(CatalogSettings(server.uri, "w", bucket), prefix).isdisjoint(first)


def test_the_catalog_is_waited_for_without_rows(
    bench: CatalogBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where tables lie is learned once, and the request is then decoded anew."""
    rows = WatchedRows(monkeypatch)
    bench.r2.on_call = rows.look
    for decoded in (2, 3):
        assert bench.ask(body=logs_request(3)).status == 200
        assert rows.decoded == decoded
    assert len(rows.seen) > 10
    assert set(rows.seen) == {0}
