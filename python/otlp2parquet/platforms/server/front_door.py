"""The front door: who may send (tokens, web pages), decided on a request's head.

An ASGI application around another one. Whatever lies behind it is closed to who shows no token,
except the pages that probes ask for; nothing of a body is read for who is turned away. It must
not know what tokens or origins are made of (``core.auth``, ``cors``), nor what is behind it.
"""

from collections.abc import Callable
from typing import Final

from otlp2parquet.config import ServerConfig
from otlp2parquet.core.auth import Tokens
from otlp2parquet.core.otlp_http import Response, format_of, unauthenticated, without_prefix
from otlp2parquet.platforms.server.asgi import (
    Asgi,
    Event,
    Receive,
    Scope,
    Send,
    answer_then_drain,
)
from otlp2parquet.platforms.server.cors import Cors
from otlp2parquet.platforms.server.origins import ALLOWED_PAGE, PATHS, Access

Report = Callable[[Scope, Response], None]
"""Told of each request that the door answers itself, and of its answer."""

OPEN_PATHS: Final = frozenset({"/health", "/ready"})
"""Probes carry no secrets, and these pages tell none."""

HOME: Final = "/"
"""A browser that opens an address shows no token. What it gets there holds none and no data; the
page asks for a token, and shows it where data is."""

_READS: Final = frozenset({"GET", "HEAD"})

STRANGER: Final = "otlp2parquet.stranger"
"""In the scope of a request that none of the tokens came with, and that is let through."""


def front_door(
    application: Asgi,
    config: ServerConfig,
    report: Report = lambda _scope, _response: None,
) -> Asgi:
    """``application`` behind what the configuration asks for; itself when that is nothing."""
    tokens = Tokens(config.auth.tokens) if config.auth.tokens else None
    cors = Cors(config.cors) if config.cors.allowed_origins else None
    if not (tokens or cors):
        return application
    return FrontDoor(
        application, tokens, cors, report, has_page=config.page, path_prefix=config.path_prefix
    )


class FrontDoor:
    """An ASGI 3 application that lets requests through to another one, or answers them."""

    def __init__(
        self,
        application: Asgi,
        tokens: Tokens | None,
        cors: Cors | None,
        report: Report,
        *,
        has_page: bool = False,
        path_prefix: str = "",
    ) -> None:
        self._application = application
        self._path_prefix = path_prefix
        self._report = report
        self._has_page = has_page
        self.tokens = tokens
        """The secrets that open the door, which may be replaced under way; None: it is open."""
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = scope["headers"]
        path = without_prefix(scope["path"], self._path_prefix)
        if self._cors is not None and PATHS.get(path, Access.SEND) is Access.SEND:
            # A preflight comes without secrets: the browser adds them to the request itself.
            answer = self._cors.preflight(scope["method"], headers)
            if answer is not None:
                await answer_then_drain(answer, scope, receive, send)
                self._report(scope, answer)
                return
            fields = self._cors.fields(headers)
            if fields:
                send = _with_fields(send, fields)
                scope = {**scope, ALLOWED_PAGE: True}
        if self.tokens is not None and not self.tokens.admit(headers):
            if path in OPEN_PATHS or self._is_page(path, scope["method"]):
                await self._application({**scope, STRANGER: True}, receive, send)
                return
            answer = unauthenticated(format_of(headers))
            await answer_then_drain(answer, scope, receive, send)
            self._report(scope, answer)
            return
        await self._application(scope, receive, send)

    def _is_page(self, path: str, method: str) -> bool:
        return self._has_page and path == HOME and method in _READS


def _with_fields(send: Send, fields: tuple[tuple[bytes, bytes], ...]) -> Send:
    async def sending(event: Event) -> None:
        if event["type"] == "http.response.start":
            event = {**event, "headers": [*event["headers"], *fields]}
        await send(event)

    return sending
