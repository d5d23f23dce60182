"""The folder of the log: its owner, its node id, its segments, and what is put in quarantine.

Knows names and files. Must not know when a segment is written, nor what its records mean.
One process owns the folder while it runs; a lock that the system drops with the process says so.
"""

import contextlib
import errno
import os
import socket
import sys
from pathlib import Path
from typing import BinaryIO, Final, Self
from uuid import UUID, uuid4

from otlp2parquet.batches.segment import HEADER_BYTES, Header, VersionError, read_header
from otlp2parquet.errors import ConfigError
from otlp2parquet.writers.syncing import make_folder, reason_of, sync_file, sync_folder

SUFFIX: Final = ".segment"
_LOCK: Final = "lock"
_NODE: Final = "node"
_QUARANTINE: Final = "quarantine"
_COPY_BYTES: Final = 1 << 20


class LogFolder:
    """An owned folder. Make one by ``claim``; ``release`` gives the folder up."""

    def __init__(self, path: Path, lock: BinaryIO, node: UUID) -> None:
        self.path = path
        self.node = node
        self._lock = lock

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Make the folder if need be and own it, or raise ``ConfigError``.

        An owner that lives is named. Where two machines share the folder, the lock holds as far
        as their file system carries it.
        """
        path = path.absolute()
        try:
            make_folder(path)
            lock = (path / _LOCK).open("a+b")
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            _lock(lock)
        except OSError as error:
            owner = _owner(lock)
            lock.close()
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                raise _unusable(path, error) from error
            raise ConfigError(
                f"the log folder {path} belongs to {owner}, expected one of this process alone "
                "(durability.path)"
            ) from error
        try:
            lock.truncate(0)
            lock.write(f"pid {os.getpid()} on host {socket.gethostname()}\n".encode())
            lock.flush()
            node = _node(path)
            sync_folder(path)
        except OSError as error:
            lock.close()
            raise _unusable(path, error) from error
        return cls(path, lock, node)

    def release(self) -> None:
        """Give the folder up."""
        self._lock.close()

    def segment_path(self, batch_id: str) -> Path:
        """Where the segment of a batch lies."""
        return self.path / f"{batch_id}{SUFFIX}"

    def segments(self) -> list[tuple[UUID, Path]]:
        """Segments left by an earlier process, by batch id, the oldest first."""
        found = []
        for path in self.path.glob(f"*{SUFFIX}"):
            with contextlib.suppress(ValueError):
                found.append((UUID(path.name.removesuffix(SUFFIX)), path))
        return sorted(found)

    def sync(self) -> None:
        """Make the names in the folder durable."""
        sync_folder(self.path)

    def quarantine(self, path: Path, offset: int, end: int) -> bool:
        """Copy bytes of a segment aside, for people; False if that was done before."""
        aside = self.path / _QUARANTINE
        copy = aside / f"{path.name}.{offset}-{end}"
        if copy.exists():
            return False
        aside.mkdir(exist_ok=True)
        partial = copy.with_name(f".{copy.name}")
        with path.open("rb") as source, partial.open("wb") as sink:
            source.seek(offset)
            left = end - offset
            while left and (block := source.read(min(left, _COPY_BYTES))):
                sink.write(block)
                left -= len(block)
            sink.flush()
            sync_file(sink.fileno())
        partial.replace(copy)
        sync_folder(aside)
        sync_folder(self.path)
        return True


def header_of(path: Path) -> Header | None:
    """The header of a segment, None if it is damaged. Raises ``VersionError`` and ``OSError``."""
    with path.open("rb") as file:
        return read_header(file.read(HEADER_BYTES))


def check_versions(segments: list[tuple[UUID, Path]]) -> None:
    """Raise ``ConfigError`` if one of them is of a format that is not read here.

    Nothing may be touched then: the version that wrote it can still read it.
    """
    for _, path in segments:
        try:
            header_of(path)
        except VersionError as error:
            raise ConfigError(
                f"{path}: {error}; it was written by another version of otlp2parquet: start that "
                "one and stop it by SIGTERM, which empties the log (nothing was changed)"
            ) from error
        except OSError:
            continue  # met again, and reported, when it is replayed


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot use the log folder {path}: {reason_of(error)}, expected a folder on a local disk "
        "that can be written (durability.path)"
    )


def _node(path: Path) -> UUID:
    """The node id of this folder, drawn when the folder is first used."""
    file = path / _NODE
    try:
        return UUID(file.read_text(encoding="ascii").strip())
    except (FileNotFoundError, ValueError):
        node = uuid4()
    partial = path / f".{_NODE}"
    with partial.open("w", encoding="ascii") as sink:
        sink.write(f"{node}\n")
        sink.flush()
        sync_file(sink.fileno())
    partial.replace(file)
    return node


def _owner(lock: BinaryIO) -> str:
    lock.seek(0)
    return lock.read(300).decode(errors="replace").strip() or "another process"


if sys.platform == "win32":
    import msvcrt

    _FAR: Final = 1 << 30  # Windows locks are mandatory: this byte is beyond the owner's name

    def _lock(file: BinaryIO) -> None:
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
