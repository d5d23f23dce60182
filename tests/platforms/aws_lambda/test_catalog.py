"""Requests become rows of tables: what a 200 means with and without a place for receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otlp2parquet.catalogs.connection import connect, connection_of
from otlp2parquet.catalogs.receipt_folder import ReceiptFolder
from otlp2parquet.platforms.aws_lambda import function as lambda_function
from otlp2parquet.platforms.aws_lambda import settings as lambda_settings
from otlp2parquet.platforms.aws_lambda.metrics import Metrics
from otlp2parquet.stores import LocalStore
from tests.support.lambda_bench import PROTOBUF, FunctionBench
from tests.support.lambda_events import SCHEDULED, function_url, response_of
from tests.support.requests import logs_request, metrics_request, traces_request
from tests.support.rest_catalog import CUT, LOST, Fault, RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOWN = Fault(503, "down")


class CatalogBench:
    """A scripted REST catalog, and functions that commit to it."""

    def __init__(
        self, folder: Path, server: RestCatalogServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self.server = server
        self._monkeypatch = monkeypatch
        self.commits_may_take(20.0)
        self.environ = {"OTLP2PARQUET_ICEBERG_REST_URI": server.uri}
        self.functions = 0

    def function(self) -> FunctionBench:
        """A new environment, with receipts in a folder that stays."""
        self.functions += 1
        log = {"OTLP2PARQUET_DURABILITY_PATH": str(self.folder / f"log-{self.functions}")}
        return FunctionBench(self.folder, {**self.environ, **log})

    def without_receipts(self) -> lambda_function.Function:
        """An environment without a place for receipts."""
        settings = lambda_settings.function_settings(self.environ)
        assert not settings.keeps_receipts
        return lambda_function.Function(settings, Metrics("bench"))

    @property
    def receipts(self) -> list[str]:
        """Receipts in the folder that stays."""
        return list(ReceiptFolder(LocalStore(self.folder / "data")).list())

    def rows(self, table: str = "otel_logs") -> int:
        """Rows of a table, as readers see them."""
        config = lambda_settings.function_settings(self.environ).config
        client = connect(connection_of(config))
        return int(client.load_table(("otlp", table)).scan().to_arrow().num_rows)

    def commits_may_take(self, secs: float) -> None:
        """How long a function tries to commit, in place of what is short for people."""
        for name in ("COMMIT_SECS", "ONLY_COMMIT_SECS"):
            self._monkeypatch.setattr(lambda_function, name, secs)

    def commits_are(self, fault: Fault | None) -> None:
        """What becomes of commits to tables from now on; nobody waits for what fails anyway."""
        self.commits_may_take(20.0 if fault is None else 0.3)

        def script(method: str, path: str) -> Fault | None:
            is_commit = method == "POST" and "/tables/" in path
            return fault if is_commit else None

        self.server.script = script


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CatalogBench]:
    """The bench."""
    for module in (lambda_settings, lambda_function):
        monkeypatch.setattr(module, "FOLDER", str(tmp_path / "tmp"))
    (tmp_path / "catalog").mkdir()
    with RestCatalogServer(tmp_path / "catalog") as server:
        yield CatalogBench(tmp_path, server, monkeypatch)


def test_what_is_acknowledged_is_in_its_table(catalog: CatalogBench) -> None:
    """With every answer, of every signal, and the receipts are gone."""
    with catalog.function() as bench:
        for number in (1, 2):
            assert bench.post(logs_request(3)).status == 200
            assert catalog.rows() == 3 * number
        assert bench.post(traces_request(2), "traces").status == 200
        assert bench.post(metrics_request(2), "metrics").status == 200
        assert catalog.rows("otel_traces") == 2
        assert catalog.rows("otel_metrics_summary") == 2
        assert catalog.receipts == []
        committed = [one["committed_files"] for one in bench.metrics if "committed_files" in one]
        assert committed == [1, 1, 1, 5]


@pytest.mark.parametrize("fault", [DOWN, CUT], ids=["down", "cut"])
def test_a_catalog_that_fails_fails_no_request(catalog: CatalogBench, fault: Fault) -> None:
    """Where receipts are kept: the next request that finds it well commits for both."""
    with catalog.function() as bench:
        assert bench.post(logs_request(1)).status == 200
        catalog.commits_are(fault)
        assert bench.post(logs_request(3)).status == 200
        assert len(catalog.receipts) == 1
        assert catalog.rows() == 1
        catalog.commits_are(None)
        assert bench.assembly.commits is not None
        bench.assembly.commits.committer.hurry()
        assert bench.post(logs_request(4)).status == 200
        assert catalog.rows() == 8
        assert catalog.receipts == []


def test_an_environment_that_ends_before_its_commit_is_reconciled(catalog: CatalogBench) -> None:
    """Killed between the store and the commit: a schedule of another one commits, once."""
    with catalog.function() as first:
        first.post(logs_request(1))
        catalog.commits_are(DOWN)
        assert first.post(logs_request(3)).status == 200
    catalog.commits_are(None)
    assert len(catalog.receipts) == 1
    with catalog.function() as other:
        # All environments share a node: whoever reconciles need not wait until a receipt is old.
        for committed in (3, 0):
            report = other.handle(SCHEDULED, remaining_ms=20_000)
            assert (report["rows"], report["is_complete"]) == (committed, True)
    assert catalog.rows() == 4
    assert catalog.receipts == []


def test_environments_leave_one_name_in_a_table(catalog: CatalogBench) -> None:
    """However many there were; what it names is what the last ones of them have committed."""
    for _ in range(4):
        with catalog.function() as bench:
            for _ in range(2):
                assert bench.post(logs_request(1)).status == 200
    table = catalog.server.state.tables["otlp", "otel_logs"]
    ((_, keys),) = [
        one for one in table.properties.items() if one[0].startswith("otlp2parquet.committed.")
    ]
    # Of the second request of each: that of the first one was forgotten with it.
    assert len(keys.split(",")) == 4


def test_without_receipts_a_200_is_a_commit(catalog: CatalogBench) -> None:
    """And a commit that failed is a 503, after which nothing is left that could come later."""
    function = catalog.without_receipts()
    event = function_url("POST", "/v1/logs", PROTOBUF, logs_request(3))
    assert response_of(function.handle(event)).status == 200
    assert catalog.rows() == 3
    catalog.commits_are(DOWN)
    refused = response_of(function.handle(event))
    assert refused.status == 503
    assert dict(refused.headers)[b"retry-after"] == b"1"
    assert catalog.rows() == 3
    catalog.commits_are(None)
    assert function.assembly.commits is not None
    function.assembly.commits.committer.hurry()
    assert response_of(function.handle(event)).status == 200
    assert catalog.rows() == 6
    function.close()


def test_without_receipts_a_lost_answer_is_looked_after(catalog: CatalogBench) -> None:
    """The commit arrived and its answer did not: the table names it, so it is no 503."""
    function = catalog.without_receipts()
    event = function_url("POST", "/v1/logs", PROTOBUF, logs_request(3))
    assert response_of(function.handle(event)).status == 200
    lost = [LOST]

    def script(method: str, path: str) -> Fault | None:
        return lost.pop() if lost and method == "POST" and "/tables/" in path else None

    catalog.server.script = script
    assert response_of(function.handle(event)).status == 200
    assert catalog.rows() == 6
    function.close()


def test_a_request_without_rows_asks_no_catalog(catalog: CatalogBench) -> None:
    """It has nothing to commit."""
    with catalog.function() as bench:
        assert bench.post(b"").status == 200
        assert bench.post(b"\x0a\x7f").status == 400
    assert catalog.server.requests == []
