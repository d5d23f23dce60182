"""Replay: what a process has left in the log becomes the same batch again, once."""

from __future__ import annotations

import itertools
import logging
import threading
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.batches import replay
from otlp2parquet.batches.batch import ClosedBatch
from otlp2parquet.batches.log import record as form
from otlp2parquet.batches.log.protocol import SegmentGoneError
from otlp2parquet.batches.log.record import HEADER_BYTES
from otlp2parquet.batches.plan import Plan, pack_plan
from otlp2parquet.batches.request import Request
from otlp2parquet.batches.shard import Shard
from otlp2parquet.config import BatchConfig
from otlp2parquet.core import process_otlp
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.errors import ConfigError, StorageError, StorageRefusedError, TooLargeError
from otlp2parquet.writers import ParquetWriter, StoredFile
from tests.support.batches_bench import HOUR, NOW, logs, shards_of
from tests.support.doubles import Recorder, Written
from tests.support.log_disk import ScriptedDisk
from tests.support.node import Node, one, services
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otlp2parquet.batches.log.disk import Descriptor
    from otlp2parquet.core import Appended

HOUR_OF_NOW = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = "01a217a0-85a5-7ef0-a067-d1b0521fab5c"


def files(folder: Path) -> dict[str, bytes]:
    """Every file of the tables, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


def fill(node: Node) -> None:
    """Requests into both shards, of several services and hours."""
    node.keep(logs(1, "first"))
    shards = shards_of(node.ingest)
    for number in range(12):
        payload = logs(3, f"s{number % 3}", NOW + number % 2 * HOUR)
        if number % 4 == 3:
            with shards[0].lock:
                node.keep(payload)
        else:
            node.keep(payload)
    assert [shard.rows > 0 for shard in shards] == [True, True]


def test_replay_gives_the_same_files_byte_for_byte(tmp_path: Path) -> None:
    """Same batch id, same names, same rows in the same order, whatever shard they came by."""
    for name in ("whole", "crashed"):
        (tmp_path / name).mkdir()
        with Node(tmp_path / name, new_id=lambda: BATCH) as node:
            fill(node)
            if name == "whole":
                node.ingest.drain(PATIENCE_SECS)
    assert files(tmp_path / "crashed" / "data") == {}
    with Node(tmp_path / "crashed", shards=1) as node:
        node.settle()
        assert node.segments == []
        assert node.counts.batches_replayed == 1
        assert node.budget.used == 0
    whole = files(tmp_path / "whole" / "data")
    assert len(whole) == 7
    assert files(tmp_path / "crashed" / "data") == whole


def test_nothing_of_an_earlier_run_is_taken_for_this_one(tmp_path: Path) -> None:
    """Clean restarts and crashes in turn: each batch has a name of its own."""
    for life in range(6):
        with Node(tmp_path) as node:
            node.keep(one(life))
            if life % 2:
                assert node.ingest.drain(PATIENCE_SECS)
    with Node(tmp_path) as node:
        node.settle()
        assert services(node.data) == [f"s{life}" for life in range(6)]


def test_new_requests_are_taken_while_old_ones_are_replayed(tmp_path: Path) -> None:
    """They go to a segment of their own, and the wait is shown."""
    with Node(tmp_path) as node:
        node.keep(one("old"))
    gate = threading.Event()
    writer = Recorder(gates={"sold": gate})
    with Node(tmp_path, writer=writer) as node:
        node.keep(one("new"))
        status = node.ingest.status()
        assert (status.backlog.replays, status.backlog.batches, status.open_rows) == (1, 1, 1)
        assert len(node.segments) == 2
        gate.set()
        node.settle()
        assert node.backlog.replays == 0
        node.ingest.drain(PATIENCE_SECS)
        assert [written.service for written in writer.files] == ["sold", "snew"]


def test_the_log_says_how_long_it_took(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line at its end."""
    for _ in range(2):
        with Node(tmp_path, replays=False) as node:
            node.keep(one(1))
    caplog.set_level(logging.INFO)
    with Node(tmp_path) as node:
        node.settle()
        wait_for(lambda: "replay finished" in caplog.messages)
    (line,) = (vars(r)["fields"] for r in caplog.records if r.getMessage() == "replay finished")
    assert line == {"batches": 2, "secs": 0.0}


def test_limits_do_not_apply_again(tmp_path: Path) -> None:
    """What was acknowledged is stored, also by a server that would now refuse its size."""
    with Node(tmp_path) as node:
        node.keep(logs(2000))
    with Node(tmp_path, config=BatchConfig(max_rows=1), memory_bytes=1000) as node:
        node.ingest._max_payload_bytes = 10  # noqa: SLF001 - a smaller limit than then
        node.settle()
        assert node.counts.rows_stored == 2000


def test_the_oldest_is_replayed_first(tmp_path: Path) -> None:
    """By batch id, which begins with the time."""
    for number in range(5):
        with Node(tmp_path, replays=False) as node:
            node.keep(one(number))
    writer = Recorder()
    with Node(tmp_path, writer=writer, threads=1) as node:
        node.settle()
    assert [written.service for written in writer.files] == [f"s{number}" for number in range(5)]


# -- plans and notes -------------------------------------------------------------------------


def half_stored(tmp_path: Path, *, noted: bool = True) -> None:
    """A life that ends when one of three files is stored."""
    stored = threading.Event()

    class Half(ParquetWriter):
        def store(self, file: PlannedFile, *args: Any, **named: Any) -> StoredFile:
            if "sb" not in file.services:
                assert stored.wait(PATIENCE_SECS)
                raise StorageError("down")
            done = super().store(file, *args, **named)
            if not noted:
                stored.set()
                raise StorageError("the answer was lost")
            return done

    with Node(tmp_path, writer=Half(tmp_path / "data"), threads=4) as node:
        node.keep(one("a"), one("b"), one("c"))
        node.ingest.relieve()
        wait_for(lambda: bool(files(tmp_path / "data")))
        if noted:
            wait_for(lambda: node.counts.files_stored == 1)
            stored.set()
        wait_for(lambda: node.counts.storage_failures >= 2)


@pytest.mark.parametrize("noted", [True, False])
def test_files_that_are_stored_are_kept_and_the_missing_ones_written(
    tmp_path: Path, *, noted: bool
) -> None:
    """Noted, or merely there and right: they are not touched, and nothing is doubled."""
    half_stored(tmp_path, noted=noted)
    (before,) = (tmp_path / "data").rglob("*.parquet")
    stamp = before.stat().st_mtime_ns
    with Node(tmp_path) as node:
        node.settle()
        assert services(node.data) == ["sa", "sb", "sc"]
        assert before.stat().st_mtime_ns == stamp
        assert node.segments == []


def test_a_noted_file_is_not_written_again_though_it_is_gone(tmp_path: Path) -> None:
    """Who compacts or moves files must not get their rows a second time."""
    half_stored(tmp_path)
    (stored,) = (tmp_path / "data").rglob("*.parquet")
    stored.unlink()
    with Node(tmp_path) as node:
        node.settle()
        assert services(node.data) == ["sa", "sc"]


def strange_file(tmp_path: Path, batch_id: str, rows: int = 3) -> Path:
    """A Parquet file of another batch, or of this one with other rows, in the way of ``BATCH``."""
    elsewhere = ParquetWriter(tmp_path / "strange")
    stored = elsewhere.write(process_otlp(logs(rows), "logs").batches, batch_id=batch_id)
    place = tmp_path / "data" / stored.path
    place = place.with_name(f"{BATCH}.parquet")
    place.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "strange" / stored.path).rename(place)
    return place


@pytest.mark.parametrize("case", ["another batch", "rows of no plan", "no parquet"])
def test_a_strange_file_in_the_way_is_not_taken_as_done(tmp_path: Path, case: str) -> None:
    """Only a file with this batch id and row count is; the rows get another name, which is planned.

    The strange file stays, and the batch is stuck neither now nor at the next start.
    """
    with Node(tmp_path, new_id=lambda: BATCH) as node:
        node.keep(logs(3))
        (path,) = node.segments
    same = case == "rows of no plan"
    if same:
        plan = Plan(str(tmp_path / "data"), "service", (planned("shop", 3),))
        append(path, form.PLAN, pack_plan(plan))
    in_the_way = strange_file(tmp_path, BATCH if same else new_batch_id(), 2 if same else 3)
    if case == "no parquet":
        in_the_way.write_text("something else")
    before = in_the_way.read_bytes()
    aside = in_the_way.with_name(f"{BATCH}-1.parquet")
    with Node(tmp_path, threads=0) as node:
        # Up to the file that is written under its new name, and no further: as a crash would.
        while not aside.exists():
            assert node.storing.run_one(wait=False)
        assert node.counts.names_taken == 1
    with Node(tmp_path) as node:
        node.keep(one("other"))
        node.settle()
        assert node.segments[1:] == []
        assert node.counts.names_taken == 0
    assert in_the_way.read_bytes() == before
    assert pq.read_metadata(aside).num_rows == 3
    names = {path.name for path in in_the_way.parent.glob("*.parquet")}
    assert names == {in_the_way.name, aside.name}


def test_stale_temporary_files_go(tmp_path: Path) -> None:
    """What a killed process left half-written beside a file of the batch."""
    with Node(tmp_path, new_id=lambda: BATCH) as node:
        node.keep(logs(1))
    folder = tmp_path / "data/logs/service=shop/date=2026-01-01/hour=0"
    folder.mkdir(parents=True)
    (folder / f".{BATCH}.parquet.0123456789abcdef.tmp").write_text("half")
    with Node(tmp_path) as node:
        node.settle()
    assert [path.name for path in folder.iterdir()] == [f"{BATCH}.parquet"]


def test_another_storage_is_reported_and_the_recorded_one_used_if_it_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch whose first file lies in the old place is completed there: no reason to be warned."""
    caplog.set_level(logging.INFO)
    half_stored(tmp_path)
    old = Recorder()
    new = Recorder(root="new")
    with Node(tmp_path, writer=new, writer_for=lambda _: old) as node:
        node.settle()
    assert (new.files, sorted(str(w.service) for w in old.files)) == ([], ["sa", "sc"])
    (told,) = (r for r in caplog.records if "another storage" in r.getMessage())
    line = vars(told)["fields"]
    assert line["planned"] == line["written_to"] == str(tmp_path / "data")
    assert told.levelname == "INFO"


def test_another_storage_that_is_down_is_asked_by_one_batch_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for its answer is not read again and again meanwhile."""
    with Node(tmp_path, writer=Recorder(fail=lambda _: StorageError("down"))) as node:
        for number in range(20):
            node.keep(one(number))
            node.ingest.relieve()
            wait_for(lambda: node.backlog.resting == number + 1)  # noqa: B023 - called here only
    reads: list[ClosedBatch] = []
    real = ClosedBatch.read

    def read(batch: ClosedBatch) -> Any:
        reads.append(batch)
        return real(batch)

    monkeypatch.setattr(ClosedBatch, "read", read)
    old = Recorder(root=str(tmp_path / "data"), fail=lambda _: StorageError("down"))
    new = Recorder(root="new")
    with Node(tmp_path, writer=new, writer_for=lambda _: old) as node:
        wait_for(lambda: node.backlog.resting == 20)
        reads.clear()
        for attempt in range(10):
            before = len(old.attempts)
            # One tick, which ends every pause: a second one, while a thread has no processor,
            # ends the next pause as well.
            node.tick(40)
            wait_for(lambda: len(old.attempts) > before)  # noqa: B023 - as above
            wait_for(lambda: node.backlog.resting == 20)
            assert len(reads) <= 2 * (attempt + 1)
        # Nor do they keep anybody from the storage of today.
        node.keep(one("new"))
        node.ingest.relieve()
        wait_for(lambda: new.rows == 1)
        old.fail = lambda _: None
        node.wait_with_ticks(lambda: node.storing.is_idle)
        assert old.rows == 20


def test_another_storage_that_cannot_be_reached_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Then the rows go to the new one: nothing is lost with an old bucket."""
    half_stored(tmp_path)
    new = Recorder(root="new")
    with Node(tmp_path, writer=new) as node:
        node.settle()
    assert sorted(str(written.service) for written in new.files) == ["sa", "sc"]
    (told,) = (r for r in caplog.records if "another storage" in r.getMessage())
    assert vars(told)["fields"]["written_to"] == "new"
    assert told.levelname == "WARNING"


def test_rows_win_over_the_plan_and_it_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer decoder may see more than the one that planned."""
    with Node(tmp_path, new_id=lambda: BATCH) as node:
        node.keep(logs(3))
        (path,) = node.segments
    append(
        path,
        form.PLAN,
        pack_plan(Plan(str(tmp_path / "data"), "service", (planned("shop", 2),))),
    )
    with Node(tmp_path) as node:
        node.settle()
        assert node.counts.replay_differences == 1
        assert node.counts.rows_stored == 3
    assert any("not those of the plan" in message for message in caplog.messages)


def planned(service: str, rows: int) -> PlannedFile:
    """The file of one service in the hour of ``NOW``."""
    folder = f"logs/service={service}/date=2026-01-01/hour=0"
    return PlannedFile(folder, 0, "otel_logs", HOUR_OF_NOW, {service: rows})


def append(path: Path, kind: int, body: bytes) -> None:
    """Write one more record to a form."""
    offset = path.stat().st_size
    batch = UUID(path.stem)
    head = form.other_head(kind)
    if kind == form.REQUEST:
        head = form.request_head(0, Request(body, "logs", "application/x-protobuf", None, NOW))
    with path.open("ab") as sink:
        sink.write(form.pack_prefix(form.seed_of(batch), offset, head, body) + head + body)


# -- damage ----------------------------------------------------------------------------------


def three(folder: Path) -> tuple[Path, bytes]:
    """A segment of three records, left by a process; its path and its bytes."""
    with Node(folder, new_id=lambda: BATCH) as node:
        node.keep(one(0), one(1), one(2))
        (path,) = node.segments
    return path, path.read_bytes()


def every_place(data: bytes, step: int) -> range:
    """Places in the segment: with ``step`` 1 every byte."""
    return range(0, len(data), step)


def test_damage_costs_the_record_it_hits_and_is_counted(
    tmp_path: Path, request: pytest.FixtureRequest, record: Callable[..., None]
) -> None:
    """Every byte cut and flipped: it starts, loses at most that record, and says so.

    Every seventh byte in an ordinary run, every single one with ``--full``.
    """
    path, data = three(tmp_path)
    step = 1 if request.config.getoption("--full") else 7
    ends = record_ends(data)
    holds = ["", "s0", "s1", "s2"]  # the first record says where the files are to go
    for change, place in itertools.product(("cut", "flip"), every_place(data, step)):
        damaged = bytearray(data)
        if change == "cut":
            del damaged[place:]
            whole = sum(end <= place for end in ends)
            expected = [held for held in holds[:whole] if held]
            is_whole = place in (0, HEADER_BYTES, *ends)
        else:
            damaged[place] ^= 0x10
            hit = -1 if place < HEADER_BYTES else sum(end <= place for end in ends)
            expected = [held for number, held in enumerate(holds) if held and number != hit]
            is_whole = False
        path.write_bytes(bytes(damaged))
        writer = Recorder()
        with Node(tmp_path, writer=writer) as node:
            node.settle()
            counts = node.counts
            assert sorted(str(written.service) for written in writer.files) == expected
            is_counted = counts.torn_tails + counts.damaged_records == 1
            assert is_counted == (not is_whole), f"{change} at {place}"
            aside = list((tmp_path / "log" / "quarantine").glob("*"))
            assert len(aside) == counts.damaged_records
            assert node.segments == []
        for copy in aside:
            assert copy.read_bytes() in bytes(damaged)
            copy.unlink()
    record("segment", places=len(every_place(data, step)))


def record_ends(data: bytes) -> list[int]:
    """Where the records of a sound segment end."""
    return [
        item.end
        for item in form.scan(lambda at, count: data[at : at + count], len(data), UUID(BATCH))
    ]


def test_an_unknown_version_refuses_the_start_and_touches_nothing(tmp_path: Path) -> None:
    """The version that wrote it can still read it."""
    path, data = three(tmp_path)
    header = bytearray(data[:HEADER_BYTES])
    header[8:10] = (9).to_bytes(2, "big")
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "big")
    path.write_bytes(bytes(header) + data[HEADER_BYTES:])
    before = {p: p.read_bytes() for p in (tmp_path / "log").iterdir() if p.name != "lock"}
    with pytest.raises(ConfigError, match=r"found log format 9, expected 2"):
        Node(tmp_path)
    assert {p: p.read_bytes() for p in (tmp_path / "log").iterdir() if p.name != "lock"} == before
    path.write_bytes(data)
    with Node(tmp_path) as node:
        node.settle()
        assert services(node.data) == ["s0", "s1", "s2"]


@pytest.mark.parametrize("is_copy", [True, False])
def test_a_segment_under_another_name_refuses_the_start(tmp_path: Path, *, is_copy: bool) -> None:
    """Files have the id of their batch: under another id its rows would be stored again."""
    writer = Recorder(root=str(tmp_path / "data"))
    with Node(tmp_path, writer=writer) as node:
        node.keep(one(1))
    (segment,) = (tmp_path / "log").glob("*.segment")
    other = segment.with_name(f"{new_batch_id()}.segment")
    other.write_bytes(segment.read_bytes())
    if not is_copy:
        segment.unlink()
    with pytest.raises(ConfigError, match=f"renamed or copied; expected it as {segment.stem}"):
        Node(tmp_path, writer=writer).__enter__()
    other.rename(segment)
    with Node(tmp_path, writer=writer) as node:
        node.settle()
    assert writer.rows == 1


def test_rows_that_only_a_later_reading_gives_are_stored(tmp_path: Path) -> None:
    """Damage may be the cable's: what was fixed stays, and what was missed gets its own file."""
    writer = Recorder(root=str(tmp_path / "data"))
    down(writer)
    with Node(tmp_path, writer=writer) as node:
        node.keep(one("a"), one("b"))
    disk = Misreads()
    with Node(tmp_path, writer=writer, disk=disk) as node:
        wait_for(lambda: node.backlog.resting == 1)
        assert node.counts.damaged_records == 1
        disk.misreads = False
        writer.fail = lambda _: None
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert sorted(str(written.service) for written in writer.files) == ["sa", "sb"]
        assert node.counts.replay_differences == 1
        assert node.segments == []


class Misreads(ScriptedDisk):
    """A disk that reads one service's name wrongly, as long as ``misreads``."""

    misreads = True

    def read(self, descriptor: Descriptor, offset: int, count: int) -> bytes:
        """As ``Disk.read``."""
        content = super().read(descriptor, offset, count)
        place = content.find(b"\x02sb")
        if not self.misreads or place < 0:
            return content
        return content[: place + 2] + b"X" + content[place + 3 :]


@pytest.mark.parametrize("late", ["success", "failure"])
def test_what_ends_late_of_a_batch_that_is_over_does_no_harm(tmp_path: Path, late: str) -> None:
    """Its log was removed while a file was being written: no note makes the segment anew."""
    writer = Recorder()
    down(writer, only="sb")
    gate = writer.gates["sa"] = threading.Event()
    with Node(tmp_path, writer=writer, config=BatchConfig(max_rows=2)) as node:
        node.keep(one("a") + one("b"))
        wait_for(lambda: node.backlog.resting == 1)
        for segment in node.segments:
            segment.unlink()
        node.wait_with_ticks(lambda: node.counts.batches_lost == 1)
        failures = node.counts.storage_failures
        down(writer, only="sb" if late == "success" else "sa")
        gate.set()
        wait_for(lambda: node.counts.files_stored + node.counts.storage_failures == failures + 1)
        node.keep(one("c") + one("d"))
        node.settle()
        assert node.backlog.resting == 0
        assert node.segments == []
        assert node.log.usage().bytes == 0


def test_a_batch_whose_writes_all_find_its_log_gone_ends_once(tmp_path: Path) -> None:
    """It is lost once, and what is replayed beside it is still counted as on its way."""
    writer = Recorder(fail=lambda _: StorageError("down"))
    with Node(tmp_path, writer=writer, config=BatchConfig(max_rows=2)) as node:
        for first in range(0, 4, 2):
            node.keep(one(f"{first}") + one(f"{first + 1}"))
        node.crash()
    gates = {f"s{service}": threading.Event() for service in range(4)}
    gone = {"s0", "s1"}
    late = Recorder(gates=gates)  # type: ignore[arg-type]
    late.fail = lambda file: SegmentGoneError("gone") if set(file.file.services) & gone else None
    with Node(tmp_path, writer=late, threads=4) as node:
        wait_for(lambda: set(late.attempts) == set(gates))
        for service in gone:
            gates[service].set()
        wait_for(lambda: node.counts.storage_failures == len(gone))
        for gate in gates.values():
            gate.set()
        node.settle()
        assert node.counts.batches_lost == 1
        assert node.backlog.replays == 0
        assert sorted(str(next(iter(one.file.services))) for one in late.files) == ["s2", "s3"]


def test_a_request_that_no_longer_decodes_is_put_aside(tmp_path: Path) -> None:
    """It was acknowledged: it is neither forgotten nor in the way of the others."""
    with Node(tmp_path, new_id=lambda: BATCH) as node:
        node.keep(one(1))
        (path,) = node.segments
    append(path, form.REQUEST, b"\xff\xff not otlp")
    append(path, form.REQUEST, one(2))
    with Node(tmp_path) as node:
        node.settle()
        assert services(node.data) == ["s1", "s2"]
        assert node.counts.damaged_records == 1
    (aside,) = (tmp_path / "log" / "quarantine").iterdir()
    assert b"not otlp" in aside.read_bytes()


def test_damage_behind_the_plan_does_not_hold_the_batch(tmp_path: Path) -> None:
    """Files that are there were made whole: without the plan they still count."""
    half_stored(tmp_path, noted=False)
    (path,) = (tmp_path / "log").glob("*.segment")
    data = bytearray(path.read_bytes())
    place = data.index(b'"layout"')
    data[place] ^= 1
    path.write_bytes(bytes(data))
    with Node(tmp_path) as node:
        node.settle()
        assert services(node.data) == ["sa", "sb", "sc"]
        assert node.counts.damaged_records == 1


# -- storage that is down --------------------------------------------------------------------


def down(writer: Recorder, only: str | None = None) -> Callable[[], None]:
    """Let the storage fail until the returned function is called."""
    broken = [True]

    def fail(written: Written) -> Exception | None:
        is_hit = broken[0] and only in (None, written.service)
        return StorageError("no such bucket") if is_hit else None

    writer.fail = fail
    return broken.clear


def test_memory_is_free_while_batches_wait_for_the_storage(tmp_path: Path) -> None:
    """They stay in their segments, and are read back when it is up again."""
    writer = Recorder()
    up = down(writer)
    with Node(tmp_path, writer=writer, config=BatchConfig(max_rows=4)) as node:
        for number in range(10):
            node.keep(logs(2, f"a{number}"), logs(2, f"b{number}"))
        wait_for(lambda: node.backlog.resting == 10 and node.budget.used == 0)
        assert len(node.segments) == 10
        assert node.backlog.last_error == "no such bucket"
        for _ in range(5):
            node.tick(40)
            wait_for(lambda: node.backlog.resting == 10 and node.budget.used == 0)
        writer.fail = lambda _: None
        up()
        node.tick(40)
        node.settle()
        assert writer.rows == 40
        assert len({(written.service, written.batch_id) for written in writer.files}) == 20
        assert node.segments == []


def test_one_stuck_batch_never_blocks_the_others(tmp_path: Path) -> None:
    """It alone is tried again and again; what came later is stored."""
    writer = Recorder()
    up = down(writer, only="stuck")
    with Node(tmp_path, writer=writer, config=BatchConfig(max_rows=1)) as node:
        node.keep(logs(1, "stuck"))
        for number in range(5):
            node.keep(one(number))
        wait_for(lambda: writer.rows == 5)
        for number in range(5, 10):
            node.keep(one(number))
            node.tick(40)
        wait_for(lambda: writer.rows == 10)
        wait_for(lambda: node.backlog.batches == 1)
        writer.fail = lambda _: None
        up()
        node.wait_with_ticks(lambda: node.storing.is_idle)
        assert writer.rows == 11


def test_storage_that_comes_and_goes_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Half of all writes fail, some of them after the file is there."""
    lock = threading.Lock()
    calls = [0]

    class Flapping(ParquetWriter):
        def store(self, *args: Any, **named: Any) -> StoredFile:
            with lock:
                calls[0] += 1
                turn = calls[0] % 4
            if turn == 1:
                raise StorageError("before")
            done = super().store(*args, **named)
            if turn == 2:
                raise StorageError("after")
            return done

    with Node(tmp_path, writer=Flapping(tmp_path / "data"), config=BatchConfig(max_rows=6)) as node:
        for number in range(60):
            node.keep(logs(1, f"s{number % 3}"))
        node.wait_with_ticks(lambda: node.storing.is_idle)
        rows = [pq.read_metadata(path).num_rows for path in node.data.rglob("*.parquet")]
        assert sum(rows) == 60
        assert node.budget.used == 0


def test_few_batches_are_read_back_at_once(tmp_path: Path) -> None:
    """A long backlog does not come into memory as a whole: one, or what fits."""
    for _ in range(6):
        with Node(tmp_path, replays=False) as node:
            node.keep(logs(500))
    gate = threading.Event()
    writer = Recorder(gates={"shop": gate})
    with Node(tmp_path, writer=writer, memory_bytes=1, threads=4) as node:
        wait_for(lambda: len(writer.attempts) == 1)
        one_batch = node.budget.used
        assert one_batch > 0
        gate.set()
        node.settle()
        assert node.counts.batches_replayed == 6
        assert writer.rows == 3000


# -- the recorded storage --------------------------------------------------------------------


@pytest.mark.parametrize("code", [13, 5])
def test_a_recorded_storage_that_cannot_be_looked_at_holds_nothing_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """EACCES or EIO instead of an answer: it is said, and the rows go to the storage of today."""
    half_stored(tmp_path)
    new = Recorder(root="new")

    def answers(_: str) -> None:
        raise OSError(code, "injected")

    with Node(tmp_path, writer=new, writer_for=answers) as node:
        node.settle()
        assert node.segments == []
    assert sorted(str(written.service) for written in new.files) == ["sa", "sc"]
    assert any("cannot be looked at" in message for message in caplog.messages)


def test_an_unforeseen_answer_of_a_recorded_storage_is_tried_again(tmp_path: Path) -> None:
    """A defect there neither hangs nor hides: the batch rests, with its reason, and goes on."""
    half_stored(tmp_path)
    old = Recorder(root=str(tmp_path / "data"))
    errors = [ZeroDivisionError("defect")]

    def answers(_: str) -> Recorder:
        if errors:
            raise errors.pop()
        return old

    with Node(tmp_path, writer=Recorder(root="new"), writer_for=answers) as node:
        wait_for(lambda: node.backlog.resting == 1)
        assert node.backlog.last_error == "defect"
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
    assert sorted(str(written.service) for written in old.files) == ["sa", "sc"]


@pytest.mark.parametrize("was_planned", [True, False])
def test_a_replay_that_leaves_a_storage_records_where_it_goes(
    tmp_path: Path, *, was_planned: bool
) -> None:
    """When the old storage is back at the next start, no row is written there as well."""
    old, new = Recorder(), Recorder(root="new")
    if was_planned:
        old.fail = lambda _: StorageError("down")
    config = BatchConfig(max_rows=3)
    with Node(tmp_path, writer=old, config=config if was_planned else None) as node:
        node.keep(one("a") + one("b") + one("c"))
        if was_planned:
            wait_for(lambda: node.counts.storage_failures == 3)
    old.fail = lambda _: None
    new.fail = lambda w: StorageError("down") if w.service == "sb" else None
    with Node(tmp_path, writer=new) as node:  # the old one cannot be reached
        wait_for(lambda: new.rows == 2 and node.backlog.resting == 1)
    new.fail = lambda _: None
    reached = {old.root: old, new.root: new}
    with Node(tmp_path, writer=Recorder(root="third"), writer_for=reached.get) as node:
        node.settle()
        assert node.segments == []
    assert sorted(str(written.service) for written in new.files) == ["sa", "sb", "sc"]
    assert old.files == []


def test_a_batch_without_a_plan_goes_where_it_was_meant_to(tmp_path: Path) -> None:
    """Root and layout of the time when it was opened, also after both settings have changed."""
    with Node(tmp_path, layout="classic") as node:
        node.keep(one("a"))
    old = Recorder(root=str(tmp_path / "data"))
    new = Recorder(root="new")
    with Node(tmp_path, writer=new, layout="hour", writer_for=lambda _: old) as node:
        node.settle()
    (written,) = old.files
    assert written.file.folder == "logs/sa/year=2026/month=01/day=01/hour=00"
    assert new.files == []


def test_a_recorded_storage_that_hangs_takes_the_threads_of_one_batch(tmp_path: Path) -> None:
    """What comes in now is stored meanwhile, and what was left is once the storage answers."""
    old, new = Recorder(), Recorder(root="new")
    old.fail = lambda _: StorageError("down")
    with Node(tmp_path, writer=old, config=BatchConfig(max_rows=1)) as node:
        node.keep(*[one(number) for number in range(4)])
        wait_for(lambda: node.backlog.resting == 4)
    old.fail = lambda _: None
    answers, asked = threading.Event(), []

    def reach(root: str) -> Recorder:
        asked.append(root)
        assert answers.wait(PATIENCE_SECS)
        return old

    config = BatchConfig(max_rows=1)
    with Node(tmp_path, writer=new, writer_for=reach, threads=3, config=config) as node:
        wait_for(lambda: node.backlog.resting == 3)
        for _ in range(20):
            node.tick(40)
        node.keep(one("now"))
        wait_for(lambda: new.files != [])
        assert asked == [old.root]
        answers.set()
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert node.counts.storage_failures == 0
    assert [written.service for written in new.files] == ["snow"]
    assert sorted(str(written.service) for written in old.files) == ["s0", "s1", "s2", "s3"]


# -- files of the batch that hold other rows -------------------------------------------------


@pytest.mark.parametrize("held", [2, 5])
def test_a_file_of_a_batch_without_a_plan_is_its_file(tmp_path: Path, held: int) -> None:
    """On a full disk nothing is planned: whatever rows the file has, it was made whole.

    It has fewer when a refused record came back, because its cut was not durable, and more when
    a record was damaged since. Neither may hold the batch up, and no row may be there twice.
    """
    with Node(tmp_path, new_id=lambda: BATCH) as node:
        node.keep(logs(3))
    file = strange_file(tmp_path, BATCH, held)
    before = file.read_bytes()
    with Node(tmp_path) as node:
        node.settle()
        assert node.segments == []
        assert node.backlog.batches == 0
        assert node.ingest.drain(0)
    assert list(files(tmp_path / "data").values()) == [before]


# -- memory ----------------------------------------------------------------------------------


def test_a_full_builder_in_a_replay_gives_its_share_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows go on in another builder, in one file, and what they took is free at the end."""
    with Node(tmp_path) as node:
        node.keep(*[logs(4)] * 5)

    class Small(Shard):
        """A shard whose builder is full after six rows."""

        def append(self, request: Request) -> Appended:
            if self.rows >= 6:
                raise TooLargeError("full")
            return super().append(request)

    monkeypatch.setattr(replay, "Shard", Small)
    writer = Recorder()
    with Node(tmp_path, writer=writer) as node:
        node.settle()
        assert [(written.rows, written.pieces) for written in writer.files] == [(20, 3)]
        assert node.budget.used == 0
        assert node.counts.damaged_records == 0


# -- a mode that refuses and a log that was left ---------------------------------------------


def test_what_is_left_waits_for_a_storage_that_refuses_in_the_mode_stored(tmp_path: Path) -> None:
    """No thread ends: requests are answered, the trouble is shown, and mending it is enough."""
    for _ in range(3):
        with Node(tmp_path, replays=False) as node:
            node.keep(one("left"))
    refused = StorageRefusedError("permission denied")
    writer = Recorder(fail=lambda _: refused)
    with Node(tmp_path, writer=writer, mode="stored") as node:
        for number in range(5):
            answer = node.append(one(number))[1]
            node.tick(1)  # the longest that a request waits for others to be stored
            assert not answer.is_kept
            assert str(answer.error) == "the storage failed, send it again"
        wait_for(lambda: (node.backlog.batches, node.backlog.resting) == (3, 3))
        status = node.ingest.status()
        assert (status.backlog.replays, status.backlog.last_error) == (3, "permission denied")
        writer.fail = lambda _: None
        answer = node.append(one("new"))[1]
        node.tick(1)
        assert answer.is_kept
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        stored = sorted(str(written.service) for written in writer.files)
        assert stored == ["sleft", "sleft", "sleft", "snew"]
        assert node.segments == []
        assert node.budget.used == 0
