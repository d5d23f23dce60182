"""The plan of a closed batch: which files it becomes, fixed before the first one is written.

Knows names, counts and their JSON form at the end of a segment. Must not know how files are
written. With it a replay after any change of settings finds, keeps and completes the same files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

FileKey = tuple[str, str | None, datetime]
"""Table, service, hour: in a batch each has exactly one file."""

LAYOUT: Final = 1
"""One file for each table, service and hour, named as ``writers.file_name`` does."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the files go, and the rows of each."""

    root: str
    files: Mapping[FileKey, int]
    layout: int = LAYOUT


def pack_plan(plan: Plan) -> bytes:
    """The body of a plan's record."""
    files = [[*_text(key), rows] for key, rows in plan.files.items()]
    return json.dumps({"root": plan.root, "layout": plan.layout, "files": files}).encode()


def read_plan(body: bytes) -> Plan:
    """The plan in a record that is whole; ``ValueError`` for one that no version of ours wrote."""
    try:
        read = json.loads(body)
        files = {_key(table, service, hour): rows for table, service, hour, rows in read["files"]}
        return Plan(read["root"], files, read["layout"])
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"found a plan that cannot be read ({error!r})") from error


def pack_key(key: FileKey) -> bytes:
    """The body of a note: this file is stored."""
    return json.dumps(_text(key)).encode()


def read_key(body: bytes) -> FileKey:
    """The file in a note; ``ValueError`` as in ``read_plan``."""
    try:
        return _key(*json.loads(body))
    except (TypeError, OverflowError) as error:
        raise ValueError(f"found a note that cannot be read ({error!r})") from error


def _text(key: FileKey) -> tuple[str, str | None, int]:
    table, service, hour = key
    return table, service, int(hour.timestamp())


def _key(table: str, service: str | None, hour: int) -> FileKey:
    return table, service, datetime.fromtimestamp(hour, UTC)
