"""The disks that a power cut may leave: a journal of calls, replayed up to a cut.

Knows what file systems promise and no more: bytes are safe once their file was synced, names once
their folder was. Everything else may be gone, or there, or there in part. Must not know whose
files they are. ``journal.c`` writes the journal under the real process.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_HEAD: Final = struct.Struct("=cQQIII")


@dataclass(slots=True)
class Operation:
    """One call; ``end`` is where its record ends in the journal."""

    kind: str
    inode: int
    number: int
    path: str
    other: str
    data: bytes
    end: int


def operations(journal: bytes) -> Iterator[Operation]:
    """The calls of a journal, in order."""
    place = 0
    while place + _HEAD.size <= len(journal):
        kind, inode, number, *sizes = _HEAD.unpack_from(journal, place)
        place += _HEAD.size
        parts = []
        for size in sizes:
            parts.append(journal[place : place + size])
            place += size
        if place > len(journal):
            return
        path, other, data = parts
        yield Operation(kind.decode(), inode, number, path.decode(), other.decode(), data, place)


@dataclass(slots=True)
class _File:
    """A file as the process sees it, and as the medium has it for sure."""

    content: bytearray = field(default_factory=bytearray)
    safe: bytes = b""


@dataclass(slots=True)
class _Folder:
    names: dict[str, _File | _Folder] = field(default_factory=dict)
    safe: dict[str, _File | _Folder] = field(default_factory=dict)


class Disk:
    """What is below ``root``, call by call."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # The folder itself was there before.
        self._top = _Folder()
        self._inodes: dict[int, _File] = {}

    def apply(self, call: Operation) -> None:
        """One call more. Files that were open before, such as the server's log, are not its."""
        if call.kind in "WTS" and call.inode not in self._inodes:
            return
        if call.kind in "CM":
            folder, name = self._at(call.path)
            made: _File | _Folder = _Folder()
            if call.kind == "C":
                made = self._inodes[call.inode] = _File()
            folder.names[name] = made
        elif call.kind == "W":
            content = self._inodes[call.inode].content
            content.extend(bytes(max(0, call.number - len(content))))
            content[call.number : call.number + len(call.data)] = call.data
        elif call.kind == "T":
            content = self._inodes[call.inode].content
            content.extend(bytes(max(0, call.number - len(content))))
            del content[call.number :]
        elif call.kind == "S":
            self._inodes[call.inode].safe = bytes(self._inodes[call.inode].content)
        elif call.kind == "D":
            synced = self._folder(call.path)
            synced.safe = dict(synced.names)
        elif call.kind == "U":
            folder, name = self._at(call.path)
            del folder.names[name]
        else:
            source, old = self._at(call.path)
            target, new = self._at(call.other)
            target.names[new] = source.names[old]
            if call.kind == "R" and (source, old) != (target, new):
                del source.names[old]

    def leave(self, target: Path, dice: random.Random | None) -> None:
        """Write what is left to ``target``: what is safe, and with dice a part of the rest."""
        self._leave(self._top, target, dice)

    def _leave(self, folder: _Folder, target: Path, dice: random.Random | None) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for name in sorted(folder.names.keys() | folder.safe.keys()):
            now, safe = folder.names.get(name), folder.safe.get(name)
            kept = safe if dice is None or now is safe or dice.random() < 0.5 else now
            if isinstance(kept, _Folder):
                self._leave(kept, target / name, dice)
            elif kept is not None:
                (target / name).write_bytes(self._bytes(kept, dice))

    @staticmethod
    def _bytes(file: _File, dice: random.Random | None) -> bytes:
        content, safe = bytes(file.content), file.safe
        if dice is None or content == safe or dice.random() < 0.4:
            return safe
        if content.startswith(safe) and len(content) > len(safe):
            # Appended and not synced: cut anywhere, and pages may be missing within.
            tail = bytearray(content[len(safe) : dice.randint(len(safe), len(content))])
            if tail and dice.random() < 0.3:
                hole = dice.randrange(len(tail))
                size = min(len(tail) - hole, 4096)
                tail[hole : hole + size] = bytes(size)
            return safe + bytes(tail)
        return content

    def _folder(self, path: str) -> _Folder:
        at = self._top
        for part in Path(path).relative_to(self._root).parts:
            found = at.names[part]
            assert isinstance(found, _Folder)
            at = found
        return at

    def _at(self, path: str) -> tuple[_Folder, str]:
        whole = Path(path)
        return self._folder(str(whole.parent)), whole.name
