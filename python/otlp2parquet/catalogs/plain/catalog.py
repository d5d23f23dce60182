"""The tables of a REST catalog behind the committer's protocol, by plain Python.

Knows how tables are found and made through ``rest``; ``loading`` says in which order. Must not know
when something is committed.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from otlp2parquet.catalogs.columns import Json, field_of, schema_of, spec_of
from otlp2parquet.catalogs.loading import FIRST, TableFacts, TableOptions, load_table
from otlp2parquet.catalogs.plain.metadata import (
    assert_snapshot,
    assert_uuid,
    column_updates,
    creation_updates,
    snapshot_updates,
)
from otlp2parquet.catalogs.plain.protocol import Objects
from otlp2parquet.catalogs.plain.rest import RestClient
from otlp2parquet.catalogs.plain.table import Attempt, PlainTable
from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.core.pure.schema import Column
from otlp2parquet.errors import CatalogRefusedError

FORMAT_VERSION: Final = 2


class PlainCatalog:
    """A ``Catalog`` whose calls are awaited. ``objects`` is the bucket that its tables lie in.

    ``bucket`` is that one's name: a table that lies in another is refused. Empty: the bucket is
    taken to be the one of which the catalog speaks. ``shapes`` is where the shapes of tables are
    remembered, which several catalogs may share; a catalog itself is for one committer.
    """

    def __init__(
        self,
        client: RestClient,
        objects: Objects,
        options: TableOptions | None = None,
        *,
        bucket: str = "",
        shapes: dict[str, TableShape] | None = None,
        time_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.options = TableOptions() if options is None else options
        self._client = client
        self._objects = objects
        self._bucket = bucket
        self._time_ms = time_ms
        self._shapes = {} if shapes is None else shapes
        self._attempts: dict[str, list[Attempt]] = {}

    async def load(self, table: str) -> PlainTable:
        """See ``Catalog.load``."""
        loaded = await load_table(self, table, self._time_ms())
        self._shapes[table] = loaded.shape
        return loaded

    async def shape(self, table: str) -> TableShape:
        """Where a table's files go, and with which field ids.

        Asked once, and then remembered; the table is made where it is missing.
        """
        known = self._shapes.get(table)
        return (await self.load(table)).shape if known is None else known

    # -- what ``load_table`` asks for ---------------------------------------------------------

    async def find(self, name: str) -> PlainTable | None:
        """See ``Tables.find``."""
        metadata = await self._client.load_table(self.options.identifier(name))
        return None if metadata is None else self._table(name, metadata)

    def facts(self, table: PlainTable) -> TableFacts:
        """See ``Tables.facts``."""
        return table.facts

    async def make(self, name: str) -> None:
        """See ``Tables.make``."""
        for depth in range(1, len(self.options.namespace) + 1):
            try:
                await self._client.create_namespace(self.options.namespace[:depth])
            except CatalogRefusedError:
                continue  # making it may not be allowed, and it may be there
        request: dict[str, Any] = {
            "schema": schema_of(name),
            "partition-spec": spec_of(name, self.options.partition),
            "write-order": {"order-id": 0, "fields": []},
            "stage-create": self.options.stages_tables,
            "properties": self.options.properties,
        }
        if location := self.options.location(name):
            request["location"] = location
        identifier = self.options.identifier(name)
        table = self._table(name, await self._client.create_table(identifier, request))
        if not self.options.stages_tables:
            await self._commit_first(table, "with-table")
            return
        snapshot, _ = await table.write_snapshot([], {FIRST: "with-table"})
        updates = [*creation_updates(table.metadata), *snapshot_updates(snapshot)]
        await self._client.commit(identifier, [{"type": "assert-create"}], updates)

    async def add_columns(self, table: PlainTable, columns: Sequence[Column]) -> None:
        """See ``Tables.add_columns``."""
        fields = [(column, field_of(column)) for column in columns]
        await self._client.commit(table.identifier, *column_updates(table.metadata, fields))

    async def make_first_snapshot(self, table: PlainTable) -> None:
        """See ``Tables.make_first_snapshot``."""
        await self._commit_first(table, "later")

    async def _commit_first(self, table: PlainTable, when: str) -> None:
        snapshot, _ = await table.write_snapshot([], {FIRST: when})
        requirements = [assert_uuid(table.metadata), assert_snapshot(table.metadata)]
        await self._client.commit(table.identifier, requirements, snapshot_updates(snapshot))

    def _table(self, name: str, metadata: Json) -> PlainTable:
        identifier = self.options.identifier(name)
        title = ".".join(identifier)
        if (version := metadata["format-version"]) != FORMAT_VERSION:
            raise CatalogRefusedError(
                f"the table {title} is not one for {name}: found the format version {version}, "
                f"expected {FORMAT_VERSION}"
            )
        there = urlsplit(metadata["location"]).netloc
        if self._bucket and there != self._bucket:
            raise CatalogRefusedError(
                f"the table {title} is not one for {name}: found it in the bucket {there}, "
                f"expected {self._bucket}"
            )
        return PlainTable(
            self._client,
            self._objects,
            identifier,
            name,
            metadata,
            options=self.options,
            now_ms=self._time_ms(),
            attempts=self._attempts.setdefault(name, []),
        )
