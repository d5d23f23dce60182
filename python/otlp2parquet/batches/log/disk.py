"""The calls of a file system that the log is made of, and nothing of what they are made for.

The log does no I/O but through a ``Disk``: ``SystemDisk`` is the real one, and the simulation has
one whose power can be cut. Every call raises ``OSError`` and nothing else. What a call does to
bytes is durable only behind ``sync``, what it does to names only behind ``sync_folder``.
"""

import contextlib
import itertools
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NewType, Protocol

from otlp2parquet.durable import (
    check_mounted,
    make_folder,
    mount_of,
    sync_data,
    sync_file,
    sync_folder,
)

Descriptor = NewType("Descriptor", int)
"""An open file, as long as it is not closed, whatever becomes of its name."""

_PIECES: Final = 900
"""Most pieces of one writev: below IOV_MAX, and divisible by the three pieces of a record."""


class Disk(Protocol):
    """What the log asks of a file system. Safe for several threads."""

    def make_folder(self, folder: Path) -> None:
        """Make a folder with its parents, all of their names durable."""

    def names(self, folder: Path) -> list[str]:
        """The names in a folder of what is no folder itself, in no order."""

    def exists(self, path: Path) -> bool:
        """Whether there is something by this name."""

    def size(self, path: Path) -> int:
        """Bytes of the file by this name."""

    def create(self, path: Path) -> Descriptor:
        """Make a new file for reading and writing; ``FileExistsError`` if the name is taken."""

    def open(self, path: Path, *, write: bool) -> Descriptor:
        """Open a file that is there."""

    def close(self, descriptor: Descriptor) -> None:
        """Close a file. Never raises: what matters is synced, or has failed already."""

    def write(self, descriptor: Descriptor, offset: int, pieces: Sequence[bytes]) -> None:
        """Write all of the pieces, one after another, from ``offset`` on."""

    def read(self, descriptor: Descriptor, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``offset`` on; fewer only at the end of the file."""

    def truncate(self, descriptor: Descriptor, size: int) -> None:
        """Cut a file."""

    def sync(self, descriptor: Descriptor) -> None:
        """Make a file's bytes and size durable."""

    def leads_to(self, path: Path, descriptor: Descriptor) -> bool:
        """Whether the name still is that of this open file."""

    def unlink(self, path: Path) -> None:
        """Remove a name; one that is not there is removed already."""

    def rename(self, path: Path, target: Path) -> None:
        """Give a file another name, in the place of whatever has it."""

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""

    def lock(self, descriptor: Descriptor) -> None:
        """Own a file until it is closed or the process ends; ``BlockingIOError`` if others do."""

    def mount_of(self, path: Path) -> Path:
        """Where the file system of ``path`` is mounted."""

    def check_mounted(self, mount: Path) -> None:
        """Raise ``OSError`` if nothing is mounted there any more."""

    def space(self, folder: Path) -> tuple[int, int]:
        """Bytes in use and bytes free on the folder's disk, as ``df`` counts them."""


class SystemDisk:
    """The file systems of this machine."""

    def make_folder(self, folder: Path) -> None:
        """As ``Disk.make_folder``."""
        make_folder(folder)

    def names(self, folder: Path) -> list[str]:
        """As ``Disk.names``."""
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]

    def exists(self, path: Path) -> bool:
        """As ``Disk.exists``."""
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def size(self, path: Path) -> int:
        """As ``Disk.size``."""
        return path.stat().st_size

    def create(self, path: Path) -> Descriptor:
        """As ``Disk.create``."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        return Descriptor(os.open(path, flags, 0o666))

    def open(self, path: Path, *, write: bool) -> Descriptor:
        """As ``Disk.open``."""
        flags = (os.O_RDWR if write else os.O_RDONLY) | getattr(os, "O_BINARY", 0)
        return Descriptor(os.open(path, flags))

    def close(self, descriptor: Descriptor) -> None:
        """As ``Disk.close``."""
        with contextlib.suppress(OSError):
            os.close(descriptor)

    def write(self, descriptor: Descriptor, offset: int, pieces: Sequence[bytes]) -> None:
        """As ``Disk.write``, however little the system takes at a time."""
        os.lseek(descriptor, offset, os.SEEK_SET)
        if not hasattr(os, "writev"):  # Windows
            pieces = [b"".join(pieces)]
        for start in range(0, len(pieces), _PIECES):
            left: list[bytes | memoryview] = list(pieces[start : start + _PIECES])
            while left:
                if hasattr(os, "writev"):
                    written = os.writev(descriptor, left)
                else:
                    written = os.write(descriptor, left[0])
                left = _after(left, written)

    def read(self, descriptor: Descriptor, offset: int, count: int) -> bytes:
        """As ``Disk.read``."""
        parts = []
        while count > 0:
            part = _read_at(descriptor, offset, count)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def truncate(self, descriptor: Descriptor, size: int) -> None:
        """As ``Disk.truncate``."""
        os.ftruncate(descriptor, size)
        sync_file(descriptor)

    def sync(self, descriptor: Descriptor) -> None:
        """As ``Disk.sync``."""
        sync_data(descriptor)

    def leads_to(self, path: Path, descriptor: Descriptor) -> bool:
        """As ``Disk.leads_to``."""
        try:
            named = os.stat(path)  # noqa: PTH116 - once for each group of requests
        except (FileNotFoundError, NotADirectoryError):
            return False
        return os.path.samestat(named, os.fstat(descriptor))

    def unlink(self, path: Path) -> None:
        """As ``Disk.unlink``."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def rename(self, path: Path, target: Path) -> None:
        """As ``Disk.rename``."""
        path.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """As ``Disk.sync_folder``."""
        sync_folder(folder)

    def lock(self, descriptor: Descriptor) -> None:
        """As ``Disk.lock``."""
        _lock(descriptor)

    def mount_of(self, path: Path) -> Path:
        """Where the file system of ``path`` is mounted."""
        return mount_of(path)

    def check_mounted(self, mount: Path) -> None:
        """Raise ``OSError`` if nothing is mounted there any more."""
        check_mounted(mount)

    def space(self, folder: Path) -> tuple[int, int]:
        """As ``Disk.space``."""
        usage = shutil.disk_usage(folder)
        return usage.used, usage.free


def _after(pieces: Sequence[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    """What of the pieces is left once their first ``written`` bytes are gone."""
    ends = itertools.accumulate(len(piece) for piece in pieces)
    for number, end in enumerate(ends):
        if end > written:
            begun = len(pieces[number]) - (end - written)
            return [memoryview(pieces[number])[begun:], *pieces[number + 1 :]]
    return []


if sys.platform == "win32":
    import errno
    import msvcrt

    _FAR: Final = 1 << 30  # Windows locks are mandatory: this byte is beyond the owner's name

    def _lock(descriptor: Descriptor) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                raise BlockingIOError(error.errno, error.strerror) from error
            raise

    def _read_at(descriptor: Descriptor, offset: int, count: int) -> bytes:
        # Windows has no pread. Readers have a descriptor of their own, so nobody is disturbed.
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)

else:
    import fcntl

    def _lock(descriptor: Descriptor) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _read_at(descriptor: Descriptor, offset: int, count: int) -> bytes:
        return os.pread(descriptor, count, offset)
