"""Everything below a platform, put together from the configuration in one place.

Knows how stores, writers, the log, batches and the budget are joined, and what an earlier process
may have left. It must not know sockets or requests: platforms ask for an ``Assembly`` and put
theirs on top.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from uuid import uuid4

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.encoding import BudgetedWriter
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.batches.log.disk import SystemDisk
from otlp2parquet.batches.log.folder import (
    SUFFIX,
    LogFolder,
    check_versions,
    is_owned,
    segments_in,
)
from otlp2parquet.batches.log.group_commit import GroupCommit
from otlp2parquet.batches.log.none import NoLog
from otlp2parquet.batches.log.segment import Segment
from otlp2parquet.batches.log.space import LogSpace
from otlp2parquet.batches.plan import Plan
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import Config
from otlp2parquet.config.settings import LOG_FOLDER
from otlp2parquet.core.decoder import memory_is_short
from otlp2parquet.core.layout import CATALOG_LAYOUT
from otlp2parquet.durable import reason_of
from otlp2parquet.errors import ConfigError
from otlp2parquet.storage import StorageStatus, open_storage, reach_storage, store_at
from otlp2parquet.stores import UPLOAD_BYTES, Store
from otlp2parquet.writers import Compression, OtlpWriter, ParquetWriter

if TYPE_CHECKING:
    from otlp2parquet.batches.log.protocol import Log
    from otlp2parquet.batches.storing import Finisher
    from otlp2parquet.catalogs.committer import Committer
    from otlp2parquet.catalogs.running import CommitThread
    from otlp2parquet.catalogs.shared_node import SharedNode
    from otlp2parquet.core.layout import Layout

log = logging.getLogger(__name__)

UPLOADS_AT_ONCE: Final = 8
"""Of one batch, to a storage over the network."""

_MOST_NEIGHBOURS: Final = 1000
"""Folders that are looked into for a log that was left behind."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where files go, and what they are called there."""

    store: Store
    """The storage; with a catalog the files lie below the tables, and receipts are here."""
    writer: OtlpWriter
    layout: "Layout"
    field_ids_of: Callable[[str], Sequence[int]]
    """The field ids with which a table's files are written; none where they are our own."""


@dataclass(slots=True)
class Assembly:
    """What a platform builds on."""

    ingest: Ingest
    budget: Budget
    counts: Counts
    root: str
    """What names the storage."""
    storage: StorageStatus
    _storing: Storing
    _logs: list[GroupCommit] = field(default_factory=list)
    _left_over: list[Segment] = field(default_factory=list)
    _threads: int = 2
    commits: "CommitThread | None" = None
    """What makes stored files part of tables, where there is a catalog."""
    output: "Output | None" = None
    """Where files go, for who makes them beside the batches."""

    def start(self, *, in_background: bool = True) -> None:
        """Start the threads, and begin to store what an earlier process has left.

        Without ``in_background`` nothing is done that nobody waits for: the storage is not probed,
        and files become part of tables only when the committer is asked.
        """
        for one in self._logs:
            one.start()
        self._storing.start(self._threads)
        if in_background:
            # Beside everything else: a storage that hangs must not hold up the start.
            name = "otlp2parquet-probe"
            threading.Thread(target=self.storage.probe, name=name, daemon=True).start()
        if self._left_over:
            size = sum(segment.size for segment in self._left_over)
            log.info(
                "replaying what an earlier process has left in the log",
                extra={"fields": {"batches": len(self._left_over), "bytes": size}},
            )
        self.ingest.replay([(segment.batch_id, segment) for segment in self._left_over])
        if self.commits is not None and in_background:
            # Behind the replay: what the log holds is known then.
            self.commits.start()


def assemble(
    config: Config,
    *,
    acknowledging: AbstractContextManager[object] | None = None,
    share: "Callable[[Store], SharedNode] | None" = None,
) -> Assembly:
    """Put everything together; nothing runs before ``start``.

    ``acknowledging`` is entered while several requests are acknowledged at once. ``share`` is given
    by a process that lasts for a moment, and so has no node of its own in a catalog. Raises
    ``ConfigError`` when the storage's folder or the log cannot be used: then nothing in the log
    has changed.
    """
    threads = config.server.threads
    # Two at least, so that one slow file does not hold up the rest, and one for others besides
    # the batch that has a slow file.
    most = max(2, min(4, threads))
    upload_bytes = 0
    if config.storage.backend != "fs" or config.catalog_type != "none":
        # A thread that waits for the network uses no core.
        most, upload_bytes = max(most, UPLOADS_AT_ONCE), UPLOAD_BYTES
    budget, counts = Budget(config.batch.memory_bytes, memory_is_short), Counts()
    store = open_storage(config.storage)
    writer: OtlpWriter = make_writer(config, store)
    layout = cast("Layout", config.storage.layout)
    tables = None
    if config.catalog_type != "none":
        tables = _Tables(config)
        writer, layout = tables.writer, CATALOG_LAYOUT
    logs = _Logs(config, counts, Plan(writer.root, layout), acknowledging)
    if tables is not None and share is not None:
        tables.commit_for_all(share(store), store)
    elif tables is not None:
        tables.commit_for(logs.node(), store)

    def writer_for(root: str) -> OtlpWriter | None:
        reached = reach_storage(config.storage, root)
        if reached is None:
            return None
        writer = make_writer(config, reached)
        return BudgetedWriter(writer, budget, config.parquet, UPLOAD_BYTES)

    budgeted = BudgetedWriter(writer, budget, config.parquet, upload_bytes)
    storing = Storing(
        budgeted,
        finishers=[] if tables is None else tables.finishers,
        layout=layout,
        most_threads=most,
        writer_for=writer_for,
        counts=counts,
    )
    if tables is not None:
        tables.storing = storing
    ingest = Ingest(
        config.batch,
        storing,
        budget,
        shards=threads,
        max_payload_bytes=config.request.max_payload_bytes,
        log=logs.log,
    )
    status = StorageStatus(store, lambda: counts.files_stored)
    return Assembly(
        ingest,
        budget,
        counts,
        writer.root,
        status,
        storing,
        logs.running,
        logs.left_over,
        most + 1,
        None if tables is None else tables.commits,
        Output(store, budgeted, layout, _no_ids if tables is None else tables.field_ids),
    )


def make_writer(
    config: Config,
    store: Store | None = None,
    field_ids_of: Callable[[str], Sequence[int]] = lambda _: (),
) -> ParquetWriter:
    """The writer for the configured storage, or ``store``: see ``open_storage``."""
    parquet = config.parquet
    return ParquetWriter(
        open_storage(config.storage) if store is None else store,
        compression=cast("Compression", parquet.compression),
        level=parquet.level or None,
        row_group_rows=parquet.row_group_rows,
        field_ids_of=field_ids_of,
    )


def _no_ids(_table: str) -> Sequence[int]:
    return ()


class _Tables:
    """The part of a server that makes files part of tables."""

    def __init__(self, config: Config) -> None:
        # Only where there is a catalog: pyiceberg is an extra, and takes its time.
        from otlp2parquet.catalogs.service import open_tables  # noqa: PLC0415
        from otlp2parquet.catalogs.table_writer import TableWriter  # noqa: PLC0415

        self._config = config
        self._folder = config.log_path
        self._tables = open_tables(config, self._folder)
        self.writer = TableWriter(
            self._tables.root,
            self._tables.places,
            partial(store_at, config.storage),
            partial(make_writer, config),
        )
        self.storing: Storing | None = None
        self.finishers: list[Finisher] = []
        self.commits: CommitThread | None = None

    def commit_for(self, node: str, store: Store) -> None:
        """Commit the receipts of ``node``, which lie in ``store``."""
        from otlp2parquet.catalogs.service import make_committer  # noqa: PLC0415

        committer, finisher = make_committer(
            self._config,
            self._tables,
            store,
            node,
            is_logged=self._is_logged,
            logged=self._logged,
        )
        self.finishers.append(finisher)
        self._commit_by(committer)

    def commit_for_all(self, shared: "SharedNode", store: Store) -> None:
        """Commit the receipts of this process, as one of many that share a node."""
        from otlp2parquet.catalogs.service import make_shared_committer  # noqa: PLC0415

        committer, finisher = make_shared_committer(self._config, self._tables, store, shared)
        self.finishers.append(finisher)
        self._commit_by(committer)

    def _commit_by(self, committer: "Committer") -> None:
        from otlp2parquet.catalogs.running import CommitThread  # noqa: PLC0415

        place = self._tables.connection.place
        self.commits = CommitThread(committer, place, self._tables.catalog.reach)

    def field_ids(self, table: str) -> Sequence[int]:
        """The field ids of a table's files, once the catalog has told of the table."""
        return self._tables.places.field_ids(table)

    def _is_logged(self, batch_id: str) -> bool:
        # What is not stored any more may have a segment that could not be removed yet.
        held = self.storing is None or self.storing.holds(batch_id)
        return held or (self._folder / f"{batch_id}{SUFFIX}").exists()

    def _logged(self) -> list[str]:
        held = [] if self.storing is None else self.storing.batch_ids()
        return [*held, *(str(batch) for batch, _ in segments_in(SystemDisk(), self._folder))]


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
        self._own: LogFolder | None = None
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

    def node(self) -> str:
        """The id of this node: that of the log's folder, if this process owns one.

        Two processes must not have one id. Who gets no folder of its own has one for its life.
        """
        if self.running:
            return str(self.running[0].folder.node)
        try:
            self._own = LogFolder.claim(self._config.log_path)
        except ConfigError as error:
            log.info("this process has a node id for its life alone: %s", error)
            return str(uuid4())
        return str(self._own.node)

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
    seen = {Path().absolute(), config.storage.fs.path.absolute().parent}
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
