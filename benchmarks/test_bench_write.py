"""Write: the finished batches of 200,000 rows into Parquet files on a local disk.

Beside it, in the same group, upb parsing the requests those rows came from: the yardstick that
all figures here share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from benchmarks.batches import ROWS, batch_requests, build
from benchmarks.payloads import SIGNALS
from benchmarks.peers import upb
from otlp2parquet.writers import ParquetWriter

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

    from benchmarks.payloads import Signal


@pytest.mark.parametrize("signal", SIGNALS)
def test_write(signal: Signal, tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    """One file per table, service and hour, durable when the call returns; all rows in them."""
    benchmark.group = f"write {signal}"
    batches = build(signal, batch_requests(signal))
    writer = ParquetWriter(tmp_path)

    def write_all() -> list[str]:
        return [writer.write(batch).path for batch in batches]

    paths = benchmark.pedantic(write_all, rounds=5)
    assert len(paths) == len(batches)
    assert sum(pq.read_metadata(tmp_path / path).num_rows for path in paths) == ROWS


@pytest.mark.parametrize("signal", SIGNALS)
def test_upb_parse(signal: Signal, benchmark: BenchmarkFixture) -> None:
    """The official runtime parses the requests of the same rows."""
    benchmark.group = f"write {signal}"
    requests, parse = batch_requests(signal), upb.READERS[signal]

    def parse_all() -> None:
        for request in requests:
            parse(request)

    benchmark.pedantic(parse_all, rounds=5)
