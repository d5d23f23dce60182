"""Receipts: small objects in the storage that say which files a table has yet to take.

Knows their JSON, where they lie, and how they are made once. Must not know catalogs. There is one
receipt for each batch and table, made when all files of the batch are stored and before the log
forgets the batch; it goes when the table has the files. They lie in the storage under
``.otlp2parquet/receipts/<node>/<table>/<key>.json``: readers of tables pass by names that begin
with a dot.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from otlp2parquet.core.files import PlannedFile, checked_batch_id
from otlp2parquet.core.schema import TABLE_FOLDERS
from otlp2parquet.errors import NameTakenError
from otlp2parquet.stores import Store, writing
from otlp2parquet.stores.location import object_uri
from otlp2parquet.writers.protocol import ColumnStatistics, StoredFile

FOLDER: Final = ".otlp2parquet/receipts"
_SUFFIX: Final = ".json"
_VERSION: Final = 1
_MOST_EXTRAS: Final = 100
"""Receipts that one batch may have for one table: a second is made only when a replay by another
version finds files that the first does not name."""


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
        return f"{folder_of(self.node, self.table)}/{self.key}{_SUFFIX}"


def folder_of(node: str, table: str) -> str:
    """Where a node's receipts for a table lie."""
    return f"{FOLDER}/{node}/{table}"


def opened_ms(batch_id: str) -> int:
    """When a batch was opened, in ms since the epoch: a UUIDv7 begins with it."""
    return UUID(batch_id.partition(".")[0]).int >> 80


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


class ReceiptFolder:
    """The receipts in a storage. All calls raise the storage's errors."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, receipt: Receipt) -> Receipt:
        """Keep a receipt, once: gives the one that is kept for these files.

        The same receipt may be there from an earlier attempt. One that names other files is an
        earlier version's, of before a replay: what it does not name gets a receipt of its own.
        """
        for extra in range(_MOST_EXTRAS):
            wanted = replace(receipt, extra=extra)
            try:
                self._store.create(wanted.path, writing(pack_receipt(wanted)))
            except NameTakenError:
                there = self.read(wanted.path)
                if there is None:  # gone this moment: a table has it
                    return wanted
                named = {file.location for file in there.files}
                missing = tuple(file for file in receipt.files if file.location not in named)
                if not missing:
                    return there
                receipt = replace(receipt, files=missing)
            else:
                return wanted
        raise ReceiptError(f"{receipt.path}: found {_MOST_EXTRAS} receipts of one batch")

    def read(self, path: str) -> Receipt | None:
        """The receipt at ``path``, None if there is none. Raises ``ReceiptError``."""
        try:
            with self._store.open(path) as file:
                return read_receipt(file.read(), path)
        except FileNotFoundError:
            return None

    def exists(self, receipt: Receipt) -> bool:
        """Whether it is still there."""
        try:
            self._store.open(receipt.path).close()
        except FileNotFoundError:
            return False
        return True

    def list(self, node: str = "", table: str = "") -> Iterator[str]:
        """The paths of receipts: all of them, those of a node, or those of a node for a table."""
        folder = "/".join(part for part in (FOLDER, node, table) if part)
        for one in self._store.list(folder):
            name = one.path.rpartition("/")[2]
            if name.endswith(_SUFFIX) and not name.startswith("."):
                yield one.path

    def delete(self, receipt: Receipt) -> None:
        """Remove it: the table has its files."""
        self._store.delete(receipt.path)


def node_of(path: str) -> str:
    """The node whose receipt lies at ``path``; empty if that is no receipt's path."""
    parts = path.removeprefix(f"{FOLDER}/").split("/")
    return parts[0] if path.startswith(f"{FOLDER}/") and len(parts) == 3 else ""  # noqa: PLR2004


def key_of(path: str) -> str:
    """The key of the receipt at ``path``, whether that can be read or not."""
    return path.rpartition("/")[2].removesuffix(_SUFFIX)


class ReceiptFinisher:
    """A ``Finisher``: the last step of a batch but for its log.

    ``on_receipt`` is told of each receipt once all of a batch are kept. ``field_ids_of`` gives the
    field ids with which a table's files are written.
    """

    def __init__(
        self,
        folder: ReceiptFolder,
        node: str,
        on_receipt: Callable[[Receipt], None],
        field_ids_of: Callable[[str], Sequence[int]] = lambda _: (),
    ) -> None:
        self._folder = folder
        self._node = node
        self._on_receipt = on_receipt
        self._field_ids_of = field_ids_of

    def finish(
        self, batch_id: str, root: str, files: Iterable[tuple[PlannedFile, StoredFile]]
    ) -> None:
        """Keep a receipt for each table of the batch."""
        by_table: dict[str, dict[bool, list[DataFile]]] = {}
        for planned, stored in files:
            file = DataFile(
                stored.location or object_uri(root, stored.path),
                stored.rows,
                stored.bytes,
                int(planned.hour.timestamp()),
                stored.columns,
            )
            kinds = by_table.setdefault(planned.table, {})
            kinds.setdefault(bool(stored.location), []).append(file)
        kept = []
        for table, kinds in by_table.items():
            # A file whose batch was begun without a catalog has our own field ids.
            for is_in_table, some in kinds.items():
                numbers = tuple(self._field_ids_of(table)) if is_in_table else ()
                receipt = Receipt(self._node, batch_id, table, tuple(some), numbers)
                kept.append(self._folder.create(receipt))
        for receipt in kept:
            self._on_receipt(receipt)
