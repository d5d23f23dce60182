"""How a table is found, made, completed and checked before files come to it, for every client.

Knows the order of these steps and what is ours to choose. Must not know how a catalog is asked.

A table is made together with its first snapshot, which is empty: some catalogs (Nessie) let two
first snapshots overwrite each other, and a table that was never without one cannot lose any. Where
a table of somebody else has none, the first is empty, too, and marked; files come behind it when
no request that did not see it can be on its way any more.
"""

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from otlp2parquet.catalogs.awaiting import settled
from otlp2parquet.catalogs.columns import check, ids_in, missing_columns
from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.core.pure.schema import Column
from otlp2parquet.errors import CatalogConflictError, CatalogUnavailableError

COMMITTED: Final = "otlp2parquet.committed."
"""The table property that names the keys of a node's receipts, before the node's id."""

FIRST: Final = "otlp2parquet.first-snapshot"
"""In the summary of a first snapshot: ``with-table``, or ``later`` for a table that had none."""

SETTLE_SECS: Final = 60.0
"""How long the first snapshot of a table that had none rests: longer than any request."""

LOADS: Final = 3
"""How often a table is looked for while somebody else is making or changing it."""

MANIFEST_BYTES: Final = 1 << 20
"""A manifest of that size is not merged again: it lists some ten thousand files, and reading it
costs a fraction of a second."""
MANIFESTS: Final = 32
"""Small manifests that are merged together."""
PREVIOUS_METADATA: Final = 20

NEW_TABLE: Final[Mapping[str, str]] = {
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.target-size-bytes": str(MANIFEST_BYTES),
    "commit.manifest.min-count-to-merge": str(MANIFESTS),
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": str(PREVIOUS_METADATA),
}
"""The properties of a table that we make and keep."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What is ours to choose for tables."""

    namespace: tuple[str, ...] = ("otlp",)
    names: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The name in the catalog of each of our tables that has another."""
    partition: str = "day"
    warehouse: str = ""
    """Where new tables lie, as a URI; empty: where the catalog puts them."""
    keep_snapshots: int = 100
    manages_history: bool = False
    """Whether the service itself expires snapshots and removes files."""
    stages_tables: bool = True
    """Whether a table can be made together with its first snapshot."""

    def identifier(self, table: str) -> tuple[str, ...]:
        """A table's name in the catalog."""
        return (*self.namespace, self.names.get(table, table))

    def location(self, table: str) -> str:
        """Where a new table lies; empty: where the catalog puts it."""
        if not self.warehouse:
            return ""
        return "/".join([self.warehouse.rstrip("/"), *self.identifier(table)])

    @property
    def properties(self) -> dict[str, str]:
        """The properties of a new table."""
        return {} if self.manages_history else dict(NEW_TABLE)


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What metadata says of a table, in Iceberg's own JSON."""

    title: str
    location: str
    schema: Mapping[str, Any]
    spec: Mapping[str, Any]
    properties: Mapping[str, str]
    snapshot_ms: int | None
    """When its current snapshot was made; None if it has none."""
    summary: Mapping[str, Any]

    def shape(self, table: str) -> TableShape:
        """Where files go and with which ids, of a table that lacks nothing."""
        path = self.properties.get("write.data.path") or f"{self.location.rstrip('/')}/data"
        return TableShape(path.rstrip("/"), ids_in(self.schema, table))

    def nodes(self) -> frozenset[str]:
        """The nodes of which the table names keys."""
        return frozenset(
            name.removeprefix(COMMITTED) for name in self.properties if name.startswith(COMMITTED)
        )

    def committed(self, node: str) -> frozenset[str]:
        """The keys of the node's receipts that the table names."""
        return frozenset(filter(None, self.properties.get(COMMITTED + node, "").split(",")))


def named_properties(committed: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """The properties by which a table names keys, for each node that has any."""
    return {COMMITTED + node: ",".join(sorted(keys)) for node, keys in committed.items() if keys}


def unnamed_properties(committed: Mapping[str, frozenset[str]]) -> list[str]:
    """The properties that a table is to have no more, because their nodes have no key left."""
    return [COMMITTED + node for node, keys in committed.items() if not keys]


T = TypeVar("T")


class Tables(Protocol[T]):
    """A client of a catalog, and what it calls a table. It answers at once or gives awaitables.

    Raises the three errors of a catalog.
    """

    def find(self, name: str) -> Awaitable[T | None] | T | None:
        """The table as it is now, None if there is none."""

    def make(self, name: str) -> Awaitable[None] | None:
        """Make the table, with its first snapshot, in a namespace that is made where it lacks."""

    def add_columns(self, table: T, columns: Sequence[Column]) -> Awaitable[None] | None:
        """Add columns as optional ones."""

    def make_first_snapshot(self, table: T) -> Awaitable[None] | None:
        """Give a snapshot without files, marked as ``later``, to a table that has none."""

    def facts(self, table: T) -> TableFacts:
        """What the table says of itself."""


async def load_table(tables: Tables[T], name: str, now_ms: int) -> T:
    """The table as it is now, ready for files, where others make or change it at the same time."""
    for _ in range(LOADS - 1):
        with suppress(CatalogConflictError):
            return await _load(tables, name, now_ms)
    return await _load(tables, name, now_ms)


async def _load(tables: Tables[T], name: str, now_ms: int) -> T:
    table = await settled(tables.find(name))
    if table is None:
        await settled(tables.make(name))
        table = await _find(tables, name)
    facts = tables.facts(table)
    if missing := missing_columns(facts.schema, name):
        check(facts.title, facts.schema, facts.spec, name)
        await settled(tables.add_columns(table, missing))
        table = await _find(tables, name)
        facts = tables.facts(table)
    check(facts.title, facts.schema, facts.spec, name)
    if facts.snapshot_ms is None:
        await settled(tables.make_first_snapshot(table))
        table = await _find(tables, name)
        facts = tables.facts(table)
    _let_first_snapshot_settle(facts, now_ms)
    return table


async def _find(tables: Tables[T], name: str) -> T:
    """A table that was there a moment ago."""
    table = await settled(tables.find(name))
    if table is None:
        raise CatalogConflictError(f"the table {name} was there, and is not any more")
    return table


def _let_first_snapshot_settle(facts: TableFacts, now_ms: int) -> None:
    if facts.snapshot_ms is None:
        raise CatalogConflictError("the first snapshot of the table is not there yet")
    if facts.summary.get(FIRST) != "later":
        return
    age = (now_ms - facts.snapshot_ms) / 1000
    if age < SETTLE_SECS:
        raise CatalogUnavailableError(
            f"the table {facts.title} got its first snapshot {age:.0f} s ago, files come "
            f"{SETTLE_SECS:.0f} s behind it"
        )
