"""The node of processes that last for a moment: when a key may go, and when no receipt is made."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batch_id import uuid_text
from otlp2parquet.catalogs.receipt_folder import ReceiptFinisher, ReceiptFolder
from otlp2parquet.catalogs.shared_node import (
    MAKING_SECS,
    RETURN_SECS,
    SharedFinisher,
    SharedNode,
)
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.errors import StorageUnavailableError
from otlp2parquet.writers.protocol import StoredFile
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from otlp2parquet.catalogs.receipts import Receipt

NOW_MS = 1_782_896_400_000


def shared(root: str = "s3://b") -> SharedNode:
    """The node, at a time that stands."""
    return SharedNode(root, time_ms=lambda: NOW_MS)


def batch(age_secs: float, number: int = 0) -> str:
    """A batch of that age."""
    opened = NOW_MS - int(age_secs * 1000)
    return uuid_text(opened.to_bytes(6, "big") + number.to_bytes(10, "big"), 7)


def test_one_storage_one_node() -> None:
    """Those of another storage have another: who cannot see a receipt would take it for gone."""
    assert shared().node == shared().node
    assert shared().node != shared("s3://c").node
    assert uuid.UUID(shared().node).version == 8


def test_a_key_may_go_when_its_batch_is_old() -> None:
    """Older than any receipt that is made; what tells no time is left alone."""
    node = shared()
    assert node.may_return(batch(RETURN_SECS - 1))
    assert not node.may_return(batch(RETURN_SECS + 1))
    assert node.may_return(uuid_text(bytes(16), 8))
    assert node.may_return("no id")
    assert MAKING_SECS + 900 < RETURN_SECS  # S3 refuses a signature that is 15 minutes old


class Bench:
    """A finisher over a store of which calls fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = MemoryStore()
        self.told: list[Receipt] = []
        self.node = shared()
        self.failing = False
        folder = ReceiptFolder(self.store)
        create = self.store.create

        def fail(*args: object) -> int:
            if self.failing:
                raise StorageUnavailableError("away")
            return create(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(self.store, "create", fail)
        made = ReceiptFinisher(folder, self.node.node, self.told.append)
        self.finisher = SharedFinisher(made, self.node)

    def finish(self, batch_id: str) -> None:
        """All files of a batch are stored."""
        planned = PlannedFile("otel_logs/hour=9", 0, "otel_logs", datetime.now(UTC), {"shop": 1})
        stored = StoredFile(planned.name(batch_id), 1, 10, location="s3://b/x.parquet")
        self.finisher.finish(batch_id, "s3://b", [(planned, stored)])


def test_who_made_the_receipts_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key may go at once, and so a table names few of them."""
    bench = Bench(monkeypatch)
    bench.finish(batch(1))
    assert len(bench.told) == 1
    assert not bench.node.may_return(batch(1))
    assert bench.node.may_return(batch(1, 1))


def test_who_failed_once_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt's receipt may be on its way yet: its key goes by its age."""
    bench = Bench(monkeypatch)
    bench.failing = True
    with pytest.raises(StorageUnavailableError):
        bench.finish(batch(1))
    bench.failing = False
    bench.finish(batch(1))
    assert bench.node.may_return(batch(1))


def test_no_receipt_of_an_old_batch_is_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An environment that was frozen in the middle goes on hours later: nobody waits for that."""
    bench = Bench(monkeypatch)
    bench.finish(batch(MAKING_SECS + 1))
    assert bench.told == []
    assert bench.store.objects == {}
    assert "too old" in caplog.text
