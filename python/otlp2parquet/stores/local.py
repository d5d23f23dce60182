"""A local folder as a store: a file appears whole and durable, or not at all.

Knows file systems: temporary name, write, fsync, link, fsync of every folder that gained a
name. Must not know what is in the files. General-purpose stores don't fsync; this does.

A temporary file is locked by its writer while it is written. A lock goes with its owner, however
that ends, so a temporary file that can be locked is one that nobody writes any more.
"""

import contextlib
import ctypes
import errno
import io
import os
import re
import secrets
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from otlp2parquet.durable import check_mounted, mount_of, reason_of, sync_file, sync_folder
from otlp2parquet.errors import (
    NameTakenError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
)
from otlp2parquet.stores.protocol import StoredObject, checked_path

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_BUFFER_BYTES: Final = 1 << 20
_MAX_KNOWN_FOLDERS: Final = 10_000
_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1
_LOST_RACES: Final = 10

_TEMPORARY: Final = re.compile(r"\..+\.[0-9a-f]{16}\.tmp", re.DOTALL)
_TEMPORARY_STEM: Final = 200  # characters of the file's name; file systems end at 255 bytes
_NO_LOCK_SECS: Final = 24 * 60 * 60
"""Where there are no locks, a temporary file that is older than this is nobody's."""

# What file systems without hard links answer: FAT and most network shares EPERM or EOPNOTSUPP,
# FUSE without the call ENOSYS, Android's policy EACCES (a real lack of rights repeats below).
_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EMLINK}
)
# What no retry cures: the name itself, what else lies in its place, or the size is impossible
# there. A full disk, lost rights or a read-only mount are mended while the server runs.
_REFUSED: Final = frozenset(
    {
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EILSEQ,
        errno.ELOOP,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EFBIG,
    }
)

# What answers for a name that no file has: nothing, or a folder in its or a file in its folder's
# place.
_NOT_THERE: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class LocalStore:
    """A ``Store`` below the folder ``root``; made when first needed. Safe for several threads.

    The root is made once: one that was there and is gone (unmounted, renamed) is a storage that
    is down. What would be written to a new one in its place is hidden when the old one is back.
    So it is with a root that is a mount point itself, of which the empty folder is left.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root).absolute()
        self._base = _extended(self._root)
        self._had_root = _is_folder(self._base)
        self._mount = mount_of(self._base)
        self._lock = threading.Lock()
        self._durable: set[Path] = set()

    @property
    def root(self) -> str:
        """The folder, as an absolute path."""
        return str(self._root)

    # -- the promises of a store -------------------------------------------------------------

    def create(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """Make the file ``path`` from what ``fill`` writes; its size: see ``Store.create``."""
        place = self._place(path)
        told = partial(_told, "write", self._root / path)
        with told():
            check_mounted(self._mount)
            if self._is_taken(place):
                raise NameTakenError(path)
        size, named = self._write(place, fill, told, replaces=False)
        if not named:
            raise NameTakenError(path)
        return size

    def replace(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """Make the file ``path``, in the place of whatever file has the name: see ``Replaces``."""
        place = self._place(path)
        told = partial(_told, "write", self._root / path)
        with told():
            check_mounted(self._mount)
        return self._write(place, fill, told, replaces=True)[0]

    def _write(
        self,
        place: Path,
        fill: Callable[[BinaryIO], None],
        told: Callable[[], contextlib.AbstractContextManager[None]],
        *,
        replaces: bool,
    ) -> tuple[int, bool]:
        """Write a file aside and give it its name: its size, and whether it has that."""
        without_overwrite = _rename_on_windows if os.name == "nt" else _link_without_overwrite
        give_name = _rename_over if replaces else without_overwrite
        with told():
            descriptor, temporary = self._open_temporary(place)
        named = False
        try:
            with io.BufferedWriter(_File(descriptor, "wb", told), _BUFFER_BYTES) as sink:
                fill(sink)
                sink.flush()
                size = sink.tell()
                with told():
                    sync_file(descriptor)
                    if os.name != "nt":  # the lock is held until the name is given
                        named = give_name(temporary, place)
            if os.name == "nt":  # which renames no open file
                with told():
                    named = give_name(temporary, place)
        finally:
            self._remove_temporary(temporary)
        with told():
            # What was replaced is gone: the new file is not taken back.
            self._sync_name(place, ours=named and not replaces)
        return size, named

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading: see ``Store.open``."""
        place, shown = self._place(path), self._root / path
        told = partial(_told, "read", shown)
        with told():
            try:
                return io.BufferedReader(_File(place, "rb", told))
            except _NOT_THERE:
                if self._is_root_gone():
                    raise
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(shown))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """The files below a folder, behind symbolic links too: see ``Store.list``."""
        start = self._place(prefix) if prefix else self._base
        return self._list(start, prefix, frozenset())

    def delete(self, path: str) -> None:
        """Remove a file: see ``Store.delete``."""
        place = self._place(path)
        with _told("remove", self._root / path):
            try:
                place.unlink(missing_ok=True)
                # Also when it was gone: whoever removed it may have died before this.
                sync_folder(place.parent)
                check_mounted(self._mount)
            except _NOT_THERE:
                if self._is_root_gone():
                    raise

    # -- names and folders -------------------------------------------------------------------

    def _place(self, path: str) -> Path:
        if os.name == "nt" and ":" in path:  # a drive, or a stream of a file
            raise ValueError(f"path {path[:300]!r} has a colon: expected none on Windows")
        return self._base / checked_path(path)

    def _is_root_gone(self) -> bool:
        check_mounted(self._mount)
        return self._had_root and not _is_folder(self._base)

    def _is_taken(self, place: Path) -> bool:
        """Whether the name is taken; then it is durable too, for who finds it may rely on it."""
        if not os.path.lexists(place):
            return False
        self._make_durable(place.parent)
        self._sync_name(place, ours=False)
        return True

    def _sync_name(self, place: Path, *, ours: bool) -> None:
        """Make the names in a folder durable: one gained and one gone, or one that was found.

        A name that was found is synced because its writer may have died before it did.
        """
        try:
            sync_folder(place.parent)
        except BaseException:
            if ours:
                # Not known to survive a crash: then it must not be there at all.
                with contextlib.suppress(OSError):
                    place.unlink()
            raise

    def _open_temporary(self, place: Path) -> tuple[int, Path]:
        """An empty, locked file beside ``place``, under a name that no reader looks at."""
        made_again = False
        for _ in range(_LOST_RACES):
            name = f".{place.name[:_TEMPORARY_STEM]}.{secrets.token_hex(8)}.tmp"
            temporary = place.with_name(name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            try:
                self._make_durable(place.parent)
                descriptor = os.open(temporary, flags, 0o666)
            except FileNotFoundError:
                # Someone removed the folder, or one above it, since we made it.
                if made_again:
                    raise
                made_again = True
                self._forget(place.parent)
                continue
            try:
                is_ours = _is_locked(descriptor, temporary)
            except BaseException:
                # Out of reach since it was opened: while it is open, nobody else removes it either.
                os.close(descriptor)
                self._remove_temporary(temporary)
                raise
            if is_ours:
                return descriptor, temporary
            os.close(descriptor)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(place))

    def _remove_temporary(self, temporary: Path) -> None:
        """Remove our temporary file, or have the next write in its folder remove it.

        The folder may be out of reach now, as while its disk is away, and come back with the file:
        that it is there the next moment says nothing.
        """
        try:
            temporary.unlink()
        except OSError:
            self._forget(temporary.parent)

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
        inside = self._base in folder.parents
        if not inside and folder.is_dir():
            if folder == self._base:
                _remove_abandoned(folder)
                self._durable.add(folder)
            return  # the place was given to us: its name is not ours to keep
        if folder == self._base and self._had_root:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        self._make(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():
                raise NotADirectoryError(
                    errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)
                ) from None
            _remove_abandoned(folder)
        # Also when it was there: whoever made it may have died before this.
        sync_folder(folder.parent)
        self._durable.add(folder)
        self._had_root |= folder == self._base

    def _forget(self, folder: Path) -> None:
        with self._lock:
            self._durable.difference_update({folder, *folder.parents})

    def _list(
        self, folder: Path, prefix: str, above: frozenset[tuple[int, int]]
    ) -> Iterator[StoredObject]:
        with _told("list", self._root / prefix):
            check_mounted(self._mount)
            try:
                status = folder.stat()
                with os.scandir(folder) as scan:
                    entries = sorted(scan, key=lambda entry: entry.name)
            except _NOT_THERE:
                if self._is_root_gone():
                    raise
                return
        if (status.st_dev, status.st_ino) in above:
            return  # a symbolic link to a folder in which it lies
        for entry in entries:
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            with _told("list", self._root / path), contextlib.suppress(FileNotFoundError):
                if entry.is_dir():
                    inner = self._list(
                        folder / entry.name, path, above | {(status.st_dev, status.st_ino)}
                    )
                elif entry.is_file() and not _TEMPORARY.fullmatch(entry.name):
                    inner = iter([StoredObject(path, entry.stat().st_size)])
                else:
                    continue
                yield from inner


class _File(io.FileIO):
    """An open file that fails as a store does, whoever reads or writes it."""

    def __init__(
        self,
        file: int | Path,
        mode: str,
        told: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:
        self._told = told
        super().__init__(file, mode)

    def write(self, data: "ReadableBuffer", /) -> int:
        with self._told():
            return super().write(data)

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        with self._told():
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with self._told():
            return super().readall()

    def close(self) -> None:
        with self._told():
            super().close()


@contextlib.contextmanager
def _told(verb: str, place: Path) -> Iterator[None]:
    """Tell what the system says of ``place`` as the error of a store that it is."""
    try:
        yield
    except OSError as error:
        kind: type[StorageError] = StorageUnavailableError
        if error.errno in _REFUSED:
            kind = StorageRefusedError
        raise kind(f"cannot {verb} {place}: {reason_of(error)}") from error


def _is_folder(place: Path) -> bool:
    """Whether a folder is there; what cannot be looked at (EACCES, EIO) is taken for one."""
    try:
        return stat.S_ISDIR(place.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _extended(root: Path) -> Path:
    r"""On Windows the root in the form ``\\?\C:\…``, elsewhere the root.

    In that form Windows takes names as they are: ``con`` and ``aux``, a dot or a space at the
    end, and paths of more than 260 characters.
    """
    text = str(root)
    if os.name != "nt" or text.startswith("\\\\?\\"):
        return root
    if text.startswith("\\\\"):
        return Path("\\\\?\\UNC\\" + text[2:])
    return Path("\\\\?\\" + text)


# -- temporary files -----------------------------------------------------------------------------


def _is_locked(descriptor: int, temporary: Path) -> bool:
    """Lock our new temporary file; whether it still has its name then.

    Who looked into the folder between the two calls took it for abandoned, and removed it.
    """
    if sys.platform != "win32":  # an open file cannot be removed there
        with contextlib.suppress(OSError):  # not on every file system
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            return os.path.samestat(os.fstat(descriptor), temporary.lstat())
        except FileNotFoundError:
            return False
    else:
        return True


def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary files in ``folder`` whose writers are gone; never a living one's.

    Done when a store first writes into a folder. That it fails keeps no file from being written.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_unlocked(Path(entry.path))


def _remove_unlocked(temporary: Path) -> None:
    if sys.platform != "win32":
        # Some network file systems lock only what is open for writing.
        descriptor = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            except OSError:  # there are no locks here: its age has to do
                if time.time() - os.fstat(descriptor).st_mtime < _NO_LOCK_SECS:
                    return
            temporary.unlink()
        finally:
            os.close(descriptor)
    else:
        temporary.unlink()  # refused while it is open


def _link_without_overwrite(temporary: Path, place: Path) -> bool:
    """Give the temporary file its final name in one atomic step; false if the name is taken."""
    try:
        place.hardlink_to(temporary)
    except FileExistsError:
        # Over NFS the answer to a link that succeeded may be lost and the link sent again.
        return place.is_file() and temporary.samefile(place)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _rename_without_overwrite(temporary, place)
    return True


def _rename_without_overwrite(temporary: Path, place: Path) -> bool:
    """The same where there are no hard links: ``renameat2(RENAME_NOREPLACE)`` on Linux.

    Where that is missing too: look, then rename. Names begin with a batch id, so only two
    runs of the same batch could meet between the two, with the same bytes.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if sys.platform == "linux" and renameat2 is not None:
        source, target = os.fsencode(temporary), os.fsencode(place)
        if renameat2(_AT_FDCWD, source, _AT_FDCWD, target, _RENAME_NOREPLACE) == 0:
            return True
        code = ctypes.get_errno()
        if code == errno.EEXIST:
            return False
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), str(temporary), None, str(place))
    if os.path.lexists(place):
        return False
    temporary.rename(place)
    return True


def _rename_over(temporary: Path, place: Path) -> bool:
    """Give a file its name, in the place of whatever file has it."""
    temporary.replace(place)
    return True


def _rename_on_windows(temporary: Path, place: Path) -> bool:
    """The same on Windows, where a rename refuses a name that is taken."""
    try:
        temporary.rename(place)
    except FileExistsError:
        return False
    return True
