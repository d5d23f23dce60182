"""Any file system of fsspec as a store: the second way to s3 and its like, and the way elsewhere.

Knows fsspec's calls. Must not know what is in the files.

A file is made in full here first: in memory while it is small, else in a temporary file. Then it
is looked for, and stored by one call that refuses a name that is taken, where the file system has
such a call (s3fs and gcsfs do it by one conditional request). What is below them repeats requests
behind our back, so that a name may be taken by ourselves: in S3 the object's metadata tells.
Elsewhere it is stored under a
temporary name, looked for again and moved; only a writer of the same name could come between, and
names are never used by two.
"""

import contextlib
import errno
import inspect
import io
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from otlp2parquet.errors import (
    ConfigError,
    NameTakenError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
)
from otlp2parquet.stores.protocol import StoredObject, checked_path
from otlp2parquet.stores.trouble import is_unknown_place, storage_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_MARK: Final = "otlp2parquet"
"""A word of an object's metadata, by which the one that made it knows it again."""
_S3_PARTS: Final = {"chunksize": 8 << 20, "max_concurrency": 2}
"""Left to itself, s3fs holds half a gigabyte of a large file."""
_IN_MEMORY_BYTES: Final = 8 << 20
_ATOMIC: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci"})
"""Schemes of object storages: an object appears whole under its name, and moving one is a copy."""
_TEMPORARY: Final = re.compile(r"\..+\.[0-9a-f]{16}\.tmp", re.DOTALL)
_PASSWORD: Final = re.compile(r"(://)([^/@:]*):[^/@]*@")
_NOT_THERE: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)
"""What answers for a name that no object has; the last for one below an object, in memory."""


class FsspecStore:
    """A ``Store`` below ``url``, which is any that fsspec knows. Safe for several threads.

    ``options`` go to the file system. Raises ``ConfigError`` when there is none for the URL.
    """

    def __init__(self, url: str, timeout_secs: float = 30.0, **options: Any) -> None:  # noqa: ANN401 - fsspec's own
        # Without a password: it stands in plans and logs.
        self._url = _PASSWORD.sub(r"\1\2@", url.rstrip("/") if not url.endswith("://") else url)
        try:
            import fsspec.core  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigError(
                f"{url} cannot be used: fsspec is not installed, expected it "
                "(pip install 'otlp2parquet[fsspec]')"
            ) from error
        is_s3 = url.lower().startswith(("s3://", "s3a://"))
        if is_s3:
            options = {"config_kwargs": _patience(timeout_secs)} | options
        try:
            # What others have listed, or we a minute ago, is not what is there now.
            found = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
        except (ImportError, ValueError, TypeError) as error:
            raise ConfigError(f"{url} cannot be used: {error}") from error
        self._fs: Any = found[0]
        self._base = str(found[1]).rstrip("/")
        scheme = self._fs.protocol
        names = (scheme,) if isinstance(scheme, str) else tuple(scheme)
        if is_s3:
            self._fs.retries = 1
        self._marks = is_s3
        self._parts = _S3_PARTS if is_s3 else {}
        self._is_atomic = bool(_ATOMIC & set(names))
        self._creates = _takes_mode(self._fs)
        self._lock = threading.Lock()

    @property
    def root(self) -> str:
        """The URL."""
        return self._url

    # -- the promises of a store -------------------------------------------------------------

    def create(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """Make the object ``path`` from what ``fill`` writes; its size: see ``Store.create``."""
        place = self._place(path)
        with self._told("look for", path):
            self._look(path, place)
        with _Content() as content:
            fill(content)
            with self._told("write", path):
                if self._is_atomic:
                    self._store_at_once(path, place, content)
                else:
                    self._store_aside(path, place, content)
            return content.tell()

    def open(self, path: str) -> BinaryIO:
        """Open an object for reading: see ``Store.open``."""
        place, file = self._place(path), None
        with self._told("read", path), self._missing():
            if self._fs.info(place)["type"] == "file":
                file = self._fs.open(place, "rb")
        if file is None:
            shown = f"{self._url}/{path}"
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), shown)
        return _File(file, lambda: self._told("read", path))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """The objects below a folder: see ``Store.list``."""
        start = self._place(prefix) if prefix else self._base
        return self._list(start, prefix)

    def delete(self, path: str) -> None:
        """Remove an object: see ``Store.delete``."""
        place = self._place(path)
        with self._told("remove", path), self._missing():
            if self._fs.isfile(place):
                self._fs.rm_file(place)

    # -- names -------------------------------------------------------------------------------

    def _place(self, path: str) -> str:
        return f"{self._base}/{checked_path(path)}"

    def _look(self, path: str, place: str) -> None:
        self._fs.invalidate_cache()
        if self._fs.exists(place):
            raise NameTakenError(path)

    def _store_at_once(self, path: str, place: str, content: "_Content") -> None:
        if not self._creates:
            with self._lock:
                self._look(path, place)
                content.send(self._fs, place, self._parts)
            return
        mark = secrets.token_hex(16)
        options = {"Metadata": {_MARK: mark}} if self._marks else {}
        try:
            content.send(self._fs, place, self._parts, mode="create", **options)
        except FileExistsError as error:
            if not self._marks:
                # Perhaps by the same request, which the library has sent twice. Who tries again
                # finds the name taken, and looks.
                raise StorageUnavailableError(
                    f"cannot write {self._url}/{path}: the name was taken meanwhile, by somebody "
                    "else or by a request whose answer was lost"
                ) from error
            if self._fs.metadata(place, refresh=True).get(_MARK) != mark:
                raise NameTakenError(path) from error

    def _store_aside(self, path: str, place: str, content: "_Content") -> None:
        folder, _, name = place.rpartition("/")
        temporary = f"{folder}/.{name[:200]}.{secrets.token_hex(8)}.tmp"
        self._fs.makedirs(folder, exist_ok=True)
        try:
            content.send(self._fs, temporary, self._parts)
            with self._lock:
                self._look(path, place)
                self._fs.mv(temporary, place)
        except BaseException:
            with suppress(Exception):  # it may not be there at all
                self._fs.rm_file(temporary)
            raise

    def _list(self, start: str, prefix: str) -> Iterator[StoredObject]:
        found: dict[str, Any] = {}
        with self._told("list", prefix), self._missing():
            self._fs.invalidate_cache()
            if prefix and self._fs.isfile(start):
                return
            found = self._fs.find(start, detail=True)
        base = self._base.lstrip("/")
        for name, facts in found.items():
            path = name.lstrip("/").removeprefix(base).lstrip("/")
            is_ours = not _TEMPORARY.fullmatch(path.rpartition("/")[2])
            if (
                facts["type"] == "file"
                and is_ours
                and (not prefix or path.startswith(f"{prefix}/"))
            ):
                yield StoredObject(path, facts["size"] or 0)

    # -- errors ------------------------------------------------------------------------------

    @contextmanager
    def _missing(self) -> Iterator[None]:
        """Around a call for an object that may be missing; what it would be in may not."""
        try:
            yield
        except _NOT_THERE as error:
            if is_unknown_place(f"{error} {error.__cause__}"):
                raise

    @contextmanager
    def _told(self, verb: str, path: str) -> Iterator[None]:
        """Tell what a library raises as the error of a store that it is."""
        try:
            yield
        except (StorageError, ValueError):
            raise
        except NotImplementedError as error:
            raise StorageRefusedError(f"cannot {verb} {self._url}/{path}: {error!r}") from error
        except Exception as error:
            # Each file system has classes of its own.
            raise storage_error(f"cannot {verb} {self._url}/{path}", error) from error


def _patience(timeout_secs: float) -> dict[str, Any]:
    """How botocore asks: once, and not for longer than it should."""
    return {
        "retries": {"max_attempts": 0},
        "connect_timeout": min(5.0, timeout_secs),
        "read_timeout": timeout_secs,
    }


def _takes_mode(fs: Any) -> bool:  # noqa: ANN401 - any file system
    """Whether its calls can refuse a name that is taken."""
    calls = (getattr(fs, "_pipe_file", fs.pipe_file), getattr(fs, "_put_file", fs.put_file))
    return all("mode" in inspect.signature(call).parameters for call in calls)


class _Content(io.RawIOBase, BinaryIO):
    """What ``fill`` writes: in memory while it is small, then in a file without a name of ours."""

    def __init__(self) -> None:
        super().__init__()
        self._memory = io.BytesIO()
        self._file: Any = None
        self._size = 0

    def writable(self) -> bool:
        """It is only written to."""
        return True

    def tell(self) -> int:
        """Bytes so far."""
        return self._size

    def write(self, data: "ReadableBuffer", /) -> int:
        """Take all of ``data``."""
        count = memoryview(data).nbytes
        if self._file is None and self._size + count > _IN_MEMORY_BYTES:
            self._file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed with this
            self._file.write(self._memory.getvalue())
            self._memory = io.BytesIO()
        (self._memory if self._file is None else self._file).write(data)
        self._size += count
        return count

    def send(self, fs: Any, place: str, parts: Mapping[str, int], **options: Any) -> None:  # noqa: ANN401 - a file system
        """Store it, by one call; ``parts`` says how a large file is sent."""
        if self._file is None:
            fs.pipe_file(place, self._memory.getvalue(), **options)
        else:
            self._file.flush()
            fs.put_file(self._file.name, place, **options, **parts)

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
        super().close()


class _File(io.RawIOBase, BinaryIO):
    """An open file that fails as a store does."""

    def __init__(
        self,
        file: Any,  # noqa: ANN401 - fsspec's
        told: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:
        super().__init__()
        self._file = file
        self._told = told

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - a buffer
        view = memoryview(buffer).cast("B")
        with self._told():
            content = self._file.read(len(view))
        view[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        with self._told():
            return bytes(self._file.read())

    def close(self) -> None:
        self._file.close()
        super().close()
