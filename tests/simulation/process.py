"""The process under test: the product's own assembly, over what is scripted.

What the assembly takes from the system (a disk, storages, clocks, chance) is exchanged for the
script's; nothing else is. Import it only behind ``instrumented.install``.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from unittest import mock

from otlp2parquet import assembly
from otlp2parquet.batches import shard
from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.batches.log import folder
from otlp2parquet.batches.log.group_commit import GroupCommit
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig, Config
from otlp2parquet.config.settings import (
    DurabilityConfig,
    FsConfig,
    RequestConfig,
    ServerConfig,
    StorageConfig,
)
from tests.simulation.decoder import OtherBuilder, refuses
from tests.simulation.finisher import SimulatedFinisher
from tests.simulation.requests import FIRST_HOUR
from tests.simulation.storage import SimulatedWriter
from tests.simulation.world import LOG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otlp2parquet.batches.flushes import Flush, Told
    from otlp2parquet.batches.request import Acknowledge
    from otlp2parquet.batches.storing import Backlog
    from otlp2parquet.core import Appended
    from otlp2parquet.writers.protocol import OtlpWriter
    from tests.simulation.disk import SimulatedDisk
    from tests.simulation.life import Life
    from tests.simulation.requests import Export
    from tests.simulation.script import LifeScript


class Place:
    """What the assembly takes for a store: it knows its writer, and answers that it is there."""

    def __init__(self, writer: OtlpWriter) -> None:
        self.writer = writer
        self.root = writer.root

    def open(self, path: str) -> NoReturn:
        """Say that there is no such object."""
        raise FileNotFoundError(path)


class Process:
    """One life's process. Nothing runs before ``start``."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._script = life.script
        self._exchange = ExitStack()
        self._writers: list[SimulatedWriter] = []
        self._assembled: assembly.Assembly | None = None
        self.budget = Budget(0)
        self.in_transit = 0
        """Bytes of the budget that clients have for requests that are not answered yet."""
        self.in_motion = 0
        """Bytes that are being taken from the budget, or given back, at this moment."""

    @contextmanager
    def moving(self, size: int) -> Iterator[None]:
        """A client takes so many bytes from the budget or gives them back: a step of its own."""
        self.in_motion += size
        yield
        self.in_motion -= size

    # -- its life ---------------------------------------------------------------------------

    def start(self) -> None:
        """Claim the log, take what an earlier process has left, and take requests."""
        self._exchange.enter_context(mock.patch.multiple(assembly, **self._exchanged()))
        self._exchange.enter_context(mock.patch.object(folder, "SystemDisk", self._disk))
        if self._script.refused_share:
            other = partial(OtherBuilder, self._script.refused_share)
            self._exchange.enter_context(mock.patch.object(shard, "BatchBuilder", other))
        self._assembled = assembled = assembly.assemble(config_of(self._script))
        self.budget = assembled.budget
        assembled.start()

    def end(self) -> None:
        """Give the assembly back what is the system's."""
        self._exchange.close()

    def _storing(self, *arguments: Any, **named: Any) -> Storing:
        """With a finisher of ours where there is no catalog, which would have one."""
        life = self._life
        named |= {
            "finishers": [SimulatedFinisher(life.world.ledger, life.scheduler, life.store_faults)],
            "monotonic": self._monotonic,
            "jitter": life.dice.random,
        }
        return Storing(*arguments, **named)

    def _disk(self) -> SimulatedDisk:
        return self._life.disk

    def _exchanged(self) -> dict[str, Any]:
        """What the assembly finds in the place of the system's."""
        life, script = self._life, self._script
        writer = self._writer(script.root)
        return {
            "SystemDisk": self._disk,
            "open_storage": lambda _config: Place(writer),
            "make_writer": lambda _config, place: place.writer,
            "reach_storage": lambda _config, root: self._reach(root),
            "_logs_elsewhere": lambda _config: (),
            "GroupCommit": partial(GroupCommit, monotonic=self._monotonic),
            "Storing": self._storing,
            "Ingest": partial(Ingest, monotonic=self._monotonic, new_id=life.world.new_id),
        }

    def _monotonic(self) -> float:
        return self._life.scheduler.now

    def _writer(self, root: str) -> SimulatedWriter:
        life = self._life
        writer = SimulatedWriter(life.world.storages[root], life.scheduler, life.store_faults)
        self._writers.append(writer)
        return writer

    def _reach(self, root: str) -> Place | None:
        life = self._life
        life.scheduler.point("looks for", root)
        if root in self._script.away and not life.healed:
            life.world.ledger.unreached.add(root)
            if life.dice.random() < 0.5:
                raise PermissionError(13, "Permission denied")
            return None
        return Place(self._writer(root))

    def tick(self) -> None:
        """What a server does every tenth of a second."""
        self._ingest.tick()

    def drain(self, timeout_secs: float) -> bool:
        """Store everything and stop; False when time ran out."""
        return self._ingest.drain(timeout_secs)

    def flush(self, told: Told) -> Flush:
        """Have what there is stored, and be told when it is."""
        return self._ingest.flush(told)

    def end_flush(self, flush: Flush) -> None:
        """Wait no longer."""
        self._ingest.end_flush(flush)

    # -- what clients do with it ------------------------------------------------------------

    def append(self, export: Export, acknowledge: Acknowledge, *, wait: bool) -> Appended | None:
        """Hand a request in."""
        return self._ingest.append(
            export.payload,
            export.signal,
            content_type=export.content_type,
            content_encoding=export.content_encoding,
            received_at=(FIRST_HOUR + 60) * 1_000_000_000,
            wait=wait,
            acknowledge=acknowledge,
        )

    def takes(self, export: Export) -> bool:
        """Whether its decoder reads a request."""
        return export.acceptable and not refuses(export.payload, self._script.refused_share)

    def refusal(self) -> str | None:
        """Why a request is refused before its body is read."""
        return self._ingest.refusal()

    def relieve(self) -> None:
        """Memory is short."""
        self._ingest.relieve()

    @property
    def acknowledges_later(self) -> bool:
        """Whether an append that returns leaves the answer open."""
        return self._ingest.acknowledges_later

    # -- what it says of itself -------------------------------------------------------------

    @property
    def open_batch(self) -> str:
        """The id of the batch that takes requests; empty when there is none."""
        if self._assembled is None:
            return ""
        batch = self._ingest._open  # noqa: SLF001 - nobody else has to know
        return "" if batch is None else batch.id

    @property
    def open_batches(self) -> int:
        """How many batches take requests."""
        return int(self.open_batch != "")

    @property
    def is_log_troubled(self) -> bool:
        """Whether the log could not be written at last."""
        if self._assembled is None:
            return False
        return "the log cannot be written" in (self._ingest.refusal() or "")

    @property
    def backlog(self) -> Backlog:
        """What is not stored."""
        return self._ingest.status().backlog

    @property
    def late_rows(self) -> set[str]:
        """Rows whose file may appear although its writer was told that it failed."""
        return {row for writer in self._writers for row in writer.late_after_failure}

    @property
    def _ingest(self) -> Ingest:
        assert self._assembled is not None
        return self._assembled.ingest


def config_of(script: LifeScript) -> Config:
    """The settings of a life, as a person would write them."""
    return Config(
        server=ServerConfig(threads=script.threads),
        request=RequestConfig(max_payload_bytes=1 << 20),
        batch=BatchConfig(
            enabled=script.batched,
            max_rows=script.max_rows,
            max_bytes=script.max_bytes,
            max_age_secs=script.max_age_secs,
            memory_bytes=script.memory_bytes,
        ),
        durability=DurabilityConfig(mode=script.mode, path=LOG, max_bytes=script.log_bytes),
        storage=StorageConfig(layout=script.layout, fs=FsConfig(path=Path(script.root))),
    )
