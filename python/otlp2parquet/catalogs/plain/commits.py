"""What a request and a schedule do for their catalog, where no process lasts.

Knows receipts, the committer and one event loop. Must not know how rows become files.

All who run this over one place of receipts share one node, because each of them lives for a
moment, and a table that named the keys of every one would grow for ever. Two places have two nodes,
or one's receipts would be gone for whoever looks at the other, and their keys be forgotten. So none
of them knows all receipts of the node. What makes a key be forgotten instead of that: its batch is
so old that no request can still be about to make its receipt, and the receipt was not there after
the table had been loaded.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Final

from otlp2parquet.batch_id import uuid_text
from otlp2parquet.catalogs.committer import CommitStatus, Committer
from otlp2parquet.catalogs.plain.catalog import PlainCatalog
from otlp2parquet.catalogs.plain.receipts import ObjectReceipts
from otlp2parquet.catalogs.receipts import DataFile, Receipt, opened_ms
from otlp2parquet.catalogs.reconciled import Report, reconciled
from otlp2parquet.catalogs.shape import TableShape

REQUEST_SECS: Final = 600.0
"""Longer than any request lasts, with all that is done behind its answer."""


def shared_node_of(place: str) -> str:
    """The node of all who have no log and keep their receipts at ``place``, a bucket and a folder.

    It is not the one of ``catalogs.shared_node``, whose processes live longer.
    """
    return uuid_text(sha256(f"otlp2parquet worker\n{place}".encode()).digest()[:16], 8)


class Commits:
    """The commits of one request, or of one run of a schedule. Not to be shared by several.

    ``node`` is ``shared_node_of`` the place of ``receipts``.
    """

    def __init__(
        self,
        catalog: PlainCatalog,
        receipts: ObjectReceipts,
        *,
        node: str,
        monotonic: Callable[[], float] = time.monotonic,
        time_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._catalog = catalog
        self._receipts = receipts
        self._node = node
        self._monotonic = monotonic
        self._time_ms = time_ms
        self._sleep = sleep
        self._jitter = jitter
        self._committer = self._make(lists=False)

    def _make(self, *, lists: bool) -> Committer:
        return Committer(
            self._catalog,
            self._receipts,
            self._node,
            interval_secs=0.0,
            may_return=self._may_return,
            all_nodes=lists,
            lists=lists,
            monotonic=self._monotonic,
            time_ms=self._time_ms,
            jitter=self._jitter,
        )

    def _may_return(self, batch_id: str) -> bool:
        """Whether a request may still be about to make the receipt of a batch."""
        try:
            opened = opened_ms(batch_id)
        except ValueError:
            opened = None
        # What tells no time is no key of ours.
        return opened is None or opened > self._time_ms() - int(REQUEST_SECS * 1000)

    async def shape(self, table: str) -> TableShape:
        """Where a table's files go, and with which field ids; the table is made where it lacks.

        Raises the errors of a catalog when that is not known and cannot be asked. Then files may go
        to where they would without a catalog, with our own field ids: ``receipt`` without a shape.
        """
        return await self._catalog.shape(table)

    def receipt(
        self, batch_id: str, table: str, files: Sequence[DataFile], shape: TableShape | None
    ) -> Receipt:
        """The receipt of a batch's files for one table, all written for one shape."""
        ids = () if shape is None else shape.field_ids
        return Receipt(self._node, batch_id, table, tuple(files), ids)

    async def keep(self, receipts: Sequence[Receipt]) -> None:
        """Keep receipts; when this returns, their files will be in their tables, sooner or later.

        Raises the storage's errors. The files may become part of their tables all the same then:
        an answer may have been lost.
        """
        for receipt in receipts:
            await self._receipts.create(receipt)
        for receipt in receipts:
            self._committer.add(receipt)

    async def commit(self, secs: float) -> bool:
        """Commit what was kept here, in about ``secs``; whether all of it is in its tables.

        Raises nothing: what was not committed is left to ``reconcile``, and ``status`` says why.
        """
        report = await reconciled(self._committer, secs, self._monotonic, self._sleep, listed=False)
        return not report.left

    def status(self) -> CommitStatus:
        """What was kept here and is in no table yet."""
        return self._committer.status()

    async def reconcile(self, secs: float) -> Report:
        """Commit all receipts that there are, in about ``secs``.

        Those of this node are taken at once, those of servers when they are older than an hour.
        """
        committer = self._make(lists=True)
        return await reconciled(committer, secs, self._monotonic, self._sleep)
