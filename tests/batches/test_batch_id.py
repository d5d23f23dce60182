"""Batch ids of live batches: names that never meet, and sort by time."""

from __future__ import annotations

import time
import uuid

from otlp2parquet.batch_id import new_batch_id
from tests.support.batches_bench import Bench, logs
from tests.support.waiting import PATIENCE_SECS


def test_the_batch_id_is_a_uuid7_drawn_when_the_batch_opens() -> None:
    """File names sort by the time at which their batch opened, and never meet."""
    before = time.time_ns() // 10**6
    ids = [new_batch_id() for _ in range(2000)]
    after = time.time_ns() // 10**6
    assert len(set(ids)) == 2000
    for text in ids:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert before <= parsed.int >> 80 <= after

    drawn: list[str] = []

    def draw() -> str:
        drawn.append(new_batch_id())
        return drawn[-1]

    with Bench(new_id=draw) as bench:
        assert drawn == []
        bench.append(logs())
        assert len(drawn) == 1
        bench.append(logs())
        bench.ingest.drain(PATIENCE_SECS)
        (written,) = bench.stored(2)
        assert [written.batch_id] == drawn
