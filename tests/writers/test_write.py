"""The library call ``write``: a batch is enough, and what does not belong together is refused."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otlp2parquet import Batch, ParquetWriter, process_otlp
from otlp2parquet.core.schema import TABLE_FOLDERS, table_schema
from tests.support.requests import HOUR, logs_request, traces_request
from tests.support.stores import MemoryStore
from tests.support.tables import BATCH_ID, all_batches, logs_batch, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def rows_in(root: Path, path: str) -> list[dict[str, Any]]:
    """The rows of one file."""
    rows: list[dict[str, Any]] = pq.ParquetFile(root / path).read().to_pylist()
    return rows


def nameless_batch() -> Batch:
    """One log record of no service."""
    request = logs_request(1, service="")
    (batch,) = process_otlp(request, "logs").batches
    assert batch.service is None
    return batch


@pytest.mark.parametrize("table", list(TABLE_FOLDERS))
def test_a_batch_is_enough(tmp_path: Path, table: str) -> None:
    """Table, service and hour are the batch's own, and each call draws an id of its own."""
    writer = ParquetWriter(tmp_path)
    batch = all_batches(dictionaries=False)[table]
    receipts = [writer.write(batch), writer.write(batch)]
    for receipt in receipts:
        folder, _, name = receipt.path.rpartition("/")
        assert folder == f"{TABLE_FOLDERS[table]}/service=checkout/date=2026-07-01/hour=9"
        assert uuid.UUID(name.removesuffix(".parquet")).version == 7
        assert rows_in(tmp_path, receipt.path) == rows_of(batch)
    assert receipts[0].path != receipts[1].path


def test_layout(tmp_path: Path) -> None:
    """The writer's layout decides the folder."""
    receipt = ParquetWriter(tmp_path, layout="classic").write(logs_batch(1), batch_id=BATCH_ID)
    assert receipt.path == f"logs/checkout/year=2026/month=07/day=01/hour=09/{BATCH_ID}.parquet"
    receipt = ParquetWriter(tmp_path, layout="hour").write(logs_batch(1), batch_id=BATCH_ID)
    assert receipt.path == f"logs/date=2026-07-01/hour=9/{BATCH_ID}.parquet"


def test_into_any_store() -> None:
    """A writer writes into whatever is a store."""
    store = MemoryStore()
    receipt = ParquetWriter(store).write(logs_batch(3))
    assert pq.read_metadata(pa.BufferReader(store.objects[receipt.path])).num_rows == 3
    assert ParquetWriter(store).root == store.root


def test_services_of_one_file(tmp_path: Path) -> None:
    """Services that share a file lie together in it, in the order of every plan."""
    writer = ParquetWriter(tmp_path, layout="hour")
    batches = [
        logs_batch(2, service="b"),
        logs_batch(1, service="a"),
        nameless_batch(),
        logs_batch(1, first=5, service="b"),
    ]
    receipt = writer.write(batches)
    expected = [row for index in (2, 1, 0, 3) for row in rows_of(batches[index])]
    assert rows_in(tmp_path, receipt.path) == expected


def test_no_service_and_one_of_that_name(tmp_path: Path) -> None:
    """Both belong into one folder, and so into one file; no row is left behind."""
    batches = [logs_batch(2, service="unknown-service"), nameless_batch()]
    receipt = ParquetWriter(tmp_path).write(batches)
    names = [row["ServiceName"] for row in rows_in(tmp_path, receipt.path)]
    assert names == [None, "unknown-service", "unknown-service"]


def other_hour() -> Batch:
    """Log records of the hour after."""
    (batch,) = process_otlp(logs_request(1, first=3600), "logs").batches
    return batch


@pytest.mark.parametrize(
    "batches",
    [
        lambda: [logs_batch(1), logs_batch(1, service="cart")],
        lambda: [logs_batch(1), process_otlp(traces_request(1), "traces").batches[0]],
        lambda: [logs_batch(1), other_hour()],
        lambda: [logs_batch(1, service="Foo"), logs_batch(1, service="foo")],
    ],
    ids=["service", "table", "hour", "case"],
)
def test_batches_of_several_files(tmp_path: Path, batches: Callable[[], list[Batch]]) -> None:
    """One call writes one file: what belongs into several is refused."""
    with pytest.raises(ValueError, match=r"batches of logs/.*, .* in one call: expected those of"):
        ParquetWriter(tmp_path).write(batches())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "said",
    [{"table": "otel_traces"}, {"service": "cart"}, {"hour": HOUR + timedelta(hours=1)}],
    ids=str,
)
def test_a_batch_knows_better(tmp_path: Path, said: dict[str, Any]) -> None:
    """What is said of a batch that knows where it belongs must be what it knows."""
    with pytest.raises(ValueError, match=r"a batch has rows of otel_logs, service checkout, 2026-"):
        ParquetWriter(tmp_path).write(logs_batch(1), **said)
    assert list(tmp_path.iterdir()) == []
    local = HOUR.replace(minute=30).astimezone(timezone(timedelta(hours=2)))
    ParquetWriter(tmp_path).write(logs_batch(1), table="otel_logs", service="checkout", hour=local)


@pytest.mark.parametrize("known", [{}, {"table": "otel_logs"}, {"hour": HOUR}], ids=str)
def test_an_arrow_batch_has_to_be_told(tmp_path: Path, known: dict[str, Any]) -> None:
    """A record batch of another library says nothing of where it belongs."""
    batch = pa.record_batch(logs_batch(1))
    with pytest.raises(ValueError, match="a RecordBatch does not say where it belongs: expected"):
        ParquetWriter(tmp_path).write(batch, **known)


def arrow(**columns: pa.Array) -> pa.RecordBatch:
    """A batch of three log records with some of its columns replaced."""
    batch = pa.record_batch(logs_batch(3, dictionaries=False))
    for name, column in columns.items():
        batch = batch.set_column(batch.schema.get_field_index(name), name, column)
    return batch


def write_arrow(root: Path, batch: object, table: str = "otel_logs") -> str:
    """Write one batch of another library."""
    writer = ParquetWriter(root)
    return writer.write([batch], table=table, hour=HOUR).path  # type: ignore[list-item]


def test_fields_are_the_tables_own(tmp_path: Path) -> None:
    """Batches that know neither field ids nor what may be null give a file that does."""
    batch = arrow()
    bare = pa.RecordBatch.from_arrays(batch.columns, batch.schema.names)
    found = pq.read_schema(tmp_path / write_arrow(tmp_path, bare))
    for one, other in zip(found, pa.schema(table_schema("otel_logs")), strict=True):
        assert one.equals(other, check_metadata=True)


@pytest.mark.parametrize("name", ["ServiceName", "Body", "SeverityNumber"])
def test_dictionary_arrays_are_an_encoding(tmp_path: Path, name: str) -> None:
    """Any column may come as a dictionary array of its type."""
    batch = arrow()
    encoded = arrow(**{name: batch.column(name).dictionary_encode()})
    assert rows_in(tmp_path, write_arrow(tmp_path, encoded)) == batch.to_pylist()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (lambda: pa.record_batch({"a": [1]}), r"has not the columns of otel_logs: missing \["),
        (lambda: arrow().drop_columns(["Body"]), r"missing \['Body'\], unknown \[\]"),
        (
            lambda: arrow().append_column("New", pa.array([1, 2, 3])),
            r"missing \[\], unknown \['New'\]",
        ),
        (lambda: arrow().select(arrow().schema.names[::-1]), "expected all of them in the table's"),
        (
            lambda: arrow(SeverityNumber=pa.array([1, 2, 3], pa.int64())),
            "column SeverityNumber of a batch is int64: otel_logs expects int32",
        ),
        (
            lambda: arrow(Body=pa.array(["a", "b", "c"], pa.large_string())),
            "column Body of a batch is large_string: otel_logs expects string",
        ),
        (
            lambda: arrow(ServiceName=pa.array([b"a", b"b", b"c"]).dictionary_encode()),
            "column ServiceName of a batch is dictionary<.*>: otel_logs expects string",
        ),
        (
            lambda: arrow(SeverityNumber=pa.array([1, None, 3], pa.int32())),
            "column SeverityNumber of a batch has 1 nulls: otel_logs expects none",
        ),
        (lambda: all_batches(dictionaries=True)["otel_traces"], "a batch has rows of otel_traces"),
        (
            lambda: pa.record_batch(all_batches(dictionaries=True)["otel_traces"]),
            "has not the columns of otel_logs",
        ),
    ],
)
def test_rows_of_another_table(tmp_path: Path, batch: Callable[[], object], message: str) -> None:
    """The columns of a batch must be the table's, in its order, of its types."""
    with pytest.raises(ValueError, match=message):
        write_arrow(tmp_path, batch())
    assert list(tmp_path.iterdir()) == []


def test_unknown_table(tmp_path: Path) -> None:
    """A table that does not exist has neither columns nor a place."""
    with pytest.raises(ValueError, match="unknown table 'logs'"):
        write_arrow(tmp_path, arrow(), "logs")


@pytest.mark.parametrize("batch", [pa.table({"a": [1]}), {"a": [1]}, 7, None], ids=type)
def test_what_is_no_batch(tmp_path: Path, batch: object) -> None:
    """What cannot be taken as one Arrow record batch is named by its type."""
    with pytest.raises(TypeError, match=r"a batch is \w+: expected an Arrow record batch"):
        write_arrow(tmp_path, batch)


@pytest.mark.parametrize("batch_id", ["", "../x", "b", BATCH_ID.replace("-", "")])
def test_odd_batch_ids(tmp_path: Path, batch_id: str) -> None:
    """Nothing but the text of a UUID becomes part of a file's name."""
    with pytest.raises(ValueError, match="expected the text of a UUID"):
        ParquetWriter(tmp_path).write(logs_batch(1), batch_id=batch_id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", [-1, 1.5, True, "../x"])
def test_odd_parts(tmp_path: Path, part: Any) -> None:
    """Parts are counted from 0, and nothing but a number becomes part of a file's name."""
    expected = re.escape(f"part {part}: expected a whole number of 0 or more")
    with pytest.raises(ValueError, match=expected):
        ParquetWriter(tmp_path).write(logs_batch(1), part=part)
    assert list(tmp_path.iterdir()) == []
