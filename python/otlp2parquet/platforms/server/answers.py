"""Answers that wait: a request's task sleeps until its body is appended and kept.

Knows asyncio, and of appending and keeping no more than that both have an outcome. Only the
later of the two wakes the task, and many answers share one wake-up of the loop: each costs
system calls, and hands the interpreter to another thread.
"""

import asyncio
from collections import deque
from itertools import count

from otlp2parquet.core import Appended
from otlp2parquet.errors import StorageError


class Answer:
    """What one request waits for. Any thread may tell it, and each outcome once."""

    __slots__ = ("_answers", "_appended", "_met", "_needed", "_refused", "future")

    def __init__(
        self, answers: "Answers", future: "asyncio.Future[Appended]", *, needed: int
    ) -> None:
        self.future = future
        self._answers = answers
        self._appended: Appended | None = None
        self._refused: StorageError | None = None
        self._needed = needed
        # The log's thread may be done before the one that appended has said so. Which of them is
        # the last is told by a counter, whose steps are atomic: no lock is needed.
        self._met = count(1)

    def appended(self, appended: Appended) -> None:
        """The body is in the builders."""
        self._appended = appended
        self._meet()

    def kept(self, error: StorageError | None) -> None:
        """The body is kept as the mode promises, or why it is not."""
        self._refused = error
        self._meet()

    def failed(self, error: BaseException) -> None:
        """The body is not appended, so nobody will say that it is kept."""
        self._answers.settle(self.future, error)

    def _meet(self) -> None:
        if next(self._met) == self._needed:
            outcome = self._appended if self._refused is None else self._refused
            assert outcome is not None  # noqa: S101 - both are known
            self._answers.settle(self.future, outcome)


class Answers:
    """Futures of the loop's tasks, settled from any thread.

    A context manager: all that is settled within costs one wake-up, behind the last. (The system
    call that wakes the loop gives it the interpreter, and whoever has more to settle would wait
    to get that back, and find the loop asleep again.) Meanwhile others may settle, too.
    """

    def __init__(self, *, keeps_later: bool) -> None:
        self._needed = 2 if keeps_later else 1
        self._settled: deque[tuple[asyncio.Future[Appended], Appended | BaseException]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_woken = self._is_held = False

    def __enter__(self) -> None:
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        # In this order: whoever has left the wake-up to us has settled before.
        self._is_held = False
        if self._settled:
            self._wake()

    def expect(self) -> Answer:
        """What a task awaits. On the loop's thread."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # whatever another one was woken for has ended with it
            self._loop, self._is_woken = loop, False
        return Answer(self, loop.create_future(), needed=self._needed)

    def settle(self, future: "asyncio.Future[Appended]", outcome: Appended | BaseException) -> None:
        """Have the loop give ``outcome`` to whoever awaits ``future``."""
        self._settled.append((future, outcome))
        if not self._is_held:
            self._wake()

    def _wake(self) -> None:
        # The loop clears the flag before it looks, so what is settled is seen or wakes it.
        if not self._is_woken and self._loop is not None:
            self._is_woken = True
            try:
                self._loop.call_soon_threadsafe(self._tell)
            except RuntimeError:  # the loop has ended, and with it whoever waited
                self._is_woken = False

    def _tell(self) -> None:
        self._is_woken = False
        while self._settled:
            future, outcome = self._settled.popleft()
            if future.done():
                continue  # its client is gone
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
