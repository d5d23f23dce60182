"""The bounds of a column over the row groups of a file, whoever wrote them.

Knows statistics, neither files nor any library's classes.
"""

import math
from collections.abc import Sequence
from typing import Protocol

from otlp2parquet.writers.protocol import Bound, ColumnStatistics


class ChunkStatistics(Protocol):
    """What Parquet says of one column in one row group, as pyarrow's ``Statistics`` has it."""

    @property
    def null_count(self) -> int: ...  # noqa: D102 - a member of a protocol
    @property
    def num_values(self) -> int: ...  # noqa: D102
    @property
    def has_min_max(self) -> bool: ...  # noqa: D102
    @property
    def min_raw(self) -> Bound | bytes: ...  # noqa: D102
    @property
    def max_raw(self) -> Bound | bytes: ...  # noqa: D102


def merged_statistics(chunks: Sequence[ChunkStatistics]) -> ColumnStatistics:
    """One column's statistics over its row groups.

    A row group of nulls alone has no bounds and changes none. One that has values but no bounds
    (its texts are too long, its numbers NaN) leaves the file without.
    """
    null_count = sum(chunk.null_count for chunk in chunks)
    with_values = [chunk for chunk in chunks if chunk.has_min_max or chunk.num_values]
    if not with_values or not all(chunk.has_min_max for chunk in with_values):
        return ColumnStatistics(null_count, None, None)
    # Raw: timestamps as their integers. Bytes are ordered as the texts are whose UTF-8 they are.
    lower = min(chunk.min_raw for chunk in with_values)
    upper = max(chunk.max_raw for chunk in with_values)
    return ColumnStatistics(null_count, _bound(lower), _bound(upper))


def _bound(raw: Bound | bytes) -> Bound | None:
    if isinstance(raw, bytes):
        try:
            return raw.decode()
        except UnicodeDecodeError:  # bytes that are no text have no order in ours
            return None
    if isinstance(raw, float) and not math.isfinite(raw):
        return None  # bounds nothing, and JSON has no word for it
    return raw
