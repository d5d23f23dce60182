"""One conversion into a folder at a time: a lock that goes with the process that holds it.

Knows file systems. Must not know what is converted.
"""

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from otlp2parquet.durable import reason_of
from otlp2parquet.errors import StorageRefusedError, StorageUnavailableError

if sys.platform != "win32":
    import fcntl
else:
    import msvcrt

_NAME: Final = "lock"
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


def _acquired(path: Path) -> int:
    """The open lock file, locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            if not _try_lock(descriptor):
                owner = ""
                with contextlib.suppress(OSError):
                    owner = os.read(descriptor, 200).decode(errors="replace").strip()
                raise StorageRefusedError(
                    f"another conversion into {path.parents[2]} is running"
                    f"{f' ({owner})' if owner else ''}: wait until it has ended, or convert into "
                    "another folder"
                )
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
