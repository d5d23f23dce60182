"""What a server with a catalog has more than one without: a writer, a finisher and a committer.

Joins the parts of this package from the configuration. Must not know batches: their log is three
questions that the caller answers.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otlp2parquet.catalogs.committer import Committer
from otlp2parquet.catalogs.connection import Connection, connect, connection_of
from otlp2parquet.catalogs.loading import TableOptions
from otlp2parquet.catalogs.places import TablePlaces
from otlp2parquet.catalogs.receipt_folder import ReceiptFinisher, ReceiptFolder
from otlp2parquet.catalogs.shared_node import SharedFinisher, SharedNode
from otlp2parquet.config import Config
from otlp2parquet.stores import Store

if TYPE_CHECKING:
    from otlp2parquet.catalogs.iceberg import IcebergCatalog

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CatalogTables:
    """The configured catalog, and where its tables lie."""

    connection: Connection
    catalog: "IcebergCatalog"
    places: TablePlaces

    @property
    def root(self) -> str:
        """What names the catalog in plans of files."""
        return f"iceberg:{self.connection.place}"


def open_tables(config: Config, folder: Path | None) -> CatalogTables:
    """The catalog's tables; ``folder`` is where their places are remembered. Nothing is asked yet.

    Raises ``ConfigError`` where packages for the catalog are missing.
    """
    connection = connection_of(config)
    for note in connection.notes:
        log.info(note)
    catalog = make_catalog(config, connection)
    places = TablePlaces(connection.place, folder, catalog.shape)
    catalog.on_shape = places.learn
    return CatalogTables(connection, catalog, places)


def make_catalog(config: Config, connection: Connection) -> "IcebergCatalog":
    """The catalog's tables. Nothing is asked of it yet."""
    from otlp2parquet.catalogs.iceberg import IcebergCatalog  # noqa: PLC0415 - pyiceberg

    iceberg = config.iceberg
    options = TableOptions(
        namespace=tuple(iceberg.namespace.split(".")),
        names=iceberg.tables.names,
        partition=iceberg.partition,
        # Other kinds of catalog have it in their own words.
        warehouse=config.catalog.warehouse if config.catalog_type == "rest" else "",
        keep_snapshots=iceberg.keep_snapshots,
        manages_history=connection.manages_history,
        stages_tables=connection.stages_tables,
    )
    return IcebergCatalog(lambda: connect(connection), options)


def make_committer(
    config: Config,
    tables: CatalogTables,
    store: Store,
    node: str,
    *,
    is_logged: Callable[[str], bool],
    logged: Callable[[], Iterable[str]],
) -> tuple[Committer, ReceiptFinisher]:
    """What commits the receipts of ``node`` in ``store``, and what makes them."""
    receipts = ReceiptFolder(store)
    committer = Committer(
        tables.catalog,
        receipts,
        node,
        interval_secs=config.iceberg.commit_interval_secs,
        is_logged=is_logged,
        logged=logged,
    )
    return committer, ReceiptFinisher(receipts, node, committer.add, tables.places.field_ids)


def make_shared_committer(
    config: Config, tables: CatalogTables, store: Store, shared: SharedNode
) -> tuple[Committer, SharedFinisher]:
    """The same for a process that lasts for a moment: it commits what it has made itself.

    What others have left is ``reconcile``'s: hundreds of processes that all take it do it in vain.
    """
    receipts = ReceiptFolder(store)
    committer = Committer(
        tables.catalog,
        receipts,
        shared.node,
        interval_secs=config.iceberg.commit_interval_secs,
        may_return=shared.may_return,
        is_retired=shared.is_retired,
        lists=False,
    )
    finisher = ReceiptFinisher(receipts, shared.node, committer.add, tables.places.field_ids)
    return committer, SharedFinisher(finisher, shared)
