"""What a batch asks of the log, and the log that keeps nothing.

Two implementations: ``NoLog`` here, and ``SegmentLog``. With the one a 200 means buffered, or
stored; with the other it means on the disk. Batches live the same life over both. Knows no file.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple, Protocol

from otlp2parquet.batches.plan import FileKey, Plan
from otlp2parquet.batches.segment import Record
from otlp2parquet.core import Signal
from otlp2parquet.errors import OtlpError, StorageError

Request = tuple[bytes, Signal, str, str | None, int]
"""Payload, signal, content type, content encoding, receive time in ns."""

Kept = Callable[[StorageError | None], None]
"""Called once, on any thread: the request is kept as the mode promises, or why it is not."""


class Usage(NamedTuple):
    """What a log takes, what it may take, and the share of its disk that is in use."""

    bytes: int = 0
    max_bytes: int = 0
    disk_share: float = 0.0


class BatchLog(Protocol):
    """The log of one batch, from its first request to the last stored file."""

    @property
    def rereads(self) -> bool:
        """Whether the rows can be had from here again, so that memory need not hold them."""

    @property
    def size(self) -> int:
        """Bytes it takes on the disk."""

    def put(self, shard: int, request: Request, kept: Kept | None) -> None:
        """Take a request that was appended to ``shard``, under that shard's lock. Never waits."""

    def finish(self) -> bool:
        """Wait until everything put is kept. False: a part is not, and its rows must not stay.

        Called when nothing can be put any more.
        """

    def read(self) -> Iterator[Record]:
        """The requests that are kept, in the order in which they were put."""

    def set_aside(self, record: Record, error: OtlpError) -> None:
        """Keep a request that can no longer be decoded for people, and report it."""

    def plan(self, plan: Plan) -> tuple[Plan, frozenset[FileKey]]:
        """Fix the plan before the first file is written; the one that holds, and what is stored.

        A plan fixed earlier, perhaps by an earlier process, stays.
        """

    def note(self, key: FileKey) -> None:
        """A file is stored. Does not wait."""

    def remove(self) -> None:
        """All files are stored: nothing of the batch is needed any more."""

    def abandon(self, error: StorageError) -> None:
        """The batch is given up; only where nothing of it is acknowledged."""


class Log(Protocol):
    """The log of a process."""

    on_failure: Callable[[str], None]
    """Told the id of a batch of which something put cannot be kept, before anyone else is."""

    telling: AbstractContextManager[None]
    """Entered while the ``kept`` of one group are called: who hands them on does it at once."""

    @property
    def survives(self) -> bool:
        """Whether what is kept outlives the process."""

    @property
    def keeps_later(self) -> bool:
        """Whether ``kept`` is called at a time of its own, not before ``put`` returns."""

    @property
    def waits_for_storage(self) -> bool:
        """Whether requests wait until their batch is stored, and are refused if it cannot be."""

    def open(self, batch_id: str) -> BatchLog:
        """The log of a new batch."""

    def refusal(self) -> str | None:
        """Why a request should be refused before its body is read; None if it may come."""

    def is_short(self) -> bool:
        """Whether there is so little room that the open batch should be closed early."""

    def usage(self) -> Usage:
        """What it takes now."""

    def tick(self) -> None:
        """Look at the disk, and try again what failed. Called now and then; does not wait."""

    def stop(self) -> None:
        """Keep what was put, and take no more."""


class NoBatchLog:
    """Nothing on any disk. ``until_stored``: requests are kept once the batch is stored."""

    rereads: Final = False
    size: Final = 0

    def __init__(
        self, *, until_stored: bool, telling: AbstractContextManager[None] | None = None
    ) -> None:
        self._until_stored = until_stored
        self._telling = nullcontext() if telling is None else telling
        self._waiting: list[Kept] = []

    def put(self, _shard: int, _request: Request, kept: Kept | None) -> None:
        """Buffered is kept, or it waits for the storage."""
        if kept is None:
            return
        if self._until_stored:
            self._waiting.append(kept)
        else:
            kept(None)

    def finish(self) -> bool:
        """There is nothing to wait for."""
        return True

    def read(self) -> Iterator[Record]:
        """There is nothing to read: the builders' rows are the only ones."""
        return iter(())

    def set_aside(self, _record: Record, error: OtlpError) -> None:
        """Never: nothing is read from here."""
        raise AssertionError(error)

    def plan(self, plan: Plan) -> tuple[Plan, frozenset[FileKey]]:
        """The plan as it is."""
        return plan, frozenset()

    def note(self, key: FileKey) -> None:
        """Nobody could read it."""

    def remove(self) -> None:
        """Acknowledge what waited for the storage."""
        self._settle(None)

    def abandon(self, error: StorageError) -> None:
        """Refuse what waited for the storage."""
        self._settle(error)

    def _settle(self, error: StorageError | None) -> None:
        waiting, self._waiting = self._waiting, []
        with self._telling:
            for kept in waiting:
                kept(error)


class NoLog:
    """The log of the modes ``memory`` and (with ``until_stored``) ``stored``."""

    survives: Final = False

    def __init__(self, *, until_stored: bool = False) -> None:
        self.on_failure: Callable[[str], None] = lambda _: None
        self.telling: AbstractContextManager[None] = nullcontext()
        self.keeps_later = self.waits_for_storage = until_stored

    def open(self, _batch_id: str) -> BatchLog:
        """A log that keeps nothing."""
        return NoBatchLog(until_stored=self.waits_for_storage, telling=self.telling)

    def refusal(self) -> str | None:
        """There is no disk that could be full."""
        return None

    def is_short(self) -> bool:
        """As ``refusal``."""
        return False

    def usage(self) -> Usage:
        """Nothing."""
        return Usage()

    def tick(self) -> None:
        """There is nothing to look at."""

    def stop(self) -> None:
        """There is nothing to keep."""
