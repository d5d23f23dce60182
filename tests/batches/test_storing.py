"""Storing: order, retries, names that are taken, and what never stops it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.batches import ingest, storing
from otlp2parquet.batches.batch import ClosedBatch
from otlp2parquet.batches.log.none import NoLog
from otlp2parquet.batches.log.segment import Segment
from otlp2parquet.batches.states import FileState, StoringBatch
from otlp2parquet.batches.storing import RETRY_FIRST_SECS, RETRY_LONGEST_SECS, Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.core.files import plan_files
from otlp2parquet.errors import StorageError, StorageRefusedError
from tests.support.batches_bench import Bench, lines, logs
from tests.support.doubles import Recorder
from tests.support.node import Answer, Node, one
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otlp2parquet.core.files import PlannedFile
    from otlp2parquet.writers import StoredFile


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
    assert sorted(one["attempt"] for one in told) == list(range(1, failures + 1))
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


def test_planned_files_are_bounded_while_the_storage_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request can name thousands of services: what is known of their files takes memory, too."""
    monkeypatch.setattr(ingest, "MAX_WAITING_FILES", 5)
    down = [StorageError("down")] * 3
    writer = Recorder(fail=lambda _: down.pop() if down else None)
    with Bench(config=BatchConfig(max_rows=3), writer=writer) as bench:
        bench.append(logs(1, "a") + logs(1, "b") + logs(1, "c"))
        wait_for(lambda: bench.ingest.status().backlog.resting == 1)
        assert bench.ingest.refusal() is None
        down.append(StorageError("down"))
        bench.append(logs(1, "a") + logs(1, "b") + logs(1, "c"))
        wait_for(lambda: bench.storing.planned_files == 6)
        assert bench.ingest.refusal() == "batches of 6 files wait for the storage"
        bench.wait_with_ticks(lambda: not bench.waiting, RETRY_LONGEST_SECS)
        assert bench.ingest.refusal() is None
        assert bench.storing.planned_files == 0


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


def test_draining_waits_for_no_probe_where_only_memory_has_the_rows() -> None:
    """One file that hangs says nothing of the others, and they have no other time."""
    down, gate = {"a", "b", "c"}, threading.Event()
    writer = Recorder(fail=lambda w: StorageError("down") if w.service in down else None)
    with Bench(threads=3, config=BatchConfig(max_rows=1), writer=writer) as bench:
        for number, service in enumerate("abc"):
            bench.append(logs(1, service))
            wait_for(lambda: bench.ingest.status().backlog.resting == number + 1)  # noqa: B023 - called here only
        writer.gates["a"] = gate
        bench.tick(1.5 * RETRY_FIRST_SECS)
        wait_for(lambda: writer.attempts == ["a", "b", "c", "a"])
        down.clear()
        assert not bench.ingest.drain(0.5)
        assert sorted(str(written.service) for written in writer.files) == ["b", "c"]
        gate.set()
        bench.stored(3)


def test_many_files_of_one_attempt_are_one_failure() -> None:
    """Or a batch of a dozen files would rest for half a minute after the first trouble."""
    writer = Recorder(fail=lambda _: StorageError("down"))
    with Bench(config=BatchConfig(max_rows=12), writer=writer) as bench:
        bench.append(b"".join(logs(1, f"s{number}") for number in range(12)))
        for attempt in range(3):
            count = 12 * (attempt + 1)
            wait_for(lambda: len(writer.attempts) == count)  # noqa: B023 - called here only
            wait_for(lambda: bench.ingest.status().backlog.resting == 1)
            pause = RETRY_FIRST_SECS * 2**attempt
            assert bench.storing.wake_due() == pytest.approx(pause)
            bench.tick(pause)


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
        "tables": "otel_logs",
        "path": files[0].path,
    }


# -- one batch, several files ----------------------------------------------------------------


def test_groups_that_share_a_path_share_a_file() -> None:
    """A record without a service and one of a service called as its folder: both are there."""
    with Bench(config=BatchConfig(max_rows=2)) as bench:
        bench.append(logs(1, None) + logs(1, "unknown-service"))
        (written,) = bench.stored(2)
        assert written.file.services == {None: 1, "unknown-service": 1}
        assert list(written.file.services) == [None, "unknown-service"]


def test_paths_that_differ_in_case_alone_get_names_of_their_own() -> None:
    """Where the file system folds case, neither is taken for a retry of the other."""
    with Bench(config=BatchConfig(max_rows=3)) as bench:
        bench.append(logs(1, "Foo") + logs(1, "foo") + logs(1, "FOO"))
        files = bench.stored(3)
        folded = {written.path.lower() for written in files}
        assert len(folded) == 3


def test_one_reader_and_no_file_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File a fails, b hangs and fails later, and memory is short because another is read back.

    The batch is read by one thread at a time, and done only when both of its files are stored.
    """
    reading: list[str] = []
    most: list[int] = []
    real = ClosedBatch.read

    def read(self: ClosedBatch) -> object:
        reading.append(self.id)
        most.append(reading.count(self.id))
        try:
            return real(self)
        finally:
            reading.remove(self.id)

    monkeypatch.setattr(ClosedBatch, "read", read)
    with Node(tmp_path, replays=False) as node:
        node.keep(one("y"))
    writer = Recorder(
        fail=lambda w: StorageError("down") if w.service in ("sa", "sb") else None,
        gates={"sb": threading.Event(), "sy": threading.Event()},
    )
    config = BatchConfig(max_rows=2)
    with Node(tmp_path, writer=writer, memory_bytes=1, threads=4, config=config) as node:
        wait_for(lambda: writer.attempts == ["sy"])
        node.keep(one("a") + one("b"))
        wait_for(
            lambda: (
                node.backlog.resting == 1 and sorted(writer.attempts, key=str)[:2] == ["sa", "sb"]
            )
        )
        for _ in range(3):
            node.tick(RETRY_LONGEST_SECS * 2)
        assert writer.attempts.count("sa") == 1  # there is no room to read it again
        writer.gates["sb"].set()
        wait_for(lambda: node.counts.storage_failures == 2)
        for _ in range(3):
            node.tick(RETRY_LONGEST_SECS * 2)
        writer.fail = lambda _: None
        writer.gates["sy"].set()
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert sorted(str(written.service) for written in writer.files) == ["sa", "sb", "sy"]
        assert node.counts.batches_stored == 2
        assert node.segments == []
        assert node.budget.used == 0
    assert set(most) == {1}


def test_two_names_that_are_taken_at_once() -> None:
    """Each file of a batch is moved aside, and found again under its new name by a retry."""
    batch_id = new_batch_id()
    writer = Recorder()
    with Bench(writer=writer, new_id=lambda: batch_id, threads=3) as other:
        other.append(logs(1, "a") + logs(1, "b"))
        assert other.ingest.drain(PATIENCE_SECS)
    meet = threading.Barrier(2)
    down: list[Exception] = []

    class Meeting(Recorder):
        """Lets two threads into ``fail`` at once."""

        def store(self, file: Any, *args: Any, **named: Any) -> StoredFile:
            if file.part == 0:
                meet.wait(PATIENCE_SECS)
            return super().store(file, *args, **named)

    down[:] = [StorageError("down")] * 2
    meeting = Meeting(
        files=writer.files, fail=lambda w: down.pop() if down and w.file.part else None
    )
    config = BatchConfig(max_rows=2)
    with Bench(writer=meeting, new_id=lambda: batch_id, threads=3, config=config) as bench:
        bench.append(logs(1, "a") + logs(1, "b"))
        wait_for(lambda: not down)
        wait_for(lambda: bench.ingest.status().backlog.resting == 1)
        bench.wait_with_ticks(lambda: not bench.waiting, 1)
        names = sorted((str(written.service), written.file.part) for written in meeting.files)
        assert names == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
        assert bench.storing.counts.names_taken == 2


# -- what comes between the last file and the end of the log ---------------------------------


class Noting:
    """A finisher that notes what it is given, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.root: object = None
        self.calls: list[tuple[str, list[tuple[str, int, bool]]]] = []
        self.segments: Callable[[], Sequence[object]] = list

    def finish(
        self, batch_id: str, root: str, files: Sequence[tuple[PlannedFile, StoredFile]]
    ) -> None:
        """As ``Finisher.finish``."""
        assert root == str(self.root)
        assert all(planned.name(batch_id) == stored.path for planned, stored in files)
        found = sorted((stored.path, stored.rows, stored.was_there) for _, stored in files)
        self.calls.append((batch_id, found))
        assert len(self.segments()) == 1, "the log is needed until this is done"
        if self.failures:
            self.failures -= 1
            raise StorageError("the catalog is down")


def test_finishers_run_between_the_last_file_and_the_end_of_the_log(tmp_path: Path) -> None:
    """Each after the one before it, again after a failure, and with every receipt each time."""
    first, second, writer = Noting(), Noting(failures=2), Recorder()
    config = BatchConfig(max_rows=3)
    with Node(tmp_path, writer=writer, finishers=[first, second], config=config) as node:
        first.segments = second.segments = lambda: node.segments
        first.root = second.root = writer.root
        node.keep(one("a") + one("b") + one("b"))
        wait_for(lambda: node.backlog.resting == 1)
        assert node.backlog.last_error == "the catalog is down"
        assert (len(first.calls), len(second.calls)) == (1, 1)
        assert len(node.segments) == 1
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert (len(first.calls), len(second.calls)) == (3, 3)
        assert [call[1] for call in first.calls] == [call[1] for call in second.calls]
        (seen,) = {(batch, tuple(files)) for batch, files in first.calls}
        assert [(rows, was_there) for _, rows, was_there in seen[1]] == [(1, False), (2, False)]
        assert node.segments == []
        assert node.counts.batches_stored == 1
        assert sorted(writer.attempts, key=str) == ["sa", "sb"]


@pytest.mark.parametrize("noted", [True, False])
def test_finishers_of_a_replay_are_given_files_that_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, noted: bool
) -> None:
    """Noted by an earlier process, or found: a receipt is what a catalog needs of each."""
    writer = Recorder()
    never = Noting(failures=10**6)
    config = BatchConfig(max_rows=2)
    with Node(tmp_path, writer=writer, finishers=[never], config=config) as node:
        never.segments, never.root = lambda: node.segments, writer.root
        if not noted:
            monkeypatch.setattr(Segment, "note", lambda _segment, _receipt: None)
        node.keep(one("a") + one("b"))
        wait_for(lambda: node.backlog.resting == 1)
    again = Noting()
    with Node(tmp_path, writer=writer, finishers=[again]) as node:
        again.segments, again.root = lambda: node.segments, writer.root
        node.settle()
    ((_, files),) = again.calls
    assert [(rows, was_there) for _, rows, was_there in files] == [(1, not noted)] * 2
    assert len(writer.files) == 2


# -- the mode stored: whoever waits is refused, and nothing stays ----------------------------


def test_what_is_refused_leaves_no_file_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Two services, one of which cannot be stored: five refusals, and no row of the other stays.

    The reason is the operator's: its path names a service that another client may have sent.
    """
    reason = "cannot write /data/logs/service=bad: permission denied"
    refused = StorageRefusedError(reason)
    writer = Recorder(fail=lambda w: refused if w.service == "bad" else None)
    log = NoLog(until_stored=True)
    with Bench(writer=writer, log=log, threads=3) as bench:
        for _ in range(5):
            answer = Answer()
            bench.append(logs(1, "good") + logs(1, "bad"), acknowledge=answer)
            assert not answer.is_kept
            assert str(answer.error) == "the storage failed, send it again"
            wait_for(lambda: not bench.waiting)
            assert writer.files == []
        assert bench.budget.used == 0
        assert bench.storing.is_idle
        answer = Answer()
        bench.append(logs(1, "good"), acknowledge=answer)
        assert answer.is_kept
        assert writer.rows == 1
    told = [vars(r)["fields"]["error"] for r in caplog.records if r.levelname == "ERROR"]
    assert set(told) == {reason}


def test_a_storage_for_which_requests_are_refused_is_shown() -> None:
    """Nothing waits then: the trouble is shown until a batch is stored again."""
    down = [StorageRefusedError("permission denied")]
    writer = Recorder(fail=lambda _: down.pop() if down else None)
    with Bench(writer=writer, log=NoLog(until_stored=True)) as bench:
        for error in ("permission denied", ""):
            answer = Answer()
            bench.append(logs(1), acknowledge=answer)
            assert answer.is_kept == (not error)
            wait_for(lambda: not bench.waiting)
            backlog = bench.ingest.status().backlog
            assert (backlog.resting, backlog.last_error) == (0, error)


def test_what_cannot_be_taken_back_yet_is_tried_again() -> None:
    """The refusal is told at once; the file goes as soon as the storage lets it."""
    down = [StorageError("down")] * 3
    writer = Recorder(
        fail_after=lambda _: StorageError("the answer was lost"),
        fail_back=lambda _: down.pop() if down else None,
    )
    with Bench(writer=writer, log=NoLog(until_stored=True)) as bench:
        answer = Answer()
        bench.append(logs(1), acknowledge=answer)
        assert not answer.is_kept
        wait_for(lambda: bench.ingest.status().backlog.resting == 1)
        assert len(writer.files) == 1
        bench.wait_with_ticks(lambda: not bench.waiting, RETRY_LONGEST_SECS)
        assert writer.files == []
        assert bench.budget.used == 0


@pytest.mark.parametrize("place", ["plan_files", "StoringBatch.move"])
def test_a_batch_that_cannot_be_planned_gives_its_memory_back(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It is refused before its rows have left the builders: they are not held for ever."""
    errors = [MemoryError()]
    module = {"plan_files": "planning", "StoringBatch.move": "storing"}[place]
    originals: dict[str, Callable[..., object]] = {
        "plan_files": plan_files,
        "StoringBatch.move": StoringBatch.move,
    }

    def failing(*arguments: object, **keywords: object) -> object:
        is_meant = place == "plan_files" or FileState.WAITING in arguments
        if is_meant and errors:
            raise errors.pop()
        return originals[place](*arguments, **keywords)

    monkeypatch.setattr(f"otlp2parquet.batches.{module}.{place}", failing)
    with Bench(log=NoLog(until_stored=True)) as bench:
        answer = Answer()
        bench.append(logs(10, "a") + logs(10, "b"), acknowledge=answer)
        assert not answer.is_kept
        wait_for(lambda: not bench.waiting)
        assert not errors
        assert bench.budget.used == 0


def test_a_file_that_fails_before_the_reader_is_done_gives_its_memory_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who reads the batch again finds its rows in one place, not in the builders as well."""
    give = Storing._give  # noqa: SLF001 - where the rows go from the builders to the files

    def giving(storing: Storing, *args: Any) -> None:
        give(storing, *args)
        if bench.writer.attempts == []:
            assert storing.run_one(wait=False)  # another thread writes, and fails
            bench.tick(RETRY_LONGEST_SECS)
            assert storing.run_one(wait=False)  # and reads

    with Bench(threads=0) as bench:
        errors = [StorageError("down")]
        bench.writer.fail = lambda _: errors.pop() if errors else None
        monkeypatch.setattr(Storing, "_give", giving)
        bench.append(logs(10))
        bench.tick(60)
        while bench.storing.run_one(wait=False):
            pass
        assert bench.writer.rows == 10
        assert bench.budget.used == 0


def test_rows_leave_memory_while_the_storage_hangs(tmp_path: Path) -> None:
    """They are in the log: what comes in does not wait in memory for threads that hang."""
    gate, errors = threading.Event(), [StorageError("down")]
    writer = Recorder(fail=lambda _: errors.pop() if errors else None)
    config = BatchConfig(max_rows=10)
    with Node(tmp_path, writer=writer, threads=2, most_threads=1, config=config) as node:
        node.keep(logs(10, "first"))
        wait_for(lambda: node.backlog.resting == 1)
        writer.gates["first"] = gate
        node.tick(RETRY_LONGEST_SECS)
        wait_for(lambda: len(writer.attempts) == 2)
        held = node.budget.used
        for number in range(5):
            node.keep(logs(10, f"s{number}"))
        wait_for(lambda: node.backlog.resting == 5)
        assert node.budget.used == held
        gate.set()
        node.settle()
        assert node.budget.used == 0
        assert writer.rows == 60


# -- nothing ends a thread -------------------------------------------------------------------


class Odd(Exception):  # noqa: N818 - it has no message, and nobody expects it
    """An error that nobody foresaw."""


ODD = (Odd(), StopIteration(), AssertionError(), MemoryError(), RecursionError(), OSError(5))


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("mode", ["memory", "stored", "fsync"])
def test_no_exception_ends_a_thread(tmp_path: Path, mode: str, error: Exception) -> None:
    """Whatever a writer, a finisher or who waits for the end raises: it goes on, to the end."""
    errors = [error] * 4
    writer = Recorder(
        fail=lambda _: errors.pop() if errors else None,
        fail_back=lambda _: errors.pop() if errors else None,
    )

    class Failing:
        def __init__(self) -> None:
            self.errors = [error]

        def finish(
            self, _batch_id: str, _root: str, _files: Sequence[tuple[PlannedFile, StoredFile]]
        ) -> None:
            if self.errors:
                raise self.errors.pop()

    config = BatchConfig(max_rows=1)
    failing = Failing()
    with Node(
        tmp_path, writer=writer, finishers=[failing], config=config, mode=mode, threads=0
    ) as node:
        answers = [node.append(one(number))[1] for number in range(3)]
        turns = 0
        while node.backlog.batches or errors or failing.errors:
            while node.storing.run_one(wait=False):
                turns += 1
            node.tick(RETRY_LONGEST_SECS * 2)
            if mode == "stored" and not node.backlog.batches and (errors or failing.errors):
                answers.append(node.append(one("again"))[1])
            assert turns < 1000
        kept = [answer.is_kept for answer in answers]
        assert writer.rows == sum(kept)
        assert all(kept) == (mode != "stored")
        assert node.budget.used == 0
        assert node.segments == []


def test_a_failed_finisher_takes_nothing_back(tmp_path: Path) -> None:
    """Where requests wait for the storage, too: what is finished may be in a catalog already."""
    writer = Recorder()
    failing = Noting(failures=1)
    failing.segments = lambda: [1]
    config = BatchConfig(max_rows=1)
    with Node(
        tmp_path, writer=writer, finishers=[failing], config=config, mode="stored", threads=0
    ) as node:
        failing.root = writer.root
        answer = node.append(one("a"))[1]
        while node.storing.run_one(wait=False):
            pass
        assert node.backlog.resting == 1
        assert writer.rows == 1
        node.tick(RETRY_LONGEST_SECS * 2)
        while node.storing.run_one(wait=False):
            pass
        assert answer.is_kept
        assert writer.rows == 1


def test_who_waits_for_the_end_cannot_undo_it() -> None:
    """An error of the call behind the last step changes nothing: the batch is done, once."""
    with Bench(threads=0) as bench:
        bench.append(logs(3))
        bench.ingest.relieve()
        while bench.storing.run_one(wait=False):
            pass
        bench.append(logs(2))
        batch = bench.ingest._open  # noqa: SLF001 - to submit it with a call of our own
        assert batch is not None

        def broken() -> None:
            raise Odd

        bench.storing.submit(batch.close("age", 0.0), broken)
        while bench.storing.run_one(wait=False):
            pass
        assert bench.waiting == 0
        assert bench.ingest.status().backlog.resting == 0
        assert bench.storing.counts.batches_stored == 2
        assert bench.budget.used == 0
