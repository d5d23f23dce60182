"""One life of a server's batches over a folder on the disk, without HTTP and without a clock.

Knows how the layers are joined. ``crash`` ends it as kill -9 does: nothing more is written.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.batches.log.folder import LogFolder, check_versions
from otlp2parquet.batches.log.group_commit import GroupCommit
from otlp2parquet.batches.log.none import NoLog
from otlp2parquet.batches.log.space import LogSpace
from otlp2parquet.batches.plan import Plan
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.core.layout import DEFAULT_LAYOUT
from otlp2parquet.writers import ParquetWriter
from tests.support.batches_bench import append_logs, logs
from tests.support.doubles import Clock, Recorder
from tests.support.log_disk import ScriptedDisk
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otlp2parquet.batches.log.protocol import Log
    from otlp2parquet.batches.storing import Backlog, Finisher
    from otlp2parquet.core import Appended
    from otlp2parquet.core.layout import Layout
    from otlp2parquet.errors import StorageError
    from otlp2parquet.writers import OtlpWriter

_END_SECS = 5.0


class Answer:
    """What a request is told, once it is told."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.error: StorageError | None = None
        self.calls = 0

    def __call__(self, error: StorageError | None) -> None:
        """As the log calls ``acknowledge``."""
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
    """Batches over a log in ``folder/log`` and files in ``folder/data``.

    ``mode`` is the one for new requests; the log is there in every mode, for what is replayed.
    A recorder without a name of its own is taken for the storage in ``folder/data``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        writer: OtlpWriter | None = None,
        shards: int = 2,
        threads: int = 3,
        most_threads: int | None = None,
        memory_bytes: int = 512 << 20,
        max_bytes: int = 1 << 30,
        config: BatchConfig | None = None,
        layout: Layout = DEFAULT_LAYOUT,
        writer_for: Callable[[str], OtlpWriter | None] = lambda _: None,
        finishers: Sequence[Finisher] = (),
        new_id: Callable[[], str] = new_batch_id,
        replays: bool = True,
        mode: str = "fsync",
        disk: ScriptedDisk | None = None,
    ) -> None:
        self.data = folder / "data"
        self.clock = Clock()
        self.counts = Counts()
        self.budget = Budget(memory_bytes)
        self.disk = ScriptedDisk() if disk is None else disk
        if isinstance(writer, Recorder) and writer.root == Recorder.root:
            writer.root = str(self.data)
        self.writer: OtlpWriter = ParquetWriter(self.data) if writer is None else writer
        log_folder = LogFolder.claim(folder / "log", self.disk)
        try:
            check_versions(self.disk, log_folder.segments())
        except BaseException:
            log_folder.release()
            raise
        self.log = GroupCommit(
            log_folder,
            LogSpace(self.disk, log_folder.path, max_bytes),
            self.counts,
            Plan(self.writer.root, layout),
            monotonic=self.clock,
        )
        self.storing = Storing(
            self.writer,
            layout=layout,
            most_threads=max(1, threads - 1) if most_threads is None else most_threads,
            writer_for=writer_for,
            finishers=finishers,
            counts=self.counts,
            monotonic=self.clock,
            jitter=lambda: 0.5,
        )
        log: Log = self.log
        if mode != "fsync":
            log = NoLog(until_stored=mode == "stored", replaying=self.log)
        self.ingest = Ingest(
            BatchConfig() if config is None else config,
            self.storing,
            self.budget,
            shards=shards,
            max_payload_bytes=1 << 20,
            log=log,
            monotonic=self.clock,
            new_id=new_id,
        )
        left_over = self.log.left_over() if replays else []
        self.log.start()
        others = set(threading.enumerate())
        self.storing.start(threads)
        self._threads = set(threading.enumerate()) - others
        self.ingest.replay([(found.batch_id, found) for found in left_over])

    def append(self, payload: bytes, answer: Answer | None = None) -> tuple[Appended, Answer]:
        """Append one request of logs."""
        answer = Answer() if answer is None else answer
        appended = append_logs(self.ingest, payload, acknowledge=answer)
        assert appended is not None
        return appended, answer

    def keep(self, *payloads: bytes) -> None:
        """Append requests, each acknowledged before the next."""
        for payload in payloads:
            assert self.append(payload)[1].is_kept

    def settle(self) -> None:
        """Wait until nothing waits to be stored that can be."""
        wait_for(lambda: self.storing.is_idle)

    def tick(self, secs: float) -> None:
        """Let time pass."""
        self.clock.now += secs
        self.ingest.tick()

    def wait_with_ticks(self, condition: Callable[[], bool], secs: float = 40) -> None:
        """Wait until ``condition`` holds, while time passes in steps of ``secs``."""

        def holds() -> bool:
            self.tick(secs)
            return condition()

        if not condition():
            wait_for(holds)

    @property
    def backlog(self) -> Backlog:
        """What is not stored yet."""
        return self.storing.backlog()

    @property
    def segments(self) -> list[Path]:
        """The segments on the disk."""
        return [path for _, path in self.log.folder.segments()]

    def crash(self) -> None:
        """End without closing a batch: what is not on the disk is gone."""
        self.disk.gate.set()
        self.log.stop()
        self.storing.stop()
        # What they still write or log is not for the next life, or the next test, to find. One
        # that hangs in its storage is left.
        for thread in self._threads:
            thread.join(_END_SECS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.crash()


def one(text: int | str) -> bytes:
    """A request with one record, of a service of its own."""
    return logs(1, service=f"s{text}")


def services(data: Path) -> list[str]:
    """The service of every file below ``data``, by its folder."""
    return sorted(path.parts[-4].removeprefix("service=") for path in data.rglob("*.parquet"))
