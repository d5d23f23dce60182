"""Any store as a file system that DuckDB reads, by fsspec's interface.

Knows the few calls that DuckDB makes, and a store. It opens for reading only, so nothing that a
statement says can write into a storage. Whatever the store is (a bucket by obstore, a file system
of fsspec), it has the credentials that the server has, and DuckDB needs no extension.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

from fsspec import AbstractFileSystem

from otlp2parquet.stores import Store

PROTOCOL: Final = "otlp2parquet"

_NEVER_CHANGES: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""A file is never overwritten, so one time is as good as another."""


class StoreFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The objects of a store below ``otlp2parquet://``, with the sizes that a listing told."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, store: Store, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self._store = store
        self._sizes = sizes

    def open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO:  # noqa: ANN401 - fsspec's
        """Open an object for reading."""
        if mode != "rb":
            raise PermissionError(f"{path}: a query only reads")
        return self._store.open(_below(path))

    def glob(self, path: str, **_: Any) -> list[str]:  # noqa: ANN401 - fsspec's
        """The object of that name: views name each file."""
        return [path] if _below(path) in self._sizes else []

    def exists(self, path: str, **_: Any) -> bool:  # noqa: ANN401 - fsspec's
        """Whether the listing had it."""
        return _below(path) in self._sizes

    def info(self, path: str, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - fsspec's
        """What the listing told of an object."""
        below = _below(path)
        if below not in self._sizes:
            raise FileNotFoundError(path)
        return {"name": path, "size": self._sizes[below], "type": "file"}

    def modified(self, path: str) -> datetime:  # noqa: ARG002 - fsspec's signature
        """A time that never changes, as the file does not."""
        return _NEVER_CHANGES


def _below(path: str) -> str:
    return path.removeprefix(f"{PROTOCOL}://").removeprefix("/")
