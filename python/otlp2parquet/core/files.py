"""The files that a batch becomes: their plan, their names, and whose a file in the way is.

Knows groups of rows (a table, a service, an hour) and layouts. It must not know threads, Arrow or
any storage: a plan is a pure function of the groups and the layout, the same on every platform.

Groups that share a path share a file, so no two files of a batch can want one name. Paths that
some file system takes for one although they differ (it folds case, or drops trailing dots) get
names of their own through the part number, which comes from the path itself: a file has the same
name whichever other groups a batch has, also where one reading sees more of them than another.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Protocol, Self

from otlp2parquet.core.layout import DEFAULT_LAYOUT, Layout, partition_path, utc_hour
from otlp2parquet.core.schema import SCHEMA_VERSION

BATCH_ID_KEY: Final = "otlp2parquet.batch_id"
PART_KEY: Final = "otlp2parquet.part"
TABLE_KEY: Final = "otlp2parquet.table"
SCHEMA_VERSION_KEY: Final = "otlp2parquet.schema_version"
VERSION_KEY: Final = "otlp2parquet.version"
"""Keys of a file's Parquet metadata. Batch id and part, with the number of rows, say which file
it is."""


_PARTS: Final = 800_000_000
"""Part numbers begin below this, so that they and those behind them have nine digits at most."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Group(Protocol):
    """Rows of one table, service and hour, as ``Batch`` has them."""

    @property
    def table(self) -> str: ...  # noqa: D102 - a member of a protocol
    @property
    def service(self) -> str | None: ...  # noqa: D102
    @property
    def hour(self) -> datetime: ...  # noqa: D102
    @property
    def num_rows(self) -> int: ...  # noqa: D102


GroupKey = tuple[str, datetime, str | None]
"""A table, an hour in UTC, and a service, of which none has the empty name."""


def group_key(group: Group) -> GroupKey:
    """What says into which file of a batch the rows of a group belong."""
    return (group.table, utc_hour(group.hour), group.service or None)


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file of a batch: where it goes and what it is to hold."""

    folder: str
    """Relative to the storage root, with ``/``: a ``partition_path``."""
    part: int
    """Keeps apart the files of a batch whose folders some file system takes for one."""
    table: str
    hour: datetime
    services: Mapping[str | None, int] = field(hash=False)
    """The rows of each service, in the order in which the file has them."""

    @property
    def groups(self) -> list[GroupKey]:
        """The keys of the groups whose rows it has, in its order."""
        return [(self.table, self.hour, service) for service in self.services]

    @property
    def rows(self) -> int:
        """Rows of all services."""
        return sum(self.services.values())

    def name(self, batch_id: str) -> str:
        """The file's path below the storage root: folder, batch id, and the part if not 0."""
        return f"{self.folder}/{file_name(batch_id, self.part)}"

    def to_json(self) -> list[object]:
        """The file in plain JSON, for plans that are kept; ``from_json`` takes its items."""
        hour = int(self.hour.timestamp())
        return [self.folder, self.part, self.table, hour, [*self.services.items()]]

    @classmethod
    def from_json(cls, folder: str, part: int, table: str, hour: int, services: Any) -> Self:  # noqa: ANN401 - JSON
        """The file that ``to_json`` has told; ``ValueError`` or ``TypeError`` for another thing."""
        rows = {service: int(count) for service, count in services}
        return cls(folder, int(part), table, datetime.fromtimestamp(hour, UTC), rows)


def file_name(batch_id: str, part: int = 0) -> str:
    """The last component of a file's path."""
    return f"{batch_id}-{part}.parquet" if part else f"{batch_id}.parquet"


def plan_files(
    groups: Iterable[Group],
    layout: Layout = DEFAULT_LAYOUT,
    *,
    planned: Iterable[PlannedFile] = (),
) -> list[PlannedFile]:
    """The files for ``groups``, ordered by path; several groups of one kind add up.

    ``planned`` are files of the same batch that are fixed already: their names are not given
    again. Raises ``ValueError`` as ``partition_path`` does.
    """
    taken = {(_folded(file.folder), file.part) for file in planned}
    services: dict[tuple[str, str, datetime], dict[str | None, int]] = {}
    for group in groups:
        folder = partition_path(group.table, group.service, group.hour, layout)
        table, hour, service = group_key(group)
        rows = services.setdefault((folder, table, hour), {})
        rows[service] = rows.get(service, 0) + group.num_rows
    files = []
    for (folder, table, hour), rows in sorted(services.items(), key=lambda item: item[0][:2]):
        folded = _folded(folder)
        part = _next_part(folded, taken, _first_part(folder, folded))
        taken.add((folded, part))
        # A service's name is never empty here, so that the rows without one come first.
        ordered = dict(sorted(rows.items(), key=lambda item: item[0] or ""))
        files.append(PlannedFile(folder, part, table, hour, ordered))
    return files


def _first_part(folder: str, folded: str) -> int:
    """0 for a folder that every file system keeps as it is, else a number of the folder's own."""
    if folder == folded:
        return 0
    return 1 + int.from_bytes(sha256(folder.encode()).digest()[:8]) % _PARTS


def _next_part(folded: str, taken: Collection[tuple[str, int]], part: int) -> int:
    """The first part number, from ``part`` on, that is free in all folders that fold to one."""
    while (folded, part) in taken:
        part += 1
    return part


def moved_aside(file: PlannedFile, planned: Iterable[PlannedFile]) -> PlannedFile:
    """``file`` under the next free name of the batch: something foreign has its own."""
    taken = {(_folded(other.folder), other.part) for other in planned}
    part = _next_part(_folded(file.folder), taken, file.part + 1)
    return PlannedFile(file.folder, part, file.table, file.hour, file.services)


def _folded(folder: str) -> str:
    """What file systems that fold case or drop trailing dots make of a path.

    Paths are ASCII (everything else is ``%XX``), so lower case is all of case folding.
    """
    return "/".join(component.rstrip(".") for component in folder.lower().split("/"))


@dataclass(frozen=True, slots=True)
class FoundFile:
    """What an existing file says of itself in its footer; ``None`` where it does not say."""

    table: str | None
    batch_id: str | None
    part: int | None
    rows: int


def is_the_file(
    found: FoundFile | None,
    batch_id: str,
    part: int,
    rows: Collection[int],
    *,
    or_more: bool = False,
) -> bool:
    """Whether a file that has the name is the one meant: same batch, same part, right rows.

    ``found`` is ``None`` when the file could not be read as Parquet. ``rows`` are the counts that
    are right; with ``or_more`` also any that is larger than one of them. This is the only place
    that decides it; who may ask at all (a retry, a replay) is the caller's matter.
    """
    if found is None or found.batch_id != batch_id or found.part != part:
        return False
    return found.rows in rows or (or_more and found.rows > min(rows))


def file_metadata(file: PlannedFile, batch_id: str, version: str) -> dict[str, str]:
    """What a file's footer says of it beside its columns, whoever writes it.

    ``version`` is that of the package that writes.
    """
    return {
        SCHEMA_VERSION_KEY: str(SCHEMA_VERSION),
        TABLE_KEY: file.table,
        VERSION_KEY: version,
        BATCH_ID_KEY: batch_id,
        PART_KEY: str(file.part),
    }


def checked_batch_id(batch_id: object) -> str:
    """``batch_id`` if it is the text of a UUID in its usual form; else ``ValueError``.

    It becomes part of a file's name: nothing else may stand there.
    """
    if not isinstance(batch_id, str) or not _UUID.fullmatch(batch_id):
        raise ValueError(
            f"batch id {str(batch_id)[:100]!r}: expected the text of a UUID, such as "
            "new_batch_id() gives"
        )
    return batch_id
