"""A backlog that takes longer than an invocation lasts: each one gets on, wherever it is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batch_id import uuid_text
from otlp2parquet.catalogs.awaiting import run_now
from otlp2parquet.catalogs.backlog import OTHERS_SECS
from otlp2parquet.catalogs.committer import Committer
from otlp2parquet.catalogs.receipt_folder import ReceiptFolder
from otlp2parquet.catalogs.receipts import DataFile, Receipt
from otlp2parquet.catalogs.reconciled import reconciled
from otlp2parquet.catalogs.shared_node import SharedNode
from tests.support.memory_store import KilledError, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

NOW_MS = 1_782_896_400_000
INVOCATION_SECS = 59.0
CALL_SECS = 0.02
"""What a call of S3 takes; a commit to a table takes a second."""


class World:
    """A bucket and a catalog whose calls take time; a process is killed when its time is over."""

    def __init__(self) -> None:
        self.now = self.killed_at = 0.0
        self.store = MemoryStore()
        self.folder = ReceiptFolder(self.store)
        self.shared = SharedNode("s3://b", time_ms=lambda: NOW_MS)
        self.named: dict[str, frozenset[str]] = {}
        self.files: list[str] = []

    def takes(self, secs: float) -> None:
        """Time goes on."""
        self.now += secs
        if self.now >= self.killed_at:
            raise KilledError

    def keep(self, count: int) -> None:
        """Receipts of environments that are gone, and some of a server."""
        server = uuid_text(bytes(16), 4)
        for number in range(count):
            node = server if number % 10 == 0 else self.shared.node
            opened = NOW_MS - int(OTHERS_SECS * 1000) - count + number
            batch_id = uuid_text(opened.to_bytes(6, "big") + number.to_bytes(10, "big"), 7)
            file = DataFile(f"s3://b/{number}.parquet", 5, 9, 0)
            self.folder.create(Receipt(node, batch_id, "otel_logs", (file,)))

    # -- what a committer asks ---------------------------------------------------------------

    def load(self, _table: str) -> World:
        """See ``Catalog``."""
        self.takes(0.3)
        return self

    def nodes(self) -> frozenset[str]:
        """See ``LoadedTable``."""
        return frozenset(self.named)

    def committed(self, node: str) -> frozenset[str]:
        """See ``LoadedTable``."""
        return self.named.get(node, frozenset())

    def append(self, receipts: Sequence[Receipt], committed: Mapping[str, frozenset[str]]) -> None:
        """See ``LoadedTable``."""
        self.takes(0.7)
        self.files += [file.location for receipt in receipts for file in receipt.files]
        self.named.update(committed)

    def read(self, path: str) -> Receipt | None:
        """See ``Receipts``."""
        self.takes(CALL_SECS)
        return self.folder.read(path)

    def exists(self, path: str) -> bool:
        """See ``Receipts``."""
        self.takes(CALL_SECS)
        return self.folder.exists(path)

    def list(self, node: str = "", table: str = "") -> Iterable[str]:
        """See ``Receipts``: a request for each thousand."""
        for number, path in enumerate(self.folder.list(node, table)):
            if number % 1000 == 0:
                self.takes(5 * CALL_SECS)
            yield path

    def delete(self, receipt: Receipt) -> None:
        """See ``Receipts``."""
        self.takes(CALL_SECS)
        self.folder.delete(receipt)

    def invoke(self, lives_secs: float) -> bool:
        """Reconcile, in a new process; whether it came to its end."""
        started, self.killed_at = self.now, self.now + lives_secs
        shared = self.shared
        committer = Committer(
            self,
            self,
            shared.node,
            interval_secs=0.0,
            may_return=shared.may_return,
            all_nodes=True,
            monotonic=lambda: self.now,
            time_ms=lambda: NOW_MS,
            jitter=lambda: 0.5,
        )
        try:
            report = run_now(reconciled(committer, INVOCATION_SECS, lambda: self.now, self.takes))
        except KilledError:
            return False
        assert self.now - started < INVOCATION_SECS + 7.0  # a step is bounded, too
        return report.is_complete


@pytest.mark.parametrize(
    ("lives_secs", "count", "most"),
    [
        (lambda _: 1000.0, 5000, 8),
        (lambda _: 60.0, 5000, 8),
        (lambda number: 10.0 + number % 7, 1500, 20),
    ],
    ids=["bounded", "killed at its limit", "killed early"],
)
def test_a_backlog_of_thousands_ends(
    lives_secs: Callable[[int], float], count: int, most: int
) -> None:
    """Each invocation gets on, and each file is in the table once."""
    world = World()
    world.killed_at = 1.0
    world.keep(count)
    number, count_left = 0, count
    while not world.invoke(lives_secs(number)):
        count_before, count_left = count_left, len(world.store.objects)
        assert count_left < count_before
        number += 1
        assert number < most
    assert world.store.objects == {}
    assert sorted(world.files) == sorted(f"s3://b/{one}.parquet" for one in range(count))
