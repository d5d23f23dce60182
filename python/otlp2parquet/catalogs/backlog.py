"""Receipts that are there, looked for and read in portions: however many wait, a step ends.

Knows receipts. Must not know catalogs, nor what becomes of what it finds. A portion that is
committed and removed need not be read again, so who is killed between two of them has got on.
"""

import logging
from collections.abc import Callable, Container, Iterator
from typing import Final

from otlp2parquet.catalogs.awaiting import settled
from otlp2parquet.catalogs.protocol import Receipts
from otlp2parquet.catalogs.receipts import Receipt, ReceiptError, key_of, node_of, opened_ms
from otlp2parquet.errors import StorageError

log = logging.getLogger(__name__)

OTHERS_SECS: Final = 3600.0
"""How old a batch of another node is at least when its receipt is taken: its server had time."""
PORTION: Final = 1000
"""Receipts that are read in one step at most."""
PORTION_SECS: Final = 5.0
"""How long a step goes on to read."""


class Backlog:
    """One look at what receipts there are, those of ``node`` or with ``all_nodes`` all of them.

    A batch whose id tells no time is a conversion's. Nobody comes back to it after an hour, so its
    receipt is taken at once.
    """

    def __init__(
        self,
        receipts: Receipts,
        node: str,
        *,
        all_nodes: bool,
        monotonic: Callable[[], float],
        now_ms: int,
    ) -> None:
        self.is_over = False
        """Whether all of them have been looked at."""
        self.younger = 0
        """Receipts of other nodes that are left to their own servers."""
        self.unreadable: set[str] = set()
        """Keys of receipts that could not be read."""
        self._receipts = receipts
        self._node = node
        self._all_nodes = all_nodes
        self._monotonic = monotonic
        self._youngest_ms = now_ms - int(OTHERS_SECS * 1000)
        self._paths: Iterator[str] | None = None
        self._error: StorageError | None = None

    async def portion(self, known: Container[str]) -> list[Receipt]:
        """The next receipts that may be taken, without those at ``known`` paths.

        Raises the storage's errors: then the look has to begin again.
        """
        if self._error is not None:
            raise self._error
        end = self._monotonic() + PORTION_SECS
        if self._paths is None:
            listed = self._receipts.list("" if self._all_nodes else self._node)
            self._paths = iter(await settled(listed))
        found: list[Receipt] = []
        for path in self._paths:
            if path not in known and self._may_be_taken(path):
                try:
                    receipt = await self._read(path)
                except StorageError as error:
                    if not found:
                        raise
                    # What has been read is not read in vain.
                    self._error = error
                    return found
                if receipt is not None:
                    found.append(receipt)
            if len(found) >= PORTION or self._monotonic() >= end:
                return found
        self.is_over = True
        return found

    def _may_be_taken(self, path: str) -> bool:
        if node_of(path) == self._node:
            return True
        try:
            opened = opened_ms(key_of(path))
        except ValueError:
            return True  # whatever it is, it has to be read to be told
        if opened is None or opened <= self._youngest_ms:
            return True
        self.younger += 1
        return False

    async def _read(self, path: str) -> Receipt | None:
        try:
            return await settled(self._receipts.read(path))
        except ReceiptError as error:
            self.unreadable.add(key_of(path))
            log.warning("a receipt is passed by, it stays where it is: %s", error)
            return None
