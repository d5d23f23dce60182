"""Stand-ins for what batches talk to: a clock that is moved by hand, a writer that records."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from otlp2parquet.core.files import FoundFile, is_the_file
from otlp2parquet.errors import NameTakenError
from otlp2parquet.writers import StoredFile
from tests.support.waiting import PATIENCE_SECS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otlp2parquet.core.files import PlannedFile
    from otlp2parquet.writers.protocol import ArrowArrayExportable, Existing

FILE_BYTES = 100
"""What every file of a recorder is said to take."""


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Seconds, as ``time.monotonic`` gives them."""
        return self.now


@dataclass
class Written:
    """One file as the writer got it."""

    file: PlannedFile
    batch_id: str
    rows: int
    pieces: int
    existing: Existing = "refuse"

    @property
    def service(self) -> str | None:
        """The only service in the file."""
        (service,) = self.file.services
        return service

    @property
    def path(self) -> str:
        """Where it lies below the root."""
        return self.file.name(self.batch_id)


@dataclass
class Recorder:
    """An ``OtlpWriter`` that keeps what it is given, and fails or waits when told to.

    ``fail`` is asked before a file is there and ``fail_after`` behind it: then the answer is lost.
    """

    root: str = "recorder"
    files: list[Written] = field(default_factory=list)
    attempts: list[str | None] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)
    fail: Callable[[Written], BaseException | None] = field(default=lambda _: None)
    fail_after: Callable[[Written], BaseException | None] = field(default=lambda _: None)
    fail_back: Callable[[Written], BaseException | None] = field(default=lambda _: None)
    gates: dict[str | None, threading.Event] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def store(
        self,
        file: PlannedFile,
        batches: Sequence[ArrowArrayExportable],
        batch_id: str,
        *,
        existing: Existing = "refuse",
    ) -> StoredFile:
        """Record the file, as ``OtlpWriter.store``."""
        rows = sum(pa.record_batch(batch).num_rows for batch in batches)
        written = Written(file, batch_id, rows, len(batches), existing)
        service = next(iter(file.services))
        with self.lock:
            self.attempts.append(service)
        if service in self.gates:
            assert self.gates[service].wait(PATIENCE_SECS)
        with self.lock:
            _raise(self.fail(written))
            receipt = StoredFile(written.path, rows, FILE_BYTES)
            there = next((one for one in self.files if one.path == written.path), None)
            if there is None:
                self.files.append(written)
            else:
                receipt = replace(self._found(there, written), was_there=True)
            _raise(self.fail_after(written))
        return receipt

    @staticmethod
    def _found(there: Written, written: Written) -> StoredFile:
        """The receipt of a file that has the name, if it is the one."""
        found = FoundFile(there.file.table, there.batch_id, there.file.part, there.rows)
        any_rows = written.existing == "whole"
        rows = {0} if any_rows else {written.rows, written.file.rows}
        ours = written.existing != "refuse" and is_the_file(
            found, written.batch_id, written.file.part, rows, or_more=any_rows
        )
        if not ours:
            raise NameTakenError(written.path)
        return StoredFile(written.path, there.rows, FILE_BYTES)

    def take_back(self, file: PlannedFile, batch_id: str) -> None:
        """Forget the file, as ``OtlpWriter.take_back``."""
        path = file.name(batch_id)
        with self.lock:
            self.taken_back.append(path)
            _raise(self.fail_back(Written(file, batch_id, 0, 0)))
            self.files = [written for written in self.files if written.path != path]

    @property
    def rows(self) -> int:
        """Rows stored so far."""
        with self.lock:
            return sum(written.rows for written in self.files)


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error
