"""The node of processes that last for a moment: all over one storage share it.

Knows ids, times and receipts. Must not know events or catalogs. A node of its own for each of them
would make a table name more of them for ever. So none of them knows all receipts of the node, and a
key is forgotten when nobody can make its receipt again: whoever has made it knows that at once, and
all others when its batch is old. For that a receipt is not made any more when its batch is older
than any invocation.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final

from otlp2parquet.batch_id import uuid_text
from otlp2parquet.catalogs.receipt_folder import ReceiptFinisher
from otlp2parquet.catalogs.receipts import opened_ms
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.writers.protocol import StoredFile

log = logging.getLogger(__name__)

MAKING_SECS: Final = 1200.0
"""How old a batch is at most when its receipt is made: an invocation at AWS lasts 900 s at most."""
RETURN_SECS: Final = 2 * MAKING_SECS
"""How old it is when its receipt can come no more: a request whose signature is 15 minutes old is
refused by S3, so none arrives later."""
_MOST_MADE: Final = 1000


class SharedNode:
    """The node of all processes without a log over the storage that ``root`` names.

    Two storages have two: who cannot see a receipt would take it for gone. ``is_retired`` says of
    another node whether its receipts can never be made again.
    """

    def __init__(
        self,
        root: str,
        is_retired: Callable[[str], bool] | None = None,
        time_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.node = uuid_text(sha256(f"otlp2parquet node\n{root}".encode()).digest()[:16], 8)
        self.is_retired = is_retired
        self._time_ms = time_ms
        self._lock = threading.Lock()
        self._made: dict[str, None] = {}
        """The youngest batches all of whose receipts this process has made, each at once."""

    def made(self, batch_id: str) -> None:
        """All receipts of a batch were made, at the first attempt: none will be made again."""
        with self._lock:
            self._made[batch_id] = None
            while len(self._made) > _MOST_MADE:
                del self._made[next(iter(self._made))]

    def may_be_made(self, batch_id: str) -> bool:
        """Whether a batch is young enough for a receipt."""
        return self._age_secs(batch_id) <= MAKING_SECS

    def may_return(self, batch_id: str) -> bool:
        """Whether somebody may still make a receipt of a batch."""
        with self._lock:
            if batch_id in self._made:
                return False
        return self._age_secs(batch_id) <= RETURN_SECS

    def _age_secs(self, batch_id: str) -> float:
        try:
            opened = opened_ms(batch_id)
        except ValueError:
            opened = None
        # What tells no time was named by nobody who shares the node: it is left alone.
        return 0.0 if opened is None else (self._time_ms() - opened) / 1000


class SharedFinisher:
    """A ``Finisher`` that makes receipts of young batches, and takes note of what it has made."""

    def __init__(self, finisher: ReceiptFinisher, shared: SharedNode) -> None:
        self._finisher = finisher
        self._shared = shared
        self._begun: set[str] = set()
        """Batches for which an attempt failed: a receipt of theirs may be on its way yet."""

    def finish(
        self, batch_id: str, root: str, files: Iterable[tuple[PlannedFile, StoredFile]]
    ) -> None:
        """Keep a receipt for each table of the batch."""
        if not self._shared.may_be_made(batch_id):
            # Nobody was told that it is kept: its sender was answered long ago.
            self._begun.discard(batch_id)
            log.warning(
                "a batch is too old for a receipt, its files are in no table",
                extra={"fields": {"batch": batch_id}},
            )
            return
        is_first = batch_id not in self._begun
        self._begun.add(batch_id)
        self._finisher.finish(batch_id, root, files)
        self._begun.discard(batch_id)
        if is_first:
            self._shared.made(batch_id)
