"""A store in memory, which keeps what it is given and fails when it is told to."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, BinaryIO

from otlp2parquet.errors import NameTakenError
from otlp2parquet.stores.protocol import StoredObject, checked_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class MemoryStore:
    """A ``Store`` that lasts as long as the test."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fail: Callable[[str, str], Exception | None] = lambda _call, _path: None
        """Asked before each call, with its name and path, for the error that it raises."""
        self._lock = threading.Lock()

    @property
    def root(self) -> str:
        """There is but one memory."""
        return "memory:"

    def create(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """See ``Store.create``."""
        self._before("create", path)
        if path in self.objects:
            raise NameTakenError(path)
        sink = io.BytesIO()
        fill(sink)
        with self._lock:
            if path in self.objects:
                raise NameTakenError(path)
            self.objects[path] = sink.getvalue()
        return len(self.objects[path])

    def open(self, path: str) -> BinaryIO:
        """See ``Store.open``."""
        self._before("open", path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return io.BytesIO(self.objects[path])

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See ``Store.list``."""
        if prefix:
            self._before("list", prefix)
        return iter(
            [
                StoredObject(path, len(content))
                for path, content in self.objects.items()
                if not prefix or path.startswith(f"{prefix}/")
            ]
        )

    def delete(self, path: str) -> None:
        """See ``Store.delete``."""
        self._before("delete", path)
        with self._lock:
            self.objects.pop(path, None)

    def _before(self, call: str, path: str) -> None:
        error = self.fail(call, checked_path(path))
        if error is not None:
            raise error
