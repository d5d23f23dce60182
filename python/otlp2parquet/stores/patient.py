"""A store whose calls are tried again, for those who have no schedule of their own for that.

Knows the kinds of a store's errors. Must not know what a storage is. Only what is transient is
tried again, a bounded number of times. A name that is taken when it is tried again may be ours, by
a request whose answer was lost: it is, if it has the very content that was about to be written.
"""

import io
import random
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

from otlp2parquet.errors import NameTakenError, StorageUnavailableError
from otlp2parquet.stores.protocol import Store, StoredObject, replace

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

T = TypeVar("T")

PAUSES_SECS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
_READ_BYTES: Final = 4 << 20


class PatientStore:
    """A ``Store`` over another one."""

    def __init__(
        self,
        store: Store,
        *,
        wait: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._wait = wait
        self._jitter = jitter

    @property
    def root(self) -> str:
        """As the other's."""
        return self._store.root

    def create(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """As the other's."""
        tried: list[str] = []

        def fill_and_hash(sink: BinaryIO) -> None:
            hashing = _Hashing(sink)
            fill(hashing)
            tried.append(hashing.digest())

        def attempt() -> int:
            try:
                return self._store.create(path, fill_and_hash)
            except NameTakenError:
                # The first attempt has nothing before it of which the answer could be lost.
                size = self._size_if_it_has(path, tried) if failed else None
                if size is None:
                    raise
                return size

        failed: list[None] = []
        return self._again(attempt, lambda: failed.append(None))

    def replace(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """As the other's, see ``Replaces``. Done twice it is as if it had been done once."""
        return self._again(lambda: replace(self._store, path, fill))

    def open(self, path: str) -> BinaryIO:
        """As the other's; reading from it is tried once only."""
        return self._again(lambda: self._store.open(path))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """As the other's, all at once."""
        return iter(self._again(lambda: [*self._store.list(prefix)]))

    def delete(self, path: str) -> None:
        """As the other's."""
        self._again(lambda: self._store.delete(path))

    def _again(self, call: Callable[[], T], failed: Callable[[], None] = lambda: None) -> T:
        for pause in PAUSES_SECS:
            try:
                return call()
            except StorageUnavailableError:
                failed()
                self._wait(pause * (0.75 + 0.5 * self._jitter()))
        return call()

    def _size_if_it_has(self, path: str, digests: Sequence[str]) -> int | None:
        """The size of an object that has content of one of ``digests``; else None."""
        found, size = sha256(), 0
        try:
            with self._store.open(path) as file:
                while piece := file.read(_READ_BYTES):
                    found.update(piece)
                    size += len(piece)
        except FileNotFoundError:
            return None
        return size if found.hexdigest() in digests else None


class _Hashing(io.RawIOBase, BinaryIO):
    """A sink that hashes what passes through it."""

    def __init__(self, sink: BinaryIO) -> None:
        super().__init__()
        self._sink = sink
        self._hash = sha256()
        self._size = 0

    def writable(self) -> bool:
        """It is only written to."""
        return True

    def tell(self) -> int:
        """Bytes so far."""
        return self._size

    def write(self, data: "ReadableBuffer", /) -> int:
        """Pass all of ``data`` on."""
        self._sink.write(data)
        self._hash.update(data)
        count = memoryview(data).nbytes
        self._size += count
        return count

    def digest(self) -> str:
        """The hash of all that was written."""
        return self._hash.hexdigest()
