"""Batches in plain Python: made of Arrow's, made into Arrow's, and made up.

What the decoder without Arrow gives (``core.pure.schema``), by other means than that decoder.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from otlp2parquet.core.pure.schema import TABLES
from otlp2parquet.core.schema import table_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otlp2parquet.core.pure.schema import Column
    from otlp2parquet.writers.protocol import ArrowArrayExportable

MICROS: Final = 1_790_000_000_000_000
"""A time of today, in microseconds since the epoch."""

RARE: Final[dict[str, list[Any]]] = {
    "timestamp": [-(2**63), -1, 0, 2**63 - 1],
    "int32": [-(2**31), -1, 0, 2**31 - 1],
    "int64": [-(2**63), -1, 0, 2**63 - 1],
    "double": [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.7e308, -1.5],
    "bool": [True, False],
    "string": ["", "\0", "é", "\U0001f600", "\uffff", "a" * 127, "a" * 128, "ü" * 5000, "b" * 4097],
}
"""Values at the ends of what a type holds, and such as are taken for another."""


def plain_columns(batch: ArrowArrayExportable) -> list[list[Any]]:
    """The columns of a batch, each a list with one value a row."""
    return [_plain_column(column) for column in pa.record_batch(batch).columns]


def _plain_column(column: pa.Array) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        entries = column.dictionary.to_pylist()
        places = column.indices.to_pylist()
        return [None if place is None else entries[place] for place in places]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_list(column.type) and pa.types.is_timestamp(column.type.value_type):
        column = column.cast(pa.list_(pa.int64()))
    values: list[Any] = column.to_pylist()
    return values


def arrow_batch(table: str, columns: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """A batch in plain Python as Arrow's."""
    schema = pa.schema(table_schema(table))
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def made_up_batch(table: str, rows: int, seed: int, *, rare: bool = True) -> list[list[Any]]:
    """Rows of a table: each column has a character of its own, drawn from the seed.

    All values alike, or a few, or all different; none null, some, most or all. ``rare``: with
    values that some readers have no word for.
    """
    source = random.Random(seed)
    return [_made_up_column(source, column, rows, rare=rare) for column in TABLES[table]]


def _made_up_column(source: random.Random, column: Column, rows: int, *, rare: bool) -> list[Any]:
    different = source.choice([1, 2, 3, 17, 300, 100_000])
    null_rate = source.choice([0, 0, 0.1, 0.9, 1])
    values = [_value(source, column.type, rare=rare) for _ in range(min(different, 3 * rows))]

    def draw(*, may_be_null: bool) -> Any:
        if may_be_null and source.random() < null_rate:
            return None
        return source.choice(values)

    if not column.is_list:
        return [draw(may_be_null=column.is_nullable) for _ in range(rows)]
    longest = source.choice([0, 1, 2, 7])
    least = source.choice([0, 0, longest])
    return [
        [draw(may_be_null=True) for _ in range(source.randint(least, longest))] for _ in range(rows)
    ]


def _value(source: random.Random, kind: str, *, rare: bool) -> Any:
    if rare and source.random() < 0.1:
        return source.choice(RARE[kind])
    usual: dict[str, Callable[[], Any]] = {
        "timestamp": lambda: MICROS + source.randrange(10**9),
        "int32": lambda: source.randrange(1000),
        "int64": lambda: source.randrange(10**6),
        "double": lambda: round(source.gauss(0, 100), 3),
        "bool": lambda: source.random() < 0.5,
        "string": lambda: source.choice(["GET /{}", "naïve {}", "{}"]).format(
            source.randrange(10**6)
        ),
    }
    return usual[kind]()
