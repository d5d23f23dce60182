"""The plan of a closed batch and the notes of its stored files, as records of the log.

Knows planned files and receipts and their JSON forms. Must not know how files are written. With
them a replay after any change of settings finds, keeps and completes the same files.
"""

import json
from dataclasses import dataclass
from typing import cast

from otlp2parquet.core.files import PlannedFile
from otlp2parquet.core.layout import ALL_LAYOUTS, Layout
from otlp2parquet.writers.protocol import ColumnStatistics, StoredFile


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the files of a batch go: the storage, the layout, and each of them."""

    root: str
    layout: Layout
    files: tuple[PlannedFile, ...] = ()


def pack_plan(plan: Plan) -> bytes:
    """The body of a plan's record."""
    files = [file.to_json() for file in plan.files]
    return _pack({"root": plan.root, "layout": plan.layout, "files": files})


def read_plan(body: bytes) -> Plan:
    """The plan in a record that is whole; ``ValueError`` for one that no version of ours wrote."""
    try:
        read = json.loads(body)
        files = tuple(PlannedFile.from_json(*file) for file in read["files"])
        root, layout = read["root"], read["layout"]
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"found a plan that cannot be read ({error!r})") from error
    if not isinstance(root, str) or layout not in ALL_LAYOUTS:
        raise ValueError(f"found a plan for {root!r} in the layout {layout!r}")
    return Plan(root, cast("Layout", layout), files)


def pack_receipt(receipt: StoredFile) -> bytes:
    """The body of a note: this file is stored."""
    columns = {
        str(number): [column.null_count, column.lower, column.upper]
        for number, column in receipt.columns.items()
    }
    note: list[object] = [receipt.path, receipt.rows, receipt.bytes, columns]
    if receipt.location:
        note.append(receipt.location)
    return _pack(note)


def read_receipt(body: bytes) -> StoredFile:
    """The receipt in a note; ``ValueError`` as in ``read_plan``."""
    try:
        path, rows, size, columns, *location = json.loads(body)
        statistics = {int(number): ColumnStatistics(*column) for number, column in columns.items()}
    except (TypeError, AttributeError) as error:
        raise ValueError(f"found a note that cannot be read ({error!r})") from error
    return StoredFile(path, rows, size, statistics, location="".join(location))


def _pack(value: object) -> bytes:
    # A service's name may hold what UTF-8 cannot: as an escape it comes back as it was.
    return json.dumps(value, separators=(",", ":")).encode("ascii")
