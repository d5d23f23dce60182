"""Upkeep by the plain client: manifests merge, snapshots expire, and nothing that counts changes.

What pyiceberg reads of a table before and after is the witness.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.catalogs import upkeep
from otlp2parquet.catalogs.plain import history, merging
from otlp2parquet.errors import CatalogConflictError, StorageUnavailableError
from tests.support.iceberg import NODE, commit, logs_receipt
from tests.support.plain_catalog import fetch_within, full_client, plain_catalog
from tests.support.plain_tables import commit_plainly, scanned
from tests.support.rest_catalog import RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from otlp2parquet.catalogs.plain import PlainCatalog, Receipt

KEEP = 5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestCatalogServer]:
    """A catalog."""
    with RestCatalogServer(tmp_path) as running:
        yield running


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    """Where the table's metadata lies."""
    return tmp_path / "otel_logs" / "metadata"


def plain(server: RestCatalogServer, **options: Any) -> PlainCatalog:
    """A client of one request: it remembers nothing of earlier ones."""
    return plain_catalog(server, fetch_within(server), **{"keep_snapshots": KEEP, **options})


def receipts(folder: Path) -> Iterator[Receipt]:
    """Receipts of files that are only named: a commit opens none. Each has another hour."""
    pattern = logs_receipt(folder, 1)
    (file,) = pattern.files
    number = 0
    while True:
        batch_id = new_batch_id()
        named = f"file://{folder}/{batch_id}.parquet"
        number += 1
        moved = replace(file, location=named, hour=file.hour + 3600 * number, rows=number)
        yield replace(pattern, batch_id=batch_id, files=(moved,))


def add(server: RestCatalogServer, some: Sequence[Receipt], **options: Any) -> None:
    """Commit receipts, each by a client of its own."""
    for receipt in some:
        asyncio.run(commit_plainly(plain(server, **options), receipt))


def set_properties(server: RestCatalogServer, **properties: str) -> None:
    """Say something for the table."""
    with full_client(server).load("otel_logs").table.transaction() as transaction:
        transaction.set_properties({name.replace("__", "-"): v for name, v in properties.items()})


def entries(server: RestCatalogServer) -> list[tuple[Any, ...]]:
    """What pyiceberg reads of each file of the table, in the order of the commits."""
    table = scanned(server, "otel_logs")
    found = []
    for manifest in table.current_snapshot().manifests(table.io):  # type: ignore[union-attr]
        for one in manifest.fetch_manifest_entry(table.io):
            file = one.data_file
            said = (
                file.file_path, file.partition, file.record_count, file.file_size_in_bytes,
                dict(file.value_counts), dict(file.null_value_counts), file.lower_bounds,
                file.upper_bounds,
            )  # fmt: skip
            found.append(
                (one.sequence_number, one.file_sequence_number, one.snapshot_id, repr(said))
            )
    return sorted(found)


def test_metadata_stays_flat(server: RestCatalogServer, tmp_path: Path, metadata: Path) -> None:
    """Snapshots, lists and manifests are bounded, and each that is there is needed."""
    source = receipts(tmp_path / "a")
    some = [next(source) for _ in range(75)]
    add(server, some)
    table = scanned(server, "otel_logs")
    assert len(table.snapshots()) == KEEP
    assert len(list(metadata.glob("snap-*"))) == KEEP
    named = {
        manifest.manifest_path for one in table.snapshots() for manifest in one.manifests(table.io)
    }
    assert {f"file://{path}" for path in metadata.glob("*-m*.avro")} == named
    current = table.current_snapshot()
    assert current is not None
    assert len(current.manifests(table.io)) <= 2 * 32
    tasks = list(table.scan().plan_files())
    assert sorted(task.file.file_path for task in tasks) == sorted(
        one.files[0].location for one in some
    )
    assert current.summary is not None
    assert current.summary.additional_properties["total-data-files"] == "75"


def test_a_merge_changes_nothing_of_a_file(
    server: RestCatalogServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics, partition, snapshot and sequence numbers: all as without, merged once or twice.

    And what the list says of a manifest is what pyiceberg finds in it.
    """
    monkeypatch.setattr(merging, "SMALL_FILES", 4)
    monkeypatch.setattr(merging, "MIDDLE_FILES", 16)
    source = receipts(tmp_path / "a")
    some = [next(source) for _ in range(60)]
    add(server, some[:1])
    set_properties(server, **{"commit.manifest.min__count__to__merge": "4"})
    add(server, some[1:])
    found = entries(server)
    snapshots = {number: one for number, _, one, _ in found}
    assert len(snapshots) == 60
    with RestCatalogServer(tmp_path / "other") as other:
        add(other, some[:1])
        set_properties(other, **{"commit.manifest__merge.enabled": "false"})
        add(other, some[1:])
        expected = entries(other)
        assert [(*one[:2], one[3]) for one in found] == [(*one[:2], one[3]) for one in expected]
        assert len(scanned(other, "otel_logs").inspect.manifests()) == 60
    table = scanned(server, "otel_logs")
    current = table.current_snapshot()
    assert current is not None
    manifests = current.manifests(table.io)
    assert len(manifests) < 20
    assert {one.existing_files_count for one in manifests} > {0}
    assert max(one.existing_files_count or 0 for one in manifests) >= 16
    for one in manifests:
        inside = one.fetch_manifest_entry(table.io)
        hours = [entry.data_file.partition[0] for entry in inside]
        assert len(inside) == (one.added_files_count or 0) + (one.existing_files_count or 0)
        rows = sum(entry.data_file.record_count for entry in inside)
        assert rows == (one.added_rows_count or 0) + (one.existing_rows_count or 0)
        assert one.min_sequence_number == min(entry.sequence_number or 0 for entry in inside)
        assert one.partitions is not None
        (summary,) = one.partitions
        bounds = [
            int.from_bytes(bound or b"", "little", signed=True)
            for bound in (summary.lower_bound, summary.upper_bound)
        ]
        assert bounds == [min(hours), max(hours)]
        assert not summary.contains_null


def test_every_kept_snapshot_can_be_read(server: RestCatalogServer, tmp_path: Path) -> None:
    """Time travel works as far back as snapshots are kept, across merges of manifests."""
    source = receipts(tmp_path / "a")
    add(server, [next(source) for _ in range(70)])
    table = scanned(server, "otel_logs")
    seen = [
        len(list(table.scan(snapshot_id=snapshot.snapshot_id).plan_files()))
        for snapshot in sorted(table.snapshots(), key=lambda one: one.sequence_number or 0)
    ]
    assert seen == list(range(70 - KEEP + 1, 71))


def test_beside_pyiceberg(server: RestCatalogServer, tmp_path: Path, metadata: Path) -> None:
    """Both merge, expire and remove in one table: each file is there once."""
    source = receipts(tmp_path / "a")
    full = full_client(server, keep_snapshots=KEEP)
    some = [next(source) for _ in range(60)]
    add(server, some[:1])
    set_properties(server, **{"commit.manifest.min__count__to__merge": "5"})
    for number, receipt in enumerate(some[1:]):
        if number // 4 % 3:
            add(server, [receipt])
        else:
            commit(full, receipt)
    table = scanned(server, "otel_logs")
    tasks = list(table.scan().plan_files())
    locations = sorted(one.files[0].location for one in some)
    assert sorted(task.file.file_path for task in tasks) == locations
    assert len(table.inspect.manifests()) < 20
    assert len(table.snapshots()) == KEEP
    assert len(list(metadata.glob("snap-*"))) == KEEP


def test_tags_and_branches_keep_everything(server: RestCatalogServer, tmp_path: Path) -> None:
    """Who has named a snapshot may need what it has."""
    source = receipts(tmp_path / "a")
    add(server, [next(source)])
    table = scanned(server, "otel_logs")
    current = table.current_snapshot()
    assert current is not None
    table.manage_snapshots().create_tag(current.snapshot_id, "release").commit()
    add(server, [next(source) for _ in range(10)])
    assert len(scanned(server, "otel_logs").snapshots()) == 12


@pytest.mark.parametrize(
    ("properties", "options", "kept"),
    [
        ({"gc.enabled": "false"}, {}, 12),
        ({"history.expire.max__snapshot__age__ms": "0"}, {}, 2),
        ({}, {"manages_history": True}, 12),
        ({}, {"keep_snapshots": 100}, 12),
    ],
)
def test_who_has_a_say(
    properties: dict[str, str],
    options: dict[str, Any],
    kept: int,
    server: RestCatalogServer,
    tmp_path: Path,
) -> None:
    """Iceberg's own properties, and a service that keeps history itself."""
    source = receipts(tmp_path / "a")
    add(server, [next(source)], **options)
    set_properties(server, **properties)
    add(server, [next(source) for _ in range(10)], **options)
    assert len(scanned(server, "otel_logs").snapshots()) == kept


def test_what_replaced_files_is_not_passed_over(server: RestCatalogServer, tmp_path: Path) -> None:
    """A data file that compaction took out is its own business: history stays from there on."""
    gone, stays = logs_receipt(tmp_path / "gone", 2), logs_receipt(tmp_path / "stays", 3)
    add(server, [gone, stays])
    table = scanned(server, "otel_logs")
    (old,) = [task.file for task in table.scan().plan_files() if "/gone/" in task.file.file_path]
    with table.transaction() as transaction, transaction.update_snapshot().overwrite() as overwrite:
        overwrite.delete_data_file(old)
    source = receipts(tmp_path / "a")
    add(server, [next(source) for _ in range(12)])
    table = scanned(server, "otel_logs")
    kept = sorted(table.snapshots(), key=lambda one: one.sequence_number or 0)
    assert len(kept) == 1 + 1 + 12
    assert len(table.scan(snapshot_id=kept[0].snapshot_id).to_arrow()) == 5
    assert len(list(table.scan().plan_files())) == 13


def test_a_table_with_a_long_history_is_brought_down(
    server: RestCatalogServer, tmp_path: Path
) -> None:
    """Some snapshots with each commit: no commit reads hundreds of lists. The oldest go first."""
    source = receipts(tmp_path / "a")
    add(server, [next(source) for _ in range(39)], keep_snapshots=100)
    counts = []
    for _ in range(5):
        add(server, [next(source)])
        numbers = sorted(
            one.sequence_number or 0 for one in scanned(server, "otel_logs").snapshots()
        )
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        counts.append(len(numbers))
    assert counts == [31, 22, 13, KEEP, KEEP]


def after_a_lost_race(
    server: RestCatalogServer, source: Iterator[Receipt]
) -> tuple[PlainCatalog, Receipt]:
    """A client whose attempt to commit a receipt came too late."""
    catalog = plain(server)
    receipt = next(source)
    late = asyncio.run(catalog.load("otel_logs"))
    add(server, [next(source)])
    with pytest.raises(CatalogConflictError):
        asyncio.run(late.append([receipt], {NODE: frozenset({receipt.key})}))
    return catalog, receipt


def test_a_second_attempt_does_no_upkeep(server: RestCatalogServer, tmp_path: Path) -> None:
    """Upkeep takes its time; who lost a race is not to lose the next one by it."""
    source = receipts(tmp_path / "a")
    add(server, [next(source) for _ in range(31)])
    catalog, receipt = after_a_lost_race(server, source)
    before = scanned(server, "otel_logs")
    asyncio.run(commit_plainly(catalog, receipt))
    after = scanned(server, "otel_logs")
    assert len(after.inspect.manifests()) == len(before.inspect.manifests()) + 1
    assert len(after.snapshots()) == len(before.snapshots()) + 1
    add(server, [next(source)])
    assert len(scanned(server, "otel_logs").inspect.manifests()) < 5
    assert len(scanned(server, "otel_logs").snapshots()) == KEEP


@pytest.mark.parametrize("call", ["read", "delete"])
def test_trouble_with_upkeep_stops_nothing(
    call: str, server: RestCatalogServer, tmp_path: Path
) -> None:
    """A manifest that cannot be read is not merged; what cannot be removed is left over."""
    source = receipts(tmp_path / "a")
    add(server, [next(source) for _ in range(32)])
    catalog = plain(server)
    objects: Any = catalog._objects  # noqa: SLF001 - a bucket that fails
    right = getattr(objects, call)

    async def fails(key: str) -> object:
        if call == "delete" or "-m0.avro" in key:
            raise StorageUnavailableError("away")
        return await right(key)

    setattr(objects, call, fails)
    asyncio.run(commit_plainly(catalog, next(source)))
    table = scanned(server, "otel_logs")
    assert len(list(table.scan().plan_files())) == 33
    assert len(table.inspect.manifests()) == (33 if call == "read" else 2)
    assert len(table.snapshots()) == KEEP


def test_what_a_failed_merge_wrote_goes(
    server: RestCatalogServer, tmp_path: Path, metadata: Path
) -> None:
    """As everything that an attempt has written which came to nothing."""
    source = receipts(tmp_path / "a")
    add(server, [next(source) for _ in range(32)])
    catalog, receipt = after_a_lost_race(server, source)
    asyncio.run(commit_plainly(catalog, receipt))
    table = scanned(server, "otel_logs")
    named = {
        manifest.manifest_path for one in table.snapshots() for manifest in one.manifests(table.io)
    }
    assert {f"file://{path}" for path in metadata.glob("*-m*.avro")} == named


def test_expiry_is_the_servers(server: RestCatalogServer, tmp_path: Path) -> None:
    """Both clients plan the same, as far as one commit of the plain one goes."""
    source = receipts(tmp_path / "a")
    add(server, [next(source) for _ in range(9)], keep_snapshots=100)
    table = scanned(server, "otel_logs")
    loaded = asyncio.run(plain(server).load("otel_logs")).metadata
    made = [one["timestamp-ms"] for one in loaded["snapshots"]]
    for keep in range(1, 12):
        for age in ("", "0", "soon", str(made[-1] - made[4]), "10000000000"):
            for least in ("", "3", "x"):
                said = {
                    "history.expire.max-snapshot-age-ms": age,
                    "history.expire.min-snapshots-to-keep": least,
                }
                properties = {name: value for name, value in said.items() if value}
                table.metadata.properties.clear()
                table.metadata.properties.update(properties)
                planned = upkeep.plan_expiry(table, keep, made[-1])
                plain_one = history.plan_expiry(
                    {**loaded, "properties": properties}, keep, made[-1]
                )
                assert [one["snapshot-id"] for one in plain_one.expired] == [
                    one.snapshot_id for one in planned.expired
                ]
                if planned.survivor is not None:
                    assert plain_one.survivor is not None
                    assert plain_one.survivor["snapshot-id"] == planned.survivor.snapshot_id
