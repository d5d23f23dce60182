"""Iceberg tables behind the committer's protocol, by pyiceberg, whatever the catalog is.

Knows how pyiceberg makes, loads and commits to a table; ``loading`` says in which order. Must not
know when, nor which kind of catalog it is. pyiceberg's own retry is passed by: it applies a commit
again without looking whether the first one arrived, so a transaction here is one attempt.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyiceberg.catalog import Catalog as PyIcebergCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table, TableProperties, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update import (
    AssertTableUUID,
    RemoveSnapshotsUpdate,
    TableUpdate,
    update_table_metadata,
)
from pyiceberg.table.update.snapshot import _MergeAppendFiles
from pyiceberg.types import NestedField
from pyiceberg.utils.properties import property_as_bool, property_as_int

from otlp2parquet.catalogs.awaiting import run_now
from otlp2parquet.catalogs.columns import field_of
from otlp2parquet.catalogs.data_files import data_files
from otlp2parquet.catalogs.loading import (
    FIRST,
    MANIFEST_BYTES,
    MANIFESTS,
    TableFacts,
    TableOptions,
    load_table,
    named_properties,
    unnamed_properties,
)
from otlp2parquet.catalogs.receipts import Receipt
from otlp2parquet.catalogs.rewriting import rewritten
from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.catalogs.tables import facts_of, new_spec, our_ids, our_schema
from otlp2parquet.catalogs.trouble import told
from otlp2parquet.catalogs.upkeep import Expiry, plan_expiry, remove_expired
from otlp2parquet.core.pure.schema import Column

log = logging.getLogger(__name__)


class IcebergCatalog:
    """A ``Catalog``. ``connect`` is called when it is first needed, and again after it failed.

    ``on_shape`` is told the shape of each table that is loaded. The committer and whoever asks
    where a table lies are threads of their own: either may be the first to come.
    """

    def __init__(
        self,
        connect: Callable[[], PyIcebergCatalog],
        options: TableOptions | None = None,
        on_shape: Callable[[str, TableShape], None] = lambda _table, _shape: None,
        time_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.options = TableOptions() if options is None else options
        self.on_shape = on_shape
        self._connect = connect
        self._time_ms = time_ms
        self._connecting = threading.Lock()
        self._connected: PyIcebergCatalog | None = None
        self._has_namespace = False
        self._attempts: dict[str, list[_Attempt]] = {}

    def reach(self) -> None:
        """Connect to the catalog, if that was not done yet."""
        with told():
            self._reached()

    def _reached(self) -> PyIcebergCatalog:
        # An embedded catalog makes its own tables here: two at once would be in each other's way.
        with self._connecting:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    def load(self, table: str) -> "IcebergTable":
        """See ``Catalog.load``."""
        loaded = run_now(load_table(self, table, self._time_ms()))
        shape = facts_of(loaded).shape(table)
        self.on_shape(table, shape)
        return IcebergTable(
            loaded,
            table,
            shape,
            options=self.options,
            attempts=self._attempts.setdefault(table, []),
            time_ms=self._time_ms,
        )

    def shape(self, table: str) -> TableShape:
        """Where a table's files go, and with which field ids; made where it is missing."""
        return self.load(table).shape

    def find(self, name: str) -> Table | None:
        """See ``Tables.find``."""
        with told():
            try:
                return self._reached().load_table(self.options.identifier(name))
            except NoSuchTableError:
                return None

    def make(self, name: str) -> None:
        """See ``Tables.make``."""
        with told():
            self._make(self._reached(), name)

    def add_columns(self, table: Table, columns: Sequence[Column]) -> None:
        """See ``Tables.add_columns``."""
        with told():
            self._add_columns(table, columns)

    def make_first_snapshot(self, table: Table) -> None:
        """See ``Tables.make_first_snapshot``."""
        with told():
            _first_snapshot(_Transaction(table), "later")

    def facts(self, table: Table) -> TableFacts:
        """See ``Tables.facts``."""
        return facts_of(table)

    def _make(self, catalog: PyIcebergCatalog, name: str) -> None:
        if not self._has_namespace:
            # Where one may not look whether there is one, it may well be there.
            self._make_namespace(catalog)
            self._has_namespace = True
        identifier = self.options.identifier(name)
        arguments: dict[str, Any] = {
            "identifier": identifier,
            "schema": our_schema(name),
            "partition_spec": new_spec(name, self.options.partition),
            "properties": self.options.properties,
        }
        if location := self.options.location(name):
            arguments["location"] = location
        if self.options.stages_tables:
            _first_snapshot(catalog.create_table_transaction(**arguments), "with-table")
        else:
            _first_snapshot(_Transaction(catalog.create_table(**arguments)), "with-table")
        log.info("made a table", extra={"fields": {"table": ".".join(identifier)}})

    def _make_namespace(self, catalog: PyIcebergCatalog) -> None:
        namespace = self.options.namespace
        for depth in range(1, len(namespace) + 1):
            try:
                catalog.create_namespace(namespace[:depth])
            except NamespaceAlreadyExistsError:
                continue
            except Exception:  # making it may not be allowed; what counts is the table
                log.debug(
                    "the namespace %s was not made", ".".join(namespace[:depth]), exc_info=True
                )

    def _add_columns(self, table: Table, missing: Sequence[Column]) -> None:
        transaction = _Transaction(table)
        with transaction.update_schema() as update:
            for column in missing:
                kind = NestedField.model_validate(field_of(column)).field_type
                update.add_column(column.name, kind, required=False)
        transaction.commit_transaction()
        names = ", ".join(column.name for column in missing)
        fields = {"table": ".".join(table.name()), "columns": names}
        log.info("a table lacked columns, they are added", extra={"fields": fields})


class IcebergTable:
    """A ``LoadedTable``."""

    def __init__(
        self,
        table: Table,
        name: str,
        shape: TableShape,
        *,
        options: TableOptions,
        attempts: "list[_Attempt]",
        time_ms: Callable[[], int],
    ) -> None:
        self.table = table
        self.shape = shape
        self._name = name
        self._options = options
        self._attempts = attempts
        self._time_ms = time_ms

    def nodes(self) -> frozenset[str]:
        """See ``LoadedTable.nodes``."""
        return facts_of(self.table).nodes()

    def committed(self, node: str) -> frozenset[str]:
        """See ``LoadedTable.committed``."""
        return facts_of(self.table).committed(node)

    def append(self, receipts: Sequence[Receipt], committed: Mapping[str, frozenset[str]]) -> None:
        """See ``LoadedTable.append``."""
        with told():
            self._append(receipts, committed)

    def _append(self, receipts: Sequence[Receipt], committed: Mapping[str, frozenset[str]]) -> None:
        table, keys = self.table, {receipt.key for receipt in receipts}
        current = table.current_snapshot()
        base = None if current is None else current.snapshot_id
        self._clear_attempts(keys, base)
        transaction = _Transaction(table)
        append = _Append(transaction)
        for receipt in receipts:
            for file in data_files(table, self._with_own_ids(receipt)):
                append.append_data_file(file)
        # The first to be staged: pyiceberg applies all that is staged before, again and again.
        append.commit()
        transaction.set_properties(named_properties(committed))
        if unnamed := unnamed_properties(committed):
            transaction.remove_properties(*unnamed)
        expiry = Expiry()
        if not self._options.manages_history:
            expiry = plan_expiry(table, self._options.keep_snapshots, self._time_ms())
        if expiry.expired:
            ids = [snapshot.snapshot_id for snapshot in expiry.expired]
            # ExpireSnapshots commits alone, so this is its only way into the same commit.
            transaction._apply(  # noqa: SLF001
                (RemoveSnapshotsUpdate.model_validate({"snapshot-ids": ids}),)
            )
        self._attempts.append(_Attempt(base, frozenset(keys), append))
        transaction.commit_transaction()
        self._attempts.pop()
        append.remove_unused()
        if expiry.expired:
            count = remove_expired(table.io, expiry, table.current_snapshot())
            log.debug("files of expired snapshots are removed", extra={"fields": {"files": count}})

    def _with_own_ids(self, receipt: Receipt) -> Receipt:
        """The receipt of files that have the table's field ids: itself, or one of copies."""
        have = receipt.field_ids or our_ids(self._name)
        if have == self.shape.field_ids:
            return receipt
        return rewritten(self.table, receipt, self.shape)

    def _clear_attempts(self, keys: set[str], base: int | None) -> None:
        """Remove what earlier attempts have written that can never become part of the table.

        ``keys`` are of receipts that exist, and that the table did not name: an attempt that had
        one of them had not arrived. If the table has moved on, it cannot arrive any more.
        """
        for attempt in self._attempts:
            if attempt.keys & keys and attempt.base != base:
                attempt.append.remove_files()
        self._attempts[:] = [one for one in self._attempts if one.keys & keys and one.base == base]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A commit of which it is not known that it arrived."""

    base: int | None
    keys: frozenset[str]
    append: "_Append"


class _Transaction(Transaction):
    """A transaction of one attempt, whatever the table's properties say of retries."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._applied: tuple[tuple[TableUpdate, ...], TableMetadata] = ((), table.metadata)

    @property
    def table_metadata(self) -> TableMetadata:
        """The metadata with what is staged.

        pyiceberg's own copies all of it for each look at it, which was five sixths of a commit's
        time with a hundred snapshots.
        """
        updates, metadata = self._applied
        if updates is not self._updates:
            metadata = update_table_metadata(self._table.metadata, self._updates)
            self._applied = (self._updates, metadata)
        return metadata

    def commit_transaction(self) -> Table:
        """Commit what is staged, once."""
        requirements = (*self._requirements, AssertTableUUID(uuid=self._table.metadata.table_uuid))
        self._table._do_commit(updates=self._updates, requirements=requirements)  # noqa: SLF001 - pyiceberg's own loop is passed by on purpose
        return self._table


class _Append(_MergeAppendFiles):
    """An append that merges small manifests, unless the table says otherwise."""

    def __init__(self, transaction: Transaction, summary: Mapping[str, str] | None = None) -> None:
        super().__init__(
            operation=Operation.APPEND,
            transaction=transaction,
            io=transaction._table.io,  # noqa: SLF001 - as pyiceberg's own
            snapshot_properties=dict(summary or {}),
        )
        said = transaction.table_metadata.properties
        size = property_as_int(said, TableProperties.MANIFEST_TARGET_SIZE_BYTES, MANIFEST_BYTES)
        count = property_as_int(said, TableProperties.MANIFEST_MIN_MERGE_COUNT, MANIFESTS)
        self._target_size_bytes = size or MANIFEST_BYTES
        self._min_count_to_merge = count or MANIFESTS
        self._unused: list[str] = []
        # As Java's writers have it; pyiceberg's own default lets them pile up.
        self._merge_enabled = property_as_bool(said, TableProperties.MANIFEST_MERGE_ENABLED, True)  # noqa: FBT003

    def _process_manifests(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        merged = super()._process_manifests(manifests)
        needed = {manifest.manifest_path for manifest in merged}
        # The manifest of the new files is written first, and then merged with others.
        self._unused = [path for path in self._written_manifests if path not in needed]
        return merged

    def remove_unused(self) -> None:
        """Remove manifests that it wrote and then merged. Raises nothing."""
        for path in self._unused:
            try:
                self._io.delete(path)
            except Exception as error:  # noqa: BLE001 - it is left over, and harms nobody
                log.debug("a manifest that was merged is left over: %s: %s", path, error)

    def remove_files(self) -> None:
        """Remove the manifests that it has written. Raises nothing."""
        self._clean_all_uncommitted()


def _first_snapshot(transaction: Transaction, when: str) -> None:
    """Make a snapshot without files, with whatever else the transaction holds."""
    _Append(transaction, {FIRST: when}).commit()
    transaction.commit_transaction()
