"""A disk of the log under a test's hand: the machine's own, whose calls can wait and fail."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from otlp2parquet.batches.log.disk import SystemDisk
from tests.support.waiting import PATIENCE_SECS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otlp2parquet.batches.log.disk import Descriptor

SIZE_BYTES = 10 << 30
"""Small enough for shares of it to be what counts as full."""

CALLS = (
    "make_folder", "names", "exists", "size", "create", "open", "write", "read", "truncate",
    "sync", "leads_to", "unlink", "rename", "sync_folder", "space",
)  # fmt: skip
"""Everything that may fail; ``close`` never does, and ``lock`` is another matter."""


class ScriptedDisk(SystemDisk):
    """The machine's file systems, with everything that a test wants to see, hold or break.

    ``share`` is how full the disk says that it is. ``fail`` is asked before each call, by its
    name and what it is about, and may give an error to raise.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self.fail: Callable[[str, object], OSError | None] = lambda _call, _what: None
        self.calls: list[tuple[str, object]] = []
        self.syncs = 0
        self.sync_errors: list[OSError] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.opened: set[Descriptor] = set()

    def hold(self) -> None:
        """Let the next sync of a file wait for the gate."""
        self.entered.clear()
        self.gate.clear()

    def _ask(self, call: str, what: object) -> None:
        self.calls.append((call, what))
        error = self.fail(call, what)
        if error is not None:
            raise error

    def make_folder(self, folder: Path) -> None:  # noqa: D102 - as the machine's, here and below
        self._ask("make_folder", folder)
        super().make_folder(folder)

    def names(self, folder: Path) -> list[str]:  # noqa: D102
        self._ask("names", folder)
        return super().names(folder)

    def exists(self, path: Path) -> bool:  # noqa: D102
        self._ask("exists", path)
        return super().exists(path)

    def size(self, path: Path) -> int:  # noqa: D102
        self._ask("size", path)
        return super().size(path)

    def create(self, path: Path) -> Descriptor:  # noqa: D102
        self._ask("create", path)
        descriptor = super().create(path)
        self.opened.add(descriptor)
        return descriptor

    def open(self, path: Path, *, write: bool) -> Descriptor:  # noqa: D102
        self._ask("open", path)
        descriptor = super().open(path, write=write)
        self.opened.add(descriptor)
        return descriptor

    def close(self, descriptor: Descriptor) -> None:  # noqa: D102
        self.calls.append(("close", descriptor))
        self.opened.discard(descriptor)
        super().close(descriptor)

    def write(self, descriptor: Descriptor, offset: int, pieces: Sequence[bytes]) -> None:  # noqa: D102
        self._ask("write", descriptor)
        super().write(descriptor, offset, pieces)

    def read(self, descriptor: Descriptor, offset: int, count: int) -> bytes:  # noqa: D102
        self._ask("read", descriptor)
        return super().read(descriptor, offset, count)

    def truncate(self, descriptor: Descriptor, size: int) -> None:  # noqa: D102
        self._ask("truncate", descriptor)
        super().truncate(descriptor, size)

    def sync(self, descriptor: Descriptor) -> None:
        """As the machine's, counted, and behind the gate."""
        self.syncs += 1
        self.entered.set()
        assert self.gate.wait(PATIENCE_SECS)
        if self.sync_errors:
            raise self.sync_errors.pop(0)
        self._ask("sync", descriptor)
        super().sync(descriptor)

    def leads_to(self, path: Path, descriptor: Descriptor) -> bool:  # noqa: D102
        self._ask("leads_to", path)
        return super().leads_to(path, descriptor)

    def unlink(self, path: Path) -> None:  # noqa: D102
        self._ask("unlink", path)
        super().unlink(path)

    def rename(self, path: Path, target: Path) -> None:  # noqa: D102
        self._ask("rename", path)
        super().rename(path, target)

    def sync_folder(self, folder: Path) -> None:  # noqa: D102
        self._ask("sync_folder", folder)
        super().sync_folder(folder)

    def space(self, folder: Path) -> tuple[int, int]:
        """What ``share`` says, of ``SIZE_BYTES``."""
        self._ask("space", folder)
        used = round(SIZE_BYTES * self.share)
        return used, SIZE_BYTES - used
