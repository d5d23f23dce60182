"""Tables: made, matched by name, mended or refused; what is committed is what is read."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    YearTransform,
)
from pyiceberg.types import IntegerType, LongType, NestedField, StringType, TimestamptzType

from otlp2parquet.catalogs.loading import FIRST, SETTLE_SECS
from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.catalogs.sql import open_catalog
from otlp2parquet.catalogs.tables import our_ids, our_schema, partition_values
from otlp2parquet.core.schema import TABLE_FOLDERS
from otlp2parquet.errors import (
    CatalogConflictError,
    CatalogRefusedError,
    CatalogUnavailableError,
)
from tests.support.duckdb_rows import query
from tests.support.iceberg import (
    NODE,
    commit,
    iceberg_catalog,
    logs_receipt,
    metrics_receipts,
    sql_catalog,
    traces_receipt,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otlp2parquet.catalogs.iceberg import IcebergCatalog


@pytest.fixture
def catalog(tmp_path: Path) -> IcebergCatalog:
    """Our side of an SQL catalog, as settings make it by default."""
    return iceberg_catalog(lambda: sql_catalog(tmp_path))


@pytest.mark.parametrize("table", TABLE_FOLDERS)
def test_iceberg_assigns_our_field_ids(table: str, catalog: IcebergCatalog) -> None:
    """SCHEMA: the columns first, then the items of lists: what create_table itself gives."""
    made = catalog.load(table)
    assert made.table.schema() == our_schema(table)
    assert made.shape.field_ids == our_ids(table) == tuple(range(1, len(our_ids(table)) + 1))
    assert made.table.format_version == 2
    assert made.shape.location == f"{made.table.location()}/data"


def test_a_new_table_has_a_first_snapshot_and_its_partition(tmp_path: Path) -> None:
    """It is made with both at once: two writers can never overwrite each other's first files."""
    for partition, transform in (("day", DayTransform()), ("hour", HourTransform())):
        catalog = iceberg_catalog(lambda: sql_catalog(tmp_path), partition=partition,
                                  namespace=(f"by_{partition}",))  # fmt: skip
        table = catalog.load("otel_logs").table
        (field,) = table.spec().fields
        assert (field.transform, field.name) == (transform, f"Timestamp_{partition}")
        (snapshot,) = table.snapshots()
        assert snapshot.summary is not None
        assert snapshot.summary.additional_properties[FIRST] == "with-table"
        assert table.metadata_location.rpartition("/")[2].startswith("00000-")
    plain = iceberg_catalog(lambda: sql_catalog(tmp_path), partition="none", namespace=("plain",))
    assert plain.load("otel_logs").table.spec().fields == ()


def test_rows_are_read_back(tmp_path: Path, catalog: IcebergCatalog) -> None:
    """By pyiceberg's scan: all rows of all tables, and what the files say of themselves."""
    first, second = logs_receipt(tmp_path / "a", 5), logs_receipt(tmp_path / "b", 7)
    commit(catalog, first, second)
    commit(catalog, traces_receipt(tmp_path / "c", 4))
    for receipt in metrics_receipts(tmp_path / "d", 2):
        commit(catalog, receipt)
    for table in TABLE_FOLDERS:
        loaded = catalog.load(table).table
        assert loaded.scan().to_arrow().num_rows == {"otel_logs": 12, "otel_traces": 4}.get(
            table, 2
        )
    logs = catalog.load("otel_logs").table
    written = pa.concat_tables(
        pq.read_table(file.location.removeprefix("file://"), partitioning=None)
        for file in (*first.files, *second.files)
    )
    assert logs.scan().to_arrow().sort_by("Timestamp").column("Body").to_pylist() == (
        written.sort_by("Timestamp").column("Body").to_pylist()
    )
    assert catalog.load("otel_logs").committed(NODE) == {first.batch_id, second.batch_id}


def test_duckdb_reads_the_metadata_that_is_written(tmp_path: Path, catalog: IcebergCatalog) -> None:
    """Manifests name the files; another engine finds their rows by the paths in them."""
    commit(catalog, logs_receipt(tmp_path / "a", 5))
    table = catalog.load("otel_logs").table
    paths = [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]
    (row,) = query("SELECT count(*), min(Body) FROM read_parquet($1)", [paths])
    assert row == (5, "order 0 placed, naïve ✓")


def test_a_reader_skips_by_bounds_and_partitions(tmp_path: Path, catalog: IcebergCatalog) -> None:
    """From the receipts' statistics alone: no file is opened to be committed or skipped."""
    commit(catalog, logs_receipt(tmp_path / "a", 5))
    table = catalog.load("otel_logs").table

    def files(row_filter: str) -> int:
        return len(list(table.scan(row_filter=row_filter).plan_files()))

    assert files("Timestamp >= '2026-07-01T09:00:00+00:00'") == 1
    assert files("Timestamp >= '2026-07-02T00:00:00+00:00'") == 0  # another day
    assert files("Timestamp >= '2026-07-01T09:30:00+00:00'") == 0  # bounds within the day
    assert files("ServiceName = 'checkout'") == 1
    assert files("ServiceName = 'zebra'") == 0
    assert files("SeverityNumber > 17") == 0
    (task,) = table.scan().plan_files()
    assert task.file.record_count == 5
    assert task.file.value_counts[1] == 5
    assert task.file.null_value_counts[1] == 0


def test_long_texts_are_cut_in_bounds(tmp_path: Path, catalog: IcebergCatalog) -> None:
    """A bound stays one: the upper one of a text that was cut lies behind it."""
    from dataclasses import replace  # noqa: PLC0415

    from otlp2parquet.writers.protocol import ColumnStatistics  # noqa: PLC0415

    receipt = logs_receipt(tmp_path / "a", 5)
    (file,) = receipt.files
    name = "z" * 500
    columns = {**file.columns, 3: ColumnStatistics(0, name, name)}
    commit(catalog, replace(receipt, files=(replace(file, columns=columns),)))
    (task,) = catalog.load("otel_logs").table.scan().plan_files()
    assert task.file.lower_bounds[3] == b"z" * 64
    assert task.file.upper_bounds[3] == b"z" * 63 + b"{"
    endless = "\U0010ffff" * 100
    columns = {3: ColumnStatistics(0, endless, endless)}
    other = logs_receipt(tmp_path / "b", 5)
    commit(catalog, replace(other, files=(replace(other.files[0], columns=columns),)))
    tasks = list(catalog.load("otel_logs").table.scan().plan_files())
    assert sum(3 in (task.file.upper_bounds or {}) for task in tasks) == 1


def theirs(*, without: str = "", optional: bool = False, start: int = 100) -> Schema:
    """The columns of our logs as somebody else made them: other ids, another order."""
    fields = [field for field in our_schema("otel_logs").fields if field.name != without]
    return Schema(
        *(
            NestedField(
                start + number,
                field.name,
                field.field_type,
                required=field.required and not optional,
            )
            for number, field in enumerate(reversed(fields))
        ),
        NestedField(999, "Extra", StringType(), required=False),
    )


def test_an_existing_table_is_matched_by_name(tmp_path: Path, catalog: IcebergCatalog) -> None:
    """Its ids win: files that have others are written anew, files that have them are taken."""
    there = sql_catalog(tmp_path)
    there.create_namespace("otlp")
    there.create_table("otlp.otel_logs", theirs(optional=True))
    with pytest.raises(CatalogUnavailableError, match="first snapshot"):
        catalog.load("otel_logs")
    late = iceberg_catalog(lambda: there)
    late._time_ms = lambda: 1 << 50  # noqa: SLF001 - much later
    shape = late.load("otel_logs").shape
    assert shape.field_ids != our_ids("otel_logs")
    commit(late, logs_receipt(tmp_path / "ours", 5))
    commit(late, logs_receipt(tmp_path / "theirs", 6, shape.field_ids))
    rows = late.load("otel_logs").table.scan().to_arrow()
    assert rows.num_rows == 11
    assert rows.column("Body").null_count == 0
    assert rows.column("Extra").null_count == 11
    assert len(list((tmp_path / "ours").rglob("*.parquet"))) == 2, "the copy, and what it is of"
    assert len(list((tmp_path / "theirs").rglob("*.parquet"))) == 1
    pruned = late.load("otel_logs").table.scan(row_filter="ServiceName = 'zebra'")
    assert not list(pruned.plan_files())


def test_lists_have_the_tables_ids_too(tmp_path: Path) -> None:
    """Nessie numbers a list's items right behind it: then nearly all ids differ from ours."""
    there = sql_catalog(tmp_path)
    catalog = iceberg_catalog(lambda: there)
    ids = tuple(number + 50 for number in our_ids("otel_traces"))
    (file,) = traces_receipt(tmp_path / "other", 6, ids).files
    schema = pq.ParquetFile(file.location.removeprefix("file://")).schema_arrow
    events = schema.field("EventsName")
    assert events.metadata[b"PARQUET:field_id"] == b"80"
    assert events.type.value_field.metadata[b"PARQUET:field_id"] == b"91"
    commit(catalog, traces_receipt(tmp_path / "moved", 6, ids))
    rows = catalog.load("otel_traces").table.scan().to_arrow()
    names = [name for row in rows.column("EventsName").to_pylist() for name in row]
    assert names, "rows came through a copy with the table's own ids"


def test_missing_columns_are_added(tmp_path: Path) -> None:
    """As optional ones, also where we never let them be null."""
    there = sql_catalog(tmp_path)
    there.create_namespace("otlp")
    there.create_table("otlp.otel_logs", theirs(without="LogAttributes"))
    catalog = iceberg_catalog(lambda: there)
    catalog._time_ms = lambda: 1 << 50  # noqa: SLF001 - much later
    field = catalog.load("otel_logs").table.schema().find_field("LogAttributes")
    assert (field.field_type, field.required) == (StringType(), False)
    commit(catalog, logs_receipt(tmp_path / "a", 2))
    rows = catalog.load("otel_logs").table.scan().to_arrow()
    assert rows.column("LogAttributes").null_count == 0


def test_two_writers_may_make_and_mend_a_table(tmp_path: Path) -> None:
    """One is faster, the other begins anew from what is there."""
    there = sql_catalog(tmp_path)
    there.create_namespace("otlp")
    there.create_table("otlp.otel_logs", theirs(without="LogAttributes"))
    outcomes: list[object] = []

    def work() -> None:
        catalog = iceberg_catalog(lambda: sql_catalog(tmp_path))
        catalog._time_ms = lambda: 1 << 50  # noqa: SLF001 - much later
        for table in ("otel_logs", "otel_traces"):
            for _ in range(50):
                try:
                    outcomes.append(catalog.load(table).shape)
                    break
                except (CatalogConflictError, CatalogUnavailableError):
                    continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 8
    assert len(set(outcomes)) == 2
    columns = [field.name for field in there.load_table("otlp.otel_logs").schema().fields]
    assert columns.count("LogAttributes") == 1


def at_once(work: Callable[[], object], count: int = 6) -> list[object]:
    """What ``count`` threads have, or raise, that all begin at the same time."""
    outcomes: list[object] = []
    begin = threading.Barrier(count)

    def run() -> None:
        begin.wait()
        try:
            outcomes.append(work())
        except Exception as error:  # noqa: BLE001 - it is what the test looks at
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_whoever_comes_first_connects(tmp_path: Path) -> None:
    """The committer and those who store ask one catalog; a new database takes both at once."""
    for number in range(5):
        catalog = iceberg_catalog(partial(sql_catalog, tmp_path / str(number)))
        outcomes = at_once(partial(catalog.shape, "otel_logs"))
        assert len(set(map(repr, outcomes))) == 1, outcomes
        assert isinstance(outcomes[0], TableShape)


def test_processes_may_make_a_database_at_once(tmp_path: Path) -> None:
    """Each with a client of its own: none is told that what it wants to make is there already."""
    for number in range(5):
        uri = f"sqlite:///{tmp_path / f'{number}.db'}"
        outcomes = at_once(partial(open_catalog, "a", uri=uri, warehouse="file:///w"))
        assert {type(one) for one in outcomes} == {SqlCatalog}, outcomes


def test_what_cannot_be_reconciled_is_spelled_out(tmp_path: Path) -> None:
    """Every difference, in one message that says what was found and what is expected."""
    there = sql_catalog(tmp_path)
    there.create_namespace("otlp")
    schema = Schema(
        NestedField(1, "Timestamp", TimestamptzType(), required=True),
        NestedField(2, "ServiceName", IntegerType(), required=False),
        NestedField(3, "Body", StringType(), required=True),
        NestedField(4, "Tenant", StringType(), required=True),
        NestedField(5, "TimestampNanos", LongType(), required=False),
    )
    spec = PartitionSpec(
        PartitionField(source_id=2, field_id=1000, transform=BucketTransform(8), name="service"),
        PartitionField(source_id=1, field_id=1001, transform=DayTransform(), name="day"),
    )
    there.create_table("otlp.otel_logs", schema, partition_spec=spec)
    with pytest.raises(CatalogRefusedError) as caught:
        iceberg_catalog(lambda: there).load("otel_logs")
    text = str(caught.value)
    assert "column ServiceName: found int, expected string" in text
    assert "column Body: found a required one, expected it optional" in text
    assert "column Tenant: found a required one, expected it optional" in text
    assert "partition service: found bucket[8] of ServiceName" in text
    assert "TimestampNanos" not in text, "an int file is read as long"
    assert "partition day" not in text
    assert len(there.load_table("otlp.otel_logs").schema().fields) == 5, "nothing was added to it"


@pytest.mark.parametrize(
    ("transform", "value"),
    [
        (YearTransform(), 56),
        (MonthTransform(), 56 * 12 + 6),
        (DayTransform(), 20_635),
        (HourTransform(), 20_635 * 24 + 9),
        (IdentityTransform(), None),
    ],
)
def test_partition_values_are_those_of_iceberg(transform: Any, value: int | None) -> None:
    """A file has rows of one hour alone, so they are known without its rows."""
    hour = datetime(2026, 7, 1, 9, tzinfo=UTC)
    field = PartitionField(source_id=1, field_id=1000, transform=transform, name="p")
    seconds = int(hour.timestamp())
    assert partition_values(PartitionSpec(field), seconds) == [value]
    if value is not None:
        of_iceberg = transform.transform(TimestamptzType())
        assert of_iceberg(seconds * 1_000_000 + 1) == value


def test_a_table_of_hours_takes_files(tmp_path: Path) -> None:
    """The table's partition counts, whatever new tables would get."""
    commit(iceberg_catalog(lambda: sql_catalog(tmp_path), partition="hour"),
           logs_receipt(tmp_path / "a", 2))  # fmt: skip
    day = iceberg_catalog(lambda: sql_catalog(tmp_path))
    commit(day, logs_receipt(tmp_path / "b", 2))
    table = day.load("otel_logs").table
    tasks = list(table.scan(row_filter="Timestamp < '2026-07-01T09:00:00+00:00'").plan_files())
    assert not tasks
    assert len(list(table.scan().plan_files())) == 2


def test_a_commit_on_another_base_is_a_conflict(tmp_path: Path, catalog: IcebergCatalog) -> None:
    """The snapshot that was loaded is asserted, and what the loser wrote goes later."""
    base = catalog.load("otel_logs")
    commit(iceberg_catalog(lambda: sql_catalog(tmp_path)), logs_receipt(tmp_path / "a", 1))
    loser = logs_receipt(tmp_path / "b", 2)
    with pytest.raises(CatalogConflictError):
        base.append([loser], {NODE: frozenset({loser.key})})
    metadata = tmp_path / "warehouse" / "otlp" / "otel_logs" / "metadata"
    lists = set(metadata.glob("snap-*"))
    assert len(lists) == 3
    again = catalog.load("otel_logs")
    assert loser.key not in again.committed(NODE)
    again.append([loser], {NODE: again.committed(NODE) | {loser.key}})
    assert catalog.load("otel_logs").table.scan().to_arrow().num_rows == 3
    assert len(set(metadata.glob("snap-*"))) == 3, "the lost attempt's list is gone"


def test_files_of_an_attempt_that_may_arrive_stay(
    tmp_path: Path, catalog: IcebergCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose outcome nobody knows is never cleaned up while the table is as it was."""
    from pyiceberg.catalog.sql import SqlCatalog  # noqa: PLC0415

    receipt = logs_receipt(tmp_path / "a", 2)
    real = SqlCatalog.commit_table
    base = catalog.load("otel_logs")
    held = []

    def lost(self: SqlCatalog, *arguments: object) -> object:
        held.append(lambda: real(self, *arguments))  # type: ignore[arg-type]
        raise TimeoutError("no answer")

    monkeypatch.setattr(SqlCatalog, "commit_table", lost)
    with pytest.raises(CatalogUnavailableError, match="no answer"):
        base.append([receipt], {NODE: frozenset({receipt.key})})
    with pytest.raises(CatalogUnavailableError, match="no answer"):
        catalog.load("otel_logs").append([receipt], {NODE: frozenset({receipt.key})})
    monkeypatch.setattr(SqlCatalog, "commit_table", real)
    held[0]()  # the first request arrives after all
    table = catalog.load("otel_logs")
    assert table.committed(NODE) == {receipt.key}
    other = logs_receipt(tmp_path / "b", 3)
    table.append([other], {NODE: frozenset({receipt.key, other.key})})
    assert catalog.load("otel_logs").table.scan().to_arrow().num_rows == 5


def test_an_empty_table_of_others_rests_before_files_come(tmp_path: Path) -> None:
    """Its first snapshot is empty: one that another writer makes late overwrites no file."""
    there = sql_catalog(tmp_path)
    there.create_namespace("otlp")
    there.create_table("otlp.otel_logs", our_schema("otel_logs"))
    now = [0]
    catalog = iceberg_catalog(lambda: there)
    catalog._time_ms = lambda: now[0]  # noqa: SLF001 - a clock
    with pytest.raises(CatalogUnavailableError, match="first snapshot"):
        catalog.load("otel_logs")
    snapshot = there.load_table("otlp.otel_logs").current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary.additional_properties[FIRST] == "later"
    now[0] = snapshot.timestamp_ms + int(SETTLE_SECS * 1000) + 1
    commit(catalog, logs_receipt(tmp_path / "a", 1))
