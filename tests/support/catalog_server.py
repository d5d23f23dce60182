"""A server with a catalog: what is sent to it, and what its tables then have."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from tests.support.requests import logs_request, metrics_request, traces_request

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from tests.support.server_process import Server

QUICK = {
    "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.2",
    "OTLP2PARQUET_ICEBERG_COMMIT_INTERVAL_SECS": "0.1",
}


def page_of(server: Server, path: str) -> bytes:
    """What a page says."""
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", path)
        return connection.getresponse().read()


def ready(server: Server) -> dict[str, Any]:
    """The page /ready."""
    page: dict[str, Any] = json.loads(page_of(server, "/ready"))
    return page


def is_committed(server: Server) -> bool:
    """Whether nothing that was sent is outside of the tables."""
    page = ready(server)
    batches, catalog = page["batches"], page["catalog"]
    in_log = batches["open_rows"] or batches["waiting"] or page["replay"]["running"]
    is_known = catalog["earlier_receipts_known"]
    return bool(is_known and not in_log and not catalog["uncommitted_receipts"])


def send_all(server: Server) -> None:
    """Some of every signal."""
    for payload, signal in (
        (logs_request(10), "logs"),
        (traces_request(7), "traces"),
        (metrics_request(5), "metrics"),
    ):
        assert server.post(payload, signal)[0] == 200


def counts(catalog: Catalog, namespace: str = "otlp") -> dict[str, int]:
    """The rows of each table, by pyiceberg's scan."""
    return {
        name[-1]: catalog.load_table(name).scan().to_arrow().num_rows
        for name in catalog.list_tables(namespace)
    }


ALL = {
    "otel_logs": 10,
    "otel_traces": 7,
    "otel_metrics_gauge": 5,
    "otel_metrics_sum": 5,
    "otel_metrics_histogram": 5,
    "otel_metrics_exponential_histogram": 5,
    "otel_metrics_summary": 5,
}
