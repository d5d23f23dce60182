"""The room of the log: marks of its own limit and of its disk, and what is done at each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batches.log.disk import SystemDisk
from otlp2parquet.batches.log.space import WORTH_BYTES, LogSpace
from otlp2parquet.config import BatchConfig
from tests.support.doubles import Recorder
from tests.support.node import Node, one
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def looked_at(node: Node, share: float) -> None:
    """So much of the disk is in use, and the log's thread has seen it."""
    node.disk.share = share
    node.tick(1)
    wait_for(lambda: node.log.usage().disk_share == pytest.approx(share, abs=0.001))


def test_at_90_percent_of_the_disk_requests_are_refused(tmp_path: Path) -> None:
    """And taken again when there is room."""
    with Node(tmp_path) as node:
        for share, taken in ((0.89, True), (0.9, False), (0.97, False), (0.5, True)):
            looked_at(node, share)
            assert (node.ingest.refusal() is None) == taken
        looked_at(node, 0.93)
        assert node.ingest.refusal() == "the disk of the log is 93% full, 716 MiB are free"


def test_a_log_at_its_limit_refuses(tmp_path: Path) -> None:
    """Also when storage is what keeps it from shrinking."""
    writer = Recorder(fail=lambda _: OSError("down"))
    with Node(tmp_path, writer=writer, max_bytes=2000, config=BatchConfig(max_rows=1)) as node:
        count = 0
        while node.ingest.refusal() is None:
            node.keep(one(1))
            count += 1
        assert 3 < count < 12
        assert "bytes that are not stored yet" in str(node.ingest.refusal())
        writer.fail = lambda _: None
        node.wait_with_ticks(lambda: node.ingest.refusal() is None)
        node.keep(one(2))


@pytest.mark.parametrize("by", ["limit", "disk"])
def test_at_80_percent_the_open_batch_closes_early(tmp_path: Path, by: str) -> None:
    """Two seconds old is old enough then, and a small log is left alone."""
    with Node(tmp_path, max_bytes=1 << 30) as node:
        node.keep(one(0))
        node.tick(2)
        node.settle()  # the first batch of a start
        if by == "disk":
            node.disk.share = 0.8
            node.log.grow(16 << 20)
        else:
            node.log.grow(int(0.8 * (1 << 30)))
        node.keep(one(1))
        node.tick(1.9)
        wait_for(node.log.is_short)  # the log's thread looks
        assert node.ingest.status().open_rows == 1
        node.tick(0.1)
        node.settle()
        assert node.ingest.status().open_rows == 0
        assert node.counts.batches_closed == {"age": 1, "disk": 1}
        node.log.grow(-(1 << 30))
        node.keep(one(2))
        node.tick(3)
        assert node.ingest.status().open_rows == 1


def test_the_disk_is_measured_as_df_does(tmp_path: Path) -> None:
    """Blocks that only root may use count as used, as they do in ``df``."""
    usage = os.statvfs(tmp_path)
    used = usage.f_blocks - usage.f_bfree
    space = LogSpace(SystemDisk(), tmp_path, 10)
    space.look()
    share = space.usage(0).disk_share
    assert share == pytest.approx(used / (used + usage.f_bavail), abs=0.01)
    space = LogSpace(SystemDisk(), tmp_path / "gone", 10)
    space.look()  # a disk that cannot say stops nothing
    assert space.refusal(0) is None


def test_a_full_disk_whose_folder_is_removed_is_full_no_more(tmp_path: Path) -> None:
    """Else no request would come any more by which the log finds out and makes a new folder."""
    with Node(tmp_path) as node:
        node.disk.share = 0.97
        node.tick(1)
        wait_for(lambda: node.ingest.refusal() is not None)
        gone = FileNotFoundError(2, "No such file or directory")
        node.disk.fail = lambda call, _: gone if call == "space" else None
        node.tick(1)
        wait_for(lambda: node.ingest.refusal() is None)


TB = 1 << 40
GB = 1 << 30
MB = 1 << 20


class Measured(SystemDisk):
    """A disk of which only the figures matter."""

    def __init__(self, size: int, free: int) -> None:
        self._figures = size - free, free

    def space(self, _: Path) -> tuple[int, int]:
        """As ``Disk.space``."""
        return self._figures


@pytest.mark.parametrize(
    ("size", "free", "is_full", "is_short"),
    [
        (4 * TB, 400 * GB, False, False),  # a tenth of it is room enough for anything
        (4 * TB, 9 * GB, False, False),
        (4 * TB, 8 * GB, False, True),
        (4 * TB, 4 * GB, True, True),
        (20 * GB, 4 * GB + MB, False, False),  # the share is what counts on a small one
        (20 * GB, 4 * GB - MB, False, True),
        (20 * GB, 2 * GB + MB, False, True),
        (20 * GB, 2 * GB - MB, True, True),
        (4 * TB, 0, True, True),
    ],
)
def test_a_disk_is_full_by_the_smaller_of_a_share_and_an_amount(
    tmp_path: Path,
    size: int,
    free: int,
    is_full: bool,  # noqa: FBT001 - columns of a table
    is_short: bool,  # noqa: FBT001
) -> None:
    """A large disk with hundreds of gigabytes free is not full."""
    space = LogSpace(Measured(size, free), tmp_path, 10 * TB)
    assert space.refusal(0) is None  # before the first look nothing is known
    space.look()
    assert (space.refusal(WORTH_BYTES) is not None) == is_full
    assert space.is_short(WORTH_BYTES) == is_short
    assert not space.is_short(WORTH_BYTES - 1)


def test_a_log_is_short_from_a_share_of_its_own_limit_on(tmp_path: Path) -> None:
    """Whatever the disk says."""
    space = LogSpace(Measured(4 * TB, 4 * TB), tmp_path, 1000)
    space.look()
    assert not space.is_short(799)
    assert space.is_short(800)
    assert space.refusal(999) is None
    assert "holds 1000 bytes" in str(space.refusal(1000))
