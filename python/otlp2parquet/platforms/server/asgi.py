"""What of ASGI 3 every part of the server uses: its types, and how a response is sent.

Knows ASGI's events and ``core.otlp_http``'s responses. It must not know what is decided.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from otlp2parquet.core.otlp_http import Response

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

DRAIN_BYTES: Final = 1 << 20
DRAIN_SECS: Final = 1.0
"""How much of a refused body is still taken in, so that the client comes to read the answer."""

_FIRST_ERROR: Final = 400


async def send_response(
    send: Send, response: Response, *, close: bool = False, head: bool = False
) -> None:
    """Send ``response``; with ``close`` the connection ends behind it, with ``head`` bodiless."""
    headers = list(response.headers)
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else response.body})


async def answer_then_drain(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose body is not read, and take in a little of it, so that this is read.

    A refusal ends the connection, where the protocol knows that: the rest of the body is not for
    anybody.
    """
    is_http_1 = scope.get("http_version", "1.1").startswith("1")
    await send_response(send, response, close=is_http_1 and response.status >= _FIRST_ERROR)
    await _drain(receive)


async def _drain(receive: Receive) -> None:
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
