"""What every writer promises, whatever it writes to; its callers see only this.

Knows planned files and facts of files; must not know pyarrow or any storage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from otlp2parquet.core.files import PlannedFile


class ArrowArrayExportable(Protocol):
    """A record batch of the Arrow PyCapsule interface: ours, pyarrow's, polars', anyone's."""

    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...


Bound = int | float | str | bool
"""A bound of a column in plain JSON: timestamps are microseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """What a file's metadata says of one column over all row groups."""

    null_count: int
    lower: Bound | None
    upper: Bound | None
    """``None`` when all values are null, or the column has no statistics of them."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The receipt of a file that is whole and durable: all that a catalog needs to know of it."""

    path: str
    """Below the storage root, with ``/``."""
    rows: int
    bytes: int
    columns: Mapping[int, ColumnStatistics] = field(default_factory=dict, hash=False)
    """By Parquet field id; only columns that have statistics. Empty for a file that was found
    with another number of rows than were given."""
    was_there: bool = False
    """Whether an earlier attempt has written it, and it was found."""
    location: str = ""
    """Its URI where it lies under an Iceberg table; empty elsewhere."""


Existing = Literal["refuse", "same", "whole"]
"""What is done with a file that has the name already. ``refuse``: an error, for whoever writes a
name for the first time. ``same``: taken for the one meant if it is of this batch and part and has
as many rows as were given, or as were planned. ``whole``: also with any other number of rows,
where no plan says how many there were: files are made whole, so it has all that there were."""


class OtlpWriter(Protocol):
    """Stores the rows of a planned file."""

    @property
    def root(self) -> str:
        """What names the storage in plans and logs."""

    def store(
        self,
        file: PlannedFile,
        batches: Sequence[ArrowArrayExportable],
        batch_id: str,
        *,
        existing: Existing = "refuse",
    ) -> StoredFile:
        """Store ``batches``, one after another, as ``file`` of the batch.

        Returns when the file is whole and durable under its name. Safe to call from several
        threads. Raises ``NameTakenError`` when something else has the name,
        ``StorageUnavailableError`` or ``StorageRefusedError`` when the storage fails, and
        ``ValueError`` when there is no row to write.
        """
        ...

    def take_back(self, file: PlannedFile, batch_id: str) -> None:
        """Remove the file of a batch that is given up: nothing of it was acknowledged."""
        ...
