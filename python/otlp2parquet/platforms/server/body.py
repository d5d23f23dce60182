"""Reading a request's body: bounded, complete, within the budget, and not for ever.

Knows ASGI's receive events. It must not know what the bytes mean nor what the answers are: where
a body is not read to its end, ``RefusedError`` says why. A body that was cut, however little
is missing, never comes back as bytes: cut at the right place it would look valid.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from otlp2parquet.core.outcome import (
    CUT_BODY,
    SLOW_BODY,
    STOPPING,
    Outcome,
    RefusedError,
    too_large,
)
from otlp2parquet.platforms.export import Admission
from otlp2parquet.platforms.server.asgi import Receive

GRACE_SECS: Final = 10.0
MIN_BYTES_PER_SEC: Final = 64 << 10
"""A body may take the grace plus its size at this rate; slower ones are given up."""

_SMALL_BYTES: Final = 4 << 10
_PIECE_BYTES: Final = 64 << 10
"""Small parts are gathered into pieces: each object costs some forty bytes, which no budget counts,
and a client may send its body byte by byte."""


class _Reading:
    __slots__ = ("given_up", "received", "started", "task")

    def __init__(self, task: "asyncio.Task[Any] | None", started: float) -> None:
        self.task = task
        self.started = started
        self.received = 0
        self.given_up: Outcome | None = None


class Bodies:
    """The bodies that are being read now; ``expire`` gives up those that are too slow."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._readings: set[_Reading] = set()

    def __len__(self) -> int:
        return len(self._readings)

    def expire(self, *, everything: bool = False) -> None:
        """Give up bodies that are slower than allowed; or all, because the server is stopping.

        To be called on the loop's thread.
        """
        now = self._monotonic()
        for reading in self._readings:
            allowed = GRACE_SECS + reading.received / MIN_BYTES_PER_SEC
            if (everything or now - reading.started > allowed) and reading.given_up is None:
                reading.given_up = STOPPING if everything else SLOW_BODY
                if reading.task is not None:
                    reading.task.cancel()

    async def read(
        self, receive: Receive, content_length: int | None, limit: int, admission: Admission
    ) -> bytes:
        """The whole body; raises ``RefusedError``.

        ``content_length`` is what the head announced (covered by the caller), None for a
        chunked body, which is covered as it grows. ``limit`` is the most bytes that are taken.
        """
        reading = _Reading(asyncio.current_task(), self._monotonic())
        self._readings.add(reading)
        parts: list[bytes] = []
        small = bytearray()
        try:
            more = True
            while more:
                event = await receive()
                if event["type"] != "http.request":
                    raise RefusedError(CUT_BODY)
                part: bytes = event.get("body", b"")
                more = event.get("more_body", False)
                if not part:
                    continue
                if parts and len(part) < _SMALL_BYTES:
                    small += part
                    if len(small) >= _PIECE_BYTES:
                        parts.append(bytes(small))
                        small.clear()
                else:
                    if small:
                        parts.append(bytes(small))
                        small.clear()
                    parts.append(part)
                reading.received += len(part)
                if reading.received > limit:
                    raise RefusedError(too_large(limit))
                if content_length is None:
                    admission.cover(reading.received)
        except asyncio.CancelledError:
            if reading.given_up is None or reading.task is None:
                raise
            reading.task.uncancel()
            raise RefusedError(reading.given_up) from None
        finally:
            self._readings.discard(reading)
        if content_length is not None and reading.received != content_length:
            raise RefusedError(CUT_BODY)
        return parts[0] if len(parts) == 1 and not small else b"".join((*parts, small))
