"""A process's disk: the calls of ``batches.log.disk.Disk`` over a medium that outlives it.

Every call is a point at which another task may go on, and may go wrong by a rule. What a killed
process has open or locked is gone with it, and its calls raise ``Dead``.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from otlp2parquet.batches.log.disk import Descriptor
from tests.simulation.medium import File, Folder

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.simulation.faults import Faults, Rule
    from tests.simulation.medium import Medium
    from tests.simulation.scheduler import Scheduler

WRITES: Final = frozenset(
    {
        "make_folder", "create", "open for writing", "write", "truncate", "sync", "unlink",
        "rename", "sync_folder",
    }
)  # fmt: skip
"""Calls that a full or a read-only disk refuses, and those of which a failing one loses bytes."""

READS: Final = frozenset({"names", "exists", "size", "open", "read", "leads_to", "space", "lock"})


@dataclass(slots=True)
class _Open:
    file: File
    path: Path
    write: bool


class SimulatedDisk:
    """One life's view of a medium."""

    def __init__(
        self, medium: Medium, scheduler: Scheduler, faults: Faults, dice: random.Random
    ) -> None:
        self.medium = medium
        self.faults = faults
        self._scheduler = scheduler
        self._dice = dice
        self._open: dict[int, _Open] = {}
        self._next = 2
        self.most_open = 0

    @property
    def open_paths(self) -> list[str]:
        """The names by which files were opened that are open now."""
        return [opened.path.name for opened in self._open.values()]

    # -- the calls --------------------------------------------------------------------------

    def make_folder(self, folder: Path) -> None:
        """As ``Disk.make_folder``."""
        rule = self._call("make_folder", folder)
        if rule is None or rule.effect == "whole":
            self.medium.make_folder(folder)
        self._fail(rule)

    def names(self, folder: Path) -> list[str]:
        """As ``Disk.names``."""
        self._fail(self._call("names", folder))
        nodes = self.medium.folder(folder).names
        names = [name for name, node in nodes.items() if isinstance(node, File)]
        self._dice.shuffle(names)
        return names

    def exists(self, path: Path) -> bool:
        """As ``Disk.exists``."""
        self._fail(self._call("exists", path))
        try:
            self.medium.find(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def size(self, path: Path) -> int:
        """As ``Disk.size``."""
        self._fail(self._call("size", path))
        return len(self.medium.file(path).content)

    def create(self, path: Path) -> Descriptor:
        """As ``Disk.create``."""
        rule = self._call("create", path)
        folder = self.medium.folder(path.parent)
        if path.name in folder.names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        if rule is None or rule.effect != "none":
            folder.names[path.name] = File()
        self._fail(rule)
        return self._opened(path, write=True)

    def open(self, path: Path, *, write: bool) -> Descriptor:
        """As ``Disk.open``."""
        self._fail(self._call("open for writing" if write else "open", path))
        self.medium.file(path)
        return self._opened(path, write=write)

    def close(self, descriptor: Descriptor) -> None:
        """As ``Disk.close``."""
        if self._scheduler.dead:
            return
        opened = self._open.pop(descriptor, None)
        if opened is None:
            raise AssertionError(f"descriptor {descriptor} is closed twice")
        if opened.file.owner == (self, descriptor):
            opened.file.owner = None
        self._scheduler.point("close", opened.path.name)

    def write(self, descriptor: Descriptor, offset: int, pieces: Sequence[bytes]) -> None:
        """As ``Disk.write``."""
        opened = self._at(descriptor)
        rule = self._call("write", opened.path)
        if not opened.write:
            self._raise("EBADF")
        data = b"".join(pieces)
        if rule is not None:
            if rule.effect == "none":
                data = b""
            elif rule.effect == "part":
                data = data[: self._dice.randint(0, len(data))]
        file = opened.file
        grows = max(0, offset + len(data) - len(file.content))
        room = self.medium.room if grows else 0
        if grows > room:
            data = data[: max(0, len(data) - (grows - room))]
        if data:
            file.change((offset, data))
        self._fail(rule)
        if grows > room:
            self._raise("ENOSPC")

    def read(self, descriptor: Descriptor, offset: int, count: int) -> bytes:
        """As ``Disk.read``."""
        opened = self._at(descriptor)
        self._fail(self._call("read", opened.path))
        return bytes(opened.file.content[offset : offset + count])

    def truncate(self, descriptor: Descriptor, size: int) -> None:
        """As ``Disk.truncate``, which is durable."""
        opened = self._at(descriptor)
        rule = self._call("truncate", opened.path)
        if not opened.write:
            self._raise("EBADF")
        if rule is None or rule.effect != "none":
            opened.file.change((size, None))
        if rule is None or rule.effect == "whole":
            opened.file.sync()
        self._fail(rule)

    def sync(self, descriptor: Descriptor) -> None:
        """As ``Disk.sync``."""
        opened = self._at(descriptor)
        rule = self._call("sync", opened.path)
        if rule is None or rule.effect == "whole":
            opened.file.sync()
        else:
            opened.file.fail_sync(self._dice)
        self._fail(rule)

    def leads_to(self, path: Path, descriptor: Descriptor) -> bool:
        """As ``Disk.leads_to``."""
        opened = self._at(descriptor)
        self._fail(self._call("leads_to", path))
        try:
            return self.medium.find(path) is opened.file
        except (FileNotFoundError, NotADirectoryError):
            return False

    def unlink(self, path: Path) -> None:
        """As ``Disk.unlink``."""
        rule = self._call("unlink", path)
        if rule is None or rule.effect != "none":
            try:
                folder = self.medium.folder(path.parent)
            except FileNotFoundError:
                return
            found = folder.names.get(path.name)
            if isinstance(found, Folder):
                self._raise("EISDIR")
            folder.names.pop(path.name, None)
        self._fail(rule)

    def rename(self, path: Path, target: Path) -> None:
        """As ``Disk.rename``."""
        rule = self._call("rename", path)
        file = self.medium.file(path)
        if rule is None or rule.effect != "none":
            self.medium.folder(target.parent).names[target.name] = file
            if path != target:
                del self.medium.folder(path.parent).names[path.name]
        self._fail(rule)

    def sync_folder(self, folder: Path) -> None:
        """As ``Disk.sync_folder``."""
        rule = self._call("sync_folder", folder)
        found = self.medium.folder(folder)
        if rule is None or rule.effect == "whole":
            found.sync()
        self._fail(rule)

    def lock(self, descriptor: Descriptor) -> None:
        """As ``Disk.lock``."""
        opened = self._at(descriptor)
        self._fail(self._call("lock", opened.path))
        if opened.file.owner not in (None, (self, descriptor)):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        opened.file.owner = (self, descriptor)

    def mount_of(self, path: Path) -> Path:
        """There is one volume."""
        return Path(path.anchor)

    def check_mounted(self, mount: Path) -> None:
        """It is never unmounted: folders are removed instead."""

    def space(self, folder: Path) -> tuple[int, int]:
        """As ``Disk.space``."""
        self._fail(self._call("space", folder))
        self.medium.folder(folder)
        return self.medium.used, self.medium.room

    # -- inside -----------------------------------------------------------------------------

    def _call(self, call: str, path: Path) -> Rule | None:
        scheduler = self._scheduler
        scheduler.point(call, path.name)
        rule = self.faults.next(call, path.name, scheduler.now)
        if rule is None:
            return None
        scheduler.note(f"fault {rule.kind}", call)
        if rule.secs and scheduler.current is not None:
            scheduler.block("the disk", scheduler.now + rule.secs)
        return None if rule.kind == "hang" else rule

    def _fail(self, rule: Rule | None) -> None:
        if rule is not None:
            self._raise(rule.kind)

    def _raise(self, kind: str) -> NoReturn:
        number = getattr(errno, kind)
        raise OSError(number, os.strerror(number))

    def _opened(self, path: Path, *, write: bool) -> Descriptor:
        self._next += 1
        self._open[self._next] = _Open(self.medium.file(path), path, write)
        self.most_open = max(self.most_open, len(self._open))
        return Descriptor(self._next)

    def _at(self, descriptor: Descriptor) -> _Open:
        opened = self._open.get(descriptor)
        if opened is None:
            if self._scheduler.dead:
                self._scheduler.point("dead")
            raise AssertionError(f"descriptor {descriptor} is not open")
        return opened
