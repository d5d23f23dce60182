"""S3, R2, Google Cloud Storage and Azure as a store, by obstore.

Knows objects, conditional requests and multipart uploads. Must not know settings or credentials:
it is given clients that are made (``stores.clients``), nor what is in the objects.

A file up to ``ONE_PUT_BYTES`` is one PUT that fails if the name is taken. Behind our back nothing
repeats it: who is told that a name is taken, by the answer to a request that was sent twice, takes
its own file for somebody else's. A larger file streams into a multipart upload, which obstore
cannot make conditional: it is looked for before the upload and before the end of it. Between that
look and the end only a writer of the same name could come, and names are never used by two.
"""

import errno
import io
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    NotSupportedError,
    PreconditionError,
)

from otlp2parquet.errors import NameTakenError, StorageError
from otlp2parquet.stores.pace import Pace
from otlp2parquet.stores.protocol import StoredObject, checked_path
from otlp2parquet.stores.trouble import is_conflict, is_throttled, is_unknown_place, storage_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer
    from obstore.store import ObjectStore

ONE_PUT_BYTES: Final = 8 << 20
PART_BYTES: Final = 5 << 20  # the least that S3 takes
# What is in flight, what is collected for the next part, and what was kept before the first:
# within UPLOAD_BYTES.
PARTS_AT_ONCE: Final = 4

_ERRORS: Final = (BaseError, OSError, NotImplementedError)
"""What obstore raises: its own classes, and the system's where a class of that fits."""

_NO_RANGE: Final = re.compile(
    r"InvalidRange|NotSatisfiable|NotPartial|CONTENT_RANGE|status(?: code)?: 416\b"
)

_TAIL_BYTES: Final = 64 << 10
"""What opening an object reads of its end: as much as a footer is looked for in."""


class ObstoreStore:
    """A ``Store`` in a bucket or container.

    ``once`` is a client that never repeats a request, ``again`` one that does, a bounded number
    of times; both are below the same prefix. ``root`` is the URL that names it. ``pace`` is asked
    before each request.
    """

    def __init__(
        self, once: "ObjectStore", again: "ObjectStore", root: str, *, pace: Pace | None = None
    ) -> None:
        self._once = once
        self._again = again
        self._root = root
        self.pace = Pace() if pace is None else pace
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()

    @property
    def root(self) -> str:
        """The URL of the bucket or container, with the prefix."""
        return self._root

    @property
    def requests(self) -> Counter[str]:
        """Requests so far by kind, what obstore itself repeated aside."""
        with self._lock:
            return Counter(self._requests)

    # -- the promises of a store -------------------------------------------------------------

    def create(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """Make the object ``path`` from what ``fill`` writes; its size: see ``Store.create``.

        Whether the name is taken is known only from the answer to the request that writes, so
        ``fill`` is called first.
        """
        return self._upload(_Upload(self, checked_path(path)), fill)

    def replace(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """Make the object ``path``, in the place of whatever has the name: see ``Replaces``."""
        return self._upload(_Upload(self, checked_path(path), replaces=True), fill)

    def _upload(self, upload: "_Upload", fill: Callable[[BinaryIO], None]) -> int:
        try:
            fill(upload)
            return upload.finish()
        except BaseException:
            upload.abort()
            raise

    def open(self, path: str) -> BinaryIO:
        """Open an object for reading, by ranges: see ``Store.open``. This reads its end."""
        where, found = checked_path(path), None
        with self.asking("get", "read", path), _not_there():
            found = self._size_and_tail(where)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.place(path))
        return _Object(self, path, *found)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """The objects below a folder: see ``Store.list``."""
        below = f"{checked_path(prefix)}/" if prefix else ""
        return self._list(below, prefix)

    def delete(self, path: str) -> None:
        """Remove an object: see ``Store.delete``."""
        where = checked_path(path)
        with self.asking("delete", "remove", path), _not_there():
            obstore.delete(self._again, where)

    # -- requests ----------------------------------------------------------------------------

    def place(self, path: str) -> str:
        """The URL of a path, for people."""
        return f"{self._root.partition('?')[0]}/{path}" if path else self._root

    @contextmanager
    def asking(self, kind: str, verb: str, path: str) -> Iterator[None]:
        """Around a request: it is counted and paced, and fails as a store does."""
        with self._lock:
            self._requests[kind] += 1
        with self.pace.turn():
            try:
                yield
            except _ERRORS as error:
                if is_throttled(str(error)):
                    self.pace.slow_down()
                raise storage_error(f"cannot {verb} {self.place(path)}", error) from error

    def fetch(self, path: str, sink: BinaryIO, *, version: str = "", etag: str = "") -> None:
        """Write one version of an object to ``sink``, in one request.

        Without a version it is the object of now, if its content still has this ``etag``. Raises
        ``FileNotFoundError`` where there is no such object any more.
        """
        where, found = checked_path(path), None
        options: dict[str, Any] = {"version": version} if version else {}
        if etag and not version:
            options["if_match"] = etag
        with self.asking("get", "read", path), _not_there():
            try:
                found = obstore.get(self._again, where, options=options)  # type: ignore[arg-type]
                sink.writelines(found.stream(min_chunk_size=PART_BYTES))
            except PreconditionError:
                found = None
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.place(path))

    def put(self, path: str, content: bytes, *, replaces: bool = False) -> None:
        """One PUT, which fails if the name is taken, unless it ``replaces`` what has it."""
        with self.asking("put", "write", path):
            if replaces:
                obstore.put(self._again, path, content, mode="overwrite", use_multipart=False)
                return
            try:
                obstore.put(self._once, path, content, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                if is_conflict(str(error)):
                    raise
                raise NameTakenError(path) from error

    def look(self, path: str) -> None:
        """Raise ``NameTakenError`` if an object has the name."""
        found = None
        with self.asking("head", "look for", path), _not_there():
            found = obstore.head(self._again, path)
        if found is not None:
            raise NameTakenError(path)

    def begin(self, path: str) -> "_Writer":
        """A writer of a multipart upload."""
        writer: _Writer = obstore.open_writer(
            self._again, path, buffer_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )
        return writer

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """The bytes of an object from ``start`` to before ``end``."""
        with self.asking("get", "read", path):
            return bytes(obstore.get_range(self._again, path, start=start, end=end))

    def _size_and_tail(self, path: str) -> tuple[int, bytes]:
        try:
            found = obstore.get(self._again, path, options={"range": {"suffix": _TAIL_BYTES}})
            return found.meta["size"], bytes(found.bytes())
        except FileNotFoundError:
            raise
        except _ERRORS as error:
            # Azure knows no ranges from the end, and an object without a byte has none.
            if not isinstance(error, NotSupportedError) and not _NO_RANGE.search(str(error)):
                raise
            size = obstore.head(self._again, path)["size"]
        if not size:
            return 0, b""
        start = max(0, size - _TAIL_BYTES)
        return size, bytes(obstore.get_range(self._again, path, start=start, end=size))

    def _list(self, below: str, prefix: str) -> Iterator[StoredObject]:
        pages = iter(obstore.list(self._again, prefix=prefix or None))
        while True:
            with self.asking("list", "list", prefix):
                page: Any = next(pages, None)
            if page is None:
                return
            for one in page:
                if one["path"].startswith(below):
                    yield StoredObject(one["path"], one["size"])


@contextmanager
def _not_there() -> Iterator[None]:
    """Around a request for an object that may be missing; its bucket may not."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        if is_unknown_place(str(error)):
            raise


class _Writer(Protocol):
    """What is used of obstore's multipart writer."""

    def write(self, buffer: bytes, /) -> int: ...
    def close(self) -> None: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class _Upload(io.RawIOBase, BinaryIO):
    """What ``fill`` writes to: kept while it is small, then streamed."""

    def __init__(self, store: ObstoreStore, path: str, *, replaces: bool = False) -> None:
        super().__init__()
        self._store = store
        self._path = path
        self._replaces = replaces
        self._pieces: list[bytes] = []
        self._size = 0
        self._writer: _Writer | None = None

    def writable(self) -> bool:
        """It is only written to."""
        return True

    def tell(self) -> int:
        """Bytes so far."""
        return self._size

    def write(self, data: "ReadableBuffer", /) -> int:
        """Take all of ``data``."""
        piece = bytes(data)
        self._size += len(piece)
        if self._writer is None:
            self._pieces.append(piece)
            if self._size > ONE_PUT_BYTES:
                self._stream()
        else:
            self._send(self._writer, piece)
        return len(piece)

    def _look(self) -> None:
        if not self._replaces:
            self._store.look(self._path)

    def _stream(self) -> None:
        self._look()
        self._writer = self._store.begin(self._path)
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            self._send(self._writer, piece)

    def _send(self, writer: _Writer, piece: bytes) -> None:
        with self._store.asking("part", "write", self._path):
            writer.write(piece)

    def finish(self) -> int:
        """Send what is left, and give the object its name."""
        if self._writer is None:
            content = b"".join(self._pieces)
            self._pieces = []
            self._store.put(self._path, content, replaces=self._replaces)
        else:
            self._look()
            writer, self._writer = self._writer, None
            with self._store.asking("complete", "write", self._path):
                writer.close()
        return self._size

    def abort(self) -> None:
        """Give up: the parts that were sent go."""
        if self._writer is not None:
            error = StorageError("given up")
            with suppress(*_ERRORS):
                self._writer.__exit__(StorageError, error, None)


class _Object(io.RawIOBase, BinaryIO):
    """An object that is read by ranges; its end is here already."""

    def __init__(self, store: ObstoreStore, path: str, size: int, tail: bytes) -> None:
        super().__init__()
        self._store = store
        self._path = path
        self._size = size
        self._tail = tail
        self._position = 0

    def readable(self) -> bool:
        """It is only read."""
        return True

    def seekable(self) -> bool:
        """Any place can be read."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place; nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}: expected 0 or more")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The place that is read next."""
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """As many bytes as fit and are left, in one request."""
        view = memoryview(buffer).cast("B")
        content = self._read(min(self._position + len(view), self._size))
        view[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        """All that is left, in one request."""
        return self._read(self._size)

    def _read(self, end: int) -> bytes:
        start = self._position
        if start >= end:
            return b""
        first = self._size - len(self._tail)
        content = b""
        if start < first:
            content = self._store.read_range(self._path, start, min(end, first))
        if end > first:
            content += self._tail[max(0, start - first) : end - first]
        self._position = end
        return content
