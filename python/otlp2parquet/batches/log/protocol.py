"""What batches ask of a log, whichever it is. Knows no file.

There are two: ``NoLog``, with which an acknowledged request is buffered or stored, and
``GroupCommit``, with which it is on the disk. Batches live the same life over both.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from otlp2parquet.batches.log.record import Record
from otlp2parquet.batches.plan import Plan
from otlp2parquet.batches.request import Acknowledge, Request
from otlp2parquet.errors import OtlpError, StorageError
from otlp2parquet.writers.protocol import StoredFile


class SegmentGoneError(StorageError):
    """The log of a batch is not there any more: what it held cannot be read, now or later."""


class UnreadableLogError(StorageError):
    """The log of a batch was written by a version that this one must not touch after."""


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
    def waits_for_storage(self) -> bool:
        """Whether its requests wait for the storage: nothing of it is acknowledged before."""

    @property
    def size(self) -> int:
        """Bytes it takes on the disk."""

    def append(self, shard: int, request: Request, acknowledge: Acknowledge | None) -> None:
        """Take a request whose rows are in ``shard``, under that shard's lock. Never waits."""

    def let_go(self) -> None:
        """The batch is closed: nothing is appended any more but what is under way. Does not wait.

        What may wait long for the storage holds no open file.
        """

    def finish(self) -> bool:
        """Wait until everything appended is kept; nothing may be appended any more.

        False: a part is not kept, it was refused, and its rows must not stay.
        """

    def is_there(self) -> bool:
        """Whether rows that leave memory could be read from here, as far as can be seen now."""

    def read(self) -> Iterator[Record]:
        """The requests that are kept, in the order in which they were appended.

        Behind the last of them ``plan`` and ``receipts`` are what the log says. Raises
        ``StorageError``; the subclasses above where a later try cannot help.
        """

    def set_aside(self, record: Record, error: OtlpError) -> None:
        """Keep a request that can no longer be decoded for people, and report it."""

    @property
    def plan(self) -> Plan | None:
        """The last plan that was fixed, perhaps by an earlier process."""

    @property
    def destination(self) -> Plan | None:
        """A plan without files: where files were to go when the batch was opened."""

    @property
    def receipts(self) -> Mapping[str, StoredFile]:
        """The files that are known to be stored, by path."""

    def fix(self, plan: Plan) -> None:
        """Fix a plan before the first file of it is written; a later one replaces it.

        Raises ``StorageError`` if that fails and another process would store somewhere else.
        """

    def note(self, receipt: StoredFile) -> None:
        """A file is stored. Does not wait."""

    def remove(self) -> None:
        """The batch is done: nothing of it is needed any more, and what waits is told so."""

    def refuse(self, error: StorageError) -> None:
        """The batch is given up; only where its requests wait for the storage."""


class Log(Protocol):
    """The log of a process."""

    @property
    def survives(self) -> bool:
        """Whether what is kept outlives the process."""

    @property
    def acknowledges_later(self) -> bool:
        """Whether requests are acknowledged at a time of its own, not before ``append`` returns."""

    @property
    def waits_for_storage(self) -> bool:
        """Whether requests wait until their batch is stored, and are refused if it cannot be."""

    def open(self, batch_id: str, on_failure: Callable[[], None]) -> BatchLog:
        """The log of a new batch.

        ``on_failure`` is called when something appended cannot be kept, on any thread, before
        whoever waits for it is told.
        """

    def refusal(self) -> str | None:
        """Why a request should be refused before its body is read; None if it may come."""

    def is_short(self) -> bool:
        """Whether there is so little room that the open batch should be closed early."""

    def usage(self) -> Usage:
        """What it takes now."""

    def tick(self) -> None:
        """Look at the disk, and try again what failed. Called now and then; does not wait."""

    def stop(self) -> None:
        """Keep what was appended, and take no more."""
