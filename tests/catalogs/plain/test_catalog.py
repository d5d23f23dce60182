"""The plain client at a catalog: the tables are pyiceberg's, and both commit to them in turn."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import IntegerType, NestedField, StringType, TimestamptzType

from otlp2parquet.catalogs.columns import schema_of
from otlp2parquet.catalogs.loading import SETTLE_SECS
from otlp2parquet.core.pure.schema import TABLES
from otlp2parquet.core.schema import TABLE_FOLDERS
from otlp2parquet.errors import (
    CatalogConflictError,
    CatalogError,
    CatalogRefusedError,
    CatalogUnavailableError,
)
from tests.support.duckdb_rows import query
from tests.support.iceberg import (
    NODE,
    commit,
    logs_receipt,
    metrics_receipts,
    traces_receipt,
)
from tests.support.plain_catalog import fetch_within, full_client, plain_catalog
from tests.support.plain_tables import commit_plainly, scanned
from tests.support.rest_catalog import CUT, Fault, RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otlp2parquet.catalogs.plain import Receipt


@pytest.fixture(params=["rest", "nessie"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RestCatalogServer]:
    """A catalog, with and without Nessie's peculiarities."""
    with RestCatalogServer(tmp_path, nessie=request.param == "nessie") as running:
        yield running


def normal(metadata: Any) -> dict[str, Any]:
    """Metadata without what differs from table to table."""
    packed: dict[str, Any] = json.loads(metadata.model_dump_json())
    for name in ("table-uuid", "location", "last-updated-ms", "current-snapshot-id", "refs"):
        del packed[name]
    for one in packed["snapshots"]:
        del one["snapshot-id"], one["timestamp-ms"], one["manifest-list"]
        one.pop("parent-snapshot-id", None)
    del packed["snapshot-log"], packed["metadata-log"]
    return packed


@pytest.mark.parametrize(
    ("partition", "nessie"), [("day", False), ("day", True), ("hour", False), ("none", False)]
)
def test_tables_are_the_servers(tmp_path: Path, partition: str, nessie: bool) -> None:  # noqa: FBT001
    """Made by either client, a table has the same metadata: columns, spec, properties, snapshot."""
    with (
        RestCatalogServer(tmp_path / "a", nessie=nessie) as one,
        RestCatalogServer(tmp_path / "b", nessie=nessie) as other,
    ):
        plain = plain_catalog(one, fetch_within(one), partition=partition)
        for table in TABLE_FOLDERS:
            made = asyncio.run(plain.load(table))
            by_pyiceberg = full_client(other, partition=partition).load(table)
            assert normal(one.state.tables["otlp", table]) == normal(by_pyiceberg.table.metadata)
            assert made.shape.field_ids == by_pyiceberg.shape.field_ids
            assert made.shape.location == f"{made.metadata['location']}/data"


def test_rows_are_scanned(server: RestCatalogServer, tmp_path: Path) -> None:
    """Of every table: by pyiceberg with pruning, and by DuckDB in the files that it names."""
    catalog = plain_catalog(server)
    receipts = [logs_receipt(tmp_path / "l", 5), *metrics_receipts(tmp_path / "m", 4)]
    ids = asyncio.run(catalog.shape("otel_traces")).field_ids
    receipts.append(traces_receipt(tmp_path / "t", 3, ids))
    for receipt in receipts:
        ids = asyncio.run(catalog.shape(receipt.table)).field_ids
        if server.nessie and any(column.is_list for column in TABLES[receipt.table]):
            assert len(ids) == len(set(ids))
        asyncio.run(commit_plainly(catalog, receipt))
        table = scanned(server, receipt.table)
        rows = table.scan().to_arrow()
        assert rows.num_rows == sum(file.rows for file in receipt.files)
        paths = [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]
        ((count,),) = query(f"select count(*) from read_parquet({paths})")  # noqa: S608 - ours
        assert count == rows.num_rows
        late = table.scan(row_filter="Timestamp > '2100-01-01T00:00:00+00:00'")
        assert list(late.plan_files()) == []


def test_both_clients_commit_in_turn(server: RestCatalogServer, tmp_path: Path) -> None:
    """On top of each other's snapshots; sums in summaries go on as if one of them did it all."""
    plain, full = plain_catalog(server), full_client(server)
    receipts = [logs_receipt(tmp_path / str(number), number + 1) for number in range(8)]
    for number, receipt in enumerate(receipts):
        if number % 2:
            commit(full, receipt)
        else:
            asyncio.run(commit_plainly(plain, receipt))
    table = scanned(server, "otel_logs")
    files = [file for receipt in receipts for file in receipt.files]
    tasks = list(table.scan().plan_files())
    assert sorted(task.file.file_path for task in tasks) == sorted(one.location for one in files)
    assert table.scan().to_arrow().num_rows == sum(range(1, 9))
    current = table.current_snapshot()
    assert current is not None
    assert current.summary is not None
    said = current.summary.additional_properties
    assert said["total-records"] == "36"
    assert said["total-data-files"] == "8"
    assert said["total-files-size"] == str(sum(file.bytes for file in files))
    assert current.sequence_number == 9
    assert {entry["sequence_number"] for entry in table.inspect.entries().to_pylist()} == {
        *range(2, 10)
    }
    names = {receipt.key for receipt in receipts}
    assert full.load("otel_logs").committed(NODE) == names
    assert asyncio.run(plain.load("otel_logs")).committed(NODE) == names


def test_summaries_are_pyicebergs(tmp_path: Path) -> None:
    """The same commits give the same summaries."""
    receipts = [logs_receipt(tmp_path / "a", 3), logs_receipt(tmp_path / "b", 4)]
    said = []
    for name in ("plain", "full"):
        with RestCatalogServer(tmp_path / name) as server:
            for receipt in receipts:
                if name == "plain":
                    asyncio.run(commit_plainly(plain_catalog(server), receipt))
                else:
                    commit(full_client(server), receipt)
            metadata = server.state.tables["otlp", "otel_logs"]
            said.append([json.loads(one.summary.model_dump_json()) for one in metadata.snapshots])  # type: ignore[union-attr]
    assert said[0] == said[1]
    assert len(said[0]) == 3


def test_columns_that_are_missing_are_added(server: RestCatalogServer, tmp_path: Path) -> None:
    """As optional ones, lists with ids for their items; and rows are read from them."""
    there = full_client(server)._reached()  # noqa: SLF001 - to make a foreign table
    there.create_namespace("otlp")
    packed = schema_of("otel_traces")
    packed["fields"] = [one for one in packed["fields"] if not one["name"].startswith("E")][:-2]
    there.create_table("otlp.otel_traces", Schema.model_validate(packed))
    now = [0]
    catalog = plain_catalog(server)
    catalog._time_ms = lambda: now[0]  # noqa: SLF001 - a clock
    with pytest.raises(CatalogUnavailableError, match="first snapshot"):
        asyncio.run(catalog.load("otel_traces"))
    snapshot = there.load_table("otlp.otel_traces").current_snapshot()
    assert snapshot is not None
    now[0] = snapshot.timestamp_ms + int(SETTLE_SECS * 1000) + 1
    ids = asyncio.run(catalog.shape("otel_traces")).field_ids
    assert len(set(ids)) == len(ids)
    asyncio.run(commit_plainly(catalog, traces_receipt(tmp_path / "a", 4, ids)))
    table = there.load_table("otlp.otel_traces")
    assert not table.schema().find_field("EventsName").required
    assert any(table.scan().to_arrow().column("EventsName").to_pylist())
    assert table.metadata.last_column_id == max(ids)


def test_what_differs_is_spelled_out(server: RestCatalogServer) -> None:
    """In the same words as by the server, because they come from one place."""
    there = full_client(server)._reached()  # noqa: SLF001 - to make a foreign table
    there.create_namespace("otlp")
    schema = Schema(
        NestedField(1, "Timestamp", TimestamptzType(), required=True),
        NestedField(2, "TraceFlags", IntegerType()),
        NestedField(3, "Body", StringType(), required=True),
        NestedField(4, "Tenant", StringType(), required=True),
    )
    spec = PartitionSpec(PartitionField(3, 1000, IdentityTransform(), "Body"))
    there.create_table("otlp.otel_logs", schema, partition_spec=spec)
    words = []
    for load in (
        lambda: asyncio.run(plain_catalog(server).load("otel_logs")),
        lambda: full_client(server).load("otel_logs"),
    ):
        with pytest.raises(CatalogRefusedError) as caught:
            load()
        words.append(str(caught.value))
    assert words[0] == words[1]
    for part in (
        "otlp.otel_logs is not one for otel_logs",
        "column TraceFlags: found int, expected long",
        "column Body: found a required one, expected it optional",
        "column Tenant: found a required one",
        "partition Body: found identity of Body, expected year, month, day or hour of Timestamp",
    ):
        assert part in words[0]


def test_other_versions_and_buckets_are_refused(tmp_path: Path) -> None:
    """It says which ones were found."""
    with RestCatalogServer(tmp_path, location="s3://theirs/x") as server:
        catalog = plain_catalog(server, fetch_within(server))
        catalog._bucket = "ours"  # noqa: SLF001 - as the settings give it
        with pytest.raises(CatalogRefusedError, match="the bucket theirs, expected ours"):
            asyncio.run(catalog.load("otel_logs"))
    with RestCatalogServer(tmp_path) as server:
        there = full_client(server)._reached()  # noqa: SLF001
        there.create_namespace("otlp")
        schema = Schema.model_validate(schema_of("otel_logs"))
        made = there.create_table("otlp.otel_logs", schema)
        server.state.tables["otlp", "otel_logs"] = made.metadata.model_copy(
            update={"format_version": 1}
        )
        catalog = plain_catalog(server, fetch_within(server))
        with pytest.raises(CatalogRefusedError, match="the format version 1, expected 2"):
            asyncio.run(catalog.load("otel_logs"))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(400, "ThrottlingException: Rate exceeded"), CatalogUnavailableError),
        (Fault(401, "expired"), CatalogUnavailableError),
        (Fault(409, "branch main has changed"), CatalogConflictError),
        (Fault(404, "no such table"), CatalogConflictError),
        (Fault(419, "token expired"), CatalogUnavailableError),
        (Fault(429, "slow down"), CatalogUnavailableError),
        (Fault(500, "who knows"), CatalogUnavailableError),
        (Fault(503, "away"), CatalogUnavailableError),
        (CUT, CatalogUnavailableError),
        (Fault(400, "no such field"), CatalogRefusedError),
        (Fault(403, "not yours"), CatalogRefusedError),
    ],
)
def test_answers_are_told_apart(fault: Fault, expected: type[CatalogError], tmp_path: Path) -> None:
    """As by the server's client, and a commit is sent once."""
    with RestCatalogServer(tmp_path) as server:
        table = asyncio.run(plain_catalog(server).load("otel_logs"))
        receipt = logs_receipt(tmp_path / "a", 1)
        before = len(server.requests)
        server.script = lambda _method, _path: fault
        with pytest.raises(expected):
            asyncio.run(table.append([receipt], {NODE: frozenset({receipt.key})}))
        assert len(server.requests) == before + 1


def test_what_failed_attempts_wrote_goes(tmp_path: Path) -> None:
    """Once the table has moved on without them; before that it may still arrive."""
    with RestCatalogServer(tmp_path) as server:
        catalog = plain_catalog(server, fetch_within(server))
        receipt, other = (logs_receipt(tmp_path / name, 1) for name in "ab")
        table = asyncio.run(catalog.load("otel_logs"))
        folder = tmp_path / "otel_logs" / "metadata"
        first = set(folder.iterdir())
        commit(full_client(server), other)
        for _ in range(2):
            with pytest.raises(CatalogConflictError):
                asyncio.run(table.append([receipt], {NODE: frozenset({receipt.key})}))
        others = {path for path in folder.iterdir() if "snap" in path.name}
        assert len(others - first) == 3
        asyncio.run(commit_plainly(catalog, receipt))
        tables = server.state.tables["otlp", "otel_logs"]
        needed = {one.manifest_list.removeprefix("file://") for one in tables.snapshots}
        lists = {str(path) for path in folder.iterdir() if path.name.startswith("snap")}
        assert lists == needed
        assert scanned(server, "otel_logs").scan().to_arrow().num_rows == 2


def test_files_with_other_ids_are_refused(tmp_path: Path) -> None:
    """Before anything is written: readers would find nothing in them."""
    with RestCatalogServer(tmp_path) as server:
        catalog = plain_catalog(server, fetch_within(server))
        receipt = traces_receipt(tmp_path / "a", 1, [number + 50 for number in range(1, 50)])
        with pytest.raises(CatalogRefusedError, match="other field ids than the table otlp"):
            asyncio.run(commit_plainly(catalog, receipt))


def test_tables_that_cannot_be_staged(tmp_path: Path) -> None:
    """They are made first, and get their first snapshot then."""
    with RestCatalogServer(tmp_path) as server:
        catalog = plain_catalog(server, fetch_within(server), stages_tables=False)
        asyncio.run(commit_plainly(catalog, logs_receipt(tmp_path / "a", 2)))
        assert scanned(server, "otel_logs").scan().to_arrow().num_rows == 2


def test_two_first_writers_lose_nothing(server: RestCatalogServer, tmp_path: Path) -> None:
    """Both make the table at once; one of them finds it made."""
    receipts = [logs_receipt(tmp_path / name, 2) for name in "ab"]

    async def write(receipt: Receipt) -> None:
        catalog = plain_catalog(server, fetch_within(server))
        while True:
            table = await catalog.load("otel_logs")
            await asyncio.sleep(0)
            try:
                await table.append([receipt], {NODE: table.committed(NODE) | {receipt.key}})
            except CatalogConflictError:
                continue
            return

    async def both() -> None:
        await asyncio.gather(*map(write, receipts))

    asyncio.run(both())
    assert scanned(server, "otel_logs").scan().to_arrow().num_rows == 4
