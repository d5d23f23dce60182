"""Clients of OTLP/gRPC in five languages, with their own defaults: exactly what they sent is there.

They are told where to send to, and nothing else. (What Go and Java send over HTTP is tried here,
too; the other clients over HTTP are in ``test_real_clients``.)
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.components import (
    Collector,
    Server,
    grpc_load,
    send_from_go,
    send_from_java,
    send_from_javascript,
    telemetrygen,
)
from tests.components.parquet_rows import assert_same_tables, stored_tables
from tests.components.sdk import Sent, points, send_logs, send_metrics, send_spans
from tests.components.sdk_rows import expected_tables
from tests.proofs.stamped import template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 700


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with both fronts."""
    with Server(tmp_path, grpc=True) as running:
        yield running


def assert_whole(server: Server, service: str, count: int = COUNT) -> None:
    """``count`` of each record of the scripts, each once."""
    assert server.stop() == 0, server.log
    tables = stored_tables(server.data)
    # (The Java SDK has metrics of its own.)
    own = [row for row in tables.pop("otel_metrics_sum") if row["MetricName"] == "requests"]
    tables = {"otel_metrics_sum": own} | {
        name: tables[name] for name in ("otel_logs", "otel_traces")
    }
    assert {row["ServiceName"] for rows in tables.values() for row in rows} == {service}
    names = {"otel_logs": "Body", "otel_traces": "SpanName", "otel_metrics_sum": "Attributes"}
    for table, column in names.items():
        assert len(tables[table]) == count
        assert len({row[column] for row in tables[table]}) == count
    assert {row["Body"] for row in tables["otel_logs"]} == {f"log {n}" for n in range(count)}
    assert "refused" not in server.log


@pytest.mark.parametrize("compression", list(grpc.Compression), ids=lambda value: value.name)
def test_the_python_sdk_is_served(server: Server, compression: grpc.Compression) -> None:
    """All three signals, every metric kind: each record sent is one row, equal in all columns."""
    sent = Sent()
    endpoint = f"http://{server.grpc_address}"
    send_logs(endpoint, compression, sent, COUNT)
    send_spans(endpoint, compression, sent, COUNT)
    send_metrics(endpoint, compression, sent)
    assert server.stop() == 0, server.log
    expected = expected_tables(sent)
    assert len(expected["otel_logs"]) == len(expected["otel_traces"]) == COUNT
    assert_same_tables(stored_tables(server.data), expected)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_javascript_sdk_is_served(server: Server, compression: str) -> None:
    """By grpc-js, which is a gRPC of its own."""
    send_from_javascript(f"http://{server.grpc_address}", COUNT, compression, "grpc")
    assert_whole(server, "javascript")


@pytest.mark.parametrize("form", ["grpc", "http"])
def test_the_go_sdk_is_served(server: Server, form: str) -> None:
    """By grpc-go, and over HTTP."""
    endpoint = f"http://{server.grpc_address}" if form == "grpc" else server.endpoint
    send_from_go(endpoint, COUNT, form)
    assert_whole(server, "go")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_java_sdk_is_served(server: Server, protocol: str) -> None:
    """By OkHttp, which is no gRPC library at all, and over HTTP."""
    endpoint = f"http://{server.grpc_address}" if protocol == "grpc" else server.endpoint
    send_from_java(endpoint, COUNT, protocol)
    assert_whole(server, "java")


def test_telemetrygen_is_served(server: Server) -> None:
    """Each signal, by a client whose default is gRPC."""
    port = int(server.grpc_address.rpartition(":")[2])
    telemetrygen("logs", port, 1000, "--batch-size", "200", grpc=True)
    telemetrygen("traces", port, 300, "--child-spans", "2", grpc=True)
    telemetrygen("metrics", port, 20, "--metric-type", "Histogram", grpc=True)
    assert server.stop() == 0, server.log
    counts = {table: len(rows) for table, rows in stored_tables(server.data).items()}
    assert counts == {"otel_logs": 1000, "otel_traces": 900, "otel_metrics_histogram": 20}


@pytest.mark.parametrize("compression", [None, "none"])
def test_a_collector_is_served(tmp_path: Path, server: Server, compression: str | None) -> None:
    """The SDK to a Collector, whose exporter ``otlp_grpc`` has gzip as its default."""
    sent = Sent()
    exporter: dict[str, object] = {
        "type": "otlp_grpc",
        "endpoint": server.grpc_address,
        "tls": {"insecure": True},
    }
    if compression:
        exporter["compression"] = compression
    exporters = dict.fromkeys(("logs", "traces", "metrics"), exporter)
    with Collector(tmp_path, exporters) as collector:
        endpoint = f"http://127.0.0.1:{collector.grpc_port}"
        send_logs(endpoint, grpc.Compression.NoCompression, sent, COUNT)
        send_spans(endpoint, grpc.Compression.Gzip, sent, COUNT)
        send_metrics(endpoint, grpc.Compression.NoCompression, sent)
        assert collector.stop() == 0, collector.log
    assert server.stop() == 0, server.log
    assert "refused" not in server.log
    tables = stored_tables(server.data)
    assert len(tables.pop("otel_logs")) == COUNT
    assert len(tables.pop("otel_traces")) == COUNT
    assert sum(map(len, tables.values())) == sum(1 for _ in points(sent))


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_load_of_the_benchmarks_counts_well(server: Server, encoding: str) -> None:
    """What it says is acknowledged is in the files, and nothing else."""
    bodies = [template("logs", "load", count).stamped(count) for count in (1, 2, 3)]
    sent = [gzip.compress(body) for body in bodies] if encoding else bodies
    answers = grpc_load(server.grpc_address, sent, 1, connections=3, encoding=encoding)
    assert server.stop() == 0, server.log
    assert answers.refused == 0
    rows = stored_tables(server.data)["otel_logs"]
    whole, rest = divmod(answers.acknowledged, 3)
    assert len(rows) == 6 * whole + sum(range(1, rest + 1))
