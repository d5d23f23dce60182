"""Reading a request's body: bounded, complete, within the budget, and not for ever.

Knows ASGI's receive events. It must not know what the bytes mean nor what the answers are: each
way in which a body is not read is an exception of its own. A body that was cut, however little
is missing, never comes back as bytes: cut at the right place it would look valid.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Self

from otlp2parquet.batches.budget import Budget

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

GRACE_SECS: Final = 10.0
MIN_BYTES_PER_SEC: Final = 64 << 10
"""A body may take the grace plus its size at this rate; slower ones are given up."""

DRAIN_BYTES: Final = 1 << 20
DRAIN_SECS: Final = 1.0
"""How much of a refused body is still taken in, so that the client comes to read the answer."""

INFLATE_ESTIMATE: Final = 8
"""A compressed body is budgeted as this many times its size on top of it. OTLP shrinks by about
as much; the limit on the inflated size bounds the error."""


class BodyCut(Exception):  # noqa: N818 - an outcome of the read, caught one frame up
    """The client left, or the body is not as long as announced."""


class BodyTooLarge(Exception):  # noqa: N818 - as above
    """The body grew beyond the limit while it was read."""


class BodyTooSlow(Exception):  # noqa: N818 - as above
    """The body came slower than allowed, or the server is stopping and no longer waits."""


class OverBudget(Exception):  # noqa: N818 - as above
    """There is no memory left for the body."""


class Admission:
    """The bytes of the budget that one request holds; a context manager that gives them back."""

    __slots__ = ("_budget", "_factor", "_taken", "_top")

    def __init__(self, budget: Budget, *, compressed: bool, max_payload_bytes: int) -> None:
        self._budget = budget
        self._factor = INFLATE_ESTIMATE if compressed else 0
        self._top = max_payload_bytes
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give(self._taken)
        self._taken = 0

    def cover(self, size: int) -> None:
        """Hold enough for a body of ``size`` bytes in all, and its inflated form if compressed.

        Raises ``OverBudget`` when that does not fit; what is held already stays held.
        """
        needed = size + min(size * self._factor, self._top if self._factor else 0)
        if needed > self._taken or not size:
            if not self._budget.try_take(max(0, needed - self._taken)):
                raise OverBudget
            self._taken = max(needed, self._taken)


class _Reading:
    __slots__ = ("late", "received", "started", "task")

    def __init__(self, task: "asyncio.Task[Any] | None", started: float) -> None:
        self.task = task
        self.started = started
        self.received = 0
        self.late = False


class Bodies:
    """The bodies that are being read now; ``expire`` gives up those that are too slow."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._readings: set[_Reading] = set()

    def __len__(self) -> int:
        return len(self._readings)

    def expire(self, *, everything: bool = False) -> None:
        """Give up bodies that are slower than allowed, or all of them. On the loop's thread."""
        now = self._monotonic()
        for reading in self._readings:
            allowed = GRACE_SECS + reading.received / MIN_BYTES_PER_SEC
            if (everything or now - reading.started > allowed) and not reading.late:
                reading.late = True
                if reading.task is not None:
                    reading.task.cancel()

    async def read(
        self, receive: Receive, admission: Admission, *, content_length: int | None, limit: int
    ) -> bytes:
        """The whole body. Raises ``BodyCut``, ``BodyTooLarge``, ``BodyTooSlow``, ``OverBudget``.

        ``content_length`` is what the head announced (admitted by the caller), None for a
        chunked body, which is admitted as it grows.
        """
        reading = _Reading(asyncio.current_task(), self._monotonic())
        self._readings.add(reading)
        parts: list[bytes] = []
        try:
            more = True
            while more:
                event = await receive()
                if event["type"] != "http.request":
                    raise BodyCut
                part: bytes = event.get("body", b"")
                more = event.get("more_body", False)
                if not part:
                    continue
                parts.append(part)
                reading.received += len(part)
                if reading.received > limit:
                    raise BodyTooLarge
                if content_length is None:
                    admission.cover(reading.received)
        except asyncio.CancelledError:
            if not reading.late or reading.task is None:
                raise
            reading.task.uncancel()
            raise BodyTooSlow from None
        finally:
            self._readings.discard(reading)
        if content_length is not None and reading.received != content_length:
            raise BodyCut
        return parts[0] if len(parts) == 1 else b"".join(parts)


async def drain(receive: Receive) -> None:
    """Take in what is left of a body that was refused, up to a bound in bytes and time."""
    received = 0
    try:
        async with asyncio.timeout(DRAIN_SECS):
            while received <= DRAIN_BYTES:
                event = await receive()
                received += len(event.get("body", b""))
                if event["type"] != "http.request" or not event.get("more_body", False):
                    return
    except TimeoutError:
        return
