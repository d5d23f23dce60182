"""Batches in memory: what closes them, what becomes of their files, and what memory they hold."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batches import ingestion, storing
from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.identity import new_batch_id
from otlp2parquet.batches.ingestion import Batches
from otlp2parquet.batches.open_batch import OpenBatch
from otlp2parquet.batches.storing import RETRY_FIRST_SECS, RETRY_LONGEST_SECS, Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.errors import DecodeError, StorageError
from otlp2parquet.writers import FoundFile, NameTakenError, ParquetWriter
from tests.support.batches_bench import HOUR, NOW, Bench, logs
from tests.support.doubles import Recorder, Written
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otlp2parquet.batches.replay import Shard


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Batches with the default limits."""
    with Bench() as made:
        yield made


def test_one_file_for_each_table_service_and_hour(bench: Bench) -> None:
    """Many requests, one batch: as many files as there are groups, not requests."""
    for number in range(30):
        bench.append(logs(2, service=f"s{number % 3}", when=NOW + number % 2 * HOUR))
    assert bench.batches.drain(PATIENCE_SECS)
    files = bench.stored(60)
    assert len(files) == 6
    assert {written.rows for written in files} == {10}
    assert len({(written.service, written.hour) for written in files}) == 6
    assert len({written.batch_id for written in files}) == 1


def test_one_file_also_from_all_shards() -> None:
    """The shards' rows of one key go to the writer together, whatever the number of cores."""
    with Bench(shards=4) as bench:
        bench.append(logs(1))
        batch = bench.batches._open  # noqa: SLF001 - to hold a shard as a decoding thread does
        assert batch is not None
        for held in range(4):
            for shard in batch.shards[:held]:
                shard.lock.acquire()
            bench.append(logs(10))
            for shard in batch.shards[:held]:
                shard.lock.release()
        assert [shard.rows for shard in batch.shards] == [11, 10, 10, 10]
        bench.batches.drain(PATIENCE_SECS)
        (written,) = bench.stored(41)
        assert written.pieces == 4


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

    with Bench() as bench:
        drawn: list[str] = []

        def draw() -> str:
            drawn.append(new_batch_id())
            return drawn[-1]

        bench.batches._new_id = draw  # noqa: SLF001 - to see when it is called
        assert drawn == []
        bench.append(logs())
        assert len(drawn) == 1
        bench.append(logs())
        bench.batches.drain(PATIENCE_SECS)
        (written,) = bench.stored(2)
        assert [written.batch_id] == drawn


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (BatchConfig(max_rows=10), "rows"),
        (BatchConfig(max_bytes=900), "bytes"),
        (BatchConfig(enabled=False), "request"),
    ],
)
def test_a_full_batch_closes_and_the_next_opens(
    config: BatchConfig, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At the limit, not with the request after it; what follows goes into a new batch."""
    caplog.set_level("INFO", storing.__name__)
    with Bench(config=config) as bench:
        bench.append(logs(10))
        (first,) = bench.stored(10)
        bench.append(logs(10))
        second = bench.stored(20)[1]
        assert first.batch_id < second.batch_id
        wait_for(lambda: len(lines(caplog)) == 2)
        assert [line["closed_by"] for line in lines(caplog)] == [reason, reason]


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The fields of the log lines about stored batches."""
    return [
        dict(vars(record)["fields"])
        for record in caplog.records
        if record.getMessage() == "batch stored"
    ]


def test_a_full_builder_is_not_the_next_senders_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """However large ``batch.max_bytes`` is: what no builder takes any more opens a new batch."""
    monkeypatch.setattr(ingestion, "SHARD_MAX_BYTES", 900)
    with Bench(config=BatchConfig(max_bytes=1 << 40)) as bench:
        for _ in range(3):
            bench.append(logs(10))
        files = bench.stored(20)
        assert [written.rows for written in files] == [10, 10]
        assert bench.batches.held().open_rows == 10


def test_too_many_groups_close_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of service names costs files, never memory."""
    monkeypatch.setattr(ingestion, "MAX_GROUPS", 5)
    with Bench() as bench:
        for number in range(12):
            bench.append(logs(1, service=f"s{number}"))
        files = bench.stored(10)
        assert len({written.batch_id for written in files}) == 2
        assert bench.batches.held().open_rows == 2


def test_the_first_batch_closes_after_2_seconds_the_next_after_its_age(bench: Bench) -> None:
    """A newcomer sees files at once; from then on the configured age holds."""
    bench.append(logs())
    bench.clock.now += 1.9
    bench.batches.tick()
    assert bench.batches.held().open_rows == 1
    bench.clock.now += 0.1
    bench.batches.tick()
    bench.stored(1)

    bench.append(logs())
    bench.clock.now += 59.9
    bench.batches.tick()
    assert bench.batches.held().open_rows == 1
    bench.clock.now += 0.1
    bench.batches.tick()
    bench.stored(2)


def test_a_shorter_age_than_2_seconds_holds_for_the_first_batch_too() -> None:
    """The two seconds are an upper bound."""
    with Bench(config=BatchConfig(max_age_secs=0.5)) as bench:
        bench.append(logs())
        bench.clock.now += 0.5
        bench.batches.tick()
        bench.stored(1)


def test_age_counts_from_the_first_row(bench: Bench) -> None:
    """Requests without rows neither close a batch nor make a file."""
    bench.append(b"")
    bench.clock.now += 1000
    bench.batches.tick()
    bench.append(logs())
    bench.batches.tick()
    assert bench.batches.held().open_rows == 1
    bench.clock.now += 2
    bench.batches.tick()
    bench.stored(1)


def test_draining_without_rows_makes_no_file(bench: Bench) -> None:
    """Starting and stopping leaves nothing behind."""
    bench.append(b"")
    assert bench.batches.drain(PATIENCE_SECS)
    assert bench.writer.attempts == []


def test_nothing_is_taken_after_draining_has_begun(bench: Bench) -> None:
    """A row that would come too late to be stored is refused, not acknowledged."""
    assert bench.batches.drain(PATIENCE_SECS)
    with pytest.raises(StorageError, match="stopping"):
        bench.append(logs())
    with Bench(config=BatchConfig(enabled=False)) as alone:
        assert alone.batches.drain(PATIENCE_SECS)
        with pytest.raises(StorageError, match="stopping"):
            alone.append(logs())
        assert alone.budget.used == 0
        assert alone.batches.held().closed_batches == 0


def test_a_request_that_fails_leaves_the_batch_as_it_was(bench: Bench) -> None:
    """Rows around a broken request are kept, its own are not, and its memory is free again."""
    bench.append(logs(3))
    used = bench.budget.used
    with pytest.raises(DecodeError):
        bench.append(logs(5) + b"\xff")
    assert bench.budget.used == used
    bench.append(logs(4))
    bench.batches.drain(PATIENCE_SECS)
    bench.stored(7)
    with Bench(config=BatchConfig(enabled=False)) as alone:
        with pytest.raises(DecodeError):
            alone.append(b"\xff")
        assert alone.budget.used == 0


def test_ingestion_goes_on_while_a_batch_is_written() -> None:
    """The next batch takes requests while the writer is held up."""
    gate = threading.Event()
    writer = Recorder(gates={"slow": gate})
    with Bench(config=BatchConfig(max_rows=10), writer=writer) as bench:
        bench.append(logs(10, service="slow"))
        wait_for(lambda: writer.attempts == ["slow"])
        for _ in range(9):
            bench.append(logs(1))
        assert bench.batches.held().open_rows == 9
        assert writer.rows == 0
        gate.set()
        bench.batches.drain(PATIENCE_SECS)
        bench.stored(19)


def test_a_write_that_hangs_does_not_hold_up_the_others() -> None:
    """Later batches, and other files of the same batch, are stored meanwhile."""
    gate = threading.Event()
    writer = Recorder(gates={"a-stuck": gate})
    with Bench(threads=3, config=BatchConfig(max_rows=10), writer=writer) as bench:
        bench.append(logs(5, service="a-stuck"))
        bench.append(logs(5, service="b"))
        bench.append(logs(10, service="c"))
        wait_for(lambda: writer.rows == 15)
        assert bench.batches.held().closed_batches == 1
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
            wait_for(lambda: bench.batches.held().retries == 1)
            assert len(writer.attempts) == attempt
            assert bench.batches.held().last_error == "the disk is full"
            bench.clock.now += pause - 0.01
            bench.batches.tick()
            assert len(writer.attempts) == attempt
            assert bench.storing.release_due() == pytest.approx(0.01)
            bench.clock.now += 0.02
            bench.batches.tick()
            wait_for(lambda: len(writer.attempts) > attempt)  # noqa: B023 - called here only
            pause = min(pause * 2, RETRY_LONGEST_SECS)
        bench.stored(5)
        assert bench.batches.held().last_error == ""
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
        wait_for(lambda: bench.batches.held().retries == 1 and writer.rows == 2)
        broken.clear()
        bench.clock.now += 1
        bench.batches.tick()
        bench.stored(3)
        assert sorted(writer.attempts, key=str) == ["a", "b", "b", "c"]


def test_an_unforeseen_error_is_retried_too(caplog: pytest.LogCaptureFixture) -> None:
    """Rows outlive a defect in a writer, and its traceback is in the log."""
    errors: list[Exception] = [ZeroDivisionError("defect")]
    writer = Recorder(fail=lambda _: errors.pop() if errors else None)
    with Bench(config=BatchConfig(max_rows=1), writer=writer) as bench:
        bench.append(logs())
        wait_for(lambda: bench.batches.held().retries == 1)
        bench.clock.now += 1
        bench.batches.tick()
        bench.stored(1)
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("done", [True, False])
def test_a_file_left_by_an_earlier_attempt_counts_if_it_matches(
    done: bool,  # noqa: FBT001 - a case, not an option
) -> None:
    """An attempt may fail after the file is complete: then, and only then, it is stored."""
    errors: list[Callable[[Written], Exception]] = [
        lambda w: NameTakenError("x", FoundFile(w.table, w.batch_id, w.rows + (not done))),
        lambda _: StorageError("the answer was lost"),
    ]
    writer = Recorder(fail=lambda w: errors.pop()(w) if errors else None)
    with Bench(config=BatchConfig(max_rows=1), writer=writer) as bench:
        bench.append(logs())
        wait_for(lambda: bench.batches.held().retries == 1)
        bench.clock.now += 1
        bench.batches.tick()
        if done:
            wait_for(lambda: not bench.batches.held().closed_batches)
            assert writer.rows == 0
        else:
            wait_for(lambda: len(writer.attempts) == 2 and bench.batches.held().retries == 1)
            bench.clock.now += 2
            bench.batches.tick()
            bench.stored(1)


def test_a_taken_name_at_the_first_attempt_is_an_error() -> None:
    """A fresh batch meets no file of its own: whose it is, it is not taken as done."""
    errors: list[Exception] = []
    writer = Recorder(fail=lambda _: errors.pop() if errors else None)
    with Bench(config=BatchConfig(max_rows=1), writer=writer) as bench:
        bench.batches._new_id = lambda: "0"  # noqa: SLF001 - an id that the file can bear
        errors.append(NameTakenError("x", FoundFile("otel_logs", "0", 1)))
        bench.append(logs())
        wait_for(lambda: bench.batches.held().retries == 1)
        assert bench.batches.held().closed_batches == 1


def test_draining_retries_without_waiting() -> None:
    """At the end there is no later: each tick tries again, and in time it is stored."""
    down = [StorageError("not yet")] * 5
    writer = Recorder(fail=lambda _: down.pop() if down else None)
    with Bench(writer=writer) as bench:
        bench.append(logs(3))
        done = threading.Event()

        def drain() -> None:
            if bench.batches.drain(PATIENCE_SECS):
                done.set()

        thread = threading.Thread(target=drain)
        thread.start()

        def ticked() -> bool:
            bench.batches.tick()
            return done.is_set()

        wait_for(ticked)
        thread.join()
        bench.stored(3)


def test_draining_gives_up_in_time() -> None:
    """Storage that stays down cannot hold the shutdown for ever, and it is said."""
    writer = Recorder(fail=lambda _: StorageError("down"))
    with Bench(writer=writer) as bench:
        bench.append(logs())
        assert not bench.batches.drain(0.05)
        assert bench.batches.held().closed_batches == 1


def test_a_seal_that_fails_half_way_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards emptied before the failure are not forgotten by the next attempt."""
    with Bench(shards=2) as bench:
        bench.append(logs(5))
        batch = bench.batches._open  # noqa: SLF001 - to hold a shard as a decoding thread does
        assert batch is not None
        with batch.shards[0].lock:
            bench.append(logs(7))
        real = batch.shards[1].builder
        broken = [MemoryError("no room"), None]

        class Failing:
            def finish(self, *, dictionaries: bool) -> object:
                error = broken.pop(0)
                if error is not None:
                    raise error
                return real.finish(dictionaries=dictionaries)

        monkeypatch.setattr(batch.shards[1], "builder", Failing())
        assert not bench.batches.drain(0.01)
        wait_for(lambda: bench.batches.held().retries == 1 or not broken)
        bench.batches.tick()
        wait_for(lambda: bench.writer.rows == 12)


def test_memory_is_budgeted_from_append_to_stored() -> None:
    """What builders and waiting batches hold is counted; what is stored is given back."""
    gate = threading.Event()
    writer = Recorder(gates={"slow": gate})
    with Bench(config=BatchConfig(max_rows=20), writer=writer) as bench:
        bench.append(logs(10, service="fast"))
        one = bench.budget.used
        assert one > 10 * 50
        bench.append(logs(10, service="slow"))
        wait_for(lambda: writer.rows == 10)
        # One of two equal files is stored: about half is still held.
        wait_for(lambda: bench.budget.used < 1.2 * one)
        assert bench.budget.used > 0.8 * one
        gate.set()
        bench.stored(20)
        assert bench.budget.used == 0


def test_the_budget_refuses_what_does_not_fit() -> None:
    """Admission stops at the limit; growth that happened is counted beyond it."""
    budget = Budget(100)
    assert budget.try_take(60)
    assert not budget.try_take(41)
    assert budget.try_take(40)
    assert budget.exhausted
    assert not budget.try_take(0)
    budget.take(50)
    assert budget.used == 150
    budget.give(51)
    assert budget.try_take(1)


def test_a_budget_filled_by_the_open_batch_is_relieved() -> None:
    """Memory that only the open batch holds is freed by closing it early, once."""
    with Bench() as bench:
        bench.append(logs(10))
        bench.batches.relieve()
        bench.stored(10)
        bench.batches.relieve()  # nothing to close
    gate = threading.Event()
    with Bench(writer=Recorder(gates={"slow": gate})) as bench:
        bench.append(logs(1, service="slow"))
        bench.batches.relieve()
        bench.append(logs(1))
        bench.batches.relieve()  # one is being stored already: no small files on top of it
        assert bench.batches.held().open_rows == 1


def test_a_thread_that_must_not_wait_gets_none_when_all_shards_are_busy() -> None:
    """The event loop never stands behind another thread's decode."""
    with Bench(shards=2) as bench:
        bench.append(logs())
        batch = bench.batches._open  # noqa: SLF001 - to hold a shard as a decoding thread does
        assert batch is not None
        with batch.shards[0].lock, batch.shards[1].lock:
            assert bench.append(logs(), wait=False) is None
        assert bench.append(logs(), wait=False) is not None
        bench.batches.drain(PATIENCE_SECS)
        bench.stored(2)


def test_a_request_that_meets_a_sealed_batch_goes_into_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between choosing a batch and getting its lock the batch may be written: no row follows it."""
    bench.append(logs(1))
    real = OpenBatch.claim

    def late(self: OpenBatch, *, wait: bool) -> Shard | None:
        monkeypatch.undo()
        bench.batches.relieve()
        bench.stored(1)
        return real(self, wait=wait)

    monkeypatch.setattr(OpenBatch, "claim", late)
    bench.append(logs(2))
    assert bench.batches.held().open_rows == 2
    assert bench.batches.drain(PATIENCE_SECS)
    bench.stored(3)


def test_many_threads_lose_and_double_nothing() -> None:
    """Appends race with closing: every accepted row is in exactly one file's count."""
    with Bench(shards=3, config=BatchConfig(max_rows=50)) as bench:

        def send(number: int) -> None:
            for turn in range(60):
                bench.append(logs(1 + turn % 5, service=f"s{number % 2}"))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bench.batches.drain(PATIENCE_SECS)
        files = bench.stored(6 * 60 * 3)
        keys = [(written.batch_id, written.service, written.hour) for written in files]
        assert len(keys) == len(set(keys))
        assert bench.budget.used == 0


def test_each_batch_has_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """Rows, files, bytes, age and duration of the write: what an operator reads off a server."""
    caplog.set_level("INFO", storing.__name__)
    with Bench() as bench:
        bench.append(logs(3, service="a"))
        bench.append(logs(4, service="b"))
        bench.clock.now += 2.5
        bench.batches.tick()
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


def test_with_the_real_writer_rows_are_in_files_named_by_the_batch(tmp_path: Path) -> None:
    """Batches and ``ParquetWriter`` agree: the file of a key is found under the batch's id."""
    budget = Budget(1 << 30)
    store = Storing(ParquetWriter(tmp_path), threads=2)
    batches = Batches(BatchConfig(), store, budget, shards=2, max_payload_bytes=1 << 20)
    for service in ("a", "b"):
        batches.append(
            logs(5, service=service),
            "logs",
            content_type="application/x-protobuf",
            content_encoding=None,
            received_at=NOW,
        )
    assert batches.drain(PATIENCE_SECS)
    files = sorted(tmp_path.rglob("*.parquet"))
    assert [file.relative_to(tmp_path).parts[1] for file in files] == ["a", "b"]
    (name,) = {file.name for file in files}
    assert uuid.UUID(name.removesuffix(".parquet")).version == 7
