"""Stand-ins for what batches talk to: a clock that is moved by hand, a writer that records."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otlp2parquet.writers import StoredFile, file_name
from tests.support.waiting import PATIENCE_SECS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from otlp2parquet.writers import ArrowArrayExportable


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

    table: str
    service: str | None
    hour: datetime
    batch_id: str
    rows: int
    pieces: int


@dataclass
class Recorder:
    """An ``OtlpWriter`` that keeps what it is given, and fails or waits when told to."""

    files: list[Written] = field(default_factory=list)
    attempts: list[str | None] = field(default_factory=list)
    fail: Callable[[Written], Exception | None] = field(default=lambda _: None)
    gates: dict[str | None, threading.Event] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(
        self,
        batches: Sequence[ArrowArrayExportable],
        *,
        table: str,
        service: str | None,
        hour: datetime,
        batch_id: str,
        part: int = 0,
    ) -> StoredFile:
        """Record the file, as ``OtlpWriter.write``."""
        rows = sum(batch.num_rows for batch in batches)  # type: ignore[attr-defined]
        written = Written(table, service, hour, batch_id, rows, len(batches))
        with self.lock:
            self.attempts.append(service)
        if service in self.gates:
            assert self.gates[service].wait(PATIENCE_SECS)
        with self.lock:
            error = self.fail(written)
            if error is not None:
                raise error
            self.files.append(written)
        path = file_name(table, service, hour, batch_id, part)
        return StoredFile(path, table, service, hour, rows, 100)

    @property
    def rows(self) -> int:
        """Rows stored so far."""
        with self.lock:
            return sum(written.rows for written in self.files)
