"""Batches in plain Python, made of Arrow's: what the decoder without Arrow would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from otlp2parquet.writers.protocol import ArrowArrayExportable


def plain_columns(batch: ArrowArrayExportable) -> list[list[Any]]:
    """The columns of a batch, each a list with one value a row: see ``core.pure.schema``."""
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
