"""One segment: its records, its damage, and what becomes of it when its file is taken away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from otlp2parquet.batches.log import record as form
from otlp2parquet.batches.log.record import HEADER_BYTES, Header
from otlp2parquet.batches.request import Request
from otlp2parquet.config import BatchConfig
from otlp2parquet.core.decoder import crc32
from otlp2parquet.errors import ConfigError, StorageError
from tests.support.batches_bench import NOW, logs
from tests.support.doubles import Recorder
from tests.support.node import Node, one, services
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

BATCH = "01a217a0-85a5-7ef0-a067-d1b0521fab5c"


def append(path: Path, kind: int, body: bytes) -> None:
    """Write one more record to a segment, under a right CRC."""
    offset, seed = path.stat().st_size, form.seed_of(UUID(path.stem))
    head = form.other_head(kind)
    if kind == form.REQUEST:
        head = form.request_head(0, Request(body, "logs", "application/x-protobuf", None, NOW))
    with path.open("ab") as sink:
        sink.write(form.pack_prefix(seed, offset, head, body) + head + body)


# -- what another version has written --------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (7, b"a kind of record that comes later"),
        (form.PLAN, json.dumps({"root": "r", "layout": "later", "files": []}).encode()),
        (form.DESTINATION, b"not even json"),
        (form.STORED, b"[]"),
    ],
)
def test_a_record_of_another_version_is_refused_and_never_taken_for_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: int, body: bytes
) -> None:
    """Its batch is left, whole, for the version that wrote it; all others go on."""
    with Node(tmp_path, new_id=lambda: BATCH) as node:
        node.keep(one(1))
        (path,) = node.segments
    append(path, kind, body)
    append(path, form.REQUEST, one(2))
    with Node(tmp_path, replays=False) as node:
        node.keep(one("of another batch"))
    before = path.read_bytes()
    for _ in range(2):
        with Node(tmp_path, config=BatchConfig(max_rows=1)) as node:
            node.settle()
            node.keep(one("new"))
            node.settle()
            backlog = node.backlog
            assert (backlog.batches, backlog.left, backlog.resting) == (1, 1, 0)
            assert str(path) in backlog.last_error
            assert backlog.oldest == BATCH
            node.tick(100)
            assert node.ingest.drain(0)  # there is nothing that a stop could wait for
            assert node.counts.damaged_records == node.counts.torn_tails == 0
            assert node.budget.used == 0
        assert path.read_bytes() == before
        assert not (tmp_path / "log" / "quarantine").exists()
    assert services(tmp_path / "data") == ["snew", "snew", "sof%20another%20batch"]
    assert any("stays in the log" in message for message in caplog.messages)


def test_a_batch_that_is_left_keeps_memory_from_nobody(tmp_path: Path) -> None:
    """It is at no work that could free any: an open batch that fills it is closed at once."""
    with Node(tmp_path, new_id=lambda: BATCH) as node:
        node.keep(one(1))
        (path,) = node.segments
    append(path, 7, b"a kind of record that comes later")
    with Node(tmp_path) as node:
        wait_for(lambda: node.backlog.left == 1)
        node.keep(one("new"))
        node.ingest.relieve()
        assert node.ingest.status().open_rows == 0
        node.settle()


def test_log_format_1_is_refused(tmp_path: Path) -> None:
    """Nothing of it is touched: the version that wrote it can still read it."""
    with Node(tmp_path):
        pass
    packed = bytearray(form.pack_header(Header(UUID(BATCH), UUID(BATCH), 7)))
    packed[8:10] = (1).to_bytes(2, "big")
    packed[-4:] = crc32(bytes(packed[:-4])).to_bytes(4, "big")
    path = tmp_path / "log" / f"{BATCH}.segment"
    path.write_bytes(packed + b"records of that format")
    with pytest.raises(ConfigError, match=r"found log format 1, expected 2"):
        Node(tmp_path)
    assert path.read_bytes() == packed + b"records of that format"


# -- damage that is met while the storage is down --------------------------------------------


def test_damage_in_a_batch_that_is_read_back_costs_what_is_damaged(tmp_path: Path) -> None:
    """The healthy rest is stored by the same process, as soon as the storage is up."""
    writer = Recorder(fail=lambda _: StorageError("down"))
    with Node(tmp_path, writer=writer, config=BatchConfig(max_rows=4)) as node:
        node.keep(one("a"), one("b"), logs(1, "both"), logs(1, "both"))
        wait_for(lambda: node.backlog.resting == 1 and node.budget.used == 0)
        (path,) = node.segments
        data = bytearray(path.read_bytes())
        for service in (b"sb", b"both"):
            data[data.index(service)] ^= 1
        path.write_bytes(bytes(data))
        writer.fail = lambda _: None
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        stored = sorted((written.service, written.rows) for written in writer.files)
        assert stored == [("both", 1), ("sa", 1)]
        assert node.counts.damaged_records == 2
        assert node.counts.replay_differences >= 1
        assert node.segments == []
        assert len(list((tmp_path / "log" / "quarantine").iterdir())) == 2
        assert node.budget.used == 0


def test_a_segment_that_cannot_be_looked_at_now_is_read_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that answers EIO at the start is no reason to forget a batch, nor to take it over.

    What is said of it is not that a file could not be written.
    """
    with Node(tmp_path) as node:
        node.keep(one(1))
        disk = node.disk
    broken = OSError(5, "Input/output error")
    disk.fail = lambda call, what: (
        broken if call in ("size", "open") and str(what).endswith(".segment") else None
    )
    with Node(tmp_path, disk=disk) as node:
        wait_for(lambda: node.backlog.resting == 1)
        assert "input/output error" in node.backlog.last_error
        assert node.log.usage().bytes == 0
        disk.fail = lambda _call, _what: None
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert services(node.data) == ["s1"]
        assert node.segments == []
        assert node.log.usage().bytes == 0
    told = "reading a batch again failed, the rows are kept and it will be tried again"
    assert told in caplog.messages
    assert not any(message.startswith("writing") for message in caplog.messages)


# -- descriptors -----------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
def test_batches_that_wait_hold_no_descriptor(tmp_path: Path, trouble: str) -> None:
    """However many wait, and however the storage is down: the open files are those of the folder.

    A process has a thousand descriptors, and connections need theirs.
    """
    writer = Recorder()
    with Node(tmp_path, writer=writer, config=BatchConfig(enabled=False)) as node:
        idle = len(node.disk.opened)
        if trouble == "fails":
            writer.fail = lambda _: StorageError("down")
        else:
            writer.gates["shop"] = node.disk.gate.__class__()
        count = 200
        node.keep(*[logs(1)] * count)
        if trouble == "fails":
            wait_for(lambda: node.backlog.resting == count)
        assert node.backlog.batches == count
        assert len(node.segments) == count
        wait_for(lambda: len(node.disk.opened) == idle)
        writer.fail = lambda _: None
        for gate in writer.gates.values():
            gate.set()
        node.wait_with_ticks(lambda: node.backlog.batches == 0)
        assert writer.rows == count
        assert len(node.disk.opened) == idle


def test_a_header_alone_is_no_batch(tmp_path: Path) -> None:
    """What a crash left of a segment before its first group: nothing was acknowledged."""
    with Node(tmp_path):
        pass
    path = tmp_path / "log" / f"{BATCH}.segment"
    for content in (
        b"",
        bytes(HEADER_BYTES),
        form.pack_header(Header(UUID(BATCH), UUID(BATCH), 7)),
    ):
        path.write_bytes(content)
        with Node(tmp_path) as node:
            node.settle()
            assert node.segments == []
            assert node.backlog.batches == 0
        assert services(tmp_path / "data") == []
