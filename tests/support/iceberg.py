"""Stored files with their receipts, and an SQL catalog in a folder, for tests of tables."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from pyiceberg.catalog.sql import SqlCatalog

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.catalogs.iceberg import IcebergCatalog
from otlp2parquet.catalogs.loading import TableOptions
from otlp2parquet.catalogs.receipts import DataFile, Receipt
from otlp2parquet.core import process_otlp
from otlp2parquet.stores import LocalStore
from otlp2parquet.stores.location import object_uri
from otlp2parquet.writers import ParquetWriter
from tests.support.requests import logs_request, metrics_request, traces_request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pyiceberg.catalog import Catalog

NODE = str(uuid.UUID(int=1, version=4))


def sql_catalog(folder: Path) -> SqlCatalog:
    """A catalog in ``folder``; each call makes a client of its own."""
    folder.mkdir(exist_ok=True)
    return SqlCatalog(
        "test", uri=f"sqlite:///{folder / 'catalog.db'}", warehouse=f"file://{folder}/warehouse"
    )


def iceberg_catalog(connect: Callable[[], Catalog], **options: object) -> IcebergCatalog:
    """Our side of a catalog."""
    return IcebergCatalog(connect, TableOptions(**options))  # type: ignore[arg-type]


def receipts_of(
    payload: bytes, signal: str, folder: Path, field_ids: Sequence[int] = (), node: str = NODE
) -> list[Receipt]:
    """Store a request's rows as files in ``folder``: a receipt for each table."""
    result = process_otlp(payload, signal)  # type: ignore[arg-type]
    writer = ParquetWriter(LocalStore(folder), layout="hour", field_ids_of=lambda _: field_ids)
    batch_id = new_batch_id()
    by_table: dict[str, list[DataFile]] = {}
    for batch in result.batches:
        stored = writer.write(batch, batch_id=batch_id)
        file = DataFile(
            object_uri(str(folder), stored.path),
            stored.rows,
            stored.bytes,
            int(batch.hour.timestamp()),
            stored.columns,
        )
        by_table.setdefault(batch.table, []).append(file)
    return [
        Receipt(node, batch_id, table, tuple(files), tuple(field_ids))
        for table, files in by_table.items()
    ]


def logs_receipt(folder: Path, count: int = 3, field_ids: Sequence[int] = ()) -> Receipt:
    """A receipt of one file of so many log records."""
    (receipt,) = receipts_of(logs_request(count), "logs", folder, field_ids)
    return receipt


def traces_receipt(folder: Path, count: int = 3, field_ids: Sequence[int] = ()) -> Receipt:
    """A receipt of one file of so many spans."""
    (receipt,) = receipts_of(traces_request(count), "traces", folder, field_ids)
    return receipt


def metrics_receipts(folder: Path, count: int = 3) -> list[Receipt]:
    """A receipt for each table of metrics."""
    return receipts_of(metrics_request(count), "metrics", folder)


def commit(catalog: IcebergCatalog, *receipts: Receipt) -> None:
    """Commit receipts of one table as the committer does, without a second try."""
    table = catalog.load(receipts[0].table)
    nodes = {receipt.node for receipt in receipts}
    names = {
        node: table.committed(node) | {one.key for one in receipts if one.node == node}
        for node in nodes
    }
    table.append(receipts, names)
