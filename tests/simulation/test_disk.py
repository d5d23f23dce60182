"""The simulated disk does what the system's does, and loses in a power cut what that may lose."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batches.log.disk import Disk, SystemDisk
from tests.simulation.disk import WRITES, SimulatedDisk
from tests.simulation.faults import Faults, Rule
from tests.simulation.medium import Medium
from tests.simulation.scheduler import Scheduler
from tests.simulation.strategies import Even

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = range(60)


class Bench:
    """A simulated disk of its own, and the medium below it."""

    def __init__(self, seed: int = 0, capacity: int = 1 << 40) -> None:
        self.dice = random.Random(seed)
        self.medium = Medium(capacity)
        self.faults = Faults(random.Random(seed))
        self.disk = self.another()
        self.disk.make_folder(Path("/log"))

    def another(self) -> SimulatedDisk:
        """The disk as another process has it."""
        return SimulatedDisk(self.medium, Scheduler(Even(self.dice)), self.faults, self.dice)

    def cut(self) -> SimulatedDisk:
        """What is left after a power cut."""
        self.medium.cut_power(self.dice)
        return self.another()


@pytest.fixture(params=["system", "simulated"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Disk, Path]:
    """A disk, and a folder on it."""
    if request.param == "system":
        return SystemDisk(), tmp_path
    bench = Bench()
    bench.disk.make_folder(tmp_path)
    return bench.disk, tmp_path


def test_bytes_are_read_as_they_were_written(place: tuple[Disk, Path]) -> None:
    """At their offsets, with zeros between, up to the end."""
    disk, folder = place
    descriptor = disk.create(folder / "a")
    disk.write(descriptor, 0, [b"abc", b"", b"def"])
    disk.write(descriptor, 8, [b"xy"])
    disk.write(descriptor, 1, [b"B"])
    disk.sync(descriptor)
    assert disk.read(descriptor, 0, 100) == b"aBcdef\0\0xy"
    assert disk.read(descriptor, 4, 2) == b"ef"
    assert disk.read(descriptor, 50, 2) == b""
    disk.truncate(descriptor, 2)
    assert disk.size(folder / "a") == 2
    disk.close(descriptor)
    again = disk.open(folder / "a", write=False)
    assert disk.read(again, 0, 100) == b"aB"
    with pytest.raises(OSError, match="Bad file descriptor"):
        disk.write(again, 0, [b"no"])
    disk.close(again)


def test_names_lead_to_files(place: tuple[Disk, Path]) -> None:
    """They are made once, changed and removed; an open file outlives its name."""
    disk, folder = place
    descriptor = disk.create(folder / "a")
    with pytest.raises(FileExistsError):
        disk.create(folder / "a")
    disk.write(descriptor, 0, [b"a"])
    disk.close(disk.create(folder / "b"))
    disk.make_folder(folder / "folder.segment")
    assert sorted(disk.names(folder)) == ["a", "b"]
    assert disk.leads_to(folder / "a", descriptor)
    assert not disk.leads_to(folder / "b", descriptor)
    disk.rename(folder / "a", folder / "b")
    assert disk.names(folder) == ["b"]
    assert disk.leads_to(folder / "b", descriptor)
    disk.unlink(folder / "b")
    disk.unlink(folder / "b")
    disk.sync_folder(folder)
    assert not disk.exists(folder / "b")
    assert not disk.leads_to(folder / "b", descriptor)
    assert disk.read(descriptor, 0, 9) == b"a"
    disk.close(descriptor)


def test_what_is_not_there_is_an_error(place: tuple[Disk, Path]) -> None:
    """The errors are those of the system."""
    disk, folder = place
    gone = folder / "gone"
    calls: list[Callable[[], object]] = [
        lambda: disk.open(gone, write=True),
        lambda: disk.size(gone),
        lambda: disk.names(gone),
        lambda: disk.create(gone / "inside"),
        lambda: disk.rename(gone, folder / "other"),
        lambda: disk.sync_folder(gone),
        lambda: disk.space(gone),
    ]
    for call in calls:
        with pytest.raises(FileNotFoundError):
            call()
    assert not disk.exists(gone / "inside")
    disk.close(disk.create(folder / "file"))
    with pytest.raises(NotADirectoryError):
        disk.names(folder / "file")
    assert not disk.exists(folder / "file" / "inside")


def test_a_lock_has_one_owner(place: tuple[Disk, Path]) -> None:
    """Until it closes the file."""
    disk, folder = place
    one = disk.create(folder / "lock")
    other = disk.open(folder / "lock", write=True)
    disk.lock(one)
    with pytest.raises(BlockingIOError):
        disk.lock(other)
    disk.close(one)
    disk.lock(other)
    disk.close(other)


def test_a_lock_ends_with_its_process() -> None:
    """A killed one leaves it to the next."""
    bench = Bench()
    bench.disk.lock(bench.disk.create(Path("/log/lock")))
    bench.medium.crash(bench.dice)
    later = bench.another()
    later.lock(later.open(Path("/log/lock"), write=True))


def test_what_is_synced_outlives_a_power_cut() -> None:
    """Bytes behind a sync, names behind a sync of their folder: under every seed."""
    for seed in SEEDS:
        bench = Bench(seed)
        descriptor = bench.disk.create(Path("/log/a"))
        bench.disk.write(descriptor, 0, [b"safe"])
        bench.disk.sync(descriptor)
        bench.disk.sync_folder(Path("/log"))
        bench.disk.write(descriptor, 4, [b"not safe"])
        after = bench.cut()
        left = after.read(after.open(Path("/log/a"), write=False), 0, 100)
        assert left[:4] == b"safe"
        assert len(left) <= 12


def test_what_is_not_synced_may_be_lost_or_not() -> None:
    """Every way of it is met: names without bytes, some bytes, all, and none."""
    left: set[bytes | None] = set()
    for seed in range(300):
        bench = Bench(seed)
        descriptor = bench.disk.create(Path("/log/a"))
        bench.disk.write(descriptor, 0, [b"one"])
        bench.disk.write(descriptor, 3, [b"two"])
        after = bench.cut()
        there = after.exists(Path("/log/a"))
        opened = after.open(Path("/log/a"), write=False) if there else None
        left.add(after.read(opened, 0, 100) if opened is not None else None)
    assert left >= {None, b"", b"one", b"onetwo", b"\0\0\0two"}


def test_bytes_of_a_failed_sync_may_be_gone_although_a_later_one_succeeds() -> None:
    """They can be read for a while: no descriptor on which a sync failed can be believed."""
    lost = 0
    for seed in SEEDS:
        bench = Bench(seed)
        descriptor = bench.disk.create(Path("/log/a"))
        bench.disk.sync_folder(Path("/log"))
        bench.disk.write(descriptor, 0, [b"first"])
        bench.faults.add([Rule(frozenset({"sync"}), "EIO", most=1)])
        with pytest.raises(OSError, match="Input/output error"):
            bench.disk.sync(descriptor)
        bench.disk.write(descriptor, 5, [b"second"])
        bench.disk.sync(descriptor)
        after = bench.cut()
        left = after.read(after.open(Path("/log/a"), write=False), 0, 100)
        assert left[5:] == b"second"
        lost += left[:5] != b"first"
    assert 0 < lost < len(SEEDS)


def test_a_full_disk_takes_what_fits() -> None:
    """And says so, as the system does."""
    bench = Bench(capacity=10)
    descriptor = bench.disk.create(Path("/log/a"))
    bench.disk.write(descriptor, 0, [b"12345678"])
    with pytest.raises(OSError, match="No space left on device"):
        bench.disk.write(descriptor, 8, [b"12345678"])
    assert bench.disk.size(Path("/log/a")) == 10
    assert bench.disk.space(Path("/log")) == (10, 0)
    bench.disk.write(descriptor, 0, [b"abc"])


def test_calls_go_wrong_by_rules() -> None:
    """For a time, and so often as a rule says; what they did nevertheless is one of three."""
    bench = Bench()
    bench.faults.add([Rule(WRITES, "EROFS", end=1.0)])
    with pytest.raises(OSError, match="Read-only file system"):
        bench.disk.create(Path("/log/a"))
    assert not bench.disk.exists(Path("/log/a"))
    bench.faults.heal()
    bench.faults.add([Rule(frozenset({"unlink"}), "EIO", most=1, effect="whole")])
    bench.disk.close(bench.disk.create(Path("/log/a")))
    with pytest.raises(OSError, match="Input/output error"):
        bench.disk.unlink(Path("/log/a"))
    assert not bench.disk.exists(Path("/log/a"))


def test_a_folder_that_is_taken_away_keeps_open_files() -> None:
    """``rm -rf`` under a process: its writes go on, and lead nowhere."""
    bench = Bench()
    descriptor = bench.disk.create(Path("/log/a"))
    bench.medium.remove(Path("/log"))
    bench.disk.write(descriptor, 0, [b"lost"])
    assert bench.disk.read(descriptor, 0, 9) == b"lost"
    assert not bench.disk.leads_to(Path("/log/a"), descriptor)
    with pytest.raises(FileNotFoundError):
        bench.disk.sync_folder(Path("/log"))
