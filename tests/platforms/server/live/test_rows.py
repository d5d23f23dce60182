"""Exports as rows of JSON: what a person sees is what the tables have."""

from __future__ import annotations

import gzip
import json
import math
from typing import Any

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp2parquet.core import Signal, process_otlp
from otlp2parquet.platforms.server.live import rows
from otlp2parquet.platforms.server.live.rows import Export, rfc3339, rows_of
from tests.support.requests import START, logs_request, metrics_request, traces_request

PROTOBUF = "application/x-protobuf"


def export(body: bytes, signal: Signal = "logs", encoding: str | None = None) -> Export:
    """An export that was kept."""
    return Export(body, signal, PROTOBUF, encoding, START + 5, 1)


def shown(body: bytes, signal: Signal = "logs") -> list[tuple[str, dict[str, Any]]]:
    """All rows, with their tables."""
    pieces = list(rows_of(export(body, signal)))
    return [(piece.table, json.loads(row.text)) for piece in pieces for row in piece.rows]


@pytest.mark.parametrize(
    ("signal", "body"),
    [
        ("logs", logs_request(1203)),
        ("traces", traces_request(7)),
        ("metrics", metrics_request(6)),
    ],
)
def test_rows_are_those_of_the_tables(signal: Signal, body: bytes) -> None:
    """Every row of every table, in order, every column that is not null; times are exact."""
    expected = []
    for batch in process_otlp(body, signal, received_at=START + 5).batches:
        data = pa.record_batch(batch)
        times = {n for n in data.schema.names if "Timestamp" in n and not n.endswith("Nanos")}
        for row in data.to_pylist():
            plain = {
                name: value
                for name, value in row.items()
                if value is not None and name not in times and not name.endswith("Nanos")
            }
            expected.append((batch.table, plain, row["Timestamp"], row["TimestampNanos"]))
    found = shown(body, signal)
    assert len(found) == len(expected)
    for (table, row), (expected_table, plain, time, nanos) in zip(found, expected, strict=True):
        assert table == expected_table
        assert row["Timestamp"] == f"{time:%Y-%m-%dT%H:%M:%S.%f}{nanos or 0:03}Z"
        assert {name: row[name] for name in row if "Timestamp" not in name} == plain


def test_an_event_has_at_most_500_rows() -> None:
    """So that a watcher's next chunk is small."""
    pieces = list(rows_of(export(logs_request(1203))))
    assert [len(piece.rows) for piece in pieces] == [500, 500, 203]
    assert {piece.received for piece in pieces} == {rfc3339(START // 1000, 5)}


def test_numbers_that_javascript_would_round_are_texts() -> None:
    """And so are doubles that JSON has no number for; lists are treated likewise."""
    safe = rows._safe  # noqa: SLF001 - small and pure
    assert safe(1 << 53) == 1 << 53
    assert safe((1 << 53) + 1) == "9007199254740993"
    assert safe(-(1 << 63)) == "-9223372036854775808"
    assert safe([math.nan, math.inf, -math.inf, 1.5, True]) == [
        "NaN",
        "Infinity",
        "-Infinity",
        1.5,
        True,
    ]


def test_a_compressed_body_is_inflated_within_the_bound() -> None:
    """And one that grows too large, or is too large, is not shown at all."""
    body = logs_request(3)
    (piece,) = rows_of(export(gzip.compress(body), encoding="gzip"))
    assert len(piece.rows) == 3
    bomb = gzip.compress(logs_request(1, blob="x" * (9 << 20)))
    assert list(rows_of(export(bomb, encoding="gzip"))) == []
    assert list(rows_of(export(logs_request(1, blob="x" * (9 << 20))))) == []


def test_a_giant_row_is_left_out_and_large_ones_are_divided() -> None:
    """One row cannot fill the ring; an event stays small."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for size in (rows.MAX_ROW_BYTES + 1, 200_000, 200_000, 10):
        records.add(time_unix_nano=START).body.string_value = "x" * size
    pieces = list(rows_of(export(request.SerializeToString())))
    assert [len(piece.rows) for piece in pieces] == [1, 2]
    assert all(piece.num_bytes <= rows.MAX_EVENT_BYTES for piece in pieces)


def test_of_a_large_export_the_first_rows_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all of its tables."""
    monkeypatch.setattr(rows, "MAX_EXPORT_ROWS", 7)
    assert sum(len(piece.rows) for piece in rows_of(export(metrics_request(3), "metrics"))) == 7


def test_senders_texts_stay_within_one_line() -> None:
    """A line of an event cannot be ended by what a sender wrote."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=START)
    record.body.string_value = "a\n\nevent: refused\r\ndata: x\0\x1b[2J"
    (piece,) = rows_of(export(request.SerializeToString()))
    assert not set(piece.rows[0].text) & {"\n", "\r", "\0", "\x1b"}
    assert json.loads(piece.rows[0].text)["Body"] == record.body.string_value
