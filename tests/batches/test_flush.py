"""A flush: what was acknowledged before it began is stored when it is over, and it always ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batches.batch import OpenBatch
from otlp2parquet.batches.flushes import Fate, Flush, Flushes
from otlp2parquet.batches.log.none import NoLog
from otlp2parquet.config import BatchConfig
from otlp2parquet.errors import StoppingError, StorageUnavailableError
from tests.support.batches_bench import Bench, logs
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from typing import Any

    from otlp2parquet.batches.flushes import Flushed


class Answer:
    """What one flush was told."""

    def __init__(self) -> None:
        self.told: list[Flushed] = []
        self._is_over = threading.Event()

    def __call__(self, flushed: Flushed) -> None:
        """Take it."""
        self.told.append(flushed)
        self._is_over.set()

    @property
    def result(self) -> Flushed:
        """Its answer, which comes once."""
        assert self._is_over.wait(PATIENCE_SECS)
        (told,) = self.told
        return told


def flush(bench: Bench) -> Answer:
    """Ask for a flush."""
    answer = Answer()
    bench.ingest.flush(answer)
    return answer


def run_all(bench: Bench) -> None:
    """Do every step that there is, on this thread."""
    while bench.storing.run_one(wait=False):
        pass


def test_what_is_open_is_stored_when_a_flush_is_over() -> None:
    """Long before its age; the answer says what was stored."""
    with Bench() as bench:
        bench.append(logs(3, service="a"))
        bench.append(logs(2, service="b"))
        result = flush(bench).result
        assert result.is_stored
        assert (result.batches, result.files, result.rows) == (1, 2, {"otel_logs": 5})
        assert result.bytes > 0
        assert bench.writer.rows == 5
        assert bench.ingest.counts.batches_closed["flush"] == 1


def test_a_flush_of_nothing_is_over_at_once() -> None:
    """An empty server, and one of which only requests without rows were asked, make no file."""
    with Bench(threads=0) as bench:
        assert flush(bench).result.is_stored
        bench.append(b"")
        assert flush(bench).result.is_stored
        assert bench.writer.attempts == []
        assert bench.ingest.counts.batches_closed == {}


def test_a_flush_waits_for_what_was_closed_before() -> None:
    """Batches that wait already hold rows that were acknowledged, too."""
    with Bench(threads=0, config=BatchConfig(max_rows=2)) as bench:
        bench.append(logs(2))
        bench.append(logs(2))
        answer = flush(bench)
        assert not answer.told
        run_all(bench)
        assert answer.result.rows == {"otel_logs": 4}
        assert answer.result.batches == 2


def test_a_flush_does_not_wait_for_what_comes_later() -> None:
    """Under a stream of requests it ends."""
    with Bench(threads=0, config=BatchConfig(max_rows=2)) as bench:
        bench.append(logs(1, service="before"))
        answer = flush(bench)
        bench.append(logs(2, service="later"))
        while bench.waiting == 2:
            assert bench.storing.run_one(wait=False)
        assert answer.result.rows == {"otel_logs": 1}
        assert bench.waiting == 1


def test_flushes_close_one_batch_at_a_time() -> None:
    """However many ask while a batch is on its way, they are served by the next one together."""
    with Bench(threads=0) as bench:
        bench.append(logs(1))
        first = flush(bench)
        later = []
        for _ in range(50):
            bench.append(logs(1))
            later.append(flush(bench))
        assert bench.waiting == 1
        run_all(bench)
        assert first.result.rows == {"otel_logs": 1}
        assert [one.result.rows for one in later] == [{"otel_logs": 50}] * 50
        assert bench.ingest.counts.batches_closed["flush"] == 2


def test_a_storage_that_is_away_keeps_the_rows_and_a_flush_can_end() -> None:
    """It says that something waits; the rows are stored once the storage is back."""
    with Bench(threads=0) as bench:
        bench.writer.fail = lambda _: StorageUnavailableError("away")
        bench.append(logs(2))
        first, second = Answer(), Answer()
        waiting = bench.ingest.flush(first)
        run_all(bench)
        bench.append(logs(1))
        asked = bench.ingest.flush(second)
        for one in (waiting, asked):
            bench.ingest.end_flush(one)
            bench.ingest.end_flush(one)
        assert not first.result.is_stored
        assert (first.result.waiting, second.result.waiting) == (1, 1)
        bench.writer.fail = lambda _: None
        bench.tick(100.0)
        run_all(bench)
        bench.tick(100.0)
        run_all(bench)
        assert bench.writer.rows == 3
        assert not bench.waiting


def test_what_a_flush_did_not_hear_the_next_one_does() -> None:
    """Who waits no more has not been told of a batch that was lost, before it or meanwhile."""
    flushes = Flushes()
    assert flushes.ended(1, Fate.LOST, ()) == []
    first, second = Flush(Answer()), Flush(Answer())
    assert flushes.begin([first], last=3, waiting=2, left=0) == []
    assert flushes.ended(2, Fate.LOST, ()) == []
    assert first.result.lost == 2
    assert flushes.end(first)
    assert flushes.begin([second], last=3, waiting=0, left=0) == [second]
    assert second.result.lost == 2


def test_flushes_that_have_ended_close_no_batch() -> None:
    """Who gave up waiting is not served any more: nobody is there for a small batch."""
    with Bench(threads=0) as bench:
        bench.append(logs(1))
        flush(bench)
        bench.append(logs(1))
        asked = bench.ingest.flush(Answer())
        bench.ingest.end_flush(asked)
        run_all(bench)
        assert bench.ingest.status().open_rows == 1


def test_rows_that_are_refused_are_no_success() -> None:
    """In the mode stored the storage's failure is the requests' end, and the flush says so."""
    with Bench(threads=0, log=NoLog(until_stored=True)) as bench:
        bench.writer.fail = lambda _: StorageUnavailableError("away")
        kept: list[object] = []
        bench.append(logs(1, service="first"), acknowledge=kept.append)
        bench.append(logs(1, service="second"), acknowledge=kept.append)
        answer = flush(bench)
        run_all(bench)
        assert not answer.result.is_stored
        assert answer.result.refused == 2
        assert [str(one) for one in kept] == ["the storage failed, send it again"] * 2


def test_a_flush_that_waits_for_the_storage_acknowledges_what_it_closes() -> None:
    """In the mode stored what is open is acknowledged by the flush that stores it."""
    with Bench(threads=0, log=NoLog(until_stored=True)) as bench:
        kept: list[object] = []
        for _ in range(2):
            bench.append(logs(1), acknowledge=kept.append)
        answer = flush(bench)
        run_all(bench)
        assert answer.result.is_stored
        assert kept == [None, None]


def test_requests_that_are_batches_of_their_own_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One may be acknowledged by the log before its batch is submitted."""
    begun, go_on = threading.Event(), threading.Event()
    append = OpenBatch.append

    def slowly(*args: Any, **names: Any) -> Any:
        appended = append(*args, **names)
        begun.set()
        assert go_on.wait(PATIENCE_SECS)
        return appended

    monkeypatch.setattr(OpenBatch, "append", slowly)
    with Bench(config=BatchConfig(enabled=False)) as bench:
        thread = threading.Thread(target=bench.append, args=(logs(4),))
        thread.start()
        assert begun.wait(PATIENCE_SECS)
        answer = flush(bench)
        assert not answer.told
        go_on.set()
        thread.join()
        assert answer.result.rows == {"otel_logs": 4}


def test_a_stop_ends_every_flush() -> None:
    """Those that wait are told of what the stop stores, and new ones are refused."""
    with Bench(threads=2) as bench:
        bench.writer.gates["slow"] = threading.Event()
        bench.append(logs(1, service="slow"))
        first = flush(bench)
        bench.append(logs(1, service="b"))
        second = flush(bench)
        stopping = threading.Thread(target=bench.ingest.drain, args=(PATIENCE_SECS,))
        stopping.start()
        wait_for(lambda: bench.ingest.counts.batches_closed["shutdown"] == 1)
        bench.writer.gates["slow"].set()
        assert first.result.is_stored
        assert second.result.is_stored
        stopping.join()
        with pytest.raises(StoppingError):
            flush(bench)


def test_a_stop_whose_time_is_over_leaves_no_flush_waiting() -> None:
    """Where the storage does not take the rows in time, whoever waits is told that."""
    with Bench(threads=0) as bench:
        bench.append(logs(1))
        first = flush(bench)
        bench.append(logs(1))
        second = flush(bench)
        assert not bench.ingest.drain(0)
        assert first.result.waiting == 1
        assert second.result.waiting == 2


def test_a_flush_does_not_wait_until_what_was_refused_is_taken_back() -> None:
    """A bucket may never allow that; what comes later is stored, and the flush says so."""
    with Bench(threads=0, log=NoLog(until_stored=True)) as bench:
        bench.writer.fail = lambda _: StorageUnavailableError("away")
        bench.writer.fail_back = lambda _: StorageUnavailableError("no right to delete")
        for _ in range(2):
            bench.append(logs(1))
        refused = flush(bench)
        assert bench.ingest.counts.batches_closed["flush"] == 1
        run_all(bench)
        assert refused.result.refused == 2
        bench.writer.fail = lambda _: None
        bench.append(logs(3))
        later = flush(bench)
        for _ in range(4):
            bench.tick(100.0)
            run_all(bench)
        assert later.told
        assert later.result.is_stored
        assert later.result.rows == {"otel_logs": 3}
        assert bench.waiting == 2
