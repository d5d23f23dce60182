"""ParquetWriter: the rows of a planned file become one Parquet file in a store.

Joins what goes into a file (encode_pyarrow) with whose file it is (core.files) and how it gets
there (a store). Knows no batch but the one that it is given.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO

import pyarrow as pa

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.core import Batch
from otlp2parquet.core.files import (
    FoundFile,
    Group,
    PlannedFile,
    checked_batch_id,
    file_metadata,
    is_the_file,
    plan_files,
)
from otlp2parquet.core.layout import DEFAULT_LAYOUT, LAYOUTS, Layout, utc_hour
from otlp2parquet.errors import ConfigError, NameTakenError, StorageError
from otlp2parquet.stores import LocalStore, Store
from otlp2parquet.version import __version__
from otlp2parquet.writers.encode_pyarrow import arrow_table, with_field_ids, write_parquet
from otlp2parquet.writers.footer import Footer, column_statistics, found_file, read_footer
from otlp2parquet.writers.protocol import (
    ArrowArrayExportable,
    ColumnStatistics,
    Existing,
    StoredFile,
)
from otlp2parquet.writers.settings import Compression, ParquetSettings


class ParquetWriter:
    """An ``OtlpWriter``: an encoder over a store.

    ``root`` is a local folder, made when the first file is written, or any ``Store``.
    ``compression`` is ``zstd``, ``snappy``, ``gzip`` or ``none``; ``level`` its level (zstd 1 and
    gzip 6 by default); ``row_group_rows`` the largest row group; ``layout`` says where ``write``
    puts files: see ``partition_path``. ``field_ids_of`` gives the field ids that the files of a
    table are to have where they are not the schema's own: of the columns, then of the items of
    lists. A contradiction is a ``ConfigError``.

    A file appears whole and durable or not at all, and is never overwritten. The same batches
    under the same name give the same bytes. Safe to use from several threads.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | Store,
        *,
        compression: Compression = "zstd",
        level: int | None = None,
        row_group_rows: int = 262_144,
        layout: Layout = DEFAULT_LAYOUT,
        field_ids_of: Callable[[str], Sequence[int]] = lambda _: (),
    ) -> None:
        self.settings = ParquetSettings(compression, level, row_group_rows)
        if layout not in LAYOUTS:
            raise ConfigError(f"layout is {layout!r}: expected one of {', '.join(LAYOUTS)}")
        self._layout = layout
        self._field_ids_of = field_ids_of
        self._store = LocalStore(root) if isinstance(root, str | os.PathLike) else root

    @property
    def root(self) -> str:
        """What names the store: a local folder's absolute path."""
        return self._store.root

    def write(
        self,
        batches: ArrowArrayExportable | Sequence[ArrowArrayExportable],
        *,
        table: str | None = None,
        service: str | None = None,
        hour: datetime | None = None,
        batch_id: str | None = None,
        part: int = 0,
    ) -> StoredFile:
        """Store one batch, or several one after another, as one new file.

        A ``Batch`` knows its table, service and hour, and nothing more is needed. Any other
        Arrow record batch with the table's columns will do as well, with or without dictionary
        arrays; ``table``, ``service`` and ``hour`` then say where its rows belong. ``batch_id``
        is the text of a UUID that nothing else is written under, drawn if not given; files of
        one batch in one folder differ by ``part``.

        The file is ``<partition_path>/<batch_id>.parquet``, with ``-<part>`` before the dot when
        part is not 0. Raises ``NameTakenError``; ``StorageUnavailableError`` or
        ``StorageRefusedError`` when the storage fails; and ``ValueError`` for no rows, rows of
        another table than is said, batches that do not belong into one file, or a ``batch_id``
        or ``part`` that is none.
        """
        given = list(batches) if isinstance(batches, Sequence) else [batches]
        batch_id = new_batch_id() if batch_id is None else checked_batch_id(batch_id)
        if type(part) is not int or part < 0:  # it becomes part of a file's name
            raise ValueError(f"part {str(part)[:100]}: expected a whole number of 0 or more")
        groups = [_group(batch, table, service, hour) for batch in given]
        files = plan_files(groups, self._layout)
        if not files:
            raise ValueError("no batch to write: expected at least one")
        if len(files) > 1:
            folders = ", ".join(dict.fromkeys(file.folder for file in files))
            raise ValueError(f"batches of {folders} in one call: expected those of one file")
        (file,) = files
        # One service after another, as in every file; the sort leaves each one's order alone.
        order = {service: place for place, service in enumerate(file.services)}
        pairs = sorted(zip(groups, given, strict=True), key=lambda pair: order[pair[0].service])
        return self.store(replace(file, part=part), [batch for _, batch in pairs], batch_id)

    def store(
        self,
        file: PlannedFile,
        batches: Sequence[ArrowArrayExportable],
        batch_id: str,
        *,
        existing: Existing = "refuse",
    ) -> StoredFile:
        """Store ``batches`` as ``file`` of the batch: see ``OtlpWriter.store``."""
        name = file.name(checked_batch_id(batch_id))
        rows = arrow_table(file.table, batches)
        if field_ids := self._field_ids_of(file.table):
            rows = with_field_ids(file.table, rows, field_ids)
        metadata = file_metadata(file, batch_id, __version__)
        statistics = {}

        def fill(sink: BinaryIO) -> None:
            footer = write_parquet(rows, sink, self.settings, metadata)
            statistics.update(column_statistics(footer, file.table))

        try:
            size = self._store.create(name, fill)
        except NameTakenError:
            return self._existing(file, rows, batch_id, existing)
        return StoredFile(name, rows.num_rows, size, statistics)

    def take_back(self, file: PlannedFile, batch_id: str) -> None:
        """Remove the file of a batch that is given up: see ``OtlpWriter.take_back``."""
        name = file.name(checked_batch_id(batch_id))
        footer = self._footer(name)
        # Whatever its rows. What something else has put under the name is not ours to remove.
        found = None if footer is None else found_file(footer.metadata)
        if is_the_file(found, batch_id, file.part, [0], or_more=True):
            self._store.delete(name)

    def _existing(
        self, file: PlannedFile, rows: pa.Table, batch_id: str, existing: Existing
    ) -> StoredFile:
        """The receipt of the file that has the name, if it is the one; else ``NameTakenError``."""
        name = file.name(batch_id)
        try:
            footer = self._footer(name)
        except StorageError:
            if existing == "refuse":  # it is taken, whatever it is
                raise NameTakenError(name) from None
            raise
        found = None if footer is None else found_file(footer.metadata)
        given = rows.num_rows
        ours = existing != "refuse" and is_the_file(found, batch_id, file.part, {given, file.rows})
        if existing == "whole" and not ours:
            ours = is_the_file(found, batch_id, file.part, [0], or_more=True)
        if footer is None or not ours:
            expected = "a free name"
            if existing != "refuse":
                expected = f"batch {batch_id}, part {file.part}, with {given} rows"
            raise NameTakenError(name, f"{name} {_what_it_is(found)}; expected {expected}")
        columns: Mapping[int, ColumnStatistics] = {}
        if footer.metadata.num_rows == given:
            # From the rows, which are the file's, and not from its footer: see there.
            encoded = write_parquet(rows, pa.MockOutputStream(), self.settings, {})
            columns = column_statistics(encoded, file.table)
        return StoredFile(
            name, footer.metadata.num_rows, footer.file_bytes, columns, was_there=True
        )

    def _footer(self, name: str) -> Footer | None:
        """The footer of what has the name; ``None`` if that is no Parquet file, or is gone."""
        try:
            with self._store.open(name) as file:
                return read_footer(file)
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class _Rows:
    """A group, as its batch or the caller describes it."""

    table: str
    service: str | None
    hour: datetime
    num_rows: int

    def __str__(self) -> str:
        return f"{self.table}, service {self.service}, {self.hour:%Y-%m-%d %H} h UTC"


def _what_it_is(found: FoundFile | None) -> str:
    """A file that is in the way, in words."""
    if found is None:
        return "already exists and is not a readable parquet file"
    if found.batch_id is None:
        return f"already exists and holds {found.rows} rows of no batch"
    part = f", part {found.part}," if found.part else ""
    return f"already exists and holds batch {found.batch_id}{part} with {found.rows} rows"


def _group(
    batch: ArrowArrayExportable, table: str | None, service: str | None, hour: datetime | None
) -> Group:
    """Where a batch says that its rows belong, or the caller for it; both must agree."""
    if not hasattr(batch, "__arrow_c_array__"):
        raise TypeError(f"a batch is {type(batch).__name__}: expected an Arrow record batch")
    if not isinstance(batch, Batch):
        if table is None or hour is None:
            kind = type(batch).__name__
            raise ValueError(f"a {kind} does not say where it belongs: expected table and hour")
        num_rows = pa.record_batch(batch).num_rows
        return _Rows(table, service or None, utc_hour(hour), num_rows)
    own = _Rows(batch.table, batch.service, batch.hour, batch.num_rows)
    hour = own.hour if hour is None else utc_hour(hour)
    said = _Rows(table or own.table, service or own.service, hour, own.num_rows)
    if said != own:
        raise ValueError(f"a batch has rows of {own}: expected {said}")
    return own
