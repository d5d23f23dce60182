"""A Collector's OTLP/JSON: its file exporter's lines converted, its HTTP exporter's requests taken.

As in ``test_collector``, the Python SDK is what it receives, and each record must become one
row, equal in all columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression

from tests.components import Collector
from tests.components.captures import (
    as_the_collector_writes,
    convert,
    file_exporters,
    send_all,
)
from tests.components.collector import SIGNALS
from tests.components.parquet_rows import assert_same_tables, stored_tables
from tests.components.sdk_rows import expected_tables
from tests.components.server import Server

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_lines_become_exactly_the_rows_sent(tmp_path: Path, suffix: str) -> None:
    """SDK, Collector, file exporter in its default format, convert."""
    captured = tmp_path / "captured"
    with Collector(tmp_path, file_exporters(captured, suffix, format="json")) as collector:
        sent = send_all(collector, Compression.Gzip)
        assert collector.stop() == 0, collector.log
    assert all(path.read_bytes().startswith(b'{"resource') for path in captured.iterdir())
    convert(captured, tmp_path / "data")
    expected = as_the_collector_writes(expected_tables(sent))
    assert_same_tables(stored_tables(tmp_path / "data"), expected)


def test_lines_of_all_signals_in_one_file(tmp_path: Path) -> None:
    """Whose name tells nothing: each line does."""
    captured, mixed = tmp_path / "captured", tmp_path / "mixed"
    with Collector(tmp_path, file_exporters(captured, ".json", format="json")) as collector:
        sent = send_all(collector, Compression.NoCompression)
        assert collector.stop() == 0, collector.log
    lines = [path.read_bytes().splitlines() for path in sorted(captured.iterdir())]
    mixed.mkdir()
    ordered = [line for group in lines for line in group]
    (mixed / "telemetry.json").write_bytes(b"\n".join(ordered[1::2] + ordered[::2]))
    convert(mixed, tmp_path / "data")
    expected = as_the_collector_writes(expected_tables(sent))
    assert_same_tables(stored_tables(tmp_path / "data"), expected)


def test_the_server_takes_what_the_collector_sends_in_json(tmp_path: Path) -> None:
    """SDK, Collector, its HTTP exporter with ``encoding: json`` and gzip, the server."""
    with Server(tmp_path) as server:
        exporters = {
            signal: {
                "type": "otlp_http",
                "endpoint": server.endpoint,
                "encoding": "json",
                "compression": "gzip",
            }
            for signal in SIGNALS
        }
        with Collector(tmp_path, exporters) as collector:
            sent = send_all(collector, Compression.Gzip)
            assert collector.stop() == 0, collector.log
        assert server.stop() == 0, server.log
    expected = as_the_collector_writes(expected_tables(sent))
    assert_same_tables(stored_tables(server.data), expected)
