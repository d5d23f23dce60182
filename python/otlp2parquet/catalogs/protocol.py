"""What a catalog promises to the committer, whatever it is; the committer sees only this.

Knows receipts and names of tables. Must not know Iceberg's metadata or any catalog's requests.

Errors are of three kinds, and nothing else is raised for what a catalog does:
``CatalogConflictError`` (somebody else was faster, nothing was committed),
``CatalogUnavailableError`` (a trouble that passes, or a commit of which nobody knows what became)
and ``CatalogRefusedError`` (it helps only if somebody changes something).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from otlp2parquet.catalogs.receipts import Receipt


class LoadedTable(Protocol):
    """A table as it was at one moment: the base of at most one commit."""

    def committed(self, node: str) -> frozenset[str]:
        """The keys of the node's receipts that the table says it has the files of."""

    def append(self, receipts: Sequence[Receipt], committed: Mapping[str, frozenset[str]]) -> None:
        """Commit all files of the receipts, in one snapshot and one attempt.

        ``committed`` are the keys that the table is to name from then on, for each node: in the
        same commit, which fails as a conflict if the table is not the one that was loaded.
        """


class Catalog(Protocol):
    """The tables of one namespace of a catalog."""

    def load(self, table: str) -> LoadedTable:
        """The table as it is now; made where it is missing, with the columns it lacks."""
