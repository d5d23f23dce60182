"""Decode: one request to tables, beside upb merely parsing it.

``python -m pytest benchmarks`` runs these; ``make bench`` makes the page of figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from benchmarks.payloads import SHAPES, SIGNALS, Payloads, as_json
from benchmarks.peers import upb
from otlp2parquet import process_otlp

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from benchmarks.payloads import Signal

CASES = [(signal, shape) for signal in SIGNALS for shape in ("small", "typical", "large")]


@pytest.fixture(params=CASES, ids=" ".join)
def case(request: pytest.FixtureRequest, benchmark: BenchmarkFixture) -> tuple[Signal, bytes, int]:
    """A signal, a request of it, and how many records that holds; one group of results each."""
    signal, name = request.param
    benchmark.group = f"decode {signal} {name}"
    shape = SHAPES[name]
    return signal, Payloads(signal, shape).requests(1)[0], shape.records


def test_process_otlp(case: tuple[Signal, bytes, int], benchmark: BenchmarkFixture) -> None:
    """Bytes to Arrow tables; every record must be in them before the time counts."""
    signal, payload, records = case
    result = benchmark(process_otlp, payload, signal)
    assert result.accepted == records
    assert sum(batch.num_rows for batch in result.batches) == records


def test_upb_parse(case: tuple[Signal, bytes, int], benchmark: BenchmarkFixture) -> None:
    """The official runtime parses the same bytes and does nothing with them."""
    signal, payload, _ = case
    assert benchmark(upb.READERS[signal], payload).ByteSize() == len(payload)


@pytest.fixture(params=CASES, ids=" ".join)
def text_case(
    request: pytest.FixtureRequest, benchmark: BenchmarkFixture
) -> tuple[Signal, bytes, int]:
    """As ``case``, in JSON."""
    signal, name = request.param
    benchmark.group = f"decode JSON {signal} {name}"
    shape = SHAPES[name]
    (message,) = Payloads(signal, shape).messages(1)
    return signal, as_json(message), shape.records


def test_process_json(text_case: tuple[Signal, bytes, int], benchmark: BenchmarkFixture) -> None:
    """Text to Arrow tables."""
    signal, text, records = text_case
    result = benchmark(process_otlp, text, signal, content_type="application/json")
    assert result.accepted == records


def test_orjson_loads(text_case: tuple[Signal, bytes, int], benchmark: BenchmarkFixture) -> None:
    """The fastest JSON library of Python makes its objects of the same text."""
    _, text, _ = text_case
    assert len(benchmark(orjson.loads, text)) == 1
