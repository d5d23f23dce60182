"""One export request as batches see it, and who is told what became of it.

Knows names only. Shards, the log and replay all speak of requests in these words.
"""

from collections.abc import Callable
from typing import NamedTuple

from otlp2parquet.core.signals import Signal
from otlp2parquet.errors import StorageError


class Request(NamedTuple):
    """The body of an export request, and what its head says of it."""

    payload: bytes
    signal: Signal
    content_type: str
    content_encoding: str | None
    received_at: int
    """Nanoseconds since the epoch."""


Acknowledge = Callable[[StorageError | None], None]
"""Called once, on any thread: with ``None`` when the request is kept as the mode promises, or with
the reason why it is not kept."""
