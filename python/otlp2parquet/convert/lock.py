"""One conversion into an output at a time: a lock that goes with the process that holds it.

Knows file systems, and stores by their promises. Must not know what is converted. A store has no
locks: there it is an object that names its owner, and whoever finds that this was a process of
the same machine which is gone takes it over.
"""

import contextlib
import errno
import os
import re
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from otlp2parquet.durable import reason_of
from otlp2parquet.errors import (
    NameTakenError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
)
from otlp2parquet.stores import Store

if sys.platform != "win32":
    import fcntl
else:
    import msvcrt

_NAME: Final = "lock"
_OWNER: Final = re.compile(r"process (\d+) on (.+), ([0-9a-f]{16})")
_held: Final[set[str]] = set()
"""The tokens of the locks in stores that this process holds."""
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of ``folder``, which is made; folders made for it go again if left empty.

    Raises ``StorageRefusedError`` that names the owner if another process holds it, and
    ``StorageUnavailableError`` if the file system fails.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquired(folder / _NAME)
    except OSError as error:
        raise StorageUnavailableError(f"cannot write {folder}: {reason_of(error)}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / _NAME).unlink()
        os.close(descriptor)
        with contextlib.suppress(OSError):
            for one in made:
                one.rmdir()


@contextlib.contextmanager
def locked_in(store: Store, path: str) -> Iterator[None]:
    """Hold the lock ``path`` of a store that has no other locks.

    Raises ``StorageRefusedError`` that names the owner if another process may hold it.
    """
    token = secrets.token_hex(8)
    ours = f"process {os.getpid()} on {socket.gethostname()}, {token}".encode()
    _held.add(token)
    try:
        _take(store, path, ours)
        try:
            yield
        finally:
            with contextlib.suppress(StorageError):
                store.delete(path)
    finally:
        _held.discard(token)


def _take(store: Store, path: str, ours: bytes) -> None:
    while True:
        try:
            store.create(path, lambda sink: _write(ours, sink))
        except NameTakenError:
            owner = _owner_in(store, path)
            if owner is None:
                continue
            if not _is_gone(owner):
                raise StorageRefusedError(
                    f"another conversion into {store.root} is running ({owner}): wait until it has "
                    f"ended, or convert into another place; if it was killed, remove {path} there"
                ) from None
            store.delete(path)
        else:
            return


def _write(data: bytes, sink: BinaryIO) -> None:
    sink.write(data)


def _owner_in(store: Store, path: str) -> str | None:
    """Who holds the lock; None if nobody does any more."""
    try:
        with store.open(path) as file:
            return file.read(200).decode(errors="replace")
    except FileNotFoundError:
        return None


def _is_gone(owner: str) -> bool:
    """Whether the owner was a process of this machine that is not running any more."""
    found = _OWNER.fullmatch(owner)
    if found is None or found[2] != socket.gethostname() or os.name == "nt":
        return False
    if int(found[1]) == os.getpid():
        # In a container each process has the number of the one before it.
        return found[3] not in _held
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _acquired(path: Path) -> int:
    """The open lock file, locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            _lock(descriptor, path)
            # Who held it before may have removed the file between our two calls.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                os.truncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    """Lock the file, or say who has: the owner has written that into it."""
    if _try_lock(descriptor):
        return
    owner = ""
    with contextlib.suppress(OSError):
        owner = os.read(descriptor, 200).decode(errors="replace").strip()
    raise StorageRefusedError(
        f"another conversion into {path.parents[2]} is running{f' ({owner})' if owner else ''}: "
        "wait until it has ended, or convert into another folder"
    )


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        try:
            # Far behind the owner's name, which others may read.
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Some network file systems have no locks: whoever uses them starts one at a time.
        if error.errno not in _NO_LOCKS:
            raise
    return True
