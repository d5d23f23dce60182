"""An ``OtlpWriter`` whose files lie under the tables of a catalog, with the tables' field ids.

Knows where tables lie, and how a store is opened at a place. Must not know when files become part
of a table. Its plans have the layout ``table``: the first part of a path stands for the table.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from otlp2parquet.catalogs.places import TablePlaces
from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.errors import NameTakenError
from otlp2parquet.stores import Store
from otlp2parquet.stores.location import object_uri, root_of
from otlp2parquet.writers import OtlpWriter, StoredFile
from otlp2parquet.writers.protocol import ArrowArrayExportable, Existing


class TableWriter:
    """``root`` names the catalog; ``writer_at`` gives the writer over a store, for field ids."""

    def __init__(
        self,
        root: str,
        places: TablePlaces,
        open_at: Callable[[str], Store],
        writer_at: Callable[[Store, Callable[[str], Sequence[int]]], OtlpWriter],
    ) -> None:
        self.root = root
        self._places = places
        self._open_at = open_at
        self._writer_at = writer_at
        self._lock = threading.Lock()
        self._writers: dict[TableShape, OtlpWriter] = {}

    def store(
        self,
        file: PlannedFile,
        batches: Sequence[ArrowArrayExportable],
        batch_id: str,
        *,
        existing: Existing = "refuse",
    ) -> StoredFile:
        """See ``OtlpWriter.store``; ``StorageUnavailableError`` while the place is not known."""
        shape = self._places.shape(file.table)
        inside, name = _inside(file), file.name(batch_id)
        try:
            stored = self._writer(shape).store(inside, batches, batch_id, existing=existing)
        except NameTakenError as error:
            raise NameTakenError(name, str(error)) from error
        location = object_uri(root_of(shape.location), stored.path)
        return replace(stored, path=name, location=location)

    def take_back(self, file: PlannedFile, batch_id: str) -> None:
        """See ``OtlpWriter.take_back``."""
        self._writer(self._places.shape(file.table)).take_back(_inside(file), batch_id)

    def _writer(self, shape: TableShape) -> OtlpWriter:
        with self._lock:
            writer = self._writers.get(shape)
            if writer is None:
                store = self._open_at(root_of(shape.location))
                writer = self._writer_at(store, lambda _: shape.field_ids)
                self._writers[shape] = writer
            return writer


def _inside(file: PlannedFile) -> PlannedFile:
    """The file as it is planned below its table's folder."""
    return replace(file, folder=file.folder.partition("/")[2])
