"""What lies on a disk: files and folders, what of them is safe, and what a power cut leaves.

Knows what file systems promise and no more, as ``tests.support.power`` does: bytes are safe once
their file was synced, names once their folder was. A failed sync drops bytes for good although
they can still be read; a later sync then succeeds. Must not know processes or whose files it has.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import PurePath

Change = tuple[int, bytes | None]
"""Bytes written at an offset, or (``None``) a cut there."""


class File:
    """The bytes as processes see them, those on the medium for sure, and what is between."""

    __slots__ = ("content", "dropped", "owner", "pending", "safe")

    def __init__(self) -> None:
        self.content = bytearray()
        self.safe = bytearray()
        self.pending: list[Change] = []
        self.dropped = False
        """Whether a failed sync has dropped bytes that ``content`` still shows."""
        self.owner: object = None
        """Who has locked it."""

    def change(self, change: Change) -> None:
        """A write, or a cut."""
        _apply(self.content, change)
        self.pending.append(change)

    def sync(self) -> None:
        """Everything written since the last sync is safe."""
        for change in self.pending:
            _apply(self.safe, change)
        self.pending.clear()

    def fail_sync(self, dice: random.Random) -> None:
        """Some of it is safe, the rest will never be; it may be read until the cache forgets."""
        for change in self.pending:
            if dice.random() < 0.5:
                self.dropped = True
            else:
                _apply(self.safe, change)
        self.pending.clear()
        if self.dropped and dice.random() < 0.5:
            self.forget()

    def forget(self) -> None:
        """The cache forgets what a failed sync has dropped."""
        if self.dropped:
            self.content = bytearray(self.safe)
            for change in self.pending:
                _apply(self.content, change)
            self.dropped = False

    def cut_power(self, dice: random.Random) -> None:
        """Keep what is safe, and by lot none, a beginning, any part or all of the rest."""
        kind = dice.random()
        pending, self.pending = self.pending, []
        if kind < 0.4:
            pending = []
        elif kind < 0.7 and pending:
            pending = pending[: dice.randint(1, len(pending))]
            pending[-1] = _torn(pending[-1], dice)
        elif kind < 0.9:
            pending = [change for change in pending if dice.random() < 0.5]
        for change in pending:
            _apply(self.safe, change)
        self.content = bytearray(self.safe)
        self.dropped = False


class Folder:
    """The names as processes see them, and those on the medium for sure."""

    __slots__ = ("names", "safe")

    def __init__(self) -> None:
        self.names: dict[str, File | Folder] = {}
        self.safe: dict[str, File | Folder] = {}

    def sync(self) -> None:
        """The names as they are now are safe."""
        self.safe = dict(self.names)

    def cut_power(self, dice: random.Random) -> None:
        """Each name that changed since is as before or as now."""
        left = {}
        for name in sorted(self.names.keys() | self.safe.keys()):
            now, safe = self.names.get(name), self.safe.get(name)
            kept = safe if now is safe or dice.random() < 0.5 else now
            if kept is not None:
                kept.cut_power(dice)
                left[name] = kept
        self.names, self.safe = left, dict(left)


class Medium:
    """The files of one disk. ``capacity`` is what they may hold together, in bytes."""

    def __init__(self, capacity: int = 1 << 40) -> None:
        self.top = Folder()
        self.capacity = capacity
        self.foreign_bytes = 0
        """What others take of it."""

    def find(self, path: PurePath) -> File | Folder:
        """What has this name; the errors are those of the system."""
        found: File | Folder = self.top
        for part in path.parts[1:]:
            if isinstance(found, File):
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(path))
            inside = found.names.get(part)
            if inside is None:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
            found = inside
        return found

    def folder(self, path: PurePath) -> Folder:
        """The folder of this name."""
        found = self.find(path)
        if isinstance(found, File):
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(path))
        return found

    def file(self, path: PurePath) -> File:
        """The file of this name."""
        found = self.find(path)
        if isinstance(found, Folder):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
        return found

    def make_folder(self, path: PurePath) -> None:
        """A folder with its parents, durably."""
        at = self.top
        for part in path.parts[1:]:
            inside = at.names.get(part)
            if inside is None:
                inside = at.names[part] = Folder()
            at.safe[part] = inside
            if isinstance(inside, File):
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(path))
            at = inside

    def remove(self, path: PurePath) -> None:
        """``rm -rf``, durably: whoever has a file open writes to what has no name."""
        parent = self.folder(path.parent)
        parent.names.pop(path.name, None)
        parent.safe.pop(path.name, None)

    def move(self, path: PurePath, target: PurePath) -> None:
        """``mv`` of a file or a folder, durably."""
        found = self.find(path)
        self.remove(path)
        parent = self.folder(target.parent)
        parent.names[target.name] = parent.safe[target.name] = found

    def cut_power(self, dice: random.Random) -> None:
        """What is left is what was safe, and by lot a part of the rest."""
        self.top.cut_power(dice)

    def crash(self, dice: random.Random) -> None:
        """A process has died; what failed syncs have dropped may be seen now."""
        for file in self.files():
            file.owner = None
            if file.dropped and dice.random() < 0.5:
                file.forget()

    def files(self) -> Iterator[File]:
        """All files that have a name."""
        folders = [self.top]
        while folders:
            for node in folders.pop().names.values():
                if isinstance(node, Folder):
                    folders.append(node)
                else:
                    yield node

    @property
    def used(self) -> int:
        """Bytes of all files that have a name, and what others take."""
        return self.foreign_bytes + sum(len(file.content) for file in self.files())

    @property
    def room(self) -> int:
        """Bytes that can still be written."""
        return max(0, self.capacity - self.used)


def _apply(content: bytearray, change: Change) -> None:
    offset, data = change
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


def _torn(change: Change, dice: random.Random) -> Change:
    """A write of which only the beginning came, or of which a page never came."""
    offset, data = change
    if not data:
        return change
    data = data[: dice.randint(0, len(data))]
    if data and dice.random() < 0.3:
        hole = dice.randrange(len(data))
        size = min(len(data) - hole, 4096)
        data = data[:hole] + bytes(size) + data[hole + size :]
    return offset, data
