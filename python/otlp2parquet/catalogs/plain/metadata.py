"""A table's metadata as JSON: what stands in it, and the updates that change it.

Knows https://iceberg.apache.org/spec/ "Table Metadata Fields" and the updates of the REST catalog's
specification. Pure functions on JSON; nothing is asked or written.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from otlp2parquet.catalogs.columns import Json, partition_values
from otlp2parquet.catalogs.loading import TableFacts
from otlp2parquet.catalogs.receipts import DataFile
from otlp2parquet.core.pure.schema import Column

MAIN: Final = "main"

_ADDED: Final = {
    "total-data-files": "added-data-files",
    "total-delete-files": "",
    "total-records": "added-records",
    "total-files-size": "added-files-size",
    "total-position-deletes": "",
    "total-equality-deletes": "",
}
"""Each total of a summary, and what an append adds to it."""


def current_snapshot(metadata: Json) -> Json | None:
    """The newest snapshot of the main branch; None if there is none."""
    number = metadata.get("current-snapshot-id")
    snapshots = metadata.get("snapshots") or ()
    return next((one for one in snapshots if one["snapshot-id"] == number), None)


def current_schema(metadata: Json) -> Json:
    """The schema that counts."""
    return _by_id(metadata["schemas"], "schema-id", metadata["current-schema-id"])


def default_spec(metadata: Json) -> Json:
    """The partition spec that new files have."""
    return _by_id(metadata["partition-specs"], "spec-id", metadata["default-spec-id"])


def _by_id(some: Iterable[Json], name: str, number: int) -> Json:
    return next(one for one in some if one[name] == number)


def facts_of(metadata: Json, title: str) -> TableFacts:
    """What a table says of itself; ``title`` is its name in the catalog."""
    current = current_snapshot(metadata)
    return TableFacts(
        title,
        metadata["location"],
        current_schema(metadata),
        default_spec(metadata),
        metadata.get("properties") or {},
        None if current is None else current["timestamp-ms"],
        {} if current is None else current.get("summary") or {},
    )


def creation_updates(staged: Json) -> list[dict[str, Any]]:
    """What makes a table of metadata that a catalog has staged."""
    order = _by_id(staged["sort-orders"], "order-id", staged["default-sort-order-id"])
    return [
        {"action": "assign-uuid", "uuid": staged["table-uuid"]},
        {"action": "upgrade-format-version", "format-version": staged["format-version"]},
        {
            "action": "add-schema",
            "schema": current_schema(staged),
            # "deprecated" and optional by the specification; Nessie takes no schema without it.
            "last-column-id": staged["last-column-id"],
        },
        {"action": "set-current-schema", "schema-id": -1},
        {"action": "add-spec", "spec": default_spec(staged)},
        {"action": "set-default-spec", "spec-id": -1},
        {"action": "add-sort-order", "sort-order": order},
        {"action": "set-default-sort-order", "sort-order-id": -1},
        {"action": "set-location", "location": staged["location"]},
        {"action": "set-properties", "updates": staged.get("properties") or {}},
    ]


def column_updates(
    metadata: Json, columns: Sequence[tuple[Column, Json]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What adds columns as optional ones, given as ours and as fields: requirements and updates."""
    schema, last = current_schema(metadata), int(metadata["last-column-id"])
    fields = list(schema["fields"])
    for column, field in columns:
        last += 1
        kind, number = field["type"], last
        if column.is_list:
            last += 1
            kind = {**kind, "element-id": last}
        fields.append({**field, "id": number, "type": kind, "required": False})
    newest = max(one["schema-id"] for one in metadata["schemas"])
    wider = {**schema, "schema-id": newest + 1, "fields": fields}
    requirements = [
        assert_uuid(metadata),
        {"type": "assert-current-schema-id", "current-schema-id": schema["schema-id"]},
        {
            "type": "assert-last-assigned-field-id",
            "last-assigned-field-id": metadata["last-column-id"],
        },
    ]
    updates = [
        {"action": "add-schema", "schema": wider, "last-column-id": last},
        {"action": "set-current-schema", "schema-id": -1},
    ]
    return requirements, updates


def assert_uuid(metadata: Json) -> dict[str, Any]:
    """The requirement that the table is no other one of the same name."""
    return {"type": "assert-table-uuid", "uuid": metadata["table-uuid"]}


def assert_snapshot(metadata: Json) -> dict[str, Any]:
    """The requirement that nobody has committed since the metadata was loaded."""
    current = current_snapshot(metadata)
    number = None if current is None else current["snapshot-id"]
    return {"type": "assert-ref-snapshot-id", "ref": MAIN, "snapshot-id": number}


def snapshot_updates(snapshot: Json) -> list[dict[str, Any]]:
    """What makes a snapshot the newest of the main branch."""
    number = snapshot["snapshot-id"]
    return [
        {"action": "add-snapshot", "snapshot": snapshot},
        {"action": "set-snapshot-ref", "ref-name": MAIN, "type": "branch", "snapshot-id": number},
    ]


def summary_of(
    files: Sequence[DataFile],
    transforms: Sequence[str],
    parent: Json | None,
    further: Mapping[str, str],
) -> dict[str, str]:
    """The summary of an append of files behind the snapshot ``parent``."""
    partitions = {tuple(partition_values(transforms, file.hour)) for file in files}
    counts = {
        "added-data-files": len(files),
        "added-records": sum(file.rows for file in files),
        "added-files-size": sum(file.bytes for file in files),
        "changed-partition-count": len(partitions) if transforms else 0,
    }
    before: Mapping[str, str] = (parent or {}).get("summary") or dict.fromkeys(_ADDED, "0")
    totals = {
        total: str(int(before[total]) + counts.get(added, 0))
        for total, added in _ADDED.items()
        # What the parent does not say is not known from then on.
        if before.get(total, "").isdecimal()
    }
    given = {name: str(count) for name, count in counts.items() if count}
    return {"operation": "append", **given, **totals, **further}
