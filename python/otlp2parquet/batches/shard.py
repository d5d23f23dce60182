"""A shard of a batch: one builder, its lock, and what it holds.

Knows the decoder. Must not know batches, nor where requests come from: the open batch and replay
both append to shards.
"""

import threading

from otlp2parquet.batches.request import Request
from otlp2parquet.core import Appended, Batch, BatchBuilder


class Shard:
    """One builder and what it holds, read only by the holder of the lock or approximately."""

    __slots__ = (
        "builder", "bytes", "groups", "is_finished", "lock", "memory_bytes", "number", "rows",
    )  # fmt: skip

    def __init__(self, max_payload_bytes: int, number: int = 0) -> None:
        self.lock = threading.Lock()
        self.builder = BatchBuilder(max_payload_bytes=max_payload_bytes)
        self.number = number
        self.rows = self.bytes = self.memory_bytes = self.groups = 0
        self.is_finished = False

    def append(self, request: Request) -> Appended:
        """All of a request, or on an error nothing."""
        try:
            return self.builder.append(
                request.payload,
                request.signal,
                content_type=request.content_type,
                content_encoding=request.content_encoding,
                received_at=request.received_at,
            )
        finally:
            self.rows = self.builder.num_rows
            self.bytes = self.builder.num_bytes
            self.memory_bytes = self.builder.num_memory_bytes
            self.groups = self.builder.num_groups

    def discard(self) -> None:
        """Let go of the rows; nothing more is appended."""
        self.is_finished = True
        del self.builder

    def finish(self) -> list[Batch]:
        """The rows, once. After a failure they are still there: it may be called again."""
        rows = self.builder.finish(dictionaries=True)
        self.is_finished = True
        return rows
