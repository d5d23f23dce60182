"""The log on the disk: when a request counts as kept, what a group costs, and what may fail."""

from __future__ import annotations

import itertools
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batches.log import group_commit
from otlp2parquet.batches.log.folder import LogFolder
from otlp2parquet.batches.log.group_commit import PROBE_SECS
from otlp2parquet.batches.log.segment import Segment
from otlp2parquet.config import BatchConfig
from otlp2parquet.errors import ConfigError
from tests.support.batches_bench import logs
from tests.support.doubles import Recorder
from tests.support.log_disk import CALLS
from tests.support.node import Answer, Node, one, services
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_nothing_is_kept_before_its_sync_has_returned(tmp_path: Path) -> None:
    """Written is not enough: the answer comes behind fdatasync, and behind the folder's fsync."""
    with Node(tmp_path) as node:
        node.disk.hold()
        _, answer = node.append(one(1))
        assert node.disk.entered.wait(PATIENCE_SECS)
        assert not answer.told.is_set()
        node.disk.gate.set()
        assert answer.is_kept


def test_a_new_segment_is_kept_only_with_its_name(tmp_path: Path) -> None:
    """A file whose name is not durable is lost with its folder's last change."""
    with Node(tmp_path) as node:
        told: list[bool] = []
        answer = Answer()

        def look(call: str, _: object) -> None:
            if call == "sync_folder":
                told.append(answer.told.is_set())

        node.disk.fail = look
        node.append(one(1), answer)
        assert answer.is_kept
        assert told == [False]


def test_one_sync_serves_all_that_wait(tmp_path: Path) -> None:
    """While a sync is under way the next group gathers, and takes one more."""
    with Node(tmp_path) as node:
        before = node.disk.syncs
        node.disk.hold()
        answers = [node.append(one(0))[1]]
        assert node.disk.entered.wait(PATIENCE_SECS)
        answers += [node.append(one(number))[1] for number in range(1, 50)]
        node.disk.gate.set()
        assert all(answer.is_kept for answer in answers)
        assert node.disk.syncs == before + 2
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


def test_a_batch_of_its_own_that_is_refused_is_forgotten(tmp_path: Path) -> None:
    """With a batch for each request a sender of nonsense costs no memory and no looks at files."""
    with Node(tmp_path, config=BatchConfig(enabled=False)) as node:
        for _ in range(20):
            with pytest.raises(Exception, match="byte"):
                node.append(b"\xff")
        node.keep(one(1))
        node.settle()
        assert not node.log._open  # noqa: SLF001 - what is looked at every second


def test_a_batch_closes_only_behind_its_last_sync(tmp_path: Path) -> None:
    """No file holds a row that might have to be refused yet."""
    writer = Recorder()
    with Node(tmp_path, writer=writer, config=BatchConfig(max_rows=3)) as node:
        node.keep(one(1))
        node.disk.hold()
        _, answer = node.append(logs(2))
        assert node.disk.entered.wait(PATIENCE_SECS)
        assert not node.storing.is_idle
        assert writer.attempts == []
        node.disk.gate.set()
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


def test_every_name_is_synced_when_it_comes_and_when_it_goes(tmp_path: Path) -> None:
    """The folder is synced with the segment there, and with the segment gone."""
    with Node(tmp_path, config=BatchConfig(max_rows=2)) as node:
        seen: list[int] = []

        def look(call: str, _: object) -> None:
            if call == "sync_folder":
                seen.append(len(list(node.log.folder.path.glob("*.segment"))))

        node.disk.fail = look
        node.keep(one(1))
        assert seen == [1]
        node.keep(one(2))
        node.settle()
        assert seen == [1, 0]


# -- a log that fails ------------------------------------------------------------------------


def test_a_failed_group_is_refused_and_leaves_no_row(tmp_path: Path) -> None:
    """What was kept before is stored, what was refused is not, and the file is cut there."""
    writer = Recorder()
    with Node(tmp_path, writer=writer) as node:
        node.keep(one("kept"))
        (path,) = node.segments
        size = path.stat().st_size
        node.disk.hold()
        node.disk.sync_errors.append(OSError(5, "Input/output error"))
        refused = [node.append(one("refused"))[1]]
        assert node.disk.entered.wait(PATIENCE_SECS)
        refused += [node.append(one(f"waiting{n}"))[1] for n in range(3)]
        # A batch that closes meanwhile is no way around it.
        node.disk.gate.set()
        for answer in refused:
            assert not answer.is_kept
            assert "input/output error" in str(answer.error)
        node.settle()
        assert [written.service for written in writer.files] == ["skept"]
        assert node.counts.log_failures == 1
        assert size < 1000
        assert node.budget.used == 0


def test_the_descriptor_of_a_failed_sync_is_never_used_again(tmp_path: Path) -> None:
    """A second fsync may call lost pages a success."""
    with Node(tmp_path) as node:
        node.keep(one(1))
        segment = node.ingest._open.log  # type: ignore[union-attr] # noqa: SLF001
        assert isinstance(segment, Segment)
        descriptor = segment._descriptor  # noqa: SLF001 - the very thing
        node.disk.calls.clear()
        node.disk.sync_errors.append(OSError(28, "No space left on device"))
        assert not node.append(one(2))[1].is_kept
        node.settle()
        used = [call for call in node.disk.calls if call[1] == descriptor]
        # Nothing but the write before the failed sync, and the end of it. (The system may give
        # the number to another file afterwards.)
        assert [name for name, _ in used[:2]] == ["write", "close"]
        assert descriptor not in node.disk.opened or segment._descriptor != descriptor  # noqa: SLF001


def test_a_sync_that_hangs_does_not_keep_the_process_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop ends in its time; what hangs is not acknowledged, and the folder stays owned."""
    monkeypatch.setattr(group_commit, "END_SECS", 0.01)
    with Node(tmp_path) as node:
        node.disk.hold()
        _, answer = node.append(one(1))
        assert node.disk.entered.wait(PATIENCE_SECS)
        assert not node.ingest.drain(0)
        assert not answer.told.is_set()
        assert any("disk hangs" in message for message in caplog.messages)
        with pytest.raises(ConfigError, match="belongs to pid"):
            LogFolder.claim(tmp_path / "log")
        node.disk.gate.set()
        assert answer.is_kept


def test_after_a_failure_requests_are_refused_until_a_probe_succeeds(tmp_path: Path) -> None:
    """No restart is needed, and the reason is there for whoever asks."""
    with Node(tmp_path) as node:
        full = OSError(28, "No space left on device")
        node.disk.fail = lambda call, _: full if call == "sync" else None
        assert node.ingest.refusal() is None
        assert not node.append(one(1))[1].is_kept
        assert node.ingest.refusal() == "the log cannot be written: no space left on device"
        probes = node.disk.syncs
        for probe in (1, 2):
            node.tick(PROBE_SECS)
            wait_for(lambda: node.disk.syncs >= probes + probe)  # noqa: B023 - called here only
        assert node.ingest.refusal() is not None
        node.disk.fail = lambda _call, _what: None
        node.wait_with_ticks(lambda: node.ingest.refusal() is None, PROBE_SECS)
        node.keep(one(2))
        assert not (node.log.folder.path / ".probe").exists()


def test_a_batch_that_closes_behind_its_folders_back_is_stored(tmp_path: Path) -> None:
    """The folder is removed, the batch closes before anybody has looked, and the storage fails.

    Memory lets go of the rows then, and only the open descriptor still leads to them.
    """
    down = [OSError("down"), OSError("down")]
    writer = Recorder(fail=lambda _: down.pop() if down else None)
    with Node(tmp_path, writer=writer) as node:
        node.keep(one(1))
        shutil.rmtree(node.log.folder.path)
        node.ingest.relieve()
        wait_for(lambda: node.backlog.resting == 1)
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert [written.service for written in writer.files] == ["s1"]
        node.wait_with_ticks(lambda: node.ingest.refusal() is None, PROBE_SECS)


def test_a_full_log_whose_folder_is_removed_takes_requests_again(tmp_path: Path) -> None:
    """No request is taken by which the log could find out, so it looks for itself."""
    writer = Recorder(fail=lambda _: OSError("down"))
    with Node(tmp_path, writer=writer, max_bytes=2000, config=BatchConfig(max_rows=1)) as node:
        while node.ingest.refusal() is None:
            node.keep(one(1))
        folder, gone = node.log.folder.path, FileNotFoundError(2, "No such file or directory")
        node.disk.fail = lambda call, _: gone if call == "space" and not folder.exists() else None
        shutil.rmtree(folder)
        node.wait_with_ticks(lambda: node.ingest.refusal() is None)
        writer.fail = lambda _: None
        node.keep(one(2))


def test_trouble_at_every_call_in_turn(tmp_path: Path, record: Callable[..., None]) -> None:
    """Whatever call fails, whenever: kept is stored once, refused is stored never."""
    lives = 0
    for operation, code, times in itertools.product(CALLS, (5, 28), (1, 3)):
        reached = True
        number = 0
        while reached:
            folder = tmp_path / f"{operation}-{code}-{times}-{number}"
            folder.mkdir()
            reached = life_with(Faults(operation, OSError(code, "injected"), number, times), folder)
            number += 1
        assert number > 1 or operation not in REACHED, operation
        lives += number
    record("calls", calls=lives)


REACHED = {"create", "open", "write", "sync", "sync_folder", "leads_to"}
"""Calls that the log's thread makes also where nothing else fails."""


class Faults:
    """Calls to the disk that fail from the ``first`` on, ``times`` in a row."""

    def __init__(self, operation: str, error: OSError, first: int, times: int) -> None:
        self._operation, self._error = operation, error
        self._failing = range(first, first + times)
        self.armed = False
        self.calls = 0
        self.hit = 0

    def __call__(self, call: str, _: object) -> OSError | None:
        """As ``ScriptedDisk.fail``."""
        on_log_thread = threading.current_thread().name == "otlp2parquet-log"
        if not self.armed or not on_log_thread or call != self._operation:
            return None
        self.calls += 1
        if self.calls - 1 not in self._failing:
            return None
        self.hit += 1
        return OSError(self._error.errno, self._error.strerror)


def life_with(faults: Faults, folder: Path) -> bool:
    """A short life in which calls fail, then another; whether a call failed at all."""
    kept: set[str] = set()
    refused: set[str] = set()
    with Node(folder, config=BatchConfig(max_rows=4)) as node:
        node.disk.fail = faults
        faults.armed = True
        for number in range(10):
            answer = node.append(one(number))[1]
            (kept if answer.is_kept else refused).add(f"s{number}")
            node.tick(PROBE_SECS)
        faults.armed = False
        node.wait_with_ticks(lambda: node.ingest.refusal() is None, PROBE_SECS)
        node.keep(one("last"))
        kept.add("slast")
        node.wait_with_ticks(lambda: node.backlog.batches == 0, 1)
    with Node(folder) as node:
        node.settle()
        stored = services(node.data)
    assert stored == sorted(kept)
    assert bool(refused) <= bool(faults.hit)
    return bool(faults.hit)
