"""A local folder in which a file appears whole and durable, or not at all.

Knows file systems: temporary name, write, fsync, link, fsync of every folder that gained a
name. Must not know what is in the files. General-purpose stores don't fsync; this does.
"""

import contextlib
import ctypes
import errno
import os
import secrets
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from otlp2parquet.errors import StorageError
from otlp2parquet.writers.syncing import reason_of, sync_file, sync_folder

_BUFFER_BYTES: Final = 1 << 20
_MAX_KNOWN_FOLDERS: Final = 10_000
_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1
# What file systems without hard links answer: FAT and most network shares EPERM or EOPNOTSUPP,
# FUSE without the call ENOSYS, Android's policy EACCES (a real lack of rights repeats below).
_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EMLINK}
)


class LocalFolder:
    """Creates files below ``root``; made when first needed. Safe for several threads.

    It is made once: one that was there and is gone (unmounted, renamed) is a storage that is
    down. What would be written to a new one in its place is hidden when the old one is back.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        self._had_root = self.root.is_dir()
        self._lock = threading.Lock()
        self._durable: set[Path] = set()

    def create(self, name: str, fill: Callable[[BinaryIO], None]) -> int:
        """Make the file ``name`` (relative, with ``/``) from what ``fill`` writes; its size.

        Raises ``FileExistsError`` when the name is taken (``fill`` is then not called, unless
        another writer was faster) and ``StorageError`` when the file system refuses; the
        final name then does not exist and the temporary one is gone.
        """
        path = self.root / name
        try:
            return self._create(path, fill)
        except FileExistsError:
            raise
        except OSError as error:
            raise StorageError(f"cannot write {path}: {reason_of(error)}") from error

    def _create(self, path: Path, fill: Callable[[BinaryIO], None]) -> int:
        folder = path.parent
        descriptor, temporary = self._open_temporary(path)
        try:
            with os.fdopen(descriptor, "wb", buffering=_BUFFER_BYTES) as sink:
                fill(sink)
                sink.flush()
                size = sink.tell()
                sync_file(sink.fileno())
            _link_without_overwrite(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        try:
            sync_folder(folder)
        except BaseException:
            # Not known to survive a crash: then it must not be there at all.
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return size

    def _open_temporary(self, path: Path) -> tuple[int, Path]:
        """An empty file beside ``path``, under a name that no reader of the folder looks at."""
        for attempt in range(2):
            self._make_durable(path.parent)
            try:
                _remove_stale(path)
                if os.path.lexists(path):
                    # Its writer may have died before this: a name seen must be a name kept.
                    sync_folder(path.parent)
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
                temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
                return os.open(temporary, flags, 0o666), temporary
            except FileNotFoundError:
                # Someone removed the folder since we made it.
                if attempt:
                    raise
                self._forget(path.parent)
        raise AssertionError("unreachable")

    def _make_durable(self, folder: Path) -> None:
        """Make ``folder`` with its parents, and fsync every folder that gained a name."""
        if folder in self._durable:
            return
        # One thread at a time: none may build on a name that another has made, not yet synced.
        with self._lock:
            if len(self._durable) > _MAX_KNOWN_FOLDERS:
                self._durable.clear()
            self._make(folder)

    def _make(self, folder: Path) -> None:
        if folder in self._durable:
            return
        inside = self.root in folder.parents
        if not inside and folder.is_dir():
            return  # the place was given to us: its name is not ours to keep
        if folder == self.root and self._had_root:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        self._make(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():
                raise NotADirectoryError(
                    errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)
                ) from None
        # Also when it was there: whoever made it may have died before this.
        sync_folder(folder.parent)
        self._durable.add(folder)
        self._had_root |= folder == self.root

    def _forget(self, folder: Path) -> None:
        with self._lock:
            self._durable.difference_update({folder, *folder.parents})


def _remove_stale(path: Path) -> None:
    """Remove what a process that was killed left of earlier tries at this very file."""
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(f".{path.name}.") and entry.name.endswith(".tmp"):
                with contextlib.suppress(FileNotFoundError):
                    Path(entry.path).unlink()


def _link_without_overwrite(temporary: Path, path: Path) -> None:
    """Give the temporary file its final name, or raise ``FileExistsError``: one atomic step."""
    if os.name == "nt":
        temporary.rename(path)  # Windows refuses a name that is taken
        return
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        # Over NFS the answer to a link that succeeded may be lost and the link sent again.
        if not temporary.samefile(path):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_without_overwrite(temporary, path)


def _rename_without_overwrite(temporary: Path, path: Path) -> None:
    """The same where there are no hard links: ``renameat2(RENAME_NOREPLACE)`` on Linux.

    Where that is missing too: look, then rename. Names begin with a batch id, so only two
    runs of the same batch could meet between the two, with the same bytes.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if sys.platform == "linux" and renameat2 is not None:
        source, target = os.fsencode(temporary), os.fsencode(path)
        if renameat2(_AT_FDCWD, source, _AT_FDCWD, target, _RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), str(temporary), None, str(path))
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    temporary.rename(path)
