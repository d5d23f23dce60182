"""From logged requests to rows: the same rows in the same order as when they were received.

Knows shards and their builders. Must not know where the requests are kept. A shard's rows are
its requests' rows in their order, and a batch's rows are the shards' one after another; that is
all that has to be the same again. The decoder's own bound holds for a request, not the setting of
today: what was acknowledged under another one is read all the same.
"""

from collections.abc import Callable, Iterable

from otlp2parquet.batches.budget import Allowance
from otlp2parquet.batches.log.record import Record
from otlp2parquet.batches.shard import Shard
from otlp2parquet.core import MAX_PAYLOAD_BYTES, Batch
from otlp2parquet.errors import OtlpError, TooLargeError


class _Rows:
    """The rows of one shard: finished builders, then the one that is filled."""

    def __init__(self, number: int) -> None:
        self.shard = Shard(MAX_PAYLOAD_BYTES, number)
        self.finished: list[Batch] = []

    def append(self, record: Record, memory: Allowance) -> None:
        before = self.shard.memory_bytes
        try:
            self.shard.append(record.request)
        finally:
            memory.take(self.shard.memory_bytes - before)

    def turn(self) -> None:
        """Go on with a new builder. What the rows take in memory stays taken."""
        self.finished += self.shard.finish()
        self.shard = Shard(MAX_PAYLOAD_BYTES, self.shard.number)


def replay(
    records: Iterable[Record],
    memory: Allowance,
    set_aside: Callable[[Record, OtlpError], None],
) -> list[Batch]:
    """The rows of ``records``; ``memory`` takes what they need.

    A request that no longer decodes was acknowledged by another decoder: it is set aside, and the
    others go on. Raises what reading the records raises; then the caller releases ``memory``.
    """
    shards: list[_Rows] = []
    for record in records:
        while len(shards) <= record.shard:
            shards.append(_Rows(len(shards)))
        rows = shards[record.shard]
        try:
            try:
                rows.append(record, memory)
            except TooLargeError:
                # The builder may be fuller than it was with another decoder.
                rows.turn()
                rows.append(record, memory)
        except OtlpError as error:
            set_aside(record, error)
    for rows in shards:
        rows.turn()
    return [batch for rows in shards for batch in rows.finished]
