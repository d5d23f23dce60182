"""The front door: who may send (tokens, web pages), decided on a request's head.

An ASGI application around another one. Whatever lies behind it is closed to who shows no token,
except the pages that probes ask for; nothing of a body is read for who is turned away. It must
not know what tokens or origins are made of (``core.auth``, ``cors``), nor what is behind it.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from otlp2parquet.config import ServerConfig
from otlp2parquet.core.auth import Tokens
from otlp2parquet.core.otlp_http import Response, format_of, unauthorized
from otlp2parquet.platforms.server.body import Receive, drain
from otlp2parquet.platforms.server.cors import Cors

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS: Final = frozenset({"/health", "/ready"})
"""Probes carry no secrets, and these pages tell none."""


def front_door(
    application: Asgi,
    config: ServerConfig,
    count: Callable[[int], None] = lambda _: None,
) -> Asgi:
    """``application`` behind what the configuration asks for; itself when that is nothing.

    ``count`` is told the status of each answer that the door gives itself.
    """
    tokens = Tokens(config.auth.tokens) if config.auth.tokens else None
    cors = Cors(config.cors) if config.cors.allowed_origins else None
    return FrontDoor(application, tokens, cors, count) if tokens or cors else application


class FrontDoor:
    """An ASGI 3 application that lets requests through to another one, or answers them."""

    def __init__(
        self,
        application: Asgi,
        tokens: Tokens | None,
        cors: Cors | None,
        count: Callable[[int], None],
    ) -> None:
        self._application = application
        self._count = count
        self._tokens = tokens
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = scope["headers"]
        if self._cors is not None:
            # A preflight comes without secrets: the browser adds them to the request itself.
            answer = self._cors.preflight(scope["method"], headers)
            if answer is not None:
                self._count(answer.status)
                await _answer(answer, scope, receive, send)
                return
            send = _with_fields(send, self._cors.fields(headers))
        if (
            self._tokens is not None
            and scope["path"] not in OPEN_PATHS
            and not self._tokens.admit(headers)
        ):
            log.debug("turned away: no token, or an unknown one")
            answer = unauthorized(format_of(headers))
            self._count(answer.status)
            await _answer(answer, scope, receive, send)
            return
        await self._application(scope, receive, send)


def _with_fields(send: Send, fields: tuple[tuple[bytes, bytes], ...]) -> Send:
    if not fields:
        return send

    async def sending(event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            event = {**event, "headers": [*event["headers"], *fields]}
        await send(event)

    return sending


async def _answer(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer first, then take in a little of the body, so that the answer is read."""
    headers = list(response.headers)
    if scope.get("http_version", "1.1").startswith("1") and response.status >= 400:  # noqa: PLR2004
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
    await drain(receive)
