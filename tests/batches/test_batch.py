"""A batch, open and closed: how its rows are had, also after a failure half-way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.batches_bench import Bench, logs, shards_of

if TYPE_CHECKING:
    import pytest


def test_a_seal_that_fails_half_way_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards emptied before the failure are not forgotten by the next attempt."""
    with Bench(shards=2, threads=0) as bench:
        bench.append(logs(5))
        first, second = shards_of(bench.ingest)
        with first.lock:
            bench.append(logs(7))
        real = second.builder
        broken = [MemoryError("no room"), None]

        class Failing:
            def finish(self, *, dictionaries: bool) -> object:
                error = broken.pop(0)
                if error is not None:
                    raise error
                return real.finish(dictionaries=dictionaries)

        monkeypatch.setattr(second, "builder", Failing())
        bench.ingest.relieve()
        assert bench.storing.run_one(wait=False)
        assert first.is_finished
        assert bench.ingest.status().backlog.resting == 1
        assert bench.writer.attempts == []
        bench.tick(1)
        while bench.storing.run_one(wait=False):
            pass
        assert bench.writer.rows == 12
        assert bench.budget.used == 0
