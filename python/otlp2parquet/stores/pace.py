"""How many requests a storage gets at once, and when: fewer and later when it asks for that.

Knows counts and a clock. Must not know requests. A storage that says "slow down" gets half as many
requests at once, and none for a pause that doubles with each further word. Each good answer halves
the next pause, and as many of them as there may be requests at once allow one more: so a storage
that says it now and then is asked about as often as it answers, as TCP does it. Who waits here
waits a bounded time, and goes on then: whether a request fails is for the storage to say.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

MOST_AT_ONCE: Final = 64
_FIRST_PAUSE_SECS: Final = 0.25
_LONGEST_PAUSE_SECS: Final = 8.0
_LONGEST_WAIT_SECS: Final = 10.0


class Pace:
    """Turns for requests. Safe for several threads."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._monotonic = monotonic
        self._jitter = jitter
        self._changed = threading.Condition()
        self._at_once = 0
        self._most = MOST_AT_ONCE
        self._good = 0
        self._pause = 0.0
        self._not_before = 0.0

    @property
    def most(self) -> int:
        """How many requests it may be at once now."""
        return self._most

    @property
    def pause_secs(self) -> float:
        """How long no further request begins."""
        return max(0.0, self._not_before - self._monotonic())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Around one request: begins when it may, at the latest after a bounded time."""
        deadline = self._monotonic() + _LONGEST_WAIT_SECS
        with self._changed:
            while (wait := self._wait_secs(deadline)) > 0:
                self._changed.wait(wait)
            self._at_once += 1
        try:
            yield
        except BaseException:
            with self._changed:
                self._at_once -= 1
                self._changed.notify_all()
            raise
        with self._changed:
            self._at_once -= 1
            self._good_answer()
            self._changed.notify_all()

    def slow_down(self) -> None:
        """The storage has asked for it."""
        with self._changed:
            now = self._monotonic()
            # Answers to requests that were under way together are one word.
            if now < self._not_before:
                return
            self._good = 0
            self._most = max(1, min(self._most, self._at_once) // 2)
            self._pause = min(max(2 * self._pause, _FIRST_PAUSE_SECS), _LONGEST_PAUSE_SECS)
            self._not_before = now + self._pause * (0.75 + 0.5 * self._jitter())

    def _good_answer(self) -> None:
        if self._most == MOST_AT_ONCE:
            return
        self._good += 1
        self._pause /= 2
        if self._good >= self._most:
            self._good = 0
            self._most += 1

    def _wait_secs(self, deadline: float) -> float:
        now = self._monotonic()
        pause = min(self._not_before, deadline) - now
        if pause > 0 or self._at_once < self._most:
            return max(pause, 0.0)
        return max(deadline - now, 0.0)
