"""Receipts: small objects in the storage that say which files a table has yet to take.

Knows their JSON and where they lie. Must not know catalogs, nor any storage. There is one
receipt for each batch and table, made when all files of the batch are stored and before the log
forgets the batch; it goes when the table has the files. They lie in the storage under
``.otlp2parquet/receipts/<node>/<table>/<key>.json``: readers of tables pass by names that begin
with a dot.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from otlp2parquet.core.files import checked_batch_id
from otlp2parquet.core.schema import TABLE_FOLDERS
from otlp2parquet.writers.protocol import ColumnStatistics

FOLDER: Final = ".otlp2parquet/receipts"
SUFFIX: Final = ".json"
_VERSION: Final = 1


class ReceiptError(ValueError):
    """An object among the receipts that is none, or that another version has to read."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A stored file, with all that a table has to know of it."""

    location: str
    """The file's URI."""
    rows: int
    bytes: int
    hour: int
    """The hour of all its rows, in seconds since the epoch, UTC."""
    columns: Mapping[int, ColumnStatistics] = field(default_factory=dict, hash=False)
    """By the field ids of our schema, whatever ids the file has."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The files of one batch for one table."""

    node: str
    """Who wrote them: the id beside that server's log."""
    batch_id: str
    table: str
    files: tuple[DataFile, ...]
    field_ids: tuple[int, ...] = ()
    """The field ids in the files, in the order of our schema; empty where they are our schema's."""
    extra: int = 0
    """Tells apart several receipts of one batch and table."""

    @property
    def key(self) -> str:
        """What a table notes to have these files."""
        return f"{self.batch_id}.{self.extra}" if self.extra else self.batch_id

    @property
    def path(self) -> str:
        """Where it lies, below the storage's root."""
        return path_of(self.node, self.table, self.key)


def folder_of(node: str, table: str) -> str:
    """Where a node's receipts for a table lie."""
    return f"{FOLDER}/{node}/{table}"


def opened_ms(batch_id: str) -> int | None:
    """When a batch was opened, in ms since the epoch: a UUIDv7 begins with it.

    None for the batch of a conversion, whose id is made of what is in it.
    """
    identity = UUID(batch_id.partition(".")[0])
    return identity.int >> 80 if identity.version == 7 else None  # noqa: PLR2004 - RFC 9562


def pack_receipt(receipt: Receipt) -> bytes:
    """A receipt as the bytes of its object."""
    files = [
        {
            "location": file.location,
            "rows": file.rows,
            "bytes": file.bytes,
            "hour": file.hour,
            "columns": {
                str(number): [column.null_count, column.lower, column.upper]
                for number, column in file.columns.items()
            },
        }
        for file in receipt.files
    ]
    packed = {
        "version": _VERSION,
        "node": receipt.node,
        "batch_id": receipt.batch_id,
        "extra": receipt.extra,
        "table": receipt.table,
        "field_ids": list(receipt.field_ids),
        "files": files,
    }
    return json.dumps(packed, separators=(",", ":")).encode("ascii")


def read_receipt(body: bytes, path: str) -> Receipt:
    """The receipt in an object at ``path``; raises ``ReceiptError``."""
    try:
        packed = json.loads(body)
        version = packed["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ReceiptError(f"{path}: found no receipt, expected the JSON of one") from error
    if version != _VERSION:
        raise ReceiptError(
            f"{path}: found a receipt of version {str(version)[:100]}, expected {_VERSION}: "
            "another version of otlp2parquet wrote it"
        )
    try:
        receipt = Receipt(
            node=str(UUID(packed["node"])),
            batch_id=checked_batch_id(packed["batch_id"]),
            table=packed["table"],
            files=tuple(_file(one) for one in packed["files"]),
            field_ids=tuple(int(number) for number in packed["field_ids"]),
            extra=int(packed["extra"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReceiptError(f"{path}: found a receipt that cannot be read: {error!r}") from error
    if receipt.table not in TABLE_FOLDERS:
        raise ReceiptError(
            f"{path}: found a receipt for the table {str(receipt.table)[:100]!r}, expected one of "
            f"{', '.join(TABLE_FOLDERS)}"
        )
    if not receipt.files:
        raise ReceiptError(f"{path}: found a receipt without files, expected at least one")
    if receipt.path != path:
        raise ReceiptError(f"{path}: found the receipt that belongs at {receipt.path}")
    return receipt


def _file(packed: Mapping[str, Any]) -> DataFile:
    columns = {
        int(number): ColumnStatistics(int(nulls), lower, upper)
        for number, (nulls, lower, upper) in packed["columns"].items()
    }
    numbers = (int(packed["rows"]), int(packed["bytes"]), int(packed["hour"]))
    if not isinstance(packed["location"], str) or min(numbers[:2]) < 1:
        raise ValueError(f"location, rows and bytes of a file: {str(packed)[:300]}")
    return DataFile(packed["location"], *numbers, columns)


def node_of(path: str) -> str:
    """The node whose receipt lies at ``path``; empty if that is no receipt's path."""
    parts = path.removeprefix(f"{FOLDER}/").split("/")
    return parts[0] if path.startswith(f"{FOLDER}/") and len(parts) == 3 else ""  # noqa: PLR2004


def key_of(path: str) -> str:
    """The key of the receipt at ``path``, whether that can be read or not."""
    return path.rpartition("/")[2].removesuffix(SUFFIX)


def path_of(node: str, table: str, key: str) -> str:
    """Where the receipt with that key lies: see ``Receipt.path``."""
    return f"{folder_of(node, table)}/{key}{SUFFIX}"
