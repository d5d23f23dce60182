"""Granian in this process: on a socket that is ours, with the certificates of now.

Knows Granian's arguments and workers. It must not know the configuration, signals or requests.
"""

import asyncio
import logging
import socket
from collections.abc import Mapping
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from otlp2parquet.platforms.server.asgi import Asgi

BACKLOG: Final = 1024
MAX_CONNECTIONS: Final = 8192


class GranianServer(Server):
    """Granian on a socket that is ours.

    Granian's own sets SO_REUSEPORT, with which a second server on a port in use starts without
    a word and takes half of the connections. There is no lifespan: whoever serves starts and stops
    the application, because workers come and go with the certificates.

    A connection on which nothing comes for ``idle_secs`` ends, in HTTP/1; in HTTP/2 its client is
    asked that often whether it is still there.
    """

    def __init__(
        self, sock: socket.socket, target: Asgi, tls: Mapping[str, Any], idle_secs: float
    ) -> None:
        idle_ms = max(1, round(idle_secs * 1000))
        super().__init__(
            target,
            interface=Interfaces.ASGINL,
            http=HTTPModes.auto,
            websockets=False,
            backlog=BACKLOG,
            backpressure=MAX_CONNECTIONS,
            # The wait for a head begins when the answer before it is sent.
            http1_settings=HTTP1Settings(header_read_timeout=idle_ms),
            http2_settings=HTTP2Settings(keep_alive_interval=idle_ms),
            log_enabled=False,
            **tls,
        )
        # Its errors go where all log lines go; what it says of itself is not for operators.
        its_log = logging.getLogger("_granian")
        its_log.handlers.clear()
        its_log.propagate = True
        its_log.setLevel(logging.ERROR)
        self._socket = sock
        self._leaving: set[asyncio.Task[object]] = set()

    def _init_shared_socket(self) -> None:
        # A worker closes what it was given, so each gets a descriptor of its own.
        uds = False
        self._shd = SocketHolder(self._socket.dup().detach(), uds, BACKLOG)  # type: ignore[assignment, call-arg]

    def stop(self) -> None:
        """Take no more connections; ``serve`` returns behind the last one."""
        self._socket.close()
        super().stop()  # type: ignore[no-untyped-call]

    async def shutdown(self, exit_code: int = 0) -> None:
        """End the worker, and wait for those that have left before it."""
        await super().shutdown(exit_code)  # type: ignore[no-untyped-call]
        if self._leaving:
            await asyncio.wait(self._leaving)

    def renew_certificates(self, tls: Mapping[str, Any]) -> None:
        """Take the files that ``tls`` names as they are now, for connections from now on.

        A second worker begins on the same socket before the first one stops to take connections;
        that one then answers what it has begun, and closes its connections. Does not wait for it.
        """
        self.build_ssl_context(
            tls["ssl_cert"],
            tls["ssl_key"],
            None,
            tls["ssl_protocol_min"],
            tls["ssl_ca"],
            [],
            tls["ssl_client_verify"],
        )
        if not self.wrks or self._socket.fileno() < 0:
            return  # it does not serve yet, or not any more
        self._init_shared_socket()
        old: Any = self.wrks[0]
        new: Any = self._spawn_worker(0, self._spawn_asgi_worker, self.target)
        new.start()
        self.wrks[:] = [new]
        old.terminate()
        task = asyncio.ensure_future(old.join())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
