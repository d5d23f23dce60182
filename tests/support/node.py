"""One life of a server's batches over a folder on the disk, without HTTP and without a clock.

Knows how the layers are joined. ``crash`` ends it as kill -9 does: nothing more is written.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.identity import new_batch_id
from otlp2parquet.batches.ingestion import Batches
from otlp2parquet.batches.log_folder import LogFolder, check_versions
from otlp2parquet.batches.log_space import LogSpace
from otlp2parquet.batches.segment_log import SegmentLog
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.writers import ParquetWriter
from tests.support.batches_bench import NOW, logs
from tests.support.doubles import Clock
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otlp2parquet.core import Appended
    from otlp2parquet.errors import StorageError
    from otlp2parquet.writers import OtlpWriter


class Answer:
    """What a request is told, once it is told."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.error: StorageError | None = None
        self.calls = 0

    def __call__(self, error: StorageError | None) -> None:
        """As the log calls ``kept``."""
        self.calls += 1
        self.error = error
        self.told.set()

    @property
    def is_kept(self) -> bool:
        """Whether it is acknowledged; waits for the answer."""
        assert self.told.wait(PATIENCE_SECS), "there was no answer"
        assert self.calls == 1
        return self.error is None


class Node:
    """Batches over a log in ``folder/log`` and files in ``folder/data``."""

    def __init__(
        self,
        folder: Path,
        *,
        writer: OtlpWriter | None = None,
        shards: int = 2,
        threads: int = 3,
        memory_bytes: int = 512 << 20,
        max_bytes: int = 1 << 30,
        config: BatchConfig | None = None,
        root: str | None = None,
        writer_for: Callable[[str], OtlpWriter | None] = lambda _: None,
        new_id: Callable[[], str] = new_batch_id,
        replays: bool = True,
    ) -> None:
        self.data = folder / "data"
        self.clock = Clock()
        self.counts = Counts()
        self.budget = Budget(memory_bytes)
        log_folder = LogFolder.claim(folder / "log")
        try:
            check_versions(log_folder.segments())
        except BaseException:
            log_folder.release()
            raise
        self.disk_share = 0.0
        space = LogSpace(log_folder.path, max_bytes, lambda _: self.disk_share)
        self.log = SegmentLog(log_folder, space, self.counts, monotonic=self.clock)
        self.storing = Storing(
            ParquetWriter(self.data) if writer is None else writer,
            threads=threads,
            root=str(self.data) if root is None else root,
            writer_for=writer_for,
            counts=self.counts,
            monotonic=self.clock,
            jitter=lambda: 0.5,
        )
        self.batches = Batches(
            BatchConfig() if config is None else config,
            self.storing,
            self.budget,
            shards=shards,
            max_payload_bytes=1 << 20,
            log=self.log,
            monotonic=self.clock,
            new_id=new_id,
        )
        if replays:
            self.batches.replay([(found.batch_id, found) for found in self.log.left_over()])

    def append(self, payload: bytes, answer: Answer | None = None) -> tuple[Appended, Answer]:
        """Append one request of logs."""
        answer = Answer() if answer is None else answer
        appended = self.batches.append(
            payload,
            "logs",
            content_type="application/x-protobuf",
            content_encoding=None,
            received_at=NOW,
            kept=answer,
        )
        assert appended is not None
        return appended, answer

    def keep(self, *payloads: bytes) -> None:
        """Append requests, each acknowledged before the next."""
        for payload in payloads:
            assert self.append(payload)[1].is_kept

    def settle(self) -> None:
        """Wait until nothing waits to be stored."""
        wait_for(lambda: self.storing.idle)

    def tick(self, secs: float) -> None:
        """Let time pass."""
        self.clock.now += secs
        self.batches.tick()

    @property
    def segments(self) -> list[Path]:
        """The segments on the disk."""
        return [path for _, path in self.log.folder.segments()]

    def crash(self) -> None:
        """End without closing a batch: what is not on the disk is gone."""
        self.log.stop()
        self.storing.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.crash()


def one(text: int | str) -> bytes:
    """A request with one record, of a service of its own."""
    return logs(1, service=f"s{text}")
