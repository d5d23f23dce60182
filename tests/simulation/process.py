"""The process under test: the product's batch layer, assembled over what is scripted.

Knows how a server puts the layer together. What ends or fails it, and what must hold, is told by
``life``. Import it only behind ``instrumented.install``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.batches.log.folder import LogFolder, check_versions, segments_in
from otlp2parquet.batches.log.group_commit import GroupCommit
from otlp2parquet.batches.log.none import NoLog
from otlp2parquet.batches.log.space import LogSpace
from otlp2parquet.batches.plan import Plan
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.errors import ConfigError
from tests.simulation.requests import FIRST_HOUR
from tests.simulation.storage import SimulatedWriter
from tests.simulation.world import LOG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otlp2parquet.batches.log.protocol import Log
    from otlp2parquet.batches.log.segment import Segment
    from otlp2parquet.batches.request import Acknowledge
    from otlp2parquet.core import Appended
    from otlp2parquet.writers.protocol import OtlpWriter
    from tests.simulation.life import Life
    from tests.simulation.requests import Export

_MAX_PAYLOAD_BYTES = 1 << 20


class Process:
    """One life's process. Nothing runs before ``start``."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._script = life.script
        self._writers: list[SimulatedWriter] = []
        self._logs: list[GroupCommit] = []
        self._ingest: Ingest | None = None
        self._storing: Storing | None = None
        self.budget = Budget(0)
        self.in_transit = 0
        """Bytes of the budget that clients have for requests that are not answered yet."""

    # -- its life ---------------------------------------------------------------------------

    def start(self) -> None:
        """Claim the log, take what an earlier process has left, and take requests."""
        life, script = self._life, self._script
        self.budget, counts = Budget(script.memory_bytes), Counts()
        writer = self._writer(script.root)
        log, left_over = self._open_log(counts)
        storing = Storing(
            writer,
            layout=script.layout,
            most_threads=max(1, script.threads - 1),
            writer_for=self._writer_for,
            counts=counts,
            monotonic=self._monotonic,
            jitter=life.dice.random,
        )
        self._storing = storing
        self._ingest = Ingest(
            BatchConfig(
                enabled=script.batched,
                max_rows=script.max_rows,
                max_bytes=script.max_bytes,
                max_age_secs=script.max_age_secs,
                memory_bytes=script.memory_bytes,
            ),
            storing,
            self.budget,
            shards=script.shards,
            max_payload_bytes=_MAX_PAYLOAD_BYTES,
            log=log,
            monotonic=self._monotonic,
            new_id=life.world.new_id,
        )
        for one in self._logs:
            one.start()
        storing.start(script.threads)
        self._ingest.replay([(segment.batch_id, segment) for segment in left_over])

    def tick(self) -> None:
        """What a server does every tenth of a second."""
        if self._ingest is not None:
            self._ingest.tick()
            if self._script.mode != "fsync":
                for log in self._logs:
                    log.tick()

    def drain(self, timeout_secs: float) -> bool:
        """Store everything and stop; False when time ran out."""
        assert self._ingest is not None
        stored = self._ingest.drain(timeout_secs)
        for log in self._logs:
            log.stop()
        return stored

    # -- what clients do with it ------------------------------------------------------------

    def append(self, export: Export, acknowledge: Acknowledge, *, wait: bool) -> Appended | None:
        """Hand a request in."""
        assert self._ingest is not None
        return self._ingest.append(
            export.payload,
            export.signal,
            content_type=export.content_type,
            content_encoding=export.content_encoding,
            received_at=(FIRST_HOUR + 60) * 1_000_000_000,
            wait=wait,
            acknowledge=acknowledge,
        )

    def refusal(self) -> str | None:
        """Why a request is refused before its body is read."""
        assert self._ingest is not None
        return self._ingest.refusal()

    def relieve(self) -> None:
        """Memory is short."""
        assert self._ingest is not None
        self._ingest.relieve()

    @property
    def acknowledges_later(self) -> bool:
        """Whether an append that returns leaves the answer open."""
        assert self._ingest is not None
        return self._ingest.acknowledges_later

    # -- what it says of itself -------------------------------------------------------------

    @property
    def open_batch(self) -> str:
        """The id of the batch that takes requests; empty when there is none."""
        batch = None if self._ingest is None else self._ingest._open  # noqa: SLF001 - no other way
        return "" if batch is None else batch.id

    @property
    def open_batches(self) -> int:
        """How many batches take requests."""
        return int(self.open_batch != "")

    @property
    def unstored(self) -> int:
        """Closed batches that are not stored and that this process could store."""
        assert self._storing is not None
        backlog = self._storing.backlog()
        return backlog.batches - backlog.left

    @property
    def left(self) -> int:
        """Batches for which it can do nothing."""
        assert self._storing is not None
        return self._storing.backlog().left

    @property
    def last_error(self) -> str:
        """Why something waits."""
        assert self._storing is not None
        return self._storing.backlog().last_error

    @property
    def late_rows(self) -> set[str]:
        """Rows whose file may appear although its writer was told that it failed."""
        return {row for writer in self._writers for row in writer.late_after_failure}

    # -- how it is put together -------------------------------------------------------------

    def _monotonic(self) -> float:
        return self._life.scheduler.now

    def _open_log(self, counts: Counts) -> tuple[Log, Sequence[Segment]]:
        life, script = self._life, self._script
        if script.mode != "fsync":
            nothing = NoLog(until_stored=script.mode == "stored")
            try:
                if not segments_in(life.disk, LOG):
                    return nothing, ()
            except OSError as error:
                raise ConfigError(str(error)) from error
        folder = LogFolder.claim(LOG, life.disk)
        try:
            check_versions(life.disk, folder.segments())
        except OSError as error:
            raise ConfigError(str(error)) from error
        log = GroupCommit(
            folder,
            LogSpace(life.disk, LOG, script.log_bytes),
            counts,
            Plan(script.root, script.layout),
            monotonic=self._monotonic,
        )
        self._logs.append(log)
        try:
            left_over = log.left_over()
        except OSError as error:
            raise ConfigError(str(error)) from error
        return (log if script.mode == "fsync" else nothing), left_over

    def _writer(self, root: str) -> SimulatedWriter:
        life = self._life
        writer = SimulatedWriter(life.world.storages[root], life.scheduler, life.store_faults)
        self._writers.append(writer)
        return writer

    def _writer_for(self, root: str) -> OtlpWriter | None:
        life = self._life
        life.scheduler.point("looks for", root)
        if root in self._script.away and not life.healed:
            if life.dice.random() < 0.5:
                raise PermissionError(13, "Permission denied")
            return None
        return self._writer(root)
