"""The standard health service, ``grpc.health.v1``: whether the server takes requests now.

Knows grpcio and the service's two messages, and that the three services of OTLP are all in one
condition. It must not know what that depends on. Probes show no token, so that strangers may call
it: it has bounds of its own, and none of its callers is in the way of an export.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import grpc

from otlp2parquet.core.otlp_grpc import METHODS, refuse, render
from otlp2parquet.core.outcome import RefusedError, too_large
from otlp2parquet.platforms.server.grpc_call import give, read_message
from otlp2parquet.platforms.server.grpc_readers import Readers

HEALTH: Final = "/grpc.health.v1.Health"

_SERVING, _NOT_SERVING, _SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"
"""HealthCheckResponse: ``ServingStatus status = 1``."""

_SERVICES: Final = [name.split("/")[1].encode() for name in METHODS]
_REQUESTS: Final = frozenset(
    {b"", b"\x0a\0", *(b"\x0a" + bytes([len(name)]) + name for name in _SERVICES)}
)
"""HealthCheckRequest, which is ``string service = 1``, for all that we are asked for."""

READERS: Final = 2
"""Requests that are received at a time: they are some bytes, and could be as many as an export."""

WATCH_SECS: Final = 1.0
"""How often a watcher's server looks at itself."""

MAX_WATCHERS: Final = 100

_TOO_MANY: Final = refuse("UNAVAILABLE", "memory", "too many watchers at once, ask again")


class Health:
    """Answers ``Check`` and ``Watch``; ``is_ready`` is what it says."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self._readers = Readers(READERS)
        self._watchers = 0
        self._is_stopping = asyncio.Event()

    def stop(self) -> None:
        """Say that nothing is served any more, and end."""
        self._is_stopping.set()
        self._readers.stop()

    async def check(self, _: Any, context: Any) -> bytes:  # noqa: ANN401 - grpcio has no types
        """How it is now."""
        if not await self._asks_for_ours(context):
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return self._status()

    async def watch(self, _: Any, context: Any) -> None:  # noqa: ANN401
        """How it is at once, and again whenever that has changed."""
        if self._watchers >= MAX_WATCHERS:
            await give(context, _TOO_MANY)
        self._watchers += 1
        try:
            await self._watch(context)
        finally:
            self._watchers -= 1

    async def _watch(self, context: Any) -> None:  # noqa: ANN401
        is_ours = await self._asks_for_ours(context)
        said = b""
        while True:
            status = self._status() if is_ours else _SERVICE_UNKNOWN
            if status != said:
                await context.write(status)
                said = status
            if self._is_stopping.is_set():
                return
            try:
                await asyncio.wait_for(self._is_stopping.wait(), WATCH_SECS)
            except TimeoutError:
                continue

    async def _asks_for_ours(self, context: Any) -> bool:  # noqa: ANN401
        """Whether the whole server or one of our services is asked for."""
        try:
            request = await self._readers.read(partial(read_message, context))
        except RefusedError as refused:
            await give(context, render(refused.outcome))
            raise
        if request is None:
            await give(context, render(_NO_REQUEST))
        return request in _REQUESTS

    def _status(self) -> bytes:
        is_serving = self._is_ready() and not self._is_stopping.is_set()
        return _SERVING if is_serving else _NOT_SERVING


_NO_REQUEST: Final = too_large(0)._replace(message="the request is too large, or was cut")
