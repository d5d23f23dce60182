"""Answers that wait: a request's task sleeps until the log's thread says that it is kept.

Knows asyncio and nothing of logs. Many answers of one group cost one wake-up of the loop.
"""

import asyncio
from collections import deque
from functools import partial

from otlp2parquet.batches.log import Kept
from otlp2parquet.errors import StorageError


class Answers:
    """Futures of the loop's tasks, settled from any thread."""

    def __init__(self) -> None:
        self._settled: deque[tuple[asyncio.Future[None], StorageError | None]] = deque()
        self._is_woken = False

    def expect(self) -> tuple["asyncio.Future[None]", Kept]:
        """What a task awaits, and what settles it. On the loop's thread."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return future, partial(self._settle, future)

    def _settle(self, future: "asyncio.Future[None]", error: StorageError | None) -> None:
        self._settled.append((future, error))
        # The loop clears the flag before it looks, so what is appended is seen or wakes it.
        if not self._is_woken:
            self._is_woken = True
            try:
                future.get_loop().call_soon_threadsafe(self._tell)
            except RuntimeError:  # the loop has ended, and with it whoever waited
                self._is_woken = False

    def _tell(self) -> None:
        self._is_woken = False
        while self._settled:
            future, error = self._settled.popleft()
            if future.done():
                continue  # its client is gone
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
