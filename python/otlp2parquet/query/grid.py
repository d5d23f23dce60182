"""An answer as a table for people.

Knows widths of characters. At a terminal a row takes one line: long values are cut where columns
do not fit, and if that is not enough, each column of a row has a line of its own. Into a pipe
nothing is cut.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import pyarrow as pa
from rich.cells import cell_len, set_cell_size

from otlp2parquet.query.formats import is_number, rows_of
from otlp2parquet.query.values import harmless, plain

NULL: Final = "NULL"
_PLAN: Final = ["explain_key", "explain_value"]
"""The columns of an answer to EXPLAIN, which is a drawing."""
_GAP: Final = "  "
_LEAST_CELLS: Final = (24, 12)
"""A value that is cut shows as much at least; what is shorter, such as a time, is whole if there is
room for it."""


def as_grid(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, width: int | None, limit: int
) -> Iterator[str]:
    """The lines of the table, without their ends. ``width`` is None for a pipe.

    No more than ``limit`` rows are shown, unless it is 0; a last line tells how many there are.
    """
    if not schema.names:
        return
    if schema.names == _PLAN:
        for batch in batches:
            for plan in batch.column(1).to_pylist():
                yield from map(harmless, plan.splitlines())
        return
    values = (row for batch in batches for row in rows_of(batch))
    taken = list(values if not limit else islice(values, limit + 1))
    is_cut = bool(limit) and len(taken) > limit
    rows = [[_cell(value) for value in row] for row in (taken[:limit] if is_cut else taken)]
    heads = [harmless(name) for name in schema.names]
    wanted = [
        max([cell_len(head), *(cell_len(row[at]) for row in rows)]) for at, head in enumerate(heads)
    ]
    widths = wanted if width is None else _fitting(heads, wanted, width)
    if widths is None:
        yield from _records(heads, rows)
    else:
        to_right = [is_number(field.type) for field in schema]
        yield _line(heads, widths, to_right)
        yield _GAP.join("-" * one for one in widths)
        for row in rows:
            yield _line(row, widths, to_right)
    if is_cut:
        yield f"(the first {limit:,} rows; there are more)"
    else:
        yield "(1 row)" if len(rows) == 1 else f"({len(rows):,} rows)"


def _cell(value: Any) -> str:  # noqa: ANN401 - a value of any type of SQL
    return NULL if value is None else harmless(plain(value))


def _fitting(heads: Sequence[str], wanted: Sequence[int], width: int) -> list[int] | None:
    """The widest columns that fit, the long ones cut alike; None if they cannot be made to fit."""
    room = width - len(_GAP) * (len(wanted) - 1)
    for cells in _LEAST_CELLS:
        least = [
            min(one, max(cell_len(head), cells)) for head, one in zip(heads, wanted, strict=True)
        ]
        if sum(least) <= room:
            return _widened(least, wanted, room)
    return None


def _widened(least: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    def capped(cap: int) -> list[int]:
        return [min(one, max(low, cap)) for low, one in zip(least, wanted, strict=True)]

    cap = 0
    while sum(capped(cap + 1)) <= room and capped(cap) != list(wanted):
        cap += 1
    return capped(cap)


def _line(cells: Sequence[str], widths: Sequence[int], to_right: Sequence[bool]) -> str:
    padded = []
    for cell, width, right in zip(cells, widths, to_right, strict=True):
        length = cell_len(cell)
        if length > width:
            padded.append(set_cell_size(cell, width - 1) + "…")
        else:
            space = " " * (width - length)
            padded.append(space + cell if right else cell + space)
    return _GAP.join(padded).rstrip()


def _records(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    width = max(map(cell_len, heads))
    for number, row in enumerate(rows, 1):
        yield f"row {number:,}"
        for head, cell in zip(heads, row, strict=True):
            yield f"  {set_cell_size(head, width)}  {cell}"
