"""Receipts: written once, read back as they were, and never taken for something else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.catalogs.receipt_folder import ReceiptFinisher, ReceiptFolder
from otlp2parquet.catalogs.receipts import (
    FOLDER,
    DataFile,
    Receipt,
    ReceiptError,
    key_of,
    node_of,
    opened_ms,
    pack_receipt,
    read_receipt,
)
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.writers.protocol import ColumnStatistics, StoredFile
from tests.support.iceberg import NODE
from tests.support.memory_store import KilledError, MemoryStore

BATCH = "019fa26b-4b96-72e1-b401-3c17b56c0b29"
FILE = DataFile(
    "s3://bucket/otel_logs/data/a b%C3.parquet",
    3,
    1000,
    1_782_896_400,
    {
        1: ColumnStatistics(0, -5, 7),
        3: ColumnStatistics(1, "é", "ü"),
        5: ColumnStatistics(3, None, None),
    },
)
RECEIPT = Receipt(NODE, BATCH, "otel_logs", (FILE,), (2, 1, 3))


def test_a_receipt_is_read_as_it_was_written() -> None:
    """Text, bounds of every kind, and columns without any."""
    body = pack_receipt(RECEIPT)
    assert read_receipt(body, RECEIPT.path) == RECEIPT
    assert read_receipt(body, RECEIPT.path).files[0].columns == FILE.columns
    assert RECEIPT.path == f"{FOLDER}/{NODE}/otel_logs/{BATCH}.json"
    assert (node_of(RECEIPT.path), key_of(RECEIPT.path)) == (NODE, BATCH)
    assert opened_ms(BATCH) == 0x019FA26B4B96


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (b"", "found no receipt"),
        (b"[]", "found no receipt"),
        (b"\xff", "found no receipt"),
        ({"version": 2}, "another version"),
        ({"node": "../up"}, "cannot be read"),
        ({"batch_id": "../up"}, "cannot be read"),
        ({"table": "otel_cats"}, "for the table 'otel_cats'"),
        ({"files": []}, "without files"),
        ({"files": [{"location": 5}]}, "cannot be read"),
        (
            {"files": [{**json.loads(pack_receipt(RECEIPT))["files"][0], "rows": 0}]},
            "cannot be read",
        ),
        ({"extra": 1}, "belongs at"),
    ],
)
def test_what_is_no_receipt_says_so(change: object, words: str) -> None:
    """Where, what was found, and what is expected."""
    if isinstance(change, dict):
        body = json.dumps({**json.loads(pack_receipt(RECEIPT)), **change}).encode()
    else:
        assert isinstance(change, bytes)
        body = change
    with pytest.raises(ReceiptError, match=words) as caught:
        read_receipt(body, RECEIPT.path)
    assert str(caught.value).startswith(RECEIPT.path)


def test_a_receipt_is_made_once() -> None:
    """The second attempt finds the first's; nothing is overwritten."""
    store = MemoryStore()
    folder = ReceiptFolder(store)
    assert folder.create(RECEIPT) == RECEIPT
    first = dict(store.objects)
    assert folder.create(RECEIPT) == RECEIPT
    assert store.objects == first
    assert list(folder.list()) == list(folder.list(NODE)) == list(folder.list(NODE, "otel_logs"))
    assert list(folder.list(NODE, "otel_traces")) == []
    assert folder.exists(RECEIPT.path)
    folder.delete(RECEIPT)
    assert not folder.exists(RECEIPT.path)
    assert folder.read(RECEIPT.path) is None


def test_files_that_the_first_receipt_does_not_name_get_one_of_their_own() -> None:
    """A replay by another version may find more files: each is committed once."""
    folder = ReceiptFolder(MemoryStore())
    folder.create(RECEIPT)
    more = replace(FILE, location="s3://bucket/more.parquet")
    added = folder.create(replace(RECEIPT, files=(FILE, more)))
    assert (added.files, added.extra, added.key) == ((more,), 1, f"{BATCH}.1")
    assert folder.create(replace(RECEIPT, files=(FILE, more))) == added
    assert len(list(folder.list(NODE))) == 2


def planned(table: str, part: int = 0) -> PlannedFile:
    """A file of a batch."""
    hour = datetime(2026, 7, 1, 9, tzinfo=UTC)
    return PlannedFile(f"{table}/date=2026-07-01/hour=9", part, table, hour, {"shop": 1})


def test_the_finisher_makes_a_receipt_for_each_table() -> None:
    """And tells of them when all are kept, so that none is committed of a batch cut in half."""
    store = MemoryStore()
    told: list[Receipt] = []
    finisher = ReceiptFinisher(
        ReceiptFolder(store),
        NODE,
        told.append,
        {"otel_logs": (7, 8)}.get,  # type: ignore[arg-type]
    )
    batch_id = new_batch_id()
    files = [
        (planned("otel_logs"), StoredFile("a", 1, 10, location="s3://bucket/t/a.parquet")),
        (planned("otel_logs", 1), StoredFile("b", 2, 20, location="s3://bucket/t/b.parquet")),
        (planned("otel_traces"), StoredFile("traces/c.parquet", 3, 30)),
    ]
    store.start_process(2)
    with pytest.raises(KilledError):
        finisher.finish(batch_id, "s3://bucket/prefix?endpoint=http://x", files)
    assert told == []
    store.start_process(None)
    finisher.finish(batch_id, "s3://bucket/prefix?endpoint=http://x", files)
    logs, traces = told
    assert [file.location for file in logs.files] == [
        "s3://bucket/t/a.parquet",
        "s3://bucket/t/b.parquet",
    ]
    assert (logs.field_ids, [file.hour for file in logs.files]) == ((7, 8), [1_782_896_400] * 2)
    # Begun without a catalog: it lies in the storage, with our own field ids.
    assert traces.files[0].location == "s3://bucket/prefix/traces/c.parquet"
    assert traces.field_ids == ()
