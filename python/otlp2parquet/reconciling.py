"""``reconcile``'s work: receipts that nobody commits become part of their tables.

Knows the settings and the committer. Must not know a terminal. Safe at any time, beside servers
that run, and killed anywhere: it does what a server's committer does, in the same steps.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

from otlp2parquet.batches.log.disk import SystemDisk
from otlp2parquet.batches.log.folder import SUFFIX, node_in
from otlp2parquet.catalogs.awaiting import run_now
from otlp2parquet.catalogs.committer import Committer
from otlp2parquet.catalogs.receipt_folder import ReceiptFolder
from otlp2parquet.catalogs.reconciled import Report, reconciled
from otlp2parquet.catalogs.service import open_tables
from otlp2parquet.catalogs.shared_node import SharedNode
from otlp2parquet.config import Config
from otlp2parquet.errors import ConfigError
from otlp2parquet.storage import open_storage
from otlp2parquet.stores import Store


def reconcile(
    config: Config,
    timeout_secs: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    share: Callable[[Store], SharedNode] | None = None,
) -> Report:
    """Commit what waits, for ``timeout_secs`` at most.

    ``share`` is given by one of the processes that share a node. Raises ``ConfigError`` where no
    catalog is configured, or the storage cannot be used.
    """
    if config.catalog_type == "none":
        raise ConfigError("no catalog is configured: expected catalog.type or keys of iceberg")
    tables = open_tables(config, None)
    store = open_storage(config.storage)
    make = partial(Committer, tables.catalog, ReceiptFolder(store), interval_secs=0.0)
    if share is not None:
        shared = share(store)
        committer = make(
            shared.node,
            may_return=shared.may_return,
            is_retired=shared.is_retired,
            all_nodes=True,
        )
    else:
        folder = config.log_path
        # Beside a server it has the server's id, and so need not wait until its receipts are old.
        node = node_in(SystemDisk(), folder) or uuid4()
        committer = make(
            str(node), is_logged=partial(_is_logged, folder), forgets=False, all_nodes=True
        )
    return run_now(reconciled(committer, timeout_secs, monotonic, sleep))


def _is_logged(folder: Path, batch_id: str) -> bool:
    return (folder / f"{batch_id}{SUFFIX}").exists()
