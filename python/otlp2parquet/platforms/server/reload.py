"""SIGHUP, where no terminal is gone: tokens and certificates are read again, and serving goes on.

Knows which settings can change under a running server. It must not know how a server or a door
takes them. Whatever is wrong with the new ones, the old ones stay in effect and the log says why:
a door is never opened, and TLS never left, by a mistake in a file.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from otlp2parquet.config import Config, ServerConfig
from otlp2parquet.core.auth import Tokens
from otlp2parquet.errors import ConfigError
from otlp2parquet.platforms.server.tls import granian_arguments

log = logging.getLogger(__name__)


class Door(Protocol):
    """Whoever asks for tokens, where any are set."""

    tokens: Tokens | None


class Reload:
    """What a running server can be told anew. ``begin`` is for the event loop's thread."""

    def __init__(
        self,
        config: ServerConfig,
        doors: Sequence[Door],
        renew_certificates: Callable[[Mapping[str, Any]], None],
        read_again: Callable[[], Config] | None,
    ) -> None:
        self._config = config
        self._doors = doors
        self._renew_certificates = renew_certificates
        self._read_again = read_again
        self._running: asyncio.Task[None] | None = None
        self._is_wanted = False

    def begin(self) -> None:
        """Read again, and put in effect what may be. Does not wait.

        Whoever asks while it is under way may have changed what was read already: it is done once
        more then.
        """
        self._is_wanted = True
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            await self.reload()

    async def reload(self) -> None:
        """As ``begin``, to its end. Raises nothing: a server outlives a bad file."""
        if self._read_again is None:
            log.warning("SIGHUP: there is nothing to be read again")
            return
        try:
            server = (await asyncio.to_thread(self._read_again)).server
            tls = await asyncio.to_thread(granian_arguments, server.tls)
            self._check(server)
            if tls:  # before the tokens: whoever cannot take the one keeps the other, too
                self._renew_certificates(tls)
        except ConfigError as error:
            log.error("SIGHUP: the old tokens and certificates stay in effect: %s", error)  # noqa: TRY400 - the message explains itself
            return
        except Exception:
            log.exception("SIGHUP: the old tokens and certificates stay in effect")
            return
        if server.auth.tokens:
            for door in self._doors:
                door.tokens = Tokens(server.auth.tokens)
        self._config = server
        fields = {"tokens": len(server.auth.tokens), "tls": bool(tls)}
        log.info("SIGHUP: tokens and certificates were read again", extra={"fields": fields})

    def _check(self, server: ServerConfig) -> None:
        """Raise ``ConfigError`` where the new settings can only come with a new start."""
        before = self._config
        for key, old, new in (
            ("server.auth.tokens", before.auth.tokens, server.auth.tokens),
            ("server.tls.cert", before.tls.cert, server.tls.cert),
            ("server.tls.client_ca", before.tls.client_ca, server.tls.client_ca),
        ):
            if bool(old) != bool(new):
                found = "set" if new else "not set"
                raise ConfigError(
                    f"{key}: found {found}, which was not so at the start, expected a restart"
                )
