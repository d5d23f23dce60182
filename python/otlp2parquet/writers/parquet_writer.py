"""ParquetWriter: the rows of one table, service and hour become one file in a local folder.

Joins what goes into a file (parquet_file) with how it gets there (local_files). Knows no
batch but the one it is given.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from otlp2parquet.core.schema import SCHEMA_VERSION
from otlp2parquet.version import __version__
from otlp2parquet.writers.local_files import LocalFolder
from otlp2parquet.writers.parquet_file import (
    Compression,
    ParquetSettings,
    arrow_table,
    write_parquet,
)
from otlp2parquet.writers.protocol import (
    ArrowArrayExportable,
    FoundFile,
    NameTakenError,
    StoredFile,
    file_name,
)

BATCH_ID_KEY = "otlp2parquet.batch_id"
TABLE_KEY = "otlp2parquet.table"


class ParquetWriter:
    """An ``OtlpWriter`` on a local folder.

    ``root`` is made when the first file is written. ``compression`` is ``zstd``, ``snappy``,
    ``gzip`` or ``none``; ``level`` its level (zstd 1 and gzip 6 by default);
    ``row_group_rows`` the largest row group. A contradiction is a ``ConfigError``.

    A file appears whole and durable or not at all, and is never overwritten. The same batches
    under the same name give the same bytes. Safe to use from several threads.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        compression: Compression = "zstd",
        level: int | None = None,
        row_group_rows: int = 262_144,
    ) -> None:
        self.settings = ParquetSettings(compression, level, row_group_rows)
        self._folder = LocalFolder(root)

    @property
    def root(self) -> str:
        """The folder, as an absolute path."""
        return str(self._folder.root)

    def write(
        self,
        batches: Sequence[ArrowArrayExportable],
        *,
        table: str,
        service: str | None,
        hour: datetime,
        batch_id: str,
        part: int = 0,
    ) -> StoredFile:
        """Store ``batches``, one after another, as one file: see ``OtlpWriter.write``.

        ``batches`` are ``Batch`` objects or any Arrow record batches of ``table``'s columns,
        with or without dictionary arrays. The file is
        ``<partition_path>/<batch_id>.parquet``, with ``-<part>`` before the dot when part is
        not 0. Raises ``NameTakenError``, ``StorageError`` or ``ValueError`` (no rows).
        """
        name = file_name(table, service, hour, batch_id, part)
        rows = arrow_table(batches)
        metadata = {
            "otlp2parquet.schema_version": str(SCHEMA_VERSION),
            TABLE_KEY: table,
            "otlp2parquet.version": __version__,
            BATCH_ID_KEY: batch_id,
        }

        def fill(sink: BinaryIO) -> None:
            write_parquet(rows, sink, self.settings, metadata)

        try:
            size = self._folder.create(name, fill)
        except FileExistsError as error:
            raise NameTakenError(name, self._found(name)) from error
        return StoredFile(name, table, service, hour, rows.num_rows, size)

    def _found(self, name: str) -> FoundFile | None:
        try:
            footer = pq.read_metadata(self._folder.root / name)
        except (OSError, pa.ArrowInvalid):
            return None
        notes = footer.metadata or {}
        table, batch_id = notes.get(TABLE_KEY.encode()), notes.get(BATCH_ID_KEY.encode())
        return FoundFile(
            None if table is None else table.decode(errors="replace"),
            None if batch_id is None else batch_id.decode(errors="replace"),
            footer.num_rows,
        )
