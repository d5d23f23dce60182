"""The log: when a request counts as kept, what a group costs, and who owns the folder."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batches import log_segment, segment_log
from otlp2parquet.batches.log_folder import LogFolder
from otlp2parquet.batches.log_space import LogSpace, disk_share
from otlp2parquet.batches.segment_log import PROBE_SECS
from otlp2parquet.config import BatchConfig
from otlp2parquet.errors import ConfigError
from tests.support.batches_bench import logs
from tests.support.doubles import Recorder
from tests.support.node import Answer, Node, one
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Syncs:
    """The log's syncs, held up or made to fail on demand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.errors: list[OSError] = []
        real = log_segment.sync_data

        def sync(descriptor: int) -> None:
            self.count += 1
            self.entered.set()
            assert self.gate.wait(PATIENCE_SECS)
            if self.errors:
                raise self.errors.pop(0)
            real(descriptor)

        monkeypatch.setattr(log_segment, "sync_data", sync)

    def hold(self) -> None:
        """Let the next sync wait."""
        self.entered.clear()
        self.gate.clear()


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Syncs:
    """The log's syncs under the test's hand."""
    return Syncs(monkeypatch)


def test_nothing_is_kept_before_its_sync_has_returned(tmp_path: Path, syncs: Syncs) -> None:
    """Written is not enough: the answer comes behind fdatasync, and behind the folder's fsync."""
    with Node(tmp_path) as node:
        syncs.hold()
        _, answer = node.append(one(1))
        assert syncs.entered.wait(PATIENCE_SECS)
        assert not answer.told.is_set()
        syncs.gate.set()
        assert answer.is_kept


def test_a_new_segment_is_kept_only_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose name is not durable is lost with its folder's last change."""
    with Node(tmp_path) as node:
        told: list[bool] = []
        real = LogFolder.sync

        def sync(self: LogFolder) -> None:
            told.append(answer.told.is_set())
            real(self)

        monkeypatch.setattr(LogFolder, "sync", sync)
        answer = Answer()
        node.append(one(1), answer)
        assert answer.is_kept
        assert told == [False]


def test_one_sync_serves_all_that_wait(tmp_path: Path, syncs: Syncs) -> None:
    """While a sync is under way the next group gathers, and takes one more."""
    with Node(tmp_path) as node:
        syncs.hold()
        answers = [node.append(one(0))[1]]
        assert syncs.entered.wait(PATIENCE_SECS)
        answers += [node.append(one(number))[1] for number in range(1, 50)]
        syncs.gate.set()
        assert all(answer.is_kept for answer in answers)
        assert syncs.count == 2
        assert node.counts.log_groups == 2
        assert node.counts.log_records == 50


def test_a_request_without_rows_is_not_logged(tmp_path: Path) -> None:
    """Nothing to keep is kept at once."""
    with Node(tmp_path) as node:
        assert node.append(b"")[1].is_kept
        assert node.segments == []


def test_a_request_that_does_not_decode_is_not_logged(tmp_path: Path) -> None:
    """Only what was decoded without error may come back in a replay."""
    with Node(tmp_path) as node:
        node.keep(one(1))
        size = node.segments[0].stat().st_size
        with pytest.raises(Exception, match="byte"):
            node.append(b"\xff")
        node.keep(b"")
        assert node.segments[0].stat().st_size == size


def test_a_batch_closes_only_behind_its_last_sync(tmp_path: Path, syncs: Syncs) -> None:
    """No file holds a row that might have to be refused yet."""
    writer = Recorder()
    with Node(tmp_path, writer=writer, config=BatchConfig(max_rows=3)) as node:
        node.keep(one(1))
        syncs.hold()
        _, answer = node.append(logs(2))
        assert syncs.entered.wait(PATIENCE_SECS)
        assert not node.storing.idle
        assert writer.attempts == []
        syncs.gate.set()
        assert answer.is_kept
        node.settle()
        assert writer.rows == 3


def test_the_segment_goes_when_its_batch_is_stored(tmp_path: Path) -> None:
    """What is in files needs no log, and the next batch has a segment of its own."""
    with Node(tmp_path, config=BatchConfig(max_rows=2)) as node:
        node.keep(one(1))
        (first,) = node.segments
        node.keep(one(2))
        node.settle()
        assert node.segments == []
        node.keep(one(3))
        assert node.segments != [first]
        assert node.log.usage().bytes == node.segments[0].stat().st_size


def test_every_name_is_synced_when_it_comes_and_when_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is synced with the segment there, and with the segment gone."""
    seen: list[int] = []
    real = LogFolder.sync

    def sync(self: LogFolder) -> None:
        seen.append(len(self.segments()))
        real(self)

    monkeypatch.setattr(LogFolder, "sync", sync)
    with Node(tmp_path, config=BatchConfig(max_rows=2)) as node:
        node.keep(one(1))
        assert seen == [1]
        node.keep(one(2))
        node.settle()
        assert seen == [1, 0]


# -- a log that fails ------------------------------------------------------------------------


def test_a_failed_group_is_refused_and_leaves_no_row(tmp_path: Path, syncs: Syncs) -> None:
    """What was kept before is stored, what was refused is not, and the file is cut there."""
    writer = Recorder()
    with Node(tmp_path, writer=writer) as node:
        node.keep(one("kept"))
        (path,) = node.segments
        size = path.stat().st_size
        syncs.hold()
        syncs.errors.append(OSError(5, "Input/output error"))
        refused = [node.append(one("refused"))[1]]
        assert syncs.entered.wait(PATIENCE_SECS)
        refused += [node.append(one(f"waiting{n}"))[1] for n in range(3)]
        # A batch that closes meanwhile is no way around it.
        syncs.gate.set()
        for answer in refused:
            assert not answer.is_kept
            assert "input/output error" in str(answer.error)
        node.settle()
        assert [written.service for written in writer.files] == ["skept"]
        assert node.counts.log_failures == 1
        assert size < 1000
        assert node.budget.used == 0


def test_the_descriptor_of_a_failed_sync_is_never_used_again(
    tmp_path: Path, syncs: Syncs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second fsync may call lost pages a success."""
    with Node(tmp_path) as node:
        node.keep(one(1))
        segment = node.batches._open.log  # type: ignore[union-attr] # noqa: SLF001
        assert isinstance(segment, log_segment.Segment)
        descriptor = segment._descriptor  # noqa: SLF001 - the very thing
        used: list[int] = []
        real_close = os.close

        def close(number: int) -> None:
            used.append(number)
            real_close(number)

        monkeypatch.setattr(log_segment.os, "close", close)
        before = syncs.count
        syncs.errors.append(OSError(28, "No space left on device"))
        assert not node.append(one(2))[1].is_kept
        assert used[0] == descriptor
        assert segment._descriptor is None  # noqa: SLF001 - as above
        node.settle()
        assert syncs.count == before + 1


def test_after_a_failure_requests_are_refused_until_a_probe_succeeds(
    tmp_path: Path, syncs: Syncs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No restart is needed, and the reason is there for whoever asks."""
    with Node(tmp_path) as node:
        broken = [True]
        real = segment_log.sync_data

        def probe(descriptor: int) -> None:
            if broken[0]:
                raise OSError(28, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(segment_log, "sync_data", probe)
        assert node.batches.refusal() is None
        syncs.errors.append(OSError(28, "No space left on device"))
        assert not node.append(one(1))[1].is_kept
        assert node.batches.refusal() == "the log cannot be written: no space left on device"
        node.tick(PROBE_SECS)
        node.tick(PROBE_SECS)
        assert node.batches.refusal() is not None
        broken[0] = False
        node.tick(PROBE_SECS)
        wait_for(lambda: node.batches.refusal() is None)
        node.keep(one(2))
        assert not (node.log.folder.path / ".probe").exists()


OPERATIONS = ("open", "writev", "fdatasync", "fsync", "ftruncate", "unlink")


def test_trouble_at_every_call_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable[..., None]
) -> None:
    """Whatever call fails, whenever: kept is stored once, refused is stored never."""
    lives = 0
    for operation, code, times in itertools.product(OPERATIONS, (5, 28), (1, 3)):
        reached = True
        number = 0
        while reached:
            folder = tmp_path / f"{operation}-{code}-{times}-{number}"
            folder.mkdir()
            with monkeypatch.context() as patch:
                faults = Faults(patch, operation, OSError(code, "injected"), number, times)
                reached = life_with(faults, folder)
            number += 1
        assert number > 1 or operation in ("ftruncate", "unlink"), operation
        lives += number
    record("calls", calls=lives)


class Faults:
    """Calls to the system that fail from the ``first`` on, ``times`` in a row."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        operation: str,
        error: OSError,
        first: int,
        times: int,
    ) -> None:
        self.armed = False
        self.calls = 0
        self.hit = 0
        real: Callable[..., object] = getattr(os, operation)

        def call(*arguments: object, **named: object) -> object:
            mine = self.armed and threading.current_thread().name == "otlp2parquet-log"
            if mine:
                self.calls += 1
                if first < self.calls <= first + times:
                    self.hit += 1
                    raise OSError(error.errno, error.strerror)
            return real(*arguments, **named)

        patch.setattr(os, operation, call)


def life_with(faults: Faults, folder: Path) -> bool:
    """A short life in which calls fail, then another; whether a call failed at all."""
    kept, refused = set(), set()
    with Node(folder, config=BatchConfig(max_rows=4)) as node:
        faults.armed = True
        for number in range(10):
            answer = node.append(one(number))[1]
            (kept if answer.is_kept else refused).add(f"s{number}")
            node.tick(PROBE_SECS)
        faults.armed = False
        wait_for(lambda: bool(node.tick(PROBE_SECS)) or node.batches.refusal() is None)
        node.keep(one("last"))
        kept.add("slast")
        wait_for(lambda: bool(node.tick(1)) or node.batches.held().closed_batches == 0)
    with Node(folder) as node:
        node.settle()
        stored = [path.parts[-6] for path in node.data.rglob("*.parquet")]
    assert sorted(stored) == sorted(kept)
    assert bool(refused) <= bool(faults.hit)
    return bool(faults.hit)


# -- the folder ------------------------------------------------------------------------------


def test_a_second_owner_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    """Two processes must not write or replay the same segments."""
    with Node(tmp_path):
        with pytest.raises(ConfigError) as caught:
            Node(tmp_path)
        assert f"pid {os.getpid()} on host {socket.gethostname()}" in str(caught.value)
        assert "durability.path" in str(caught.value)
    with Node(tmp_path):
        pass


def test_the_node_id_stays(tmp_path: Path) -> None:
    """It names the writer over all its lives, and a damaged one is drawn again."""
    nodes = []
    for _ in range(2):
        with Node(tmp_path) as node:
            nodes.append(node.log.folder.node)
    assert nodes[0] == nodes[1]
    (tmp_path / "log" / "node").write_text("nonsense")
    with Node(tmp_path) as node:
        assert node.log.folder.node not in nodes


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    """The setting is named, before a row is taken."""
    (tmp_path / "log").write_text("in the way")
    with pytest.raises(ConfigError, match=r"cannot use the log folder .*durability\.path"):
        Node(tmp_path)


# -- room ------------------------------------------------------------------------------------


def test_at_90_percent_of_the_disk_requests_are_refused(tmp_path: Path) -> None:
    """And taken again when there is room."""
    with Node(tmp_path) as node:
        for share, taken in ((0.89, True), (0.9, False), (0.97, False), (0.5, True)):
            node.disk_share = share
            node.tick(1)
            assert (node.batches.refusal() is None) == taken
        node.disk_share = 0.93
        node.tick(1)
        assert node.batches.refusal() == "the disk of the log is 93% full"


def test_a_log_at_its_limit_refuses(tmp_path: Path) -> None:
    """Also when storage is what keeps it from shrinking."""
    writer = Recorder(fail=lambda _: OSError("down"))
    with Node(tmp_path, writer=writer, max_bytes=1000, config=BatchConfig(max_rows=1)) as node:
        count = 0
        while node.batches.refusal() is None:
            node.keep(one(1))
            count += 1
        assert 3 < count < 12
        assert "bytes that are not stored yet" in str(node.batches.refusal())
        writer.fail = lambda _: None
        wait_for(lambda: bool(node.tick(40)) or node.batches.refusal() is None)
        node.keep(one(2))


@pytest.mark.parametrize("by", ["limit", "disk"])
def test_at_80_percent_the_open_batch_closes_early(tmp_path: Path, by: str) -> None:
    """Two seconds old is old enough then, and a small log is left alone."""
    with Node(tmp_path, max_bytes=1 << 30) as node:
        node.keep(one(0))
        node.tick(2)
        node.settle()  # the first batch of a start
        if by == "disk":
            node.disk_share = 0.8
            node.log.grow(16 << 20)
        else:
            node.log.grow(int(0.8 * (1 << 30)))
        node.keep(one(1))
        node.tick(1.9)
        assert node.batches.held().open_rows == 1
        node.tick(0.1)
        node.settle()
        assert node.batches.held().open_rows == 0
        assert node.counts.batches_closed == {"age": 1, "disk": 1}
        node.log.grow(-(1 << 30))
        node.keep(one(2))
        node.tick(3)
        assert node.batches.held().open_rows == 1


def test_the_disk_is_measured_as_df_does(tmp_path: Path) -> None:
    """Blocks that only root may use count as used, as they do in ``df``."""
    usage = os.statvfs(tmp_path)
    used = usage.f_blocks - usage.f_bfree
    assert disk_share(tmp_path) == pytest.approx(used / (used + usage.f_bavail), abs=0.01)
    space = LogSpace(tmp_path / "gone", 10)
    space.look()  # a disk that cannot say stops nothing
    assert space.refusal(0) is None
