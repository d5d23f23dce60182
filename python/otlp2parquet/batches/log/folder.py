"""The folder of the log: its owner, its node id, its segments, and what is put in quarantine.

Knows names and files. Must not know when a segment is written, nor what its records mean.
One process owns the folder while it runs; a lock that the system drops with the process says so.
"""

import contextlib
import os
import re
import socket
from pathlib import Path
from typing import Final, Self
from uuid import UUID, uuid4

from otlp2parquet.batches.log.disk import Descriptor, Disk, SystemDisk
from otlp2parquet.batches.log.record import HEADER_BYTES, Header, VersionError, read_header
from otlp2parquet.durable import reason_of, try_folder
from otlp2parquet.errors import ConfigError

SUFFIX: Final = ".segment"
_LOCK: Final = "lock"
_NODE: Final = "node"
_QUARANTINE: Final = "quarantine"
_COPY_BYTES: Final = 1 << 20
_OWNER_BYTES: Final = 300
_OWNER: Final = re.compile(r"pid (\d+) on host (\S+)")


class LogFolder:
    """An owned folder. Make one by ``claim``; ``release`` gives the folder up."""

    def __init__(self, disk: Disk, path: Path, lock: Descriptor, node: UUID) -> None:
        self.disk = disk
        self.path = path
        self.node = node
        self._lock = lock
        self._mount = disk.mount_of(path)

    @classmethod
    def claim(cls, path: Path, disk: Disk | None = None) -> Self:
        """Make the folder if need be and own it, or raise ``ConfigError``.

        An owner that lives is named. Where two machines share the folder, the lock holds as far
        as their file system carries it.
        """
        disk, path = SystemDisk() if disk is None else disk, path.absolute()
        lock: Descriptor | None = None
        try:
            disk.make_folder(path)
            lock = _open_lock(disk, path)
            _own(disk, lock)
            node = _node(disk, path)
            disk.sync_folder(path)
        except BlockingIOError as error:
            raise _owned(disk, path, lock) from error
        except OSError as error:
            if lock is not None:
                disk.close(lock)
            raise _unusable(path, error) from error
        return cls(disk, path, lock, node)

    def restore(self) -> None:
        """Own the folder again if it is not the one that was claimed.

        It was removed, renamed or covered by another file system. A new one is made only in a
        parent that is there, on a volume that is mounted: what lies in one below an empty mount
        point is hidden once the volume is back. Raises ``OSError``.
        """
        if self.disk.leads_to(self.path / _LOCK, self._lock):
            return
        self.disk.check_mounted(self._mount)
        if not self.disk.exists(self.path):
            if not self.disk.exists(self.path.parent):
                raise FileNotFoundError(2, "the folder above it is gone")
            self.disk.make_folder(self.path)
        lock = _open_lock(self.disk, self.path)
        try:
            _own(self.disk, lock)
            if not self.disk.exists(self.path / _NODE):
                _write_node(self.disk, self.path, self.node)
            self.disk.sync_folder(self.path)
        except BaseException:
            self.disk.close(lock)
            raise
        self.disk.close(self._lock)
        self._lock = lock

    def is_there(self) -> bool:
        """Whether what it does not hold is gone: a volume may come back, with what lies on it."""
        try:
            self.disk.check_mounted(self._mount)
        except OSError:
            return False
        return self.disk.exists(self.path)

    def release(self) -> None:
        """Give the folder up."""
        self.disk.close(self._lock)

    def segment_path(self, batch_id: str) -> Path:
        """Where the segment of a batch lies."""
        return self.path / f"{batch_id}{SUFFIX}"

    def segments(self) -> list[tuple[UUID, Path]]:
        """Segments in the folder, by batch id, the oldest first. Raises ``OSError``."""
        return segments_in(self.disk, self.path)

    def sync(self) -> None:
        """Make the names in the folder durable."""
        self.disk.sync_folder(self.path)

    def quarantine(self, name: str, source: Descriptor, offset: int, end: int) -> bool:
        """Copy bytes of a segment aside, for people; False if that was done before."""
        disk, aside = self.disk, self.path / _QUARANTINE
        copy = aside / f"{name}.{offset}-{end}"
        if disk.exists(copy):
            return False
        disk.make_folder(aside)
        partial = copy.with_name(f".{copy.name}")
        disk.unlink(partial)
        sink = disk.create(partial)
        try:
            place = offset
            while place < end and (
                block := disk.read(source, place, min(end - place, _COPY_BYTES))
            ):
                disk.write(sink, place - offset, [block])
                place += len(block)
            disk.sync(sink)
        finally:
            disk.close(sink)
        disk.rename(partial, copy)
        disk.sync_folder(aside)
        return True


def check_claim(path: Path) -> None:
    """Raise ``ConfigError`` if ``claim`` would, as far as that is known without a change.

    The lock itself is not tried: see ``is_owned``.
    """
    disk, path = SystemDisk(), path.absolute()
    try:
        if disk.exists(path / _LOCK) and is_owned(disk, path):
            raise _owned(disk, path, None)
        try_folder(path)
        segments = segments_in(disk, path)
    except OSError as error:
        raise _unusable(path, error) from error
    check_versions(disk, segments)


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot use the log folder {path}: {reason_of(error)}, expected a folder on a "
        "local disk that can be written (durability.path)"
    )


def _owned(disk: Disk, path: Path, lock: Descriptor | None) -> ConfigError:
    shown = disk.open(path / _LOCK, write=False) if lock is None else lock
    return ConfigError(
        f"the log folder {path} belongs to {_owner(disk, shown)}, expected one of this process "
        "alone (durability.path)"
    )


def segments_in(disk: Disk, folder: Path) -> list[tuple[UUID, Path]]:
    """Segments in a folder, by batch id, the oldest first; none if there is no such folder."""
    found = []
    try:
        names = disk.names(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        if name.endswith(SUFFIX):
            with contextlib.suppress(ValueError):
                found.append((UUID(name.removesuffix(SUFFIX)), folder / name))
    return sorted(found)


def node_in(disk: Disk, folder: Path) -> UUID | None:
    """The node id of a folder, whoever owns it; None where there is none."""
    try:
        descriptor = disk.open(folder / _NODE, write=False)
    except OSError:
        return None
    try:
        return UUID(disk.read(descriptor, 0, _OWNER_BYTES).decode("ascii").strip())
    except (OSError, ValueError):
        return None
    finally:
        disk.close(descriptor)


def is_owned(disk: Disk, folder: Path) -> bool:
    """Whether another process of this machine, one that lives, is named in a folder's lock.

    The lock itself is not tried: a server that starts there at that moment would be refused.
    """
    lock = disk.open(folder / _LOCK, write=False)
    try:
        named = _OWNER.match(disk.read(lock, 0, _OWNER_BYTES).decode(errors="replace"))
    finally:
        disk.close(lock)
    if named is None or named[2] != socket.gethostname() or int(named[1]) == os.getpid():
        return False
    try:
        os.kill(int(named[1]), 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def header_of(disk: Disk, path: Path) -> Header | None:
    """The header of a segment, None if it is damaged. Raises ``VersionError`` and ``OSError``."""
    descriptor = disk.open(path, write=False)
    try:
        return read_header(disk.read(descriptor, 0, HEADER_BYTES))
    finally:
        disk.close(descriptor)


def check_versions(disk: Disk, segments: list[tuple[UUID, Path]]) -> None:
    """Raise ``ConfigError`` if one of them is not read here, or is not the one that its name says.

    Nothing may be touched then: the version that wrote it can still read it. A segment under
    another name, or a second time, would be stored again: files have the id of their batch.
    """
    for batch, path in segments:
        try:
            header = header_of(disk, path)
            if header is not None and header.batch != batch:
                raise ConfigError(
                    f"{path}: found the segment of the batch {header.batch}, which was renamed or "
                    f"copied; expected it as {header.batch}{SUFFIX}, once (nothing was changed)"
                )
        except VersionError as error:
            raise ConfigError(
                f"{path}: {error}; it was written by another version of otlp2parquet: start that "
                "one and stop it by SIGTERM, which empties the log (nothing was changed)"
            ) from error
        except OSError:
            continue  # met again, and reported, when it is replayed


def _open_lock(disk: Disk, folder: Path) -> Descriptor:
    path = folder / _LOCK
    try:
        return disk.open(path, write=True)
    except FileNotFoundError:
        return disk.create(path)


def _own(disk: Disk, lock: Descriptor) -> None:
    disk.lock(lock)
    disk.truncate(lock, 0)
    disk.write(lock, 0, [f"pid {os.getpid()} on host {socket.gethostname()}\n".encode()])


def _node(disk: Disk, folder: Path) -> UUID:
    """The node id of this folder, drawn when the folder is first used."""
    path = folder / _NODE
    if disk.exists(path):
        descriptor = disk.open(path, write=False)
        try:
            return UUID(disk.read(descriptor, 0, _OWNER_BYTES).decode("ascii").strip())
        except ValueError:
            pass  # half of it, or none: nothing is named by it yet
        finally:
            disk.close(descriptor)
    node = uuid4()
    _write_node(disk, folder, node)
    return node


def _write_node(disk: Disk, folder: Path, node: UUID) -> None:
    partial = folder / f".{_NODE}"
    disk.unlink(partial)
    descriptor = disk.create(partial)
    try:
        disk.write(descriptor, 0, [f"{node}\n".encode("ascii")])
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    disk.rename(partial, folder / _NODE)


def _owner(disk: Disk, lock: Descriptor | None) -> str:
    if lock is None:
        return "another process"
    try:
        return (
            disk.read(lock, 0, _OWNER_BYTES).decode(errors="replace").strip() or "another process"
        )
    except OSError:
        return "another process"
    finally:
        disk.close(lock)
