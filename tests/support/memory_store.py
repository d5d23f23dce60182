"""A store in memory, and a process that is killed at any of its calls."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from otlp2parquet.errors import NameTakenError
from otlp2parquet.stores import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class KilledError(BaseException):
    """The process ends here: nothing that it would have done next is done."""


class MemoryStore:
    """A ``Store`` that outlives the processes that use it.

    With ``lives`` set, the call of that number is the last of this process: odd numbers die before
    the change that they would make, even ones right after it. All later calls die too, as the
    other threads of a process do.
    """

    root = "memory"

    def __init__(self) -> None:
        """Nothing in it, and nobody is killed."""
        self.objects: dict[str, bytes] = {}
        self.deleted: set[str] = set()
        self.lives: int | None = None
        self.is_dead = False

    def start_process(self, lives: int | None) -> None:
        """Whoever uses the store from now on is another process."""
        self.lives, self.is_dead = lives, False

    def create(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """As ``Store.create``."""
        self._live()
        if path in self.objects:
            raise NameTakenError(path)
        sink = io.BytesIO()
        fill(sink)
        data = sink.getvalue()
        self._change(lambda: self.objects.update({path: data}))
        return len(data)

    def replace(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """As ``Replaces.replace``."""
        self._live()
        sink = io.BytesIO()
        fill(sink)
        data = sink.getvalue()
        self._change(lambda: self.objects.update({path: data}))
        return len(data)

    def open(self, path: str) -> BinaryIO:
        """As ``Store.open``."""
        self._live()
        if path not in self.objects:
            raise FileNotFoundError(path)
        return io.BytesIO(self.objects[path])

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """As ``Store.list``."""
        self._live()
        start = f"{prefix}/" if prefix else ""
        for path, data in list(self.objects.items()):
            if path.startswith(start):
                yield StoredObject(path, len(data))

    def delete(self, path: str) -> None:
        """As ``Store.delete``."""
        self._live()
        self._change(lambda: self.deleted.add(path) if self.objects.pop(path, None) else None)

    def _live(self) -> None:
        if self.is_dead:
            raise KilledError

    def _change(self, change: Callable[[], object]) -> None:
        if self.lives is None:
            change()
            return
        self.lives -= 1
        if self.lives == 0:
            self._die()
        change()
        self.lives -= 1
        if self.lives == 0:
            self._die()

    def _die(self) -> None:
        self.is_dead = True
        raise KilledError
