"""The folder of the log: one owner, one node id, and what becomes of it when it is taken away."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batches.log.disk import SystemDisk
from otlp2parquet.batches.log.folder import LogFolder, is_owned
from otlp2parquet.batches.log.group_commit import LOOK_SECS, PROBE_SECS
from otlp2parquet.config import BatchConfig
from otlp2parquet.errors import ConfigError, StorageError
from tests.support.doubles import Recorder
from tests.support.node import Node, one, services
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otlp2parquet.batches.flushes import Flushed


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


# -- the folder is taken away under a running process ----------------------------------------


def removed(folder: Path) -> None:
    """As ``rm -rf`` does."""
    shutil.rmtree(folder)


def renamed(folder: Path) -> None:
    """As ``mv`` does."""
    folder.rename(folder.with_name("elsewhere"))


def covered(folder: Path) -> None:
    """As a mount, or whoever makes another folder in its place."""
    renamed(folder)
    folder.mkdir()


@pytest.mark.parametrize("take_away", [removed, renamed, covered])
def test_nothing_is_acknowledged_into_a_folder_that_is_gone(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    """The first group after it is refused; what was acknowledged is stored from the open file.

    Then the folder is made again, and requests are taken without a restart.
    """
    with Node(tmp_path) as node:
        node.keep(one("before"), one("too"))
        take_away(tmp_path / "log")
        answer = node.append(one("refused"))[1]
        assert not answer.is_kept
        assert "the segment was removed" in str(answer.error)
        assert node.ingest.refusal() is not None
        node.wait_with_ticks(lambda: node.ingest.refusal() is None, PROBE_SECS)
        node.settle()
        assert services(node.data) == ["sbefore", "stoo"]
        assert node.counts.log_failures == 1  # nobody else is refused for what is gone
        node.keep(one("after"))
        assert len(node.segments) == 1
        assert node.log.folder.segment_path("x").parent == tmp_path / "log"
        assert (tmp_path / "log" / "node").read_text().strip() == str(node.log.folder.node)
        with pytest.raises(ConfigError, match="belongs to pid"):
            Node(tmp_path)
    with Node(tmp_path) as node:
        node.settle()
        assert services(node.data) == ["safter", "sbefore", "stoo"]


@pytest.mark.parametrize("take_away", [removed, renamed, covered])
def test_a_folder_that_is_gone_is_seen_also_without_a_request(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    """The names of open segments are looked at: what is acknowledged does not wait for more."""
    with Node(tmp_path) as node:
        node.keep(one("before"))
        take_away(tmp_path / "log")
        node.tick(LOOK_SECS)
        wait_for(lambda: services(node.data) == ["sbefore"])
        node.settle()
        node.wait_with_ticks(lambda: node.ingest.refusal() is None, PROBE_SECS)
        node.keep(one("after"))


def test_a_segment_alone_that_is_removed(tmp_path: Path) -> None:
    """As the folder: the group in flight is refused, the rows before it are stored."""
    with Node(tmp_path) as node:
        node.keep(one("before"))
        node.segments[0].unlink()
        assert not node.append(one("refused"))[1].is_kept
        node.settle()
        node.wait_with_ticks(lambda: node.ingest.refusal() is None, PROBE_SECS)
        node.keep(one("after"))
        assert node.ingest.drain(30)
        assert services(node.data) == ["safter", "sbefore"]


def test_rows_in_memory_outlive_their_log(tmp_path: Path) -> None:
    """A closed batch whose rows were not read yet is stored from memory, and refuses nobody."""
    writer = Recorder(gates={"sslow": threading.Event()})
    config = BatchConfig(max_rows=1)
    with Node(tmp_path, writer=writer, threads=1, config=config) as node:
        node.keep(one("slow"), one("next"))
        removed(tmp_path / "log")
        writer.gates["sslow"].set()
        node.settle()
        assert [written.service for written in writer.files] == ["sslow", "snext"]
        node.wait_with_ticks(lambda: node.ingest.refusal() is None, PROBE_SECS)
        node.keep(one("after"))


def test_a_log_that_is_gone_with_rows_that_memory_has_given_back_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing can bring them back: the loss is said and counted, and nothing waits for it."""
    writer = Recorder(fail=lambda _: StorageError("down"))
    with Node(tmp_path, writer=writer, config=BatchConfig(max_rows=1)) as node:
        node.keep(one(1))
        wait_for(lambda: node.backlog.resting == 1)
        (path,) = node.segments
        path.unlink()
        writer.fail = lambda _: None
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert node.counts.batches_lost == 1
        assert node.budget.used == 0
        assert node.log.usage().bytes == 0
        told: list[Flushed] = []
        for _ in range(3):
            node.ingest.flush(told.append)
        wait_for(lambda: len(told) == 3)
        assert [flushed.lost for flushed in told] == [1, 0, 0], "by the first flush after it"
        assert [flushed.is_stored for flushed in told] == [False, True, True]
        assert node.ingest.drain(30)
    assert any("its rows are lost" in message for message in caplog.messages)


def test_rows_of_a_log_that_is_gone_stay_in_memory_while_the_storage_is_in_doubt(
    tmp_path: Path,
) -> None:
    """They are nowhere else: neither are they left to that log, nor given back to it."""
    gates = {"sother": threading.Event(), "sprobe": threading.Event()}
    down = {"sother", "sprobe"}
    writer = Recorder(fail=lambda w: StorageError("down") if w.service in down else None)
    config = BatchConfig(max_rows=1)
    with Node(tmp_path, writer=writer, threads=2, most_threads=1, config=config) as node:
        writer.gates["sother"] = gates["sother"]
        node.keep(one("other"))
        wait_for(lambda: writer.attempts == ["sother"])
        node.keep(one("probe"))
        wait_for(lambda: node.backlog.resting == 1)
        writer.gates["sprobe"] = gates["sprobe"]
        node.tick(2)
        wait_for(lambda: writer.attempts.count("sprobe") == 2)
        # No thread is left for this one, and its segment is not open any more.
        node.keep(one("here"))
        wait_for(lambda: not node.log._open)  # noqa: SLF001 - what the log's thread holds open
        removed(tmp_path / "log")
        down.add("shere")
        gates["sother"].set()
        wait_for(lambda: "shere" in writer.attempts)
        down.clear()
        gates["sprobe"].set()
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert sorted(str(written.service) for written in writer.files) == ["shere", "sprobe"]
        assert node.counts.batches_lost == 1, "that of the other had left memory before"
        assert node.budget.used == 0


def test_a_log_whose_volume_is_away_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below its mount point there is nothing, and all is there again with the volume."""
    volume, away = tmp_path / "log", tmp_path / "away"
    volume.mkdir()
    mounts = {volume.resolve()}
    monkeypatch.setattr("os.path.ismount", lambda path: path in mounts)
    writer = Recorder(fail=lambda _: StorageError("down"))
    with Node(tmp_path, writer=writer, config=BatchConfig(max_rows=1)) as node:
        node.keep(one(1))
        wait_for(lambda: node.backlog.resting == 1)
        writer.fail = lambda _: None
        volume.rename(away)
        volume.mkdir()
        mounts.clear()
        node.tick(40)
        wait_for(lambda: "cannot read" in node.backlog.last_error or not node.backlog.batches)
        assert node.counts.batches_lost == 0
        volume.rmdir()
        away.rename(volume)
        mounts.add(volume.resolve())
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert writer.rows == 1
        assert node.counts.batches_lost == 0
        assert node.segments == []


def test_no_folder_is_made_where_its_own_folder_is_gone(tmp_path: Path) -> None:
    """What would lie below an empty mount point is hidden once the volume is back."""
    parent = tmp_path / "volume"
    (parent / "data").mkdir(parents=True)
    with Node(parent) as node:
        node.keep(one(1))
        parent.rename(tmp_path / "away")
        assert not node.append(one(2))[1].is_kept
        for _ in range(3):
            before = node.disk.calls.count(("exists", parent))
            node.tick(PROBE_SECS)
            wait_for(lambda: node.disk.calls.count(("exists", parent)) > before)  # noqa: B023
        assert "gone" in str(node.ingest.refusal())
        assert not parent.exists()
        (tmp_path / "away").rename(parent)
        node.wait_with_ticks(lambda: node.ingest.refusal() is None, PROBE_SECS)
        node.keep(one(3))
        node.wait_with_ticks(lambda: services(node.data) == ["s1"])
        assert node.ingest.drain(30)
        assert services(node.data) == ["s1", "s3"]
        assert node.segments == []


def test_a_log_whose_owner_lives_is_owned(tmp_path: Path) -> None:
    """Who lives is told by the lock's text; the asker itself, and who is gone, own nothing."""
    disk = SystemDisk()
    LogFolder.claim(tmp_path, disk).release()
    assert not is_owned(disk, tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        text = f"pid {other.pid} on host {socket.gethostname()}\n"
        (tmp_path / "lock").write_text(text, encoding="ascii")
        assert is_owned(disk, tmp_path)
        other.communicate(b"\n")
    assert not is_owned(disk, tmp_path)
    (tmp_path / "lock").write_text("pid 1 on host elsewhere.example\n", encoding="ascii")
    assert not is_owned(disk, tmp_path)
