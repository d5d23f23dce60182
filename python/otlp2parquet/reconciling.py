"""``reconcile``'s work: receipts that nobody commits become part of their tables.

Knows the settings and the committer. Must not know a terminal. Safe at any time, beside servers
that run, and killed anywhere: it does what a server's committer does, in the same steps.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from otlp2parquet.batches.log.disk import SystemDisk
from otlp2parquet.batches.log.folder import SUFFIX, node_in
from otlp2parquet.catalogs.committer import Committer
from otlp2parquet.catalogs.receipt_folder import ReceiptFolder
from otlp2parquet.catalogs.service import open_tables
from otlp2parquet.config import Config
from otlp2parquet.errors import ConfigError
from otlp2parquet.storage import open_storage


@dataclass(slots=True)
class Report:
    """What was done, and what is left."""

    files: int = 0
    rows: int = 0
    commits: int = 0
    already: int = 0
    """Receipts whose files their tables had."""
    left: int = 0
    """Receipts that could not be committed."""
    younger: int = 0
    """Receipts that are left to the servers that wrote them: their batches are younger than an
    hour."""
    unreadable: int = 0
    error: str = ""
    waiting: dict[str, int] = field(default_factory=dict)
    """Of those that are left, how many wait for each table."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left that should have been committed."""
        return not self.left and not self.unreadable and not self.error


def reconcile(
    config: Config,
    timeout_secs: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Commit what waits, for ``timeout_secs`` at most.

    Raises ``ConfigError`` where no catalog is configured, or the storage cannot be used.
    """
    if config.catalog_type == "none":
        raise ConfigError("no catalog is configured: expected catalog.type or keys of iceberg")
    folder = config.log_path
    # Beside a server it has the server's id, and so need not wait until its receipts are old.
    node = node_in(SystemDisk(), folder) or uuid4()
    tables = open_tables(config, None)
    committer = Committer(
        tables.catalog,
        ReceiptFolder(open_storage(config.storage)),
        str(node),
        interval_secs=0.0,
        is_logged=lambda batch_id: (folder / f"{batch_id}{SUFFIX}").exists(),
        forgets=False,
        all_nodes=True,
    )
    end = monotonic() + timeout_secs
    while True:
        while committer.run_one():
            if monotonic() >= end:
                break
        due = committer.secs_until_due()
        is_done = committer.is_listed and not committer.status().receipts
        if is_done or due is None or monotonic() + due >= end:
            return _report(committer)
        sleep(due)


def _report(committer: Committer) -> Report:
    counts, status = committer.counts, committer.status()
    return Report(
        counts.files,
        counts.rows,
        counts.commits,
        counts.already,
        status.receipts,
        counts.younger,
        counts.unreadable,
        status.error if status.receipts or not committer.is_listed else "",
        committer.waiting(),
    )
