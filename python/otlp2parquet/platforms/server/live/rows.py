"""The body of an export as rows of JSON, for people who look at them.

Knows the public decoder and the tables' columns. It must not know who looks. Timestamps are texts
with all their nanoseconds (the columns for those are left out), numbers that JavaScript would
round are texts, and what is null is left out.
"""

import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from otlp2parquet.core import Signal, inflates_within, process_otlp
from otlp2parquet.errors import OtlpError
from otlp2parquet.platforms.server.live.filters import Row, severity_of

MAX_EXPORT_BYTES: Final = 8 << 20
"""Of a body, as sent and inflated; larger ones are not shown."""

MAX_DECODE_BYTES: Final = 48 << 20
"""What decoding one body may take."""

MAX_EVENT_ROWS: Final = 500
MAX_EVENT_BYTES: Final = 256 << 10
MAX_ROW_BYTES: Final = 1 << 20
"""A row that takes more is not shown."""

MAX_EXPORT_ROWS: Final = 5_000
"""Rows of one export that are shown."""

_EXACT: Final = 1 << 53
"""Up to here every integer is a double."""

_NANOS: Final = "Nanos"
_MICROS_PER_SEC: Final = 1_000_000


class Export(NamedTuple):
    """An export that was kept."""

    body: bytes
    signal: Signal
    media_type: str
    encoding: str | None
    received_at: int
    """Nanoseconds since the epoch."""
    records: int
    """How many of its records are kept."""


class Rows(NamedTuple):
    """Rows of one table, of one export."""

    table: str
    received: str
    rows: tuple[Row, ...]
    num_bytes: int


def rows_of(export: Export) -> Iterator[Rows]:
    """What is shown of an export, piece by piece: each is little work.

    Ends early, or gives nothing, where that would be too much; whoever counts knows how many
    records there are. Raises ``OtlpError`` where decoding takes too much.
    """
    if len(export.body) > MAX_EXPORT_BYTES or not _inflates(export):
        return
    result = process_otlp(
        export.body,
        export.signal,
        content_type=export.media_type,
        content_encoding=export.encoding,
        received_at=export.received_at,
        max_memory_bytes=MAX_DECODE_BYTES,
    )
    received = rfc3339(*divmod(export.received_at, 1000))
    left = MAX_EXPORT_ROWS
    for batch in result.batches:
        for start in range(0, min(batch.num_rows, left), MAX_EVENT_ROWS):
            end = min(start + MAX_EVENT_ROWS, batch.num_rows, left)
            yield from _pieces(batch.table, received, _rows_of_batch(batch, start, end))
        left -= min(left, batch.num_rows)


def _inflates(export: Export) -> bool:
    try:
        return export.encoding is None or inflates_within(
            export.body, export.encoding, MAX_EXPORT_BYTES
        )
    except OtlpError:
        return False


def _pieces(table: str, received: str, rows: Sequence[Row]) -> Iterator[Rows]:
    piece: list[Row] = []
    size = 0
    for row in rows:
        length = len(row.text)
        if length > MAX_ROW_BYTES:
            continue
        if piece and size + length > MAX_EVENT_BYTES:
            yield Rows(table, received, tuple(piece), size)
            piece, size = [], 0
        piece.append(row)
        size += length
    if piece:
        yield Rows(table, received, tuple(piece), size)


def _rows_of_batch(batch: Any, start: int, end: int) -> list[Row]:  # noqa: ANN401 - either decoder's
    import pyarrow as pa  # noqa: PLC0415 - only where somebody looks

    part = pa.record_batch(batch).slice(start, end - start)
    columns = {name: _plain(part.column(name)) for name in part.schema.names}
    shown = {
        name: _shown(values, columns.get(name + _NANOS))
        for name, values in columns.items()
        if not name.endswith(_NANOS)
    }
    names = list(shown)
    made = []
    for values in zip(*shown.values(), strict=True):
        row = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        text = json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        severity = severity_of(row.get("SeverityNumber"), row.get("SeverityText"))
        made.append(Row(text, row.get("ServiceName", ""), severity))
    return made


def _plain(column: Any) -> list[Any]:  # noqa: ANN401 - pyarrow has no types
    """A column's values; times as microseconds."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_list(kind) and pa.types.is_timestamp(kind.value_type):
        column = column.cast(pa.list_(pa.int64()))
    values: list[Any] = column.to_pylist()
    return values


def _shown(values: list[Any], nanos: list[Any] | None) -> list[Any]:
    if nanos is None:
        return [_safe(value) for value in values]
    return [_time(*pair) for pair in zip(values, nanos, strict=True)]


def _time(value: Any, nanos: Any) -> Any:  # noqa: ANN401 - a number, a list of them, or None
    if isinstance(value, list):
        return [_time(*pair) for pair in zip(value, nanos, strict=True)]
    return None if value is None else rfc3339(value, nanos or 0)


def _safe(value: Any) -> Any:  # noqa: ANN401 - a value of any column
    """A value that JSON and JavaScript take as it is."""
    if isinstance(value, int):
        return value if -_EXACT <= value <= _EXACT else str(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124
    if isinstance(value, list):
        return [_safe(item) for item in value]
    return value


def rfc3339(micros: int, nanos: int) -> str:
    """A time in UTC: microseconds since the epoch, and nanoseconds below."""
    secs, below = divmod(micros, _MICROS_PER_SEC)
    return f"{_second(secs)}.{below:06}{nanos:03}Z"


@lru_cache(4096)
def _second(secs: int) -> str:
    return datetime.fromtimestamp(secs, UTC).strftime("%Y-%m-%dT%H:%M:%S")
