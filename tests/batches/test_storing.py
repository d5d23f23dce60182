"""Storing: order, retries, names that are taken, and what never stops it."""

from __future__ import annotations

import threading

import pytest

from otlp2parquet.batches import storing
from otlp2parquet.batches.identity import new_batch_id
from otlp2parquet.batches.storing import RETRY_FIRST_SECS, RETRY_LONGEST_SECS
from otlp2parquet.config import BatchConfig
from otlp2parquet.errors import StorageError
from tests.support.batches_bench import Bench, lines, logs
from tests.support.doubles import Recorder
from tests.support.waiting import PATIENCE_SECS, wait_for


def test_a_write_that_hangs_does_not_hold_up_the_others() -> None:
    """Later batches, and other files of the same batch, are stored meanwhile."""
    gate = threading.Event()
    writer = Recorder(gates={"a-stuck": gate})
    with Bench(threads=3, config=BatchConfig(max_rows=10), writer=writer) as bench:
        bench.append(logs(5, service="a-stuck"))
        bench.append(logs(5, service="b"))
        bench.append(logs(10, service="c"))
        wait_for(lambda: writer.rows == 15)
        assert bench.waiting == 1
        gate.set()
        bench.stored(20)


def test_the_oldest_batch_is_written_first() -> None:
    """What waits longest is at risk longest."""
    gate = threading.Event()
    writer = Recorder(gates={"first": gate})
    with Bench(threads=1, config=BatchConfig(max_rows=1), writer=writer) as bench:
        bench.append(logs(1, service="first"))
        wait_for(lambda: writer.attempts == ["first"])
        for number in range(8):
            bench.append(logs(1, service=f"z{9 - number}"))
        gate.set()
        files = bench.stored(9)
        expected = ["first", *(f"z{9 - number}" for number in range(8))]
        assert [written.service for written in files] == expected


def test_a_failed_write_is_kept_and_tried_again_with_backoff(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is lost however long storage is down, and it is not hammered."""
    failures = 8
    down = [StorageError("the disk is full")] * failures
    writer = Recorder(fail=lambda _: down.pop() if down else None)
    with Bench(config=BatchConfig(max_rows=5), writer=writer) as bench:
        bench.append(logs(5))
        pause = RETRY_FIRST_SECS
        for attempt in range(1, failures + 1):
            wait_for(lambda: bench.ingest.status().backlog.resting == 1)
            assert len(writer.attempts) == attempt
            assert bench.ingest.status().backlog.last_error == "the disk is full"
            bench.clock.now += pause - 0.01
            bench.ingest.tick()
            assert len(writer.attempts) == attempt
            assert bench.storing.wake_due() == pytest.approx(0.01)
            bench.clock.now += 0.02
            bench.ingest.tick()
            wait_for(lambda: len(writer.attempts) > attempt)  # noqa: B023 - called here only
            pause = min(pause * 2, RETRY_LONGEST_SECS)
        bench.stored(5)
        assert bench.ingest.status().backlog.last_error == ""
        assert bench.budget.used == 0
    told = [vars(r)["fields"] for r in caplog.records if r.levelname == "ERROR"]
    assert [one["attempt"] for one in told] == list(range(1, failures + 1))
    assert {one["error"] for one in told} == {"the disk is full"}


def test_only_the_failed_file_is_written_again() -> None:
    """Files of the same batch that are stored are not touched by a retry."""
    broken = threading.Event()
    broken.set()
    writer = Recorder(
        fail=lambda w: OSError("no") if w.service == "b" and broken.is_set() else None
    )
    with Bench(config=BatchConfig(max_rows=3), writer=writer) as bench:
        request = logs(1, "a") + logs(1, "b") + logs(1, "c")  # joined messages are one message
        bench.append(request)
        wait_for(lambda: bench.ingest.status().backlog.resting == 1 and writer.rows == 2)
        broken.clear()
        bench.clock.now += 1
        bench.ingest.tick()
        bench.stored(3)
        assert sorted(writer.attempts, key=str) == ["a", "b", "b", "c"]


def test_an_unforeseen_error_is_retried_too(caplog: pytest.LogCaptureFixture) -> None:
    """Rows outlive a defect in a writer, and its traceback is in the log."""
    errors: list[Exception] = [ZeroDivisionError("defect")]
    writer = Recorder(fail=lambda _: errors.pop() if errors else None)
    with Bench(config=BatchConfig(max_rows=1), writer=writer) as bench:
        bench.append(logs())
        wait_for(lambda: bench.ingest.status().backlog.resting == 1)
        bench.clock.now += 1
        bench.ingest.tick()
        bench.stored(1)
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("rows", [5, 4])
def test_a_file_left_by_an_earlier_attempt_counts_if_it_matches(rows: int) -> None:
    """An attempt may fail after the file is complete: then, and only then, it is stored."""
    lost = [StorageError("the answer was lost")]
    writer = Recorder(fail_after=lambda _: lost.pop() if lost else None)
    with Bench(config=BatchConfig(max_rows=5), writer=writer) as bench:
        bench.append(logs(5))
        wait_for(lambda: bench.ingest.status().backlog.resting == 1)
        (left,) = writer.files
        left.rows = rows
        bench.tick(1)
        wait_for(lambda: not bench.waiting)
        paths = [(written.file.part, written.rows) for written in writer.files]
        assert paths == ([(0, 5)] if rows == 5 else [(0, 4), (1, 5)])
        assert bench.storing.counts.names_taken == (rows != 5)


def test_a_fresh_batch_takes_no_file_for_its_own() -> None:
    """Whosever it is: what has the name before the first attempt is left alone, and not counted.

    The rows get a name beside it, at once.
    """
    batch_id = new_batch_id()
    writer = Recorder()
    with Bench(writer=writer, new_id=lambda: batch_id) as other:
        other.append(logs(3))
        assert other.ingest.drain(PATIENCE_SECS)
    with Bench(config=BatchConfig(max_rows=3), writer=writer, new_id=lambda: batch_id) as bench:
        bench.append(logs(3))
        wait_for(lambda: not bench.waiting)
        assert [written.file.part for written in writer.files] == [0, 1]
        assert bench.storing.counts.names_taken == 1
        assert bench.ingest.status().backlog.last_error == ""


def test_draining_retries_after_the_shortest_pause() -> None:
    """At the end there is no later: whatever rests is tried at once, then once a second."""
    down: list[StorageError] = []
    writer = Recorder(fail=lambda _: down.pop() if down else None)
    with Bench(writer=writer) as bench:
        bench.append(logs(3))
        down[:] = [StorageError("not yet")] * 9
        bench.ingest.relieve()
        for attempt in range(1, 4):
            wait_for(lambda: len(writer.attempts) == attempt)  # noqa: B023 - called here only
            wait_for(lambda: bench.ingest.status().backlog.resting == 1)
            if attempt < 3:
                bench.tick(RETRY_LONGEST_SECS)
        assert bench.storing.wake_due() == pytest.approx(4 * RETRY_FIRST_SECS)
        drained: list[bool] = []
        thread = threading.Thread(target=lambda: drained.append(bench.ingest.drain(PATIENCE_SECS)))
        thread.start()
        for attempt in range(4, 10):
            wait_for(lambda: len(writer.attempts) == attempt)  # noqa: B023 - as above
            wait_for(lambda: bench.ingest.status().backlog.resting == 1)
            assert bench.storing.wake_due() == pytest.approx(RETRY_FIRST_SECS)
            bench.tick(RETRY_FIRST_SECS)
        thread.join()
        assert drained == [True]
        bench.stored(3)


def test_draining_gives_up_in_time() -> None:
    """Storage that stays down cannot hold the shutdown for ever, and it is said."""
    writer = Recorder(fail=lambda _: StorageError("down"))
    with Bench(writer=writer) as bench:
        bench.append(logs())
        assert not bench.ingest.drain(0.05)
        assert bench.waiting == 1


def test_each_batch_has_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """Rows, files, bytes, age and duration of the write: what an operator reads off a server."""
    caplog.set_level("INFO", storing.__name__)
    with Bench() as bench:
        bench.append(logs(3, service="a"))
        bench.append(logs(4, service="b"))
        bench.clock.now += 2.5
        bench.ingest.tick()
        files = bench.stored(7)
    wait_for(lambda: bool(lines(caplog)))
    (line,) = lines(caplog)
    assert line == {
        "batch": files[0].batch_id,
        "rows": 7,
        "files": 2,
        "bytes": 200,
        "age_secs": 2.5,
        "write_secs": 0.0,
        "closed_by": "age",
    }
