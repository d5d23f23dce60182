"""Iceberg's manifests and manifest lists of format version 2, from receipts.

Knows the tables of https://iceberg.apache.org/spec/ "Manifests" and "Manifest Lists", and a
receipt's statistics. Must not know a catalog or any storage: it makes bytes. No file is opened.
"""

import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from otlp2parquet.catalogs.columns import Json, lower_bound, partition_values, upper_bound
from otlp2parquet.catalogs.plain.avro import DEFLATE, AvroFile, write_file
from otlp2parquet.catalogs.receipts import DataFile, Receipt
from otlp2parquet.core.pure.schema import TABLES
from otlp2parquet.writers.protocol import Bound

EXISTING: Final = 0
_ADDED: Final = 1
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PACKED: Final = {"int": "<i", "long": "<q", "timestamptz": "<q", "float": "<f", "double": "<d"}
_DATE: Final = {"type": "int", "logicalType": "date"}
_PARTITION_TYPES: Final[Mapping[str, Any]] = {
    "day": _DATE,
    "hour": "int",
    "month": "int",
    "year": "int",
}
_AVRO_TYPES: Final[Mapping[str, Any]] = {
    "boolean": "boolean",
    "int": "int",
    "long": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "date": _DATE,
    "timestamptz": {"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": True},
}
"""Types of columns; a partition that is always null ("void") has the type of its column."""


@dataclass(frozen=True, slots=True)
class ManifestTarget:
    """The table that files are for: its current schema and its default partition spec, as JSON."""

    schema: Json
    spec: Json

    @property
    def transforms(self) -> list[str]:
        """The transforms of the partition's fields."""
        return [field["transform"] for field in self.spec["fields"]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was made: its bytes, and what the list says of it but for its place."""

    content: bytes
    entry: Mapping[str, Any]


def _field(name: str, number: int, kind: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"name": name, "type": kind, "field-id": number}


def _optional(name: str, number: int, kind: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"name": name, "type": ["null", kind], "default": None, "field-id": number}


def _map(key: int, value: int, kind: str) -> dict[str, Any]:
    fields = [_field("key", key, "int"), _field("value", value, kind)]
    record = {"type": "record", "name": f"k{key}_v{value}", "fields": fields}
    return {"type": "array", "logicalType": "map", "items": record}


def _list(element: int, kind: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"type": "array", "items": kind, "element-id": element}


def _entry_schema(partition: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    struct_type = {"type": "record", "name": "r102", "fields": list(partition)}
    data_file = [
        _field("content", 134, "int"),
        _field("file_path", 100, "string"),
        _field("file_format", 101, "string"),
        _field("partition", 102, struct_type),
        _field("record_count", 103, "long"),
        _field("file_size_in_bytes", 104, "long"),
        _optional("column_sizes", 108, _map(117, 118, "long")),
        _optional("value_counts", 109, _map(119, 120, "long")),
        _optional("null_value_counts", 110, _map(121, 122, "long")),
        _optional("nan_value_counts", 137, _map(138, 139, "long")),
        _optional("lower_bounds", 125, _map(126, 127, "bytes")),
        _optional("upper_bounds", 128, _map(129, 130, "bytes")),
        _optional("key_metadata", 131, "bytes"),
        _optional("split_offsets", 132, _list(133, "long")),
        _optional("equality_ids", 135, _list(136, "int")),
        _optional("sort_order_id", 140, "int"),
    ]
    fields = [
        _field("status", 0, "int"),
        _optional("snapshot_id", 1, "long"),
        _optional("sequence_number", 3, "long"),
        _optional("file_sequence_number", 4, "long"),
        _field("data_file", 2, {"type": "record", "name": "r2", "fields": data_file}),
    ]
    return {"type": "record", "name": "manifest_entry", "fields": fields}


_SUMMARY: Final = {
    "type": "record",
    "name": "r508",
    "fields": [
        _field("contains_null", 509, "boolean"),
        _optional("contains_nan", 518, "boolean"),
        _optional("lower_bound", 510, "bytes"),
        _optional("upper_bound", 511, "bytes"),
    ],
}
LIST_SCHEMA: Final[dict[str, Any]] = {
    "type": "record",
    "name": "manifest_file",
    "fields": [
        _field("manifest_path", 500, "string"),
        _field("manifest_length", 501, "long"),
        _field("partition_spec_id", 502, "int"),
        _field("content", 517, "int"),
        _field("sequence_number", 515, "long"),
        _field("min_sequence_number", 516, "long"),
        _field("added_snapshot_id", 503, "long"),
        _field("added_files_count", 504, "int"),
        _field("existing_files_count", 505, "int"),
        _field("deleted_files_count", 506, "int"),
        _field("added_rows_count", 512, "long"),
        _field("existing_rows_count", 513, "long"),
        _field("deleted_rows_count", 514, "long"),
        _optional("partitions", 507, _list(508, _SUMMARY)),
        _optional("key_metadata", 519, "bytes"),
    ],
}
_UNSAID: Final = {517: 0, 515: 0, 516: 0}
"""What format version 1 leaves out: "Default to 0 when reading v1 manifest lists"."""


def avro_name(name: str) -> str:
    """The name of a partition's field in Avro, which has no others than letters, digits and _."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    made = "".join(one if re.match(r"[A-Za-z0-9_]", one) else f"_x{ord(one):X}" for one in name)
    return f"_{made}" if made[:1].isdigit() else made


def _partition_fields(target: ManifestTarget) -> list[dict[str, Any]]:
    types = {field["id"]: field["type"] for field in target.schema["fields"]}
    made = []
    for field in target.spec["fields"]:
        name, kind = avro_name(field["name"]), _PARTITION_TYPES.get(field["transform"])
        if kind is None:
            source = types.get(field["source-id"])
            kind = _AVRO_TYPES.get(source, "string") if isinstance(source, str) else "string"
        one = _optional(name, field["field-id"], kind)
        made.append(one if name == field["name"] else one | {"iceberg-field-name": field["name"]})
    return made


def single_value(kind: str, value: Bound) -> bytes:
    """A bound as Iceberg's "single-value serialization" has it."""
    if isinstance(value, str):
        return value.encode()
    if kind == "boolean":
        return b"\1" if value else b"\0"
    return struct.pack(_PACKED[kind], value)


def data_file(target: ManifestTarget, table: str, file: DataFile) -> dict[str, Any]:
    """A stored file as a manifest has it; its statistics have the field ids of our ``table``."""
    names = {column.field_id: column.name for column in TABLES[table] if not column.is_list}
    fields = {field["name"]: field for field in target.schema["fields"]}
    values, nulls = {}, {}
    lower: dict[int, bytes] = {}
    upper: dict[int, bytes] = {}
    for number, column in file.columns.items():
        if number not in names:
            continue
        field = fields[names[number]]
        at, kind = field["id"], field["type"]
        values[at] = file.rows
        nulls[at] = column.null_count
        low, high = lower_bound(column.lower), upper_bound(column.upper)
        if low is not None:
            lower[at] = single_value(kind, low)
        if high is not None:
            upper[at] = single_value(kind, high)
    partition = zip(
        (avro_name(field["name"]) for field in target.spec["fields"]),
        partition_values(target.transforms, file.hour),
        strict=True,
    )
    return {
        "content": 0,
        "file_path": file.location,
        "file_format": "PARQUET",
        "partition": dict(partition),
        "record_count": file.rows,
        "file_size_in_bytes": file.bytes,
        # Not known; some readers want them all the same.
        "column_sizes": {},
        "value_counts": values,
        "null_value_counts": nulls,
        "nan_value_counts": {},
        "lower_bounds": lower,
        "upper_bounds": upper,
        "key_metadata": None,
        "split_offsets": None,
        "equality_ids": None,
        "sort_order_id": None,
    }


def manifest_of(
    target: ManifestTarget,
    receipts: Sequence[Receipt],
    snapshot_id: int,
    sequence_number: int,
    sync: bytes,
) -> Manifest:
    """The manifest that adds all files of receipts, whose ids in the files are the table's."""
    files = [(receipt.table, file) for receipt in receipts for file in receipt.files]
    rows = [
        {
            "status": _ADDED,
            "snapshot_id": snapshot_id,
            # Both are inherited from the list: "null when added", so that a commit may be retried.
            "sequence_number": None,
            "file_sequence_number": None,
            "data_file": data_file(target, table, file),
        }
        for table, file in files
    ]
    said = {
        "sequence_number": sequence_number,
        "min_sequence_number": sequence_number,
        "added_snapshot_id": snapshot_id,
        "added_files_count": len(files),
        "existing_files_count": 0,
        "added_rows_count": sum(file.rows for _, file in files),
        "existing_rows_count": 0,
        "partitions": list(_partition_summaries(target, [file for _, file in files])),
    }
    return pack_manifest(target, rows, said, sync)


def entry_schema_of(target: ManifestTarget) -> dict[str, Any]:
    """The Avro schema of the entries of a manifest of ours."""
    return _entry_schema(_partition_fields(target))


def pack_manifest(
    target: ManifestTarget, rows: Sequence[Any], said: Mapping[str, Any], sync: bytes
) -> Manifest:
    """A manifest of these entries, none of which deletes a file; ``said`` is told by its list."""
    metadata = {
        "schema": json.dumps(target.schema),
        "schema-id": str(target.schema.get("schema-id", 0)),
        "partition-spec": json.dumps(target.spec["fields"]),
        "partition-spec-id": str(target.spec["spec-id"]),
        "format-version": "2",
        "content": "data",
    }
    content = write_file(entry_schema_of(target), rows, metadata, sync)
    entry = {
        "manifest_length": len(content),
        "partition_spec_id": target.spec["spec-id"],
        "content": 0,
        "deleted_files_count": 0,
        "deleted_rows_count": 0,
        "key_metadata": None,
        **said,
    }
    return Manifest(content, entry)


def _partition_summaries(
    target: ManifestTarget, files: Sequence[DataFile]
) -> Iterator[dict[str, Any]]:
    partitions = [partition_values(target.transforms, file.hour) for file in files]
    for values in zip(*partitions, strict=True):
        there = [value for value in values if value is not None]
        yield {
            "contains_null": len(there) < len(values),
            "contains_nan": False,
            "lower_bound": struct.pack("<i", min(there)) if there else None,
            "upper_bound": struct.pack("<i", max(there)) if there else None,
        }


def manifest_list_of(
    entries: Sequence[Mapping[str, Any]],
    *,
    snapshot_id: int,
    parent_id: int | None,
    sequence_number: int,
    sync: bytes,
    parent: AvroFile | None = None,
) -> bytes:
    """A manifest list: new manifests, and behind them all that the parent's list has."""
    metadata = {
        "snapshot-id": str(snapshot_id),
        "parent-snapshot-id": "null" if parent_id is None else str(parent_id),
        "sequence-number": str(sequence_number),
        "format-version": "2",
    }
    if parent is None:
        return write_file(LIST_SCHEMA, entries, metadata, sync)
    if parent.schema == LIST_SCHEMA and parent.codec == DEFLATE:
        # Ours: its blocks are taken over as they are, however many manifests they list.
        return write_file(LIST_SCHEMA, entries, metadata, sync, parent.blocks)
    return write_file(LIST_SCHEMA, [*entries, *listed_in(parent)], metadata, sync)


def listed_in(manifest_list: AvroFile) -> list[dict[str, Any]]:
    """What a manifest list says of its manifests, whoever wrote it: fields go by their ids."""
    theirs = {field["field-id"]: field["name"] for field in manifest_list.schema["fields"]}
    return [
        {
            field["name"]: row[theirs[number]] if number in theirs else _UNSAID.get(number)
            for field in LIST_SCHEMA["fields"]
            for number in [field["field-id"]]
        }
        for row in manifest_list.rows()
    ]
