"""What every writer promises, whatever it writes to; its callers see only this.

Knows names and facts of files; must not know pyarrow or any storage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from otlp2parquet.core.paths import partition_path
from otlp2parquet.errors import StorageError


class ArrowArrayExportable(Protocol):
    """A record batch of the Arrow PyCapsule interface: ours, pyarrow's, polars', anyone's."""

    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is whole and durable under its final name."""

    path: str
    """Relative to the storage root, with ``/``."""
    table: str
    service: str | None
    hour: datetime
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FoundFile:
    """What an existing file says of itself, read from its footer; ``None``: it does not say."""

    table: str | None
    batch_id: str | None
    rows: int


class NameTakenError(StorageError):
    """The name is taken, and a file is never overwritten.

    ``path`` as in ``StoredFile``; ``found`` is ``None`` when the file is not readable as
    Parquet. Only who writes the same batch again may take a file with the same batch id and
    row count as done; for everyone else this is an error.
    """

    def __init__(self, path: str, found: FoundFile | None) -> None:
        what = (
            "is not a readable parquet file"
            if found is None
            else f"holds batch {found.batch_id or 'unknown'} with {found.rows} rows"
        )
        super().__init__(f"{path} already exists and {what}; expected a free name")
        self.path = path
        self.found = found


class OtlpWriter(Protocol):
    """Stores the rows of one table, service and hour as one file."""

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
        """Store ``batches``, one after another, as one file named by batch id and part.

        Returns when the file is whole and durable under its final name. Safe to call from
        several threads. Raises ``NameTakenError`` when the name is taken, another
        ``StorageError`` when the storage fails (then nothing is left behind), ``ValueError``
        when there is no row to write.
        """
        ...


def file_name(table: str, service: str | None, hour: datetime, batch_id: str, part: int = 0) -> str:
    """The path of a batch's file: its partition, then the batch id, then the part if split."""
    suffix = f"-{part}" if part else ""
    return f"{partition_path(table, service, hour)}/{batch_id}{suffix}.parquet"
