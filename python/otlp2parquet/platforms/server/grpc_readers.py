"""Who may receive a message: so many calls at a time, and nobody for long while others wait.

Knows asyncio and how requests are refused. It must not know grpcio. What is being received is held
where nobody can count it, so its number is bounded. Then a few clients that say nothing could keep
all others out: whoever has been at it for ``CONTENDED_SECS`` gives way to one who waits. Of those
the last who came is the first to go on, because it is the one whose client still has time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from otlp2parquet.core.outcome import NO_MEMORY, SLOW_BODY, STOPPING, Outcome, RefusedError

SLOW_SECS: Final = 30.0
"""How long a message may be on its way, from when it is asked for."""

CONTENDED_SECS: Final = 1.5
"""How long it may be, where others wait for the room."""

QUEUE_SECS: Final = 4.0
"""How long a call waits to be asked for its message: "answer within 5 s or say UNAVAILABLE", since
clients give an export 10 s with all of its retries."""

T = TypeVar("T")


class Readers:
    """Room for ``most`` messages that are being received. For one event loop."""

    def __init__(
        self,
        most: int,
        *,
        slow_secs: float = SLOW_SECS,
        contended_secs: float = CONTENDED_SECS,
        queue_secs: float = QUEUE_SECS,
    ) -> None:
        self._free = most
        self._slow_secs = slow_secs
        self._contended_secs = contended_secs
        self._queue_secs = queue_secs
        self._reading: dict[asyncio.Timeout, float] = {}
        """Since when, the longest first."""
        self._waiting: list[asyncio.Future[None]] = []
        self._look: asyncio.TimerHandle | None = None
        """When the longest is looked at next; None while nobody waits."""
        self._is_stopping = False

    async def read(self, receive: Callable[[], Awaitable[T]]) -> T:
        """What ``receive`` gives, in its turn; raises ``RefusedError`` where it takes too long."""
        if self._is_stopping:
            raise RefusedError(STOPPING)
        if self._free:
            self._free -= 1
        else:
            await self._turn()
        try:
            async with asyncio.timeout(self._slow_secs) as limit:
                self._reading[limit] = asyncio.get_running_loop().time()
                try:
                    return await receive()
                finally:
                    del self._reading[limit]
        except TimeoutError:
            raise RefusedError(self._why_ended()) from None
        finally:
            self._give()

    def _why_ended(self) -> Outcome:
        return STOPPING if self._is_stopping else SLOW_BODY

    def stop(self) -> None:
        """Refuse who comes, who waits and who receives."""
        self._is_stopping = True
        for turn in self._waiting:
            _refuse(turn, STOPPING)
        for limit in self._reading:
            _end(limit)

    async def _turn(self) -> None:
        """Return when there is room, and it is the caller's. Raises ``RefusedError``."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if self._look is None:
            self._give_way()
        too_late = loop.call_later(self._queue_secs, _refuse, turn, NO_MEMORY)
        try:
            await turn
        except BaseException:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                self._give()  # it was given to who is cancelled
            raise
        finally:
            too_late.cancel()

    def _give(self) -> None:
        """Pass room on to the last who came, if somebody waits."""
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _give_way(self) -> None:
        """While somebody waits: end what has been received for too long, and look again."""
        self._look = None
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        oldest = now
        for limit, since in self._reading.items():
            if now - since < self._contended_secs:
                oldest = since
                break
            _end(limit)
        self._look = loop.call_at(oldest + self._contended_secs, self._give_way)


def _end(limit: asyncio.Timeout) -> None:
    if not limit.expired():  # else it is ending already
        limit.reschedule(asyncio.get_running_loop().time())


def _refuse(turn: "asyncio.Future[None]", why: Outcome) -> None:
    if not turn.done():
        turn.set_exception(RefusedError(why))
