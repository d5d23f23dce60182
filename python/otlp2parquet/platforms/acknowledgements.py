"""Acknowledgements: a request's task sleeps until its body is appended and kept.

Knows asyncio, and of appending and keeping no more than that both end, well or badly. Only the
later of the two wakes the task, and many acknowledgements share one wake-up of the loop: each
wake-up costs system calls, and hands the interpreter to another thread.
"""

import asyncio
from collections import deque
from itertools import count

from otlp2parquet.core import Appended
from otlp2parquet.errors import StorageError


class Acknowledgement:
    """What one request waits for. Any thread may report to it, and each of the two ends once."""

    __slots__ = ("_appended", "_ends", "_error", "_needed", "_waiting", "future")

    def __init__(
        self, waiting: "Acknowledgements", future: "asyncio.Future[Appended]", *, needed: int
    ) -> None:
        self.future = future
        self._waiting = waiting
        self._appended: Appended | None = None
        self._error: StorageError | None = None
        self._needed = needed
        # The log's thread may be done before the one that appended has said so. Which of them is
        # the last is told by a counter, whose steps are atomic: no lock is needed.
        self._ends = count(1)

    def report_appended(self, appended: Appended) -> None:
        """The body's rows are in the builders."""
        self._appended = appended
        self._report_end()

    def report_kept(self, error: StorageError | None) -> None:
        """The body is kept as the durability mode promises, or ``error`` says why it is not."""
        self._error = error
        self._report_end()

    def report_failed(self, error: BaseException) -> None:
        """The body is not appended, so nobody will report whether it is kept."""
        self._waiting.settle(self.future, error)

    def _report_end(self) -> None:
        if next(self._ends) == self._needed:
            result = self._appended if self._error is None else self._error
            assert result is not None  # noqa: S101 - both ends are reported
            self._waiting.settle(self.future, result)


class Acknowledgements:
    """Futures of the loop's tasks, settled from any thread.

    A context manager: all that is settled within costs one wake-up, behind the last. (The system
    call that wakes the loop gives it the interpreter, and whoever has more to settle would wait
    to get that back, and find the loop asleep again.) Meanwhile others may settle, too.
    """

    def __init__(self) -> None:
        self._settled: deque[tuple[asyncio.Future[Appended], Appended | BaseException]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_woken = self._is_grouping = False

    def __enter__(self) -> None:
        self._is_grouping = True

    def __exit__(self, *_: object) -> None:
        # In this order: whoever has left the wake-up to us has settled before.
        self._is_grouping = False
        if self._settled:
            self._wake()

    def expect(self, *, is_kept_later: bool) -> Acknowledgement:
        """What a task awaits. To be called on the loop's thread.

        ``is_kept_later``: that the body is kept is reported at a time of its own; else appended
        is kept.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # whatever another one was woken for has ended with it
            self._loop, self._is_woken = loop, False
        return Acknowledgement(self, loop.create_future(), needed=1 + is_kept_later)

    def settle(self, future: "asyncio.Future[Appended]", result: Appended | BaseException) -> None:
        """Have the loop give ``result`` to whoever awaits ``future``."""
        self._settled.append((future, result))
        if not self._is_grouping:
            self._wake()

    def _wake(self) -> None:
        # The loop clears the flag before it looks, so what is settled is seen or wakes it.
        if not self._is_woken and self._loop is not None:
            self._is_woken = True
            try:
                self._loop.call_soon_threadsafe(self._give_results)
            except RuntimeError:  # the loop has ended, and with it whoever waited
                self._is_woken = False

    def _give_results(self) -> None:
        self._is_woken = False
        while self._settled:
            future, result = self._settled.popleft()
            if future.done():
                continue  # its client is gone
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
