"""Upkeep: snapshots expire, what they alone had goes, what anybody needs stays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.catalogs.loading import PREVIOUS_METADATA
from tests.support.iceberg import commit, iceberg_catalog, logs_receipt, sql_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otlp2parquet.catalogs.iceberg import IcebergCatalog
    from otlp2parquet.catalogs.receipts import Receipt

KEEP = 5


@pytest.fixture
def catalog(tmp_path: Path) -> IcebergCatalog:
    """One that keeps few snapshots."""
    there = sql_catalog(tmp_path)
    return iceberg_catalog(lambda: there, keep_snapshots=KEEP)


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    """Where the table's metadata lies."""
    return tmp_path / "warehouse" / "otlp" / "otel_logs" / "metadata"


def receipts(folder: Path) -> Iterator[Receipt]:
    """Receipts of files that are only named: a commit opens none."""
    pattern = logs_receipt(folder, 1)
    while True:
        batch_id = new_batch_id()
        files = (replace(pattern.files[0], location=f"file://{folder}/{batch_id}.parquet"),)
        yield replace(pattern, batch_id=batch_id, files=files)


def test_metadata_stays_flat(tmp_path: Path, catalog: IcebergCatalog, metadata: Path) -> None:
    """Snapshots, manifest lists, manifests and metadata files are bounded; no data file goes."""
    source = receipts(tmp_path / "a")
    counts = []
    for number in range(75):
        commit(catalog, next(source))
        if number >= 40:
            counts.append(len(list(metadata.iterdir())))
    table = catalog.load("otel_logs").table
    assert len(table.snapshots()) == KEEP
    assert len(list(metadata.glob("snap-*"))) == KEEP
    assert len(list(metadata.glob("*.metadata.json"))) == PREVIOUS_METADATA + 1
    current = table.current_snapshot()
    assert current is not None
    named = {
        manifest.manifest_path for one in table.snapshots() for manifest in one.manifests(table.io)
    }
    on_disk = {f"file://{path}" for path in metadata.glob("*-m*.avro")}
    assert on_disk == named, "every manifest that is there is needed"
    assert len(current.manifests(table.io)) <= 33
    assert max(counts) - min(counts) <= 40
    assert len(list(table.scan().plan_files())) == 75
    assert (tmp_path / "a").exists()


def test_every_kept_snapshot_can_be_read(tmp_path: Path, catalog: IcebergCatalog) -> None:
    """Time travel works as far back as snapshots are kept, across merges of manifests."""
    source = receipts(tmp_path / "a")
    for _ in range(45):
        commit(catalog, next(source))
    table = catalog.load("otel_logs").table
    seen = [
        len(list(table.scan(snapshot_id=snapshot.snapshot_id).plan_files()))
        for snapshot in sorted(table.snapshots(), key=lambda one: one.sequence_number or 0)
    ]
    assert seen == list(range(45 - KEEP + 1, 46))


def test_tags_and_branches_keep_everything(tmp_path: Path, catalog: IcebergCatalog) -> None:
    """Who has named a snapshot may need what it has."""
    source = receipts(tmp_path / "a")
    commit(catalog, next(source))
    table = catalog.load("otel_logs").table
    current = table.current_snapshot()
    assert current is not None
    table.manage_snapshots().create_tag(current.snapshot_id, "release").commit()
    for _ in range(10):
        commit(catalog, next(source))
    assert len(catalog.load("otel_logs").table.snapshots()) == 12


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [("gc.enabled", "false", 12), ("history.expire.max-snapshot-age-ms", "0", 1)],
)
def test_the_table_has_a_say(
    name: str, value: str, kept: int, tmp_path: Path, catalog: IcebergCatalog
) -> None:
    """Iceberg's own properties: that nothing is to be collected, and an age."""
    source = receipts(tmp_path / "a")
    commit(catalog, next(source))
    with catalog.load("otel_logs").table.transaction() as transaction:
        transaction.set_properties({name: value})
    for _ in range(10):
        commit(catalog, next(source))
    # The one that is made by a commit is there besides the one that it may not do without.
    assert len(catalog.load("otel_logs").table.snapshots()) in (kept, kept + 1)


def test_what_compaction_replaced_goes_with_its_snapshot(
    tmp_path: Path, catalog: IcebergCatalog
) -> None:
    """A data file that a later snapshot took out is removed once no kept snapshot has it."""
    gone, stays = logs_receipt(tmp_path / "gone", 2), logs_receipt(tmp_path / "stays", 3)
    commit(catalog, gone)
    commit(catalog, stays)
    table = catalog.load("otel_logs").table
    (old,) = [task.file for task in table.scan().plan_files() if "/gone/" in task.file.file_path]
    with table.transaction() as transaction, transaction.update_snapshot().overwrite() as overwrite:
        overwrite.delete_data_file(old)
    old_path = tmp_path / "gone"
    assert list(old_path.rglob("*.parquet")), "an older snapshot still has it"
    source = receipts(tmp_path / "a")
    for _ in range(KEEP + 2):
        commit(catalog, next(source))
    assert not list(old_path.rglob("*.parquet"))
    assert list((tmp_path / "stays").rglob("*.parquet"))


def test_files_that_cannot_be_removed_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is done: what is left over harms nobody."""
    from pyiceberg.io.pyarrow import PyArrowFileIO  # noqa: PLC0415

    def refused(_self: object, _path: object) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setattr(PyArrowFileIO, "delete", refused)
    there = sql_catalog(tmp_path)
    quiet = iceberg_catalog(lambda: there, keep_snapshots=KEEP, manages_history=False)
    source = receipts(tmp_path / "a")
    for _ in range(KEEP + 3):
        commit(quiet, next(source))
    assert len(quiet.load("otel_logs").table.snapshots()) == KEEP


def test_services_that_keep_history_themselves_are_left_alone(tmp_path: Path) -> None:
    """Nessie and S3 Tables expire snapshots on their own."""
    there = sql_catalog(tmp_path)
    catalog = iceberg_catalog(lambda: there, keep_snapshots=2, manages_history=True)
    source = receipts(tmp_path / "a")
    for _ in range(5):
        commit(catalog, next(source))
    table = catalog.load("otel_logs").table
    assert len(table.snapshots()) == 6
    assert "write.metadata.delete-after-commit.enabled" not in table.properties
