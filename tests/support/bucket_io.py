"""What a catalog's tables hold whose bucket is a folder: read by pyiceberg, as anybody would.

Knows pyiceberg's way to files, and that ``s3://bucket/key`` lies at ``key`` in the folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table

from tests.support.canonical import exact_rows, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa
    from pyiceberg.io.pyarrow import PyArrowFile

    from otlp2parquet.writers.protocol import ArrowArrayExportable
    from tests.support.rest_catalog import RestCatalogServer


class FolderIO(PyArrowFileIO):
    """Files of any bucket, in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def new_input(self, location: str) -> PyArrowFile:
        """The file that stands for an object."""
        return super().new_input(f"file://{self._folder}{urlsplit(location).path}")


def scanned(server: RestCatalogServer, folder: Path) -> dict[str, pa.Table]:
    """The rows of each table of a scripted catalog, by pyiceberg's scan."""
    io = FolderIO(folder)
    return {
        name: Table((namespace, name), metadata, "", io, None).scan().to_arrow()  # type: ignore[arg-type]
        for (namespace, name), metadata in server.state.tables.items()
    }


def sorted_rows(batches: Iterable[tuple[str, ArrowArrayExportable]]) -> dict[str, list[str]]:
    """The exact rows of each table, in an order of their own."""
    rows: dict[str, list[str]] = {}
    for table, batch in batches:
        rows.setdefault(table, []).extend(map(repr, exact_rows(rows_of(batch))))
    return {table: sorted(some) for table, some in rows.items()}


def rows_in(tables: Mapping[str, pa.Table]) -> dict[str, list[str]]:
    """The exact rows of tables; those that have none are left out."""
    return sorted_rows(
        (name, batch)
        for name, table in tables.items()
        for batch in table.combine_chunks().to_batches()
        if batch.num_rows
    )
