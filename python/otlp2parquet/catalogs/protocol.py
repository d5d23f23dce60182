"""What a catalog and receipts promise to the committer, whatever they are; it sees only this.

Knows receipts and names of tables. Must not know Iceberg's metadata or any catalog's requests. A
client gives each answer at once, or all of them as awaitables (``awaiting`` says why).

Errors are of three kinds, and nothing else is raised for what a catalog does:
``CatalogConflictError`` (somebody else was faster, nothing was committed),
``CatalogUnavailableError`` (a trouble that passes, or a commit of which nobody knows what became)
and ``CatalogRefusedError`` (it helps only if somebody changes something).
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Protocol

from otlp2parquet.catalogs.receipts import Receipt


class LoadedTable(Protocol):
    """A table as it was at one moment: the base of at most one commit."""

    def nodes(self) -> frozenset[str]:
        """The nodes of which the table names keys."""

    def committed(self, node: str) -> frozenset[str]:
        """The keys of the node's receipts that the table says it has the files of."""

    def append(
        self, receipts: Sequence[Receipt], committed: Mapping[str, frozenset[str]]
    ) -> Awaitable[None] | None:
        """Commit all files of the receipts, in one snapshot and one attempt.

        ``committed`` are the keys that the table is to name from then on, for each node; a node
        without any is named no more. In the same commit, which fails as a conflict if the table is
        not the one that was loaded.
        """


class Catalog(Protocol):
    """The tables of one namespace of a catalog."""

    def load(self, table: str) -> Awaitable[LoadedTable] | LoadedTable:
        """The table as it is now; made where it is missing, with the columns it lacks."""


class Receipts(Protocol):
    """The receipts in a storage, whose errors all calls raise."""

    def read(self, path: str) -> Awaitable[Receipt | None] | Receipt | None:
        """The receipt at ``path``, None if there is none. Raises ``ReceiptError``."""

    def exists(self, path: str) -> Awaitable[bool] | bool:
        """Whether the receipt at ``path`` is still there."""

    def list(self, node: str = "", table: str = "") -> Awaitable[Iterable[str]] | Iterable[str]:
        """The paths of receipts: all of them, those of a node, or those of a node for a table."""

    def delete(self, receipt: Receipt) -> Awaitable[None] | None:
        """Remove it: the table has its files."""
