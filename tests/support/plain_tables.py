"""Commits by the plain client as its committer does them, and what pyiceberg sees of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.iceberg import NODE
from tests.support.plain_catalog import full_client

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from otlp2parquet.catalogs.plain import PlainCatalog, Receipt
    from tests.support.rest_catalog import RestCatalogServer


def scanned(server: RestCatalogServer, table: str) -> Table:
    """The table, as pyiceberg loads it."""
    return full_client(server).load(table).table


async def commit_plainly(catalog: PlainCatalog, *receipts: Receipt) -> None:
    """As the committer does, without a second try."""
    table = await catalog.load(receipts[0].table)
    keys = table.committed(NODE) | {receipt.key for receipt in receipts}
    await table.append(receipts, {NODE: keys})
