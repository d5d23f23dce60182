"""The payloads are what the page says they are; else the figures would speak of something else."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from benchmarks.capture import HOURS, RECORDS, TEMPLATES, log_records, write_capture
from benchmarks.payloads import SHAPES, SIGNALS, Payloads, Shape, as_json
from benchmarks.peers import upb
from otlp2parquet import process_otlp

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.payloads import Signal


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_same_seed_gives_the_same_bytes(signal: Signal) -> None:
    """A figure can be taken again; another seed gives other bytes."""
    shape = Shape(records=20, services=3)
    assert Payloads(signal, shape).requests(3) == Payloads(signal, shape).requests(3)
    assert Payloads(signal, shape).requests(1) != Payloads(signal, shape, seed=2).requests(1)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("name", SHAPES)
def test_a_request_has_its_shape(signal: Signal, name: str) -> None:
    """As many records and services as the shape says."""
    shape = SHAPES[name]
    (message,) = Payloads(signal, shape).messages(1)
    assert sum(1 for _ in RECORDS[signal](message)) == shape.records
    ((_, resources),) = message.ListFields()
    assert len(resources) == shape.services


@pytest.mark.parametrize("signal", SIGNALS)
def test_json_says_the_same(signal: Signal) -> None:
    """The text of a request gives the tables that its protobuf bytes give."""
    (message,) = Payloads(signal, Shape(records=50, services=3)).messages(1)
    protobuf = process_otlp(message.SerializeToString(), signal)
    text = process_otlp(as_json(message), signal, content_type="application/json")
    assert text.accepted == protobuf.accepted == 50
    pairs = zip(text.batches, protobuf.batches, strict=True)
    assert all(pa.record_batch(one) == pa.record_batch(other) for one, other in pairs)


def test_a_typical_log_record_has_252_bytes_and_five_attributes() -> None:
    """The payload that peers were measured with, so that figures can be set side by side."""
    (message,) = Payloads("logs", SHAPES["typical"]).messages(1)
    assert message.ByteSize() / 1000 == pytest.approx(252, abs=3)
    assert {len(record.attributes) for record in log_records(message)} == {5}


def test_a_capture_is_a_stream_of_requests_over_some_hours(tmp_path: Path) -> None:
    """Each request after its length; as many records as promised; no two rounds at one time."""
    counts = write_capture(tmp_path, 100_000_000)
    content = (tmp_path / "logs.binpb").read_bytes()
    times, offset = [], 0
    while offset < len(content):
        (length,) = struct.unpack_from(">I", content, offset)
        message = upb.READERS["logs"](content[offset + 4 : offset + 4 + length])
        times.append([record.time_unix_nano for record in log_records(message)])
        offset += 4 + length
    assert offset == len(content)
    assert sum(map(len, times)) == counts["logs"]
    assert len(times) % TEMPLATES == 0
    starts = [min(request) for request in times[::TEMPLATES]]
    assert starts == sorted(set(starts))
    assert starts[-1] - starts[0] < HOURS * 3_600_000_000_000
