"""Requests come in: what closes a batch, what is refused, and what memory is held."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.batches import ingest, storing
from otlp2parquet.batches.batch import OpenBatch
from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.errors import DecodeError, StorageError
from otlp2parquet.writers import ParquetWriter
from tests.support.batches_bench import HOUR, NOW, Bench, append_logs, lines, logs, shards_of
from tests.support.doubles import Recorder
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otlp2parquet.batches.shard import Shard


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Batches with the default limits."""
    with Bench() as made:
        yield made


def test_one_file_for_each_table_service_and_hour(bench: Bench) -> None:
    """Many requests, one batch: as many files as there are groups, not requests."""
    for number in range(30):
        bench.append(logs(2, service=f"s{number % 3}", when=NOW + number % 2 * HOUR))
    assert bench.ingest.drain(PATIENCE_SECS)
    files = bench.stored(60)
    assert len(files) == 6
    assert {written.rows for written in files} == {10}
    assert len({(written.service, written.file.hour) for written in files}) == 6
    assert len({written.batch_id for written in files}) == 1


def test_one_file_also_from_all_shards() -> None:
    """The shards' rows of one key go to the writer together, whatever the number of cores."""
    with Bench(shards=4) as bench:
        bench.append(logs(1))
        shards = shards_of(bench.ingest)
        for held in range(4):
            for shard in shards[:held]:
                shard.lock.acquire()
            bench.append(logs(10))
            for shard in shards[:held]:
                shard.lock.release()
        assert [shard.rows for shard in shards] == [11, 10, 10, 10]
        bench.ingest.drain(PATIENCE_SECS)
        (written,) = bench.stored(41)
        assert written.pieces == 4


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


def test_a_full_builder_is_not_the_next_senders_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """However large ``batch.max_bytes`` is: what no builder takes any more opens a new batch."""
    monkeypatch.setattr(ingest, "SHARD_MAX_BYTES", 900)
    with Bench(config=BatchConfig(max_bytes=1 << 40)) as bench:
        for _ in range(3):
            bench.append(logs(10))
        files = bench.stored(20)
        assert [written.rows for written in files] == [10, 10]
        assert bench.ingest.status().open_rows == 10


def test_too_many_groups_close_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of service names costs files, never memory."""
    monkeypatch.setattr(ingest, "MAX_GROUPS", 5)
    with Bench() as bench:
        for number in range(12):
            bench.append(logs(1, service=f"s{number}"))
        files = bench.stored(10)
        assert len({written.batch_id for written in files}) == 2
        assert bench.ingest.status().open_rows == 2


def test_the_first_batch_closes_after_2_seconds_the_next_after_its_age(bench: Bench) -> None:
    """A newcomer sees files at once; from then on the configured age holds."""
    bench.append(logs())
    bench.clock.now += 1.9
    bench.ingest.tick()
    assert bench.ingest.status().open_rows == 1
    bench.clock.now += 0.1
    bench.ingest.tick()
    bench.stored(1)

    bench.append(logs())
    bench.clock.now += 59.9
    bench.ingest.tick()
    assert bench.ingest.status().open_rows == 1
    bench.clock.now += 0.1
    bench.ingest.tick()
    bench.stored(2)


def test_a_shorter_age_than_2_seconds_holds_for_the_first_batch_too() -> None:
    """The two seconds are an upper bound."""
    with Bench(config=BatchConfig(max_age_secs=0.5)) as bench:
        bench.append(logs())
        bench.clock.now += 0.5
        bench.ingest.tick()
        bench.stored(1)


def test_age_counts_from_the_first_row(bench: Bench) -> None:
    """Requests without rows neither close a batch nor make a file."""
    bench.append(b"")
    bench.clock.now += 1000
    bench.ingest.tick()
    bench.append(logs())
    bench.ingest.tick()
    assert bench.ingest.status().open_rows == 1
    bench.clock.now += 2
    bench.ingest.tick()
    bench.stored(1)


def test_draining_without_rows_makes_no_file(bench: Bench) -> None:
    """Starting and stopping leaves nothing behind."""
    bench.append(b"")
    assert bench.ingest.drain(PATIENCE_SECS)
    assert bench.writer.attempts == []


def test_a_drain_whose_time_is_over_while_rows_are_appended_has_not_stored_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request that is a batch of its own is nobody's yet: who asks must not be told otherwise."""
    begun, go_on = threading.Event(), threading.Event()
    append = OpenBatch.append

    def slowly(*args: Any, **names: Any) -> Any:
        begun.set()
        assert go_on.wait(PATIENCE_SECS)
        return append(*args, **names)

    monkeypatch.setattr(OpenBatch, "append", slowly)
    with Bench(config=BatchConfig(enabled=False)) as bench:
        thread = threading.Thread(target=bench.append, args=(logs(),))
        thread.start()
        assert begun.wait(PATIENCE_SECS)
        assert not bench.ingest.drain(0)
        go_on.set()
        thread.join()


def test_a_drain_sees_the_batch_that_another_thread_is_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not the open one any more, and not submitted yet: its rows would be lost."""
    submit = Storing.submit
    with Bench() as bench:
        stored: list[tuple[bool, int]] = []

        def drain() -> None:
            stored.append((bench.ingest.drain(PATIENCE_SECS), bench.writer.rows))

        stopping = threading.Thread(target=drain)

        def submitting(*args: Any) -> None:
            stopping.start()
            stopping.join(0.2)  # as long as it takes to find nothing to do
            submit(*args)

        bench.append(logs(3))
        monkeypatch.setattr(Storing, "submit", submitting)
        bench.tick(60)
        stopping.join()
        assert stored == [(True, 3)]


def test_short_memory_closes_the_open_batch_also_while_others_rest() -> None:
    """What rests gives nothing back until its storage is well: the open batch can be let go."""
    with Bench() as bench:
        bench.writer.fail = lambda _: StorageError("down")
        bench.append(logs(3))
        bench.clock.now += 2
        bench.ingest.tick()
        wait_for(lambda: bench.ingest.status().backlog.resting == 1)
        bench.append(logs(3))
        bench.ingest.relieve()
        assert bench.ingest.status().open_rows == 0
        bench.writer.fail = lambda _: None


def test_nothing_is_taken_after_draining_has_begun(bench: Bench) -> None:
    """A row that would come too late to be stored is refused, not acknowledged."""
    assert bench.ingest.drain(PATIENCE_SECS)
    with pytest.raises(StorageError, match="stopping"):
        bench.append(logs())
    with Bench(config=BatchConfig(enabled=False)) as alone:
        assert alone.ingest.drain(PATIENCE_SECS)
        with pytest.raises(StorageError, match="stopping"):
            alone.append(logs())
        assert alone.budget.used == 0
        assert alone.waiting == 0


def test_a_request_that_fails_leaves_the_batch_as_it_was(bench: Bench) -> None:
    """Rows around a broken request are kept, its own are not, and its memory is free again."""
    bench.append(logs(3))
    used = bench.budget.used
    with pytest.raises(DecodeError):
        bench.append(logs(5) + b"\xff")
    # Room that had been made for more rows may go as well.
    assert 0 < bench.budget.used <= used
    bench.append(logs(4))
    bench.ingest.drain(PATIENCE_SECS)
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
        assert bench.ingest.status().open_rows == 9
        assert writer.rows == 0
        gate.set()
        bench.ingest.drain(PATIENCE_SECS)
        bench.stored(19)


def test_memory_is_budgeted_from_append_to_stored() -> None:
    """What builders and waiting batches hold is counted; what is stored is given back."""
    with Bench() as bench:
        bench.append(logs(10, service="fast"))
        bench.append(logs(10, service="slow"))
        both = bench.budget.used
        assert both > 20 * 50
    gate = threading.Event()
    writer = Recorder(gates={"slow": gate})
    with Bench(config=BatchConfig(max_rows=20), writer=writer) as bench:
        bench.append(logs(10, service="fast"))
        bench.append(logs(10, service="slow"))
        wait_for(lambda: writer.rows == 10)
        # One of two equal files is stored: about half is still held.
        wait_for(lambda: bench.budget.used < 0.6 * both)
        assert bench.budget.used > 0.4 * both
        gate.set()
        bench.stored(20)
        assert bench.budget.used == 0


def test_a_budget_filled_by_the_open_batch_is_relieved() -> None:
    """Memory that only the open batch holds is freed by closing it early, once."""
    with Bench() as bench:
        bench.append(logs(10))
        bench.ingest.relieve()
        bench.stored(10)
        bench.ingest.relieve()  # nothing to close
    gate = threading.Event()
    with Bench(writer=Recorder(gates={"slow": gate})) as bench:
        bench.append(logs(1, service="slow"))
        bench.ingest.relieve()
        bench.append(logs(1))
        bench.ingest.relieve()  # one is being stored already: no small files on top of it
        assert bench.ingest.status().open_rows == 1


def test_a_thread_that_must_not_wait_gets_none_when_all_shards_are_busy() -> None:
    """The event loop never stands behind another thread's decode."""
    with Bench(shards=2) as bench:
        bench.append(logs())
        first, second = shards_of(bench.ingest)
        with first.lock, second.lock:
            assert bench.append(logs(), wait=False) is None
        assert bench.append(logs(), wait=False) is not None
        bench.ingest.drain(PATIENCE_SECS)
        bench.stored(2)


def test_a_request_that_meets_a_sealed_batch_goes_into_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between choosing a batch and getting its lock the batch may be written: no row follows it."""
    bench.append(logs(1))
    real = OpenBatch.claim

    def late(self: OpenBatch, *, wait: bool) -> Shard | None:
        monkeypatch.undo()
        bench.ingest.relieve()
        bench.stored(1)
        return real(self, wait=wait)

    monkeypatch.setattr(OpenBatch, "claim", late)
    bench.append(logs(2))
    assert bench.ingest.status().open_rows == 2
    assert bench.ingest.drain(PATIENCE_SECS)
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
        assert bench.ingest.drain(PATIENCE_SECS)
        files = bench.stored(6 * 60 * 3)
        keys = [(written.batch_id, written.service, written.file.hour) for written in files]
        assert len(keys) == len(set(keys))
        assert bench.budget.used == 0


def test_with_the_real_writer_rows_are_in_files_named_by_the_batch(tmp_path: Path) -> None:
    """Batches and ``ParquetWriter`` agree: the file of a key is found under the batch's id."""
    budget = Budget(1 << 30)
    store = Storing(ParquetWriter(tmp_path))
    store.start(2)
    made = Ingest(BatchConfig(), store, budget, shards=2, max_payload_bytes=1 << 20)
    for service in ("a", "b"):
        append_logs(made, logs(5, service=service))
    assert made.drain(PATIENCE_SECS)
    files = sorted(tmp_path.rglob("*.parquet"))
    assert [file.relative_to(tmp_path).parts[1] for file in files] == [
        "service=a",
        "service=b",
    ]
    (name,) = {file.name for file in files}
    assert uuid.UUID(name.removesuffix(".parquet")).version == 7


def test_batches_that_wait_for_a_storage_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small they are: each takes some memory, and a file of the log."""
    monkeypatch.setattr(ingest, "MAX_WAITING_BATCHES", 3)
    writer = Recorder(fail=lambda _: StorageError("down"))
    with Bench(config=BatchConfig(enabled=False), writer=writer) as bench:
        for _ in range(3):
            assert bench.ingest.refusal() is None
            bench.append(logs())
        assert bench.ingest.refusal() == "3 batches wait for the storage"
        writer.fail = lambda _: None
        bench.wait_with_ticks(lambda: not bench.waiting, 40)
        assert bench.ingest.refusal() is None
        bench.stored(3)
