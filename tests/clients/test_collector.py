"""An OpenTelemetry Collector's files, converted: exactly the rows that were sent.

The Collector receives from the Python SDK and from telemetrygen (Go) and writes with its own
file exporter; ``otlp2parquet convert`` reads that; DuckDB says what came out.
"""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression

from tests.components import Collector, telemetrygen
from tests.components.captures import (
    as_the_collector_writes,
    convert,
    file_exporters,
    send_all,
)
from tests.components.parquet_rows import assert_same_tables, stored_tables
from tests.components.sdk_rows import expected_tables

if TYPE_CHECKING:
    from pathlib import Path


ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def test_a_protobuf_stream_becomes_exactly_the_rows_sent(tmp_path: Path) -> None:
    """SDK, Collector, file exporter, convert: each record is one row, equal in all columns."""
    captured = tmp_path / "captured"
    with Collector(tmp_path, file_exporters(captured, ".binpb")) as collector:
        sent = send_all(collector, Compression.Gzip)
        assert collector.stop() == 0, collector.log
    # The first byte of a length below 16 MiB: how convert tells a stream from one request.
    assert all(path.read_bytes()[0] == 0 for path in captured.iterdir())
    convert(captured, tmp_path / "data")
    expected = as_the_collector_writes(expected_tables(sent))
    assert_same_tables(stored_tables(tmp_path / "data"), expected)


def test_a_gzipped_stream_becomes_the_same_rows(tmp_path: Path) -> None:
    """Captures are kept gzipped; convert reads them as they lie."""
    captured, packed = tmp_path / "captured", tmp_path / "packed"
    packed.mkdir()
    with Collector(tmp_path, file_exporters(captured, ".binpb")) as collector:
        sent = send_all(collector, Compression.NoCompression)
        assert collector.stop() == 0, collector.log
    for path in captured.iterdir():
        with path.open("rb") as plain, gzip.open(packed / f"{path.name}.gz", "wb") as out:
            shutil.copyfileobj(plain, out)
    convert(packed, tmp_path / "data")
    expected = as_the_collector_writes(expected_tables(sent))
    assert_same_tables(stored_tables(tmp_path / "data"), expected)


@pytest.mark.parametrize(
    ("form", "suffix", "gates", "whole_file"),
    [
        ("proto", ".binpb", "", False),
        ("proto", ".binpb.zst", "exporter.file.nativeCompression", True),
        ("json", "", "", False),
        ("json", ".json.zst", "exporter.file.nativeCompression", True),
    ],
    ids=["each message", "whole file", "each message in JSON, no extension", "all of JSON"],
)
def test_both_forms_of_the_exporters_zstd_become_the_same_rows(
    tmp_path: Path, form: str, suffix: str, gates: str, *, whole_file: bool
) -> None:
    """``compression: zstd`` of the file exporter, in the two forms that it has for each format.

    By default it compresses each message and puts the length before it, so the file is no zstd
    file; with its feature gate the file is one zstd stream of length-prefixed messages.
    """
    captured = tmp_path / "captured"
    exporters = file_exporters(captured, suffix, format=form, compression="zstd")
    with Collector(tmp_path, exporters, feature_gates=gates) as collector:
        sent = send_all(collector, Compression.Gzip)
        assert collector.stop() == 0, collector.log
    for path in captured.iterdir():
        content = path.read_bytes()
        assert content[:4] == ZSTD_MAGIC if whole_file else content[4:8] == ZSTD_MAGIC
    convert(captured, tmp_path / "data")
    expected = as_the_collector_writes(expected_tables(sent))
    assert_same_tables(stored_tables(tmp_path / "data"), expected)


def test_what_telemetrygen_sends_is_counted_and_named(tmp_path: Path) -> None:
    """A client in another language, over HTTP and gRPC: its records, its names, its numbers."""
    captured = tmp_path / "captured"
    resource = ("--service", "generated", "--otlp-attributes", 'deployment.environment="test"')
    own = ("--telemetry-attributes", "attempt=7")
    with Collector(tmp_path, file_exporters(captured, ".binpb")) as collector:
        http, grpc = collector.http_port, collector.grpc_port
        telemetrygen("logs", http, 1200, "--body", "it happened", *resource, *own)
        telemetrygen("logs", grpc, 300, "--body", "it happened", *resource, *own, grpc=True)
        telemetrygen("traces", http, 400, "--child-spans", "2", *resource, *own)
        for kind in ("Gauge", "Sum", "Histogram", "ExponentialHistogram"):
            telemetrygen("metrics", http, 150, "--metric-type", kind, *resource, *own)
        assert collector.stop() == 0, collector.log
    convert(captured, tmp_path / "data")
    tables = stored_tables(tmp_path / "data")
    assert {table: len(rows) for table, rows in tables.items()} == {
        "otel_logs": 1500,
        "otel_traces": 1200,
        "otel_metrics_gauge": 150,
        "otel_metrics_sum": 150,
        "otel_metrics_histogram": 150,
        "otel_metrics_exponential_histogram": 150,
    }
    for rows in tables.values():
        for row in rows:
            assert row["ServiceName"] == "generated"
            assert '"deployment.environment":"test"' in row["ResourceAttributes"]
    assert {row["Body"] for row in tables["otel_logs"]} == {"it happened"}
    assert all('"attempt":7' in row["LogAttributes"] for row in tables["otel_logs"])
    spans = tables["otel_traces"]
    assert len({(row["TraceId"], row["SpanId"]) for row in spans}) == 1200
    # Each trace is one parent with its two children, and they name it.
    parents = {row["SpanId"]: row["TraceId"] for row in spans if row["ParentSpanId"] is None}
    children = [row for row in spans if row["ParentSpanId"] is not None]
    assert set(Counter(row["ParentSpanId"] for row in children).values()) == {2}
    assert all(parents[row["ParentSpanId"]] == row["TraceId"] for row in children)
    assert len(parents) == 400
