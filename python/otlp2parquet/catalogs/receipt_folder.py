"""The receipts in a storage: each is made once, found again, and removed.

Knows receipts and stores. Must not know catalogs, nor who commits.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from otlp2parquet.catalogs.receipts import (
    FOLDER,
    SUFFIX,
    DataFile,
    Receipt,
    ReceiptError,
    pack_receipt,
    read_receipt,
)
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.errors import NameTakenError
from otlp2parquet.stores import Store, writing
from otlp2parquet.stores.location import object_uri
from otlp2parquet.writers.protocol import StoredFile

_MOST_EXTRAS: Final = 100
"""Receipts that one batch may have for one table: a second is made only when a replay by another
version finds files that the first does not name."""


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

    def exists(self, path: str) -> bool:
        """Whether the receipt at ``path`` is still there."""
        try:
            self._store.open(path).close()
        except FileNotFoundError:
            return False
        return True

    def list(self, node: str = "", table: str = "") -> Iterator[str]:
        """The paths of receipts: all of them, those of a node, or those of a node for a table."""
        folder = "/".join(part for part in (FOLDER, node, table) if part)
        for one in self._store.list(folder):
            name = one.path.rpartition("/")[2]
            if name.endswith(SUFFIX) and not name.startswith("."):
                yield one.path

    def delete(self, receipt: Receipt) -> None:
        """Remove it: the table has its files."""
        self._store.delete(receipt.path)


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
