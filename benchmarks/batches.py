"""A batch as the server makes it: many requests appended to open builders, then finished.

Knows ``BatchBuilder``. Must not know clocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otlp2parquet import BatchBuilder

from .payloads import SHAPES, Payloads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otlp2parquet import Batch

    from .payloads import Signal

ROWS: Final = 200_000
"""Rows of one measured batch: 200 typical requests."""


def batch_requests(signal: Signal, name: str = "typical") -> list[bytes]:
    """The requests of one batch, each of shape ``name``."""
    shape = SHAPES[name]
    return Payloads(signal, shape).requests(ROWS // shape.records)


def build(signal: Signal, requests: Sequence[bytes]) -> list[Batch]:
    """Append ``requests`` to fresh builders and finish them as the server does."""
    builder = BatchBuilder()
    for request in requests:
        builder.append(request, signal)
    return builder.finish(dictionaries=True)
