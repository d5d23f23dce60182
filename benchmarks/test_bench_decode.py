"""Decode: one request to tables, beside upb merely parsing it.

``python -m pytest benchmarks`` runs these; ``make bench`` makes the page of figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.payloads import SHAPES, SIGNALS, Payloads
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
