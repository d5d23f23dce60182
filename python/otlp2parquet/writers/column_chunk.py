"""One column of a row group as pages: dictionary or not, where they are cut, what is in them.

Knows rows, and how large a page gets. It must not know where in a file the pages lie, how they are
compressed, nor what else is in the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, Final, NamedTuple

from otlp2parquet.core.pure.schema import Column
from otlp2parquet.writers import columns
from otlp2parquet.writers.levels import list_levels, optional_levels
from otlp2parquet.writers.plain import bound, bounds
from otlp2parquet.writers.values import Part, PlainValues, Values, with_dictionary

PAGE_ROWS: Final = 20_000
"""The most rows of a page."""
PAGE_BYTES: Final = 1 << 20
"""The most that the values of a page take, unless they are those of one row."""


class Statistics(NamedTuple):
    """Of a page or a chunk: ``bounds.ChunkStatistics``, and its bounds as Parquet has them."""

    null_count: int
    num_values: int
    """Without nulls."""
    bounds: tuple[Any, Any] | None
    """However long."""
    encoded_bounds: tuple[bytes, bytes] | None
    """None where there are none, or one is too long."""

    @property
    def has_min_max(self) -> bool:
        """Whether the file has them."""
        return self.encoded_bounds is not None

    @property
    def min_raw(self) -> Any:  # noqa: ANN401 - of the column's type
        """The lower one; only if the file has them."""
        return self.bounds[0] if self.bounds else None

    @property
    def max_raw(self) -> Any:  # noqa: ANN401 - of the column's type
        """The upper one; only if the file has them."""
        return self.bounds[1] if self.bounds else None


class Page(NamedTuple):
    """A data page before it is compressed."""

    content: bytes
    first_row: int
    num_values: int
    """Levels: nulls and empty lists count."""
    statistics: Statistics | None


@dataclass(frozen=True, slots=True)
class ColumnChunk:
    """A column's pages of one row group."""

    column: Column
    dictionary: bytes | None
    """The content of the dictionary page."""
    num_entries: int
    pages: list[Page]
    statistics: Statistics | None
    """None for a column that has none."""


def column_chunk(column: Column, rows: Sequence[Any]) -> ColumnChunk:
    """The rows of a column as pages. Raises one of ``plain.ERRORS`` for a value without a place."""
    lengths = list(map(len, rows)) if column.is_list else None
    items: Sequence[Any] = rows if lengths is None else list(chain.from_iterable(rows))
    values = _values(column, items)
    pages = _pages(column, values, len(rows), lengths)
    statistics = None
    if column.name in columns.STATISTICS_COLUMNS:
        statistics = _merged(column, [page.statistics for page in pages if page.statistics])
    return ColumnChunk(column, values.dictionary, values.num_entries, pages, statistics)


def _values(column: Column, items: Sequence[Any]) -> Values:
    is_nullable = column.is_nullable or column.is_list
    kind = column.type
    # Parquet has no dictionary for booleans, of which each takes a bit.
    if kind != "bool" and column.name not in columns.PLAIN_COLUMNS:
        found = with_dictionary(kind, items, is_nullable=is_nullable)
        if found is not None:
            return found
    return PlainValues(kind, items, is_nullable=is_nullable)


def _pages(column: Column, values: Values, rows: int, lengths: list[int] | None) -> list[Page]:
    """All rows in pages, none of which is over the bounds unless it has one row alone."""
    begins = None if lengths is None else [0, *accumulate(lengths)]
    has_statistics = column.name in columns.STATISTICS_COLUMNS
    pages: list[Page] = []
    first, most_rows = 0, PAGE_ROWS
    while first < rows:
        end = min(first + most_rows, rows)
        place, stop = (first, end) if begins is None else (begins[first], begins[end])
        part = values.part(place, stop)
        size = len(part.content)
        if size > PAGE_BYTES and end - first > 1:
            # Once more with fewer: less than what would fill it, because rows differ.
            most_rows = max(1, (end - first) * PAGE_BYTES * 3 // (size * 4))
            continue
        nulls = stop - place - part.num_given
        if lengths is not None:
            count, levels = list_levels(lengths[first:end], nulls, part.given)
        else:
            count = end - first
            levels = optional_levels(count, nulls, part.given) if column.is_nullable else b""
        statistics = _statistics(column, part, count) if has_statistics else None
        pages.append(Page(levels + part.content, first, count, statistics))
        first = end
        if size * 4 < PAGE_BYTES:
            most_rows = min(PAGE_ROWS, most_rows * 2)  # after rows that were large
    return pages


def _statistics(column: Column, part: Part, count: int) -> Statistics:
    """Those of a page with ``count`` levels. An empty list counts as a null."""
    found = bounds(column.type, part.distinct())
    return Statistics(count - part.num_given, part.num_given, found, _encoded(column, found))


def _merged(column: Column, pages: Sequence[Statistics]) -> Statistics:
    """Those of a chunk: pages of nulls, or of nothing that has an order, change no bound."""
    found = [page.bounds for page in pages if page.bounds is not None]
    both = None
    if found:
        both = (min(lower for lower, _ in found), max(upper for _, upper in found))
    return Statistics(
        sum(page.null_count for page in pages),
        sum(page.num_values for page in pages),
        both,
        _encoded(column, both),
    )


def _encoded(column: Column, found: tuple[Any, Any] | None) -> tuple[bytes, bytes] | None:
    if found is None:
        return None
    lower, upper = (bound(column.type, value) for value in found)
    if max(len(lower), len(upper)) > columns.BOUND_BYTES:
        return None
    return (lower, upper)
