"""What is in a storage: tables, hours, files, rows, bytes, from names and footers alone.

Knows how paths are made (``core.layout``) and what a footer says. Must not know a terminal. A file
costs one request, for its end; several are asked for at once.
"""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from otlp2parquet.core.schema import TABLE_FOLDERS
from otlp2parquet.errors import StorageError
from otlp2parquet.stores import Store, StoredObject
from otlp2parquet.writers.footer import read_footer

AT_ONCE: Final = 16

_HOUR: Final = re.compile(
    r"(?:.+/)?(?:date=(\d{4})-(\d\d)-(\d\d)|year=(\d{4})/month=(\d\d)/day=(\d\d))/hour=(\d\d?)"
)
# The longest first: metrics/exponential_histogram is not below a folder of another table.
_FOLDERS: Final = sorted(
    ((folder, table) for table, folder in TABLE_FOLDERS.items()), key=lambda one: -len(one[0])
)


@dataclass(slots=True)
class Hour:
    """The files of one table and hour."""

    table: str
    hour: datetime
    files: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Listing:
    """What was found."""

    hours: list[Hour] = field(default_factory=list)
    """By table, then by time."""
    problems: list[str] = field(default_factory=list)
    """Files of ours by name whose rows could not be counted."""
    others: int = 0
    """Objects whose names are not of ours."""


def place_of(path: str) -> tuple[str, datetime] | None:
    """Table and hour of a file by its path; None for what has not such a path."""
    folder, _, name = path.rpartition("/")
    if not name.endswith(".parquet") or name.startswith("."):
        return None
    for start, table in _FOLDERS:
        if folder.startswith(f"{start}/"):
            match = _HOUR.fullmatch(folder.removeprefix(f"{start}/"))
            if match is None:
                return None
            year, month, day = match.groups()[:3] if match[1] else match.groups()[3:6]
            try:
                return table, datetime(int(year), int(month), int(day), int(match[7]), tzinfo=UTC)
            except ValueError:
                return None
    return None


def list_storage(store: Store, *, count_rows: bool = True) -> Listing:
    """List a store. Raises ``StorageError`` when it cannot be listed at all."""
    listing = Listing()
    hours: dict[tuple[str, datetime], Hour] = {}
    ours: list[tuple[Hour, StoredObject]] = []
    for one in store.list():
        place = place_of(one.path)
        if place is None:
            listing.others += not one.path.startswith(".")
            continue
        hour = hours.setdefault(place, Hour(*place))
        hour.files += 1
        hour.bytes += one.bytes
        ours.append((hour, one))
    if count_rows:
        paths = [one.path for _, one in ours]
        for (hour, _), rows in zip(ours, _rows(store, paths), strict=True):
            if isinstance(rows, str):
                listing.problems.append(rows)
            else:
                hour.rows += rows
    listing.hours = sorted(hours.values(), key=lambda hour: (hour.table, hour.hour))
    return listing


def _rows(store: Store, paths: Iterable[str]) -> Iterator[int | str]:
    """The rows of each file, or why they could not be counted."""

    def count(path: str) -> int | str:
        try:
            with store.open(path) as file:
                footer = read_footer(file)
        except FileNotFoundError:
            return f"{path}: it is gone"
        except StorageError as error:
            return str(error)
        if footer is None:
            return f"{path}: found no footer, expected a Parquet file"
        return int(footer.metadata.num_rows)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="list") as pool:
        yield from pool.map(count, paths)
