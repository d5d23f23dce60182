"""Append: 200 requests into open builders and one finish, beside upb parsing the same 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.batches import ROWS, batch_requests, build
from benchmarks.payloads import SIGNALS
from benchmarks.peers import upb

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from benchmarks.payloads import Signal


@pytest.mark.parametrize("signal", SIGNALS)
def test_append_and_finish(signal: Signal, benchmark: BenchmarkFixture) -> None:
    """Many requests become one batch per table, service and hour; no row may be missing."""
    benchmark.group = f"append {signal}"
    batches = benchmark.pedantic(build, (signal, batch_requests(signal)), rounds=5)
    assert sum(batch.num_rows for batch in batches) == ROWS


@pytest.mark.parametrize("signal", SIGNALS)
def test_upb_parse(signal: Signal, benchmark: BenchmarkFixture) -> None:
    """The official runtime parses the same requests one by one."""
    benchmark.group = f"append {signal}"
    requests, parse = batch_requests(signal), upb.READERS[signal]

    def parse_all() -> None:
        for request in requests:
            parse(request)

    benchmark.pedantic(parse_all, rounds=5)
