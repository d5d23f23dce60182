"""Clients of other houses send to the server: exactly what they had acknowledged is in the files.

(The Python SDK, with every column compared, is in ``test_sdk``.)
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression

from tests.components import Collector, Server, send_from_javascript, telemetrygen
from tests.components.parquet_rows import stored_tables
from tests.components.sdk import Sent, points, send_logs, send_metrics, send_spans

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "Gauge": "otel_metrics_gauge",
    "Sum": "otel_metrics_sum",
    "Histogram": "otel_metrics_histogram",
    "ExponentialHistogram": "otel_metrics_exponential_histogram",
}


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_javascript_sdk_is_served(tmp_path: Path, compression: str) -> None:
    """Its exporters send chunked bodies: every record, once, under its own name."""
    with Server(tmp_path) as server:
        send_from_javascript(server.endpoint, 700, compression)
        assert server.stop() == 0, server.log
    tables = stored_tables(server.data)
    assert {table: len(rows) for table, rows in tables.items()} == {
        "otel_logs": 700,
        "otel_traces": 700,
        "otel_metrics_sum": 700,
    }
    assert {row["ServiceName"] for rows in tables.values() for row in rows} == {"javascript"}
    assert {row["Body"] for row in tables["otel_logs"]} == {f"log {n}" for n in range(700)}
    assert {row["SpanName"] for row in tables["otel_traces"]} == {f"span {n}" for n in range(700)}
    numbers = Counter(row["Attributes"] for row in tables["otel_metrics_sum"])
    assert len(numbers) == 700


def test_telemetrygen_is_served(tmp_path: Path) -> None:
    """A client in Go, every signal and metric kind: exact counts."""
    with Server(tmp_path) as server:
        telemetrygen("logs", server.port, 1200, "--batch-size", "100")
        telemetrygen("traces", server.port, 400, "--child-spans", "2")
        for kind in KINDS:
            telemetrygen("metrics", server.port, 150, "--metric-type", kind)
        assert server.stop() == 0, server.log
    counts = {table: len(rows) for table, rows in stored_tables(server.data).items()}
    assert counts == {"otel_logs": 1200, "otel_traces": 1200} | dict.fromkeys(KINDS.values(), 150)


def test_a_collector_with_gzip_is_served(tmp_path: Path) -> None:
    """SDK and telemetrygen to a Collector, whose exporter compresses with gzip, to the server."""
    sent = Sent()
    with Server(tmp_path) as server:
        exporter = {"type": "otlp_http", "endpoint": server.endpoint, "compression": "gzip"}
        exporters = dict.fromkeys(("logs", "traces", "metrics"), exporter)
        with Collector(tmp_path, exporters) as collector:
            send_logs(collector.endpoint, Compression.Gzip, sent, 700)
            send_spans(collector.endpoint, Compression.Gzip, sent, 700)
            send_metrics(collector.endpoint, Compression.Gzip, sent)
            telemetrygen("logs", collector.http_port, 1000, "--service", "generated")
            telemetrygen("traces", collector.grpc_port, 300, "--service", "generated", grpc=True)
            assert collector.stop() == 0, collector.log
        assert server.stop() == 0, server.log
    tables = stored_tables(server.data)
    assert len(tables.pop("otel_logs")) == 1700
    assert len(tables.pop("otel_traces")) == 700 + 600
    assert sum(map(len, tables.values())) == sum(1 for _ in points(sent))
