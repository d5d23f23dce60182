"""``GET /live``: what is received, as server-sent events over ASGI.

Knows ASGI and the query. It must not know who decodes. A client that has left is noticed at once,
one that does not read holds one chunk and no more, and all streams end when the server stops.

Who may read is decided before: by the front door, where tokens are set, and by ``origins``.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from otlp2parquet.core.auth import Tokens
from otlp2parquet.core.otlp_http import Response
from otlp2parquet.platforms.health import json_page, not_a_get
from otlp2parquet.platforms.server.asgi import Receive, Scope, Send, send_response
from otlp2parquet.platforms.server.live.events import BEGINNING, STILL_HERE
from otlp2parquet.platforms.server.live.filters import Wish, read_query
from otlp2parquet.platforms.server.live.tap import MAX_WATCHERS, Tap
from otlp2parquet.platforms.server.live.view import Watcher

PATH: Final = "/live"

STILL_HERE_SECS: Final = 15.0

HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
)

NOT_ON: Final = json_page(
    404,
    {
        "error": "the live view is off: otlp2parquet dev has it on, and serve with server.page = "
        "true (OTLP2PARQUET_SERVER_PAGE=true)",
        "setting": "server.page",
    },
)
"""The answer where nothing may be looked at."""


async def answer(tap: Tap | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request for ``PATH``; returns when the stream is over."""
    headers = dict(scope["headers"])
    wish = NOT_ON if tap is None else _read(tap, scope)
    is_head = scope["method"] == "HEAD"
    if tap is None or isinstance(wish, Response):
        assert isinstance(wish, Response)  # noqa: S101 - without a tap it is
        await send_response(send, wish, head=is_head)
        return
    if is_head:
        await send_response(send, Response(200, HEADERS, b""))
        return
    after = headers.get(b"last-event-id", b"")
    last_seen = int(after) if after.isdigit() and len(after) < 20 else None  # noqa: PLR2004
    stream = _Stream(tap, wish, last_seen)
    await stream.run(receive, send)


def _read(tap: Tap, scope: Scope) -> Wish | Response:
    """What is wished for, or why it is not given."""
    if scope["method"] not in ("GET", "HEAD"):
        return not_a_get()
    try:
        wish = read_query(scope.get("query_string", b"").decode("latin-1"))
    except ValueError as error:
        return json_page(400, {"error": str(error)})
    if tap.is_full:
        text = f"{MAX_WATCHERS} look already, which is the most"
        return json_page(503, {"error": text}, (b"retry-after", b"10"))
    return wish


class LiveDoor:
    """The door of streams: whoever was let in by a token that is none any more must go."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    @property
    def tokens(self) -> Tokens | None:
        """The front door has them."""
        return None

    @tokens.setter
    def tokens(self, _tokens: Tokens | None) -> None:
        self._tap.cut()


class _Stream:
    def __init__(self, tap: Tap, wish: Wish, after: int | None) -> None:
        self._tap = tap
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._watcher = Watcher(wish.filter, self._deliver, recent=wish.recent, after=after)

    async def run(self, receive: Receive, send: Send) -> None:
        leaving = asyncio.ensure_future(self._notice(receive))
        try:
            # At once, as it was found that there is room: a client may take its time for the start.
            self._tap.join(self._watcher)
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            if await self._send(send, BEGINNING):
                await self._give_chunks(send)
            if not leaving.done():
                # To whoever does not read it cannot be said that this is the end.
                ending = asyncio.ensure_future(send({"type": "http.response.body", "body": b""}))
                await _within([ending], 0.1)
        finally:
            self._tap.leave(self._watcher)
            leaving.cancel()

    async def _give_chunks(self, send: Send) -> None:
        while True:
            getting = asyncio.ensure_future(self._chunks.get())
            await _within([getting, self._over], STILL_HERE_SECS)
            if self._over.done():
                getting.cancel()
                return
            if not getting.done():
                getting.cancel()
                if not await self._send(send, STILL_HERE):
                    return
            else:
                if not await self._send(send, getting.result()):
                    return
                self._tap.want(self._watcher)

    async def _send(self, send: Send, chunk: bytes) -> bool:
        """Send a chunk; False when the stream is over before the client has taken it."""
        event = {"type": "http.response.body", "body": chunk, "more_body": True}
        sending = asyncio.ensure_future(send(event))
        await _within([sending, self._over], None)
        if not sending.done():
            sending.cancel()
            self._tap.has_cut |= self._tap.is_closed
            return False
        sending.result()
        return not self._over.done()

    async def _notice(self, receive: Receive) -> None:
        """End the stream when the client is gone."""
        event: Mapping[str, object] = {"type": ""}
        while event["type"] != "http.disconnect":
            event = await receive()
        self._end()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _deliver(self, chunk: bytes | None) -> None:
        # From the thread of the view, or from the loop's own.
        take = self._end if chunk is None else lambda: self._chunks.put_nowait(chunk)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(take)


async def _within(what: Iterable["asyncio.Future[Any]"], secs: float | None) -> None:
    await asyncio.wait(what, timeout=secs, return_when=asyncio.FIRST_COMPLETED)
