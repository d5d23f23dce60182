"""Manifests: pyiceberg reads in ours what it would have written itself, and ours reads its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.conversions import to_bytes
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import (
    ManifestEntryStatus,
    construct_partition_summaries,
    read_manifest_list,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import (
    DayTransform,
    HourTransform,
    MonthTransform,
    VoidTransform,
    YearTransform,
)
from pyiceberg.types import PrimitiveType

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.catalogs.columns import lower_bound, schema_of, spec_of, upper_bound
from otlp2parquet.catalogs.data_files import data_file
from otlp2parquet.catalogs.plain.avro import read_file, write_file
from otlp2parquet.catalogs.plain.manifests import (
    ManifestTarget,
    avro_name,
    listed_in,
    manifest_list_of,
    manifest_of,
    single_value,
)
from otlp2parquet.catalogs.receipts import DataFile, Receipt
from otlp2parquet.core.pure.schema import TABLES
from otlp2parquet.writers.protocol import ColumnStatistics
from tests.support.iceberg import NODE

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.manifest import ManifestFile

SYNC = bytes(16)
HOURS = st.integers(-400_000, 1_000_000).map(lambda hours: hours * 3600)
BOUNDS: dict[str, st.SearchStrategy[Any]] = {
    "timestamp": st.integers(-(1 << 60), 1 << 60),
    "int32": st.integers(-(1 << 31), (1 << 31) - 1),
    "int64": st.integers(-(1 << 63), (1 << 63) - 1),
    "double": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "string": st.text(max_size=100),
}
SPECS = [
    PartitionSpec.model_validate(spec_of("otel_logs", "day")),
    PartitionSpec.model_validate(spec_of("otel_logs", "hour")),
    PartitionSpec.model_validate(spec_of("otel_logs", "none")),
    PartitionSpec(
        PartitionField(1, 1000, VoidTransform(), "old-1"),
        PartitionField(1, 1001, MonthTransform(), "month"),
        PartitionField(1, 1002, YearTransform(), "year of it"),
        PartitionField(3, 1003, VoidTransform(), "3rd"),
        PartitionField(1, 1004, HourTransform(), "h"),
        PartitionField(1, 1005, DayTransform(), "d"),
        spec_id=4,
    ),
]


@st.composite
def stored_files(draw: st.DrawFn, table: str) -> DataFile:
    """A stored file with statistics of some columns."""
    columns = {}
    for column in draw(st.lists(st.sampled_from(TABLES[table]), unique=True, max_size=8)):
        bound = st.none() | BOUNDS[column.type]
        columns[column.field_id] = ColumnStatistics(
            draw(st.integers(0, 9)), draw(bound), draw(bound)
        )
    number = draw(st.integers(0, 1 << 40))
    return DataFile(f"s3://b/é/{number}.parquet", number + 1, number + 2, draw(HOURS), columns)


class _Table:
    """As much of a table as the server's own way to a data file asks for."""

    format_version = 2

    def __init__(self, schema: Schema, spec: PartitionSpec) -> None:
        self._schema, self._spec = schema, spec

    def schema(self) -> Schema:
        return self._schema

    def spec(self) -> PartitionSpec:
        return self._spec


def as_json(model: Any) -> dict[str, Any]:
    """As it stands in metadata."""
    packed: dict[str, Any] = json.loads(model.model_dump_json())
    return packed


def with_other_ids(table: str) -> Schema:
    """The table's columns as a server has them that gives other ids, and wider numbers."""
    packed = schema_of(table)
    for field in packed["fields"]:
        field["id"] += 100
        field["type"] = "long" if field["type"] == "int" else field["type"]
        if isinstance(field["type"], dict):
            field["type"]["element-id"] += 100
    return Schema.model_validate(packed)


def listed(path: Path, content: bytes) -> list[ManifestFile]:
    """The manifests of a list, as pyiceberg reads it."""
    path.write_bytes(content)
    return list(read_manifest_list(PyArrowFileIO().new_input(f"file://{path}")))


@pytest.mark.parametrize("spec", SPECS, ids=["day", "hour", "none", "foreign"])
@pytest.mark.parametrize("ids", ["our ids", "their ids"])
@settings(max_examples=20)
@given(data=st.data())
def test_pyiceberg_reads_what_it_would_have_written(
    spec: PartitionSpec, ids: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every field of every file, the summaries of partitions, and what is inherited."""
    table = data.draw(st.sampled_from(sorted(TABLES)))
    schema = (
        with_other_ids(table) if ids == "their ids" else Schema.model_validate(schema_of(table))
    )
    if ids == "their ids":
        moved = [one.model_copy(update={"source_id": one.source_id + 100}) for one in spec.fields]
        spec = PartitionSpec(*moved, spec_id=spec.spec_id)
    files = data.draw(st.lists(stored_files(table), min_size=1, max_size=4))
    receipts = [Receipt(NODE, new_batch_id(), table, (file,)) for file in files]
    folder = tmp_path_factory.mktemp("manifests")
    target = ManifestTarget(as_json(schema), as_json(spec))
    made = manifest_of(target, receipts, 77, 5, SYNC)
    (folder / "m.avro").write_bytes(made.content)
    entry = {"manifest_path": f"file://{folder}/m.avro", **made.entry}
    content = manifest_list_of(
        [entry], snapshot_id=77, parent_id=None, sequence_number=5, sync=SYNC
    )
    (manifest,) = listed(folder / "l.avro", content)
    expected = [data_file(_Table(schema, spec), table, file) for file in files]  # type: ignore[arg-type]
    entries = manifest.fetch_manifest_entry(PyArrowFileIO())
    for got, wanted in zip(entries, expected, strict=True):
        assert (got.status, got.snapshot_id) == (ManifestEntryStatus.ADDED, 77)
        assert (got.sequence_number, got.file_sequence_number) == (5, 5)
        for name in (
            "content", "file_path", "file_format", "partition", "record_count",
            "file_size_in_bytes", "column_sizes", "value_counts", "nan_value_counts",
            "null_value_counts", "lower_bounds", "upper_bounds", "key_metadata",
            "split_offsets", "equality_ids", "sort_order_id",
        ):  # fmt: skip
            assert getattr(got.data_file, name) == getattr(wanted, name), name
        assert got.data_file.spec_id == spec.spec_id
    assert manifest.manifest_length == len(made.content)
    assert (manifest.added_files_count, manifest.added_rows_count) == (
        len(files),
        sum(file.rows for file in files),
    )
    assert (manifest.added_snapshot_id, manifest.sequence_number) == (77, 5)
    summaries = construct_partition_summaries(spec, schema, [one.partition for one in expected])
    assert manifest.partitions == summaries


@given(st.data())
def test_single_values_are_pyicebergs(data: st.DataObject) -> None:
    """Bounds in bytes, whatever the column's type."""
    table = data.draw(st.sampled_from(sorted(TABLES)))
    column = data.draw(st.sampled_from(TABLES[table]))
    field = Schema.model_validate(schema_of(table)).find_field(column.field_id)
    kind = as_json(Schema(field))["fields"][0]["type"]
    if isinstance(field.field_type, PrimitiveType):
        value = data.draw(BOUNDS[column.type])
        assert single_value(kind, value) == to_bytes(field.field_type, value)


@given(st.text(min_size=60, max_size=70) | st.text("\ud7ff\uffff\U0010ffff", min_size=60))
def test_bounds_of_texts_are_bounds(text: str) -> None:
    """Short, and on the right side of what they stand for; UTF-8 has all of them."""
    low, high = lower_bound(text), upper_bound(text)
    assert isinstance(low, str)
    assert len(low) <= 64
    assert low.encode() <= text.encode()
    if high is None:
        assert set(text[:64]) == {"\U0010ffff"}
    else:
        assert isinstance(high, str)
        assert len(high) <= 64
        assert high.encode() >= text.encode()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Timestamp_day", "Timestamp_day"), ("a-b", "a_x2Db"), ("3rd", "_3rd"), ("ü", "_xFC")],
)
def test_names_are_made_as_iceberg_does(name: str, expected: str) -> None:
    """Avro takes letters, digits and _ only."""
    assert avro_name(name) == expected


def entry_of(number: int) -> dict[str, Any]:
    """What a list says of some manifest."""
    return {
        "manifest_path": f"s3://b/{number}.avro", "manifest_length": number,
        "partition_spec_id": 0, "content": number % 2, "sequence_number": number,
        "min_sequence_number": number, "added_snapshot_id": number, "added_files_count": 1,
        "existing_files_count": 2, "deleted_files_count": 3, "added_rows_count": 4,
        "existing_rows_count": 5, "deleted_rows_count": 6,
        "partitions": [
            {"contains_null": False, "contains_nan": None, "lower_bound": b"a", "upper_bound": None}
        ],
        "key_metadata": None,
    }  # fmt: skip


def test_manifests_of_earlier_commits_are_kept(tmp_path: Path) -> None:
    """Ours as they lie there, and deletes among them; whoever wrote the list."""
    content = b""
    for number in range(1, 30):
        parent = read_file(content) if content else None
        content = manifest_list_of(
            [entry_of(number)],
            snapshot_id=number,
            parent_id=number - 1,
            sequence_number=number,
            sync=number.to_bytes(16),
            parent=parent,
        )
    manifests = listed(tmp_path / "l.avro", content)
    assert [one.manifest_length for one in manifests] == [*range(29, 0, -1)]
    assert listed_in(read_file(content)) == [entry_of(number) for number in range(29, 0, -1)]


def test_lists_of_format_version_1_are_kept(tmp_path: Path) -> None:
    """Fields go by their ids: older writers have other names, and say less."""
    schema = json.loads(json.dumps(read_file(manifest_list_of(
        [], snapshot_id=1, parent_id=None, sequence_number=1, sync=SYNC
    )).schema))  # fmt: skip
    schema["fields"] = [one for one in schema["fields"] if one["field-id"] not in (515, 516, 517)]
    for field in schema["fields"]:
        field["name"] = field["name"].replace("_files_count", "_data_files_count")

    row = {
        key.replace("_files_count", "_data_files_count"): value
        for key, value in entry_of(2).items()
    }
    old = read_file(write_file(schema, [row], {}, SYNC))
    content = manifest_list_of(
        [], snapshot_id=3, parent_id=2, sequence_number=3, sync=SYNC, parent=old
    )
    (manifest,) = listed(tmp_path / "l.avro", content)
    assert (manifest.content, manifest.sequence_number, manifest.added_files_count) == (0, 0, 1)
