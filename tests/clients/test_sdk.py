"""The Python OpenTelemetry SDK to the server to the rows: nothing lost, nothing changed.

Real exporters, the real command as its own process, and DuckDB as an independent reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression

from tests.components import Server
from tests.components.parquet_rows import assert_same_tables, stored_tables
from tests.components.sdk import Sent, send_logs, send_metrics, send_spans
from tests.components.sdk_rows import expected_tables

if TYPE_CHECKING:
    from pathlib import Path

COMPRESSIONS = list(Compression)


@pytest.mark.parametrize("compression", COMPRESSIONS, ids=lambda value: value.value)
def test_everything_the_sdk_sends_is_in_the_files(tmp_path: Path, compression: Compression) -> None:
    """All three signals, every metric kind: each record sent is one row, equal in all columns."""
    sent = Sent()
    with Server(tmp_path) as server:
        send_logs(server.endpoint, compression, sent, 700)
        send_spans(server.endpoint, compression, sent, 700)
        send_metrics(server.endpoint, compression, sent)
        assert server.stop() == 0, server.log
    expected = expected_tables(sent)
    assert len(expected["otel_logs"]) == 700
    assert len(expected["otel_traces"]) == 700
    assert set(expected) == {
        "otel_logs",
        "otel_traces",
        "otel_metrics_gauge",
        "otel_metrics_sum",
        "otel_metrics_histogram",
        "otel_metrics_exponential_histogram",
    }
    assert_same_tables(stored_tables(server.data), expected)


def test_the_sdk_sends_exemplars_of_both_number_kinds(tmp_path: Path) -> None:
    """The rows of the test above would prove nothing about exemplars if the SDK sent none."""
    sent = Sent()
    with Server(tmp_path) as server:
        send_metrics(server.endpoint, Compression.NoCompression, sent)
        server.stop()
    rows = [row for table in stored_tables(server.data).values() for row in table]
    stored = "".join(row["Exemplars"] for row in rows)
    assert '"asInt":"' in stored
    assert '"asDouble":' in stored
    assert '"traceId":"' in stored
