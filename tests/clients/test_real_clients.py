"""Clients of other houses, ages and languages: exactly what they sent is in the files.

Also while the server refuses every third request: a 503 is sent again and nothing doubles.
(The Python SDK of today, with every column compared, is in ``test_sdk``.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression

from tests.components import (
    Collector,
    Server,
    send_from_javascript,
    send_from_python,
    telemetrygen,
)
from tests.components.parquet_rows import stored_tables
from tests.components.process import wait_until
from tests.components.sdk import Sent, points, send_logs, send_metrics, send_spans
from tests.components.unready import UnreadyServer

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "Gauge": "otel_metrics_gauge",
    "Sum": "otel_metrics_sum",
    "Histogram": "otel_metrics_histogram",
    "ExponentialHistogram": "otel_metrics_exponential_histogram",
}
"""The metrics that telemetrygen makes, and where they go."""
COUNT = 700
EVERY = 3


def assert_whole(server: Server, service: str) -> None:
    """``COUNT`` of each record of the scripts, each once."""
    assert server.stop() == 0, server.log
    tables = stored_tables(server.data)
    assert set(tables) == {"otel_logs", "otel_traces", "otel_metrics_sum"}
    assert {row["ServiceName"] for rows in tables.values() for row in rows} == {service}
    names = {"otel_logs": "Body", "otel_traces": "SpanName", "otel_metrics_sum": "Attributes"}
    for table, column in names.items():
        assert len(tables[table]) == COUNT
        assert len({row[column] for row in tables[table]}) == COUNT


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("form", ["proto", "http"])
def test_the_javascript_sdk_is_served(tmp_path: Path, form: str, compression: str) -> None:
    """http/protobuf and http/json, in chunked bodies."""
    with Server(tmp_path) as server:
        send_from_javascript(server.endpoint, COUNT, compression, form)
        assert_whole(server, "javascript")


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
@pytest.mark.parametrize("name", ["1.20", "json"])
def test_other_python_exporters_are_served(tmp_path: Path, name: str, compression: str) -> None:
    """An exporter of years ago, and the one that sends JSON."""
    with Server(tmp_path) as server:
        send_from_python(name, server.endpoint, COUNT, compression)
        assert_whole(server, "python")


def rows_in_files(server: Server) -> int:
    """How many rows the files hold now."""
    return sum(pq.read_metadata(file).num_rows for file in server.data.rglob("*.parquet"))


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("encoding", ["proto", "json"])
def test_a_collector_is_served(tmp_path: Path, encoding: str, compression: str) -> None:
    """The SDK and telemetrygen to a Collector, and its exporter to the server that refuses."""
    sent = Sent()
    (tmp_path / "config.toml").write_text("[batch]\nmax_age_secs = 0.2\n")
    with UnreadyServer(tmp_path, EVERY) as server:
        exporter = {
            "type": "otlp_http",
            "endpoint": server.endpoint,
            "compression": compression,
            "encoding": encoding,
            "retry_on_failure": {"initial_interval": "100ms"},
        }
        exporters = dict.fromkeys(("logs", "traces", "metrics"), exporter)
        with Collector(tmp_path, exporters) as collector:
            send_logs(collector.endpoint, Compression.Deflate, sent, COUNT)
            send_spans(collector.endpoint, Compression.Gzip, sent, COUNT)
            send_metrics(collector.endpoint, Compression.NoCompression, sent)
            telemetrygen("logs", collector.http_port, 1000, "--service", "generated")
            total = 2 * COUNT + 1000 + sum(1 for _ in points(sent))
            # A Collector that is stopped gives up what it would still send again.
            wait_until(lambda: rows_in_files(server) >= total, 60, lambda: collector.log)
            assert collector.stop() == 0, collector.log
        assert server.stop() == 0, server.log
        assert server.refused
    tables = stored_tables(server.data)
    assert len(tables.pop("otel_logs")) == COUNT + 1000
    assert len(tables.pop("otel_traces")) == COUNT
    assert sum(map(len, tables.values())) == sum(1 for _ in points(sent))


def test_telemetrygen_is_served_while_requests_are_refused(tmp_path: Path) -> None:
    """A client in Go that waits as it is told and sends the same again."""
    with UnreadyServer(tmp_path, EVERY) as server:
        telemetrygen("logs", server.port, 1000, "--batch-size", "200")
        telemetrygen("traces", server.port, 300, "--child-spans", "2")
        for kind in KINDS:
            telemetrygen("metrics", server.port, 20, "--metric-type", kind)
        assert server.stop() == 0, server.log
        assert server.refused
    counts = {table: len(rows) for table, rows in stored_tables(server.data).items()}
    assert counts == {"otel_logs": 1000, "otel_traces": 900} | dict.fromkeys(KINDS.values(), 20)


@pytest.mark.parametrize("form", ["proto", "http"])
def test_the_javascript_sdk_sends_again_what_is_refused(tmp_path: Path, form: str) -> None:
    """Each export succeeds in the end, and nothing is doubled."""
    with UnreadyServer(tmp_path, EVERY) as server:
        send_from_javascript(server.endpoint, COUNT, "gzip", form)
        assert_whole(server, "javascript")
        assert server.refused


@pytest.mark.parametrize("name", ["1.20", "json"])
def test_other_python_exporters_send_again_what_is_refused(tmp_path: Path, name: str) -> None:
    """The same of the old exporter and of the one that sends JSON."""
    with UnreadyServer(tmp_path, EVERY) as server:
        send_from_python(name, server.endpoint, COUNT, "gzip")
        assert_whole(server, "python")
        assert server.refused


@pytest.mark.parametrize("compression", list(Compression), ids=lambda value: value.value)
def test_the_python_sdk_sends_again_what_is_refused(
    tmp_path: Path, compression: Compression
) -> None:
    """Today's exporter, in each of its encodings."""
    sent = Sent()
    with UnreadyServer(tmp_path, EVERY) as server:
        send_logs(server.endpoint, compression, sent, COUNT)
        send_spans(server.endpoint, compression, sent, COUNT)
        send_metrics(server.endpoint, compression, sent)
        assert server.stop() == 0, server.log
        assert server.refused
    tables = stored_tables(server.data)
    assert len(tables.pop("otel_logs")) == COUNT
    assert len(tables.pop("otel_traces")) == COUNT
    assert sum(map(len, tables.values())) == sum(1 for _ in points(sent))
