"""From logged requests to rows: the same rows in the same order as when they were received.

Knows shards and their builders. Must not know where the requests are kept. A shard's rows are
its requests' rows in their order, and a batch's rows are the shards' one after another; that is
all that has to be the same again. The decoder's own bound holds for a request, not the setting of
today: what was acknowledged under another one is read all the same.
"""

import threading
from collections.abc import Callable, Iterable

from otlp2parquet.batches.log import Request
from otlp2parquet.batches.segment import Record
from otlp2parquet.core import MAX_PAYLOAD_BYTES, Appended, Batch, BatchBuilder
from otlp2parquet.errors import OtlpError, TooLargeError


class Shard:
    """One builder and what it holds, read only by the holder of the lock or approximately."""

    __slots__ = ("builder", "bytes", "groups", "lock", "memory_bytes", "number", "rows", "sealed")

    def __init__(self, max_payload_bytes: int, number: int = 0) -> None:
        self.lock = threading.Lock()
        self.builder = BatchBuilder(max_payload_bytes=max_payload_bytes)
        self.number = number
        self.rows = self.bytes = self.memory_bytes = self.groups = 0
        self.sealed = False

    def append(self, request: Request) -> Appended:
        """All of a request, or on an error nothing."""
        payload, signal, content_type, content_encoding, received_at = request
        try:
            return self.builder.append(
                payload,
                signal,
                content_type=content_type,
                content_encoding=content_encoding,
                received_at=received_at,
            )
        finally:
            self.rows = self.builder.num_rows
            self.bytes = self.builder.num_bytes
            self.memory_bytes = self.builder.num_memory_bytes
            self.groups = self.builder.num_groups

    def finish(self) -> list[Batch]:
        """The rows, once."""
        finished = self.builder.finish(dictionaries=True)
        self.sealed = True
        return finished


def replay(
    records: Iterable[Record],
    shards: list[Shard],
    take: Callable[[int], None],
    refused: Callable[[Record, OtlpError], None],
) -> list[Batch]:
    """The rows of ``records``; ``shards``, empty, is filled, ``take`` is told of its growth.

    A request that no longer decodes was acknowledged by another decoder: ``refused`` is told of
    it, and the others go on. Raises what reading the records raises.
    """
    finished: list[list[Batch]] = []
    for record in records:
        while len(shards) <= record.shard:
            shards.append(Shard(MAX_PAYLOAD_BYTES, len(shards)))
            finished.append([])
        shard = shards[record.shard]
        try:
            _append(shard, record, take)
        except TooLargeError:
            # The builder may be fuller than it was with another decoder.
            finished[shard.number] += shard.finish()
            shard = shards[record.shard] = Shard(MAX_PAYLOAD_BYTES, shard.number)
            try:
                _append(shard, record, take)
            except OtlpError as error:
                refused(record, error)
        except OtlpError as error:
            refused(record, error)
    for shard in shards:
        finished[shard.number] += shard.finish()
    return [batch for of_shard in finished for batch in of_shard]


def _append(shard: Shard, record: Record, take: Callable[[int], None]) -> None:
    before = shard.memory_bytes
    names = (record.signal, record.content_type, record.content_encoding)
    try:
        shard.append((record.body, *names, record.received_at))
    finally:
        take(shard.memory_bytes - before)
