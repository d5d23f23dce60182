"""Everything below a platform, put together from the configuration in one place.

Knows how stores, writers, the log, batches and the budget are joined, and what an earlier process
may have left. It must not know sockets or requests: platforms ask for an ``Assembly`` and put
theirs on top.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.encoding import BudgetedWriter
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.batches.log.disk import SystemDisk
from otlp2parquet.batches.log.folder import LogFolder, check_versions, is_owned, segments_in
from otlp2parquet.batches.log.group_commit import GroupCommit
from otlp2parquet.batches.log.none import NoLog
from otlp2parquet.batches.log.segment import Segment
from otlp2parquet.batches.log.space import LogSpace
from otlp2parquet.batches.plan import Plan
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import Config
from otlp2parquet.config.settings import LOG_FOLDER
from otlp2parquet.durable import make_folder, reason_of
from otlp2parquet.errors import ConfigError
from otlp2parquet.writers import Compression, OtlpWriter, ParquetWriter

if TYPE_CHECKING:
    from otlp2parquet.batches.log.protocol import Log
    from otlp2parquet.core.layout import Layout

log = logging.getLogger(__name__)

_MOST_NEIGHBOURS: Final = 1000
"""Folders that are looked into for a log that was left behind."""


@dataclass(slots=True)
class Assembly:
    """What a platform builds on."""

    ingest: Ingest
    budget: Budget
    counts: Counts
    root: str
    """What names the storage."""
    _storing: Storing
    _logs: list[GroupCommit] = field(default_factory=list)
    _left_over: list[Segment] = field(default_factory=list)
    _threads: int = 2

    def start(self) -> None:
        """Start the threads, and begin to store what an earlier process has left."""
        for one in self._logs:
            one.start()
        self._storing.start(self._threads)
        if self._left_over:
            size = sum(segment.size for segment in self._left_over)
            log.info(
                "replaying what an earlier process has left in the log",
                extra={"fields": {"batches": len(self._left_over), "bytes": size}},
            )
        self.ingest.replay([(segment.batch_id, segment) for segment in self._left_over])


def assemble(
    config: Config, *, acknowledging: AbstractContextManager[object] | None = None
) -> Assembly:
    """Put everything together; nothing runs before ``start``.

    ``acknowledging`` is entered while several requests are acknowledged at once. Raises
    ``ConfigError`` when the storage's folder or the log cannot be used: then nothing in the log
    has changed.
    """
    threads = config.server.threads
    # Two at least, so that one slow file does not hold up the rest, and one for others besides
    # the batch that has a slow file.
    most = max(2, min(4, threads))
    budget, counts = Budget(config.batch.memory_bytes), Counts()
    writer = make_writer(config)
    layout = cast("Layout", config.storage.layout)
    logs = _Logs(config, counts, Plan(writer.root, layout), acknowledging)

    def writer_for(root: str) -> OtlpWriter | None:
        reached = _reach(config, root)
        return None if reached is None else BudgetedWriter(reached, budget, config.parquet)

    storing = Storing(
        BudgetedWriter(writer, budget, config.parquet),
        layout=layout,
        most_threads=most,
        writer_for=writer_for,
        counts=counts,
    )
    ingest = Ingest(
        config.batch,
        storing,
        budget,
        shards=threads,
        max_payload_bytes=config.request.max_payload_bytes,
        log=logs.log,
    )
    return Assembly(
        ingest, budget, counts, writer.root, storing, logs.running, logs.left_over, most + 1
    )


def make_writer(config: Config) -> ParquetWriter:
    """The writer for the configured storage, or ``ConfigError``.

    Its folder is made now, so that no row is taken for a place that cannot be written.
    """
    path = config.storage.fs.path
    try:
        make_folder(path)
    except OSError as error:
        raise ConfigError(
            f"cannot make the folder {path}: {reason_of(error)}, expected a folder that can be "
            "written (storage.fs.path)"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(
            f"the folder {path} cannot be written, expected one that can (storage.fs.path)"
        )
    return _parquet_writer(config, path)


def _parquet_writer(config: Config, path: Path) -> ParquetWriter:
    """A writer of the configured kind of files below ``path``."""
    parquet = config.parquet
    return ParquetWriter(
        path,
        compression=cast("Compression", parquet.compression),
        level=parquet.level or None,
        row_group_rows=parquet.row_group_rows,
    )


def _reach(config: Config, root: str) -> ParquetWriter | None:
    """The writer for the storage that an earlier plan names, None if it cannot be reached."""
    path = Path(root)
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        return None
    return _parquet_writer(config, path)


class _Logs:
    """The log for new requests, and what earlier processes have left, whatever the mode is now.

    What is left is acknowledged, so it is stored in every mode; what is not found is told.
    """

    def __init__(
        self,
        config: Config,
        counts: Counts,
        destination: Plan,
        acknowledging: AbstractContextManager[object] | None,
    ) -> None:
        self._config = config
        self._counts = counts
        self._destination = destination
        self._acknowledging = acknowledging
        self.running: list[GroupCommit] = []
        self.left_over: list[Segment] = []
        mode = config.durability.mode
        if mode == "fsync":
            self.log: Log = self._group_commit()
        else:
            replaying = self._look_for_segments()
            self.log = NoLog(
                until_stored=mode == "stored", acknowledging=acknowledging, replaying=replaying
            )
        for folder, count in _logs_elsewhere(config):
            log.warning(
                "a log of other settings has batches that are not stored: start once with its "
                "folder as durability.path to have them stored",
                extra={"fields": {"folder": str(folder), "batches": count}},
            )

    def _look_for_segments(self) -> GroupCommit | None:
        path = self._config.log_path
        try:
            if segments_in(SystemDisk(), path):
                return self._group_commit()
        except (ConfigError, OSError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            log.warning(
                "whether batches are left in the log cannot be told, they are not replayed",
                extra={"fields": {"folder": str(path), "error": reason}},
            )
        return None

    def _group_commit(self) -> GroupCommit:
        folder = LogFolder.claim(self._config.log_path)
        try:
            check_versions(folder.disk, folder.segments())
            space = LogSpace(folder.disk, folder.path, self._config.durability.max_bytes)
            made = GroupCommit(
                folder,
                space,
                self._counts,
                self._destination,
                acknowledging=self._acknowledging,
            )
            self.left_over = made.left_over()
        except OSError as error:
            folder.release()
            raise ConfigError(
                f"cannot list the log folder {folder.path}: {reason_of(error)}, expected a folder "
                "that can be read (durability.path)"
            ) from error
        except BaseException:
            folder.release()
            raise
        self.running.append(made)
        return made


def _logs_elsewhere(config: Config) -> Iterator[tuple[Path, int]]:
    """Logs near the storage and near the working folder that hold batches and are not ours.

    ``durability.path`` follows ``storage.fs.path`` unless it is set: who changes that leaves a log
    behind, whose batches are acknowledged. A log whose owner runs is that owner's matter.
    """
    ours = config.log_path.absolute()
    disk = SystemDisk()
    for folder in _neighbours(config):
        candidate = folder / LOG_FOLDER
        with suppress(OSError):
            found = segments_in(disk, candidate) if candidate != ours else []
            if found and not is_owned(disk, candidate):
                yield candidate, len(found)


def _neighbours(config: Config) -> Iterator[Path]:
    here, storage = Path().absolute(), config.storage.fs.path.absolute()
    seen = {storage.parent, here}
    for parent in sorted(seen):
        yield parent
        with suppress(OSError):
            yield from sorted(parent.iterdir())[:_MOST_NEIGHBOURS]


def promise(config: Config) -> str:
    """What the mode of durability promises, and its price: for the line at the start."""
    mode = config.durability.mode
    if mode == "fsync":
        return (
            f"durability is fsync: what is acknowledged is on the disk, in the log at "
            f"{config.log_path.absolute()}, and outlives a crash, kill -9 and a power cut; it can "
            "be lost only with that disk"
        )
    if mode == "stored":
        return (
            "durability is stored: what is acknowledged is in files; it can be lost only with "
            "the storage"
        )
    return (
        "durability is memory: rows that are not in a file yet are lost if the process is "
        "killed or crashes, not if it is stopped"
    )
