"""A large capture as a Collector's file exporter leaves it, made faster than it is read.

Knows the length-prefixed stream. Must not know otlp2parquet.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from .payloads import SHAPES, SIGNALS, Payloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TEMPLATES: Final = 64
"""Requests made afresh; then they come again with later times. 64 requests are 16 MB, more
than a Parquet page or a zstd window sees, so repetition saves nothing in the files."""
HOURS: Final = 6
"""What a capture covers: its records lie in this many hours."""
SHARES: Final = {"logs": 0.5, "traces": 0.25, "metrics": 0.25}


def log_records(message: Any) -> Iterator[Any]:
    """Every log record of a request."""
    for resource in message.resource_logs:
        for scope in resource.scope_logs:
            yield from scope.log_records


def spans(message: Any) -> Iterator[Any]:
    """Every span of a request."""
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans


def points(message: Any) -> Iterator[Any]:
    """Every number point of a request."""
    for resource in message.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield from (metric.gauge if metric.HasField("gauge") else metric.sum).data_points


RECORDS: Final[dict[str, Callable[[Any], Iterator[Any]]]] = {
    "logs": log_records,
    "traces": spans,
    "metrics": points,
}


def move(signal: str, message: Any, nanos: int) -> None:
    """Make a request ``nanos`` later."""
    if signal == "traces":
        for span in spans(message):
            span.start_time_unix_nano += nanos
            span.end_time_unix_nano += nanos
    else:
        for record in RECORDS[signal](message):
            record.time_unix_nano += nanos


def write_capture(folder: Path, size: int) -> dict[str, int]:
    """Write ``logs.binpb``, ``traces.binpb`` and ``metrics.binpb`` of ``size`` bytes together.

    Gives the number of records of each signal. Times rise evenly over ``HOURS`` hours.
    """
    counts: dict[str, int] = {}
    for signal in SIGNALS:
        shape = SHAPES["typical"]
        messages = list(Payloads(signal, shape).messages(TEMPLATES))
        total = sum(message.ByteSize() + 4 for message in messages)
        rounds = max(1, round(size * SHARES[signal] / total))
        step = HOURS * 3_600_000_000_000 // rounds
        with (folder / f"{signal}.binpb").open("wb") as out:
            for number in range(rounds):
                for message in messages:
                    if number:
                        move(signal, message, step)
                    request = message.SerializeToString()
                    out.write(struct.pack(">I", len(request)))
                    out.write(request)
        counts[signal] = rounds * TEMPLATES * shape.records
    return counts
