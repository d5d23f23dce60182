"""Whether there is a gRPC front, and what the configuration makes of it.

Knows the configuration, and that grpcio may be missing or the address taken: HTTP is served then
without it, and the log says so. It must not know calls.
"""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otlp2parquet.config import Config
from otlp2parquet.core.auth import Tokens
from otlp2parquet.platforms.server.application import Application

if TYPE_CHECKING:
    from otlp2parquet.platforms.server.grpc_server import Certificates, GrpcServer

log = logging.getLogger(__name__)


class GrpcFront:
    """The gRPC front of one server, or none."""

    def __init__(self, config: Config, application: Application) -> None:
        self._config = config
        self._application = application
        self._server: GrpcServer | None = None
        self._certificates: Certificates | None = None
        secrets = config.server.auth.tokens
        self._tokens = Tokens(secrets) if secrets else None
        self.address = ""
        """Where it listens; empty when there is none."""

    @property
    def tokens(self) -> Tokens | None:
        """The secrets that open it, which may be replaced at any time; None: it is open."""
        return self._tokens

    @tokens.setter
    def tokens(self, tokens: Tokens | None) -> None:
        self._tokens = tokens
        if self._server is not None:
            self._server.tokens = tokens

    async def start(self) -> None:
        """Take calls from now on, if that is asked for and possible. Raises nothing."""
        wanted = self._config.server.grpc_addr
        if wanted is None:
            return
        try:
            # Known from here on to whoever renews tokens and certificates while it starts.
            self._server = self._make()
            port = await self._server.start(wanted.host, wanted.port)
        except (OSError, ImportError, _CannotError) as error:
            self._server = None
            log.warning(
                "OTLP/gRPC is not served, OTLP/HTTP is: %s (server.grpc_addr, which may be off)",
                error,
            )
            return
        except Exception:
            self._server = None
            log.exception("OTLP/gRPC is not served, OTLP/HTTP is (server.grpc_addr)")
            return
        self.address = str(wanted._replace(port=port))
        scheme = "https" if self._certificates else "http"
        log.info("listening for OTLP/gRPC on %s://%s", scheme, self.address)

    def _make(self) -> "GrpcServer":
        # What it would say of broken connections goes past the log, in a form of its own.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        # Not at the top: whoever serves no gRPC need not have it, nor its 20 MB in memory.
        from otlp2parquet.platforms.server.grpc_server import (  # noqa: PLC0415
            Certificates,
            GrpcServer,
        )

        config, tls = self._config, self._config.server.tls
        if tls.cert is not None and tls.key is not None:
            if tls.min_version != "1.2":
                raise _CannotError(
                    f"grpcio cannot be held to TLS {tls.min_version} (server.tls.min_version)"
                )
            self._certificates = Certificates(tls.cert, tls.key, tls.client_ca)
        limit = config.request.max_payload_bytes
        return GrpcServer(
            self._application.exports,
            # What is being received is not in the budget: it may be as much again, and grpcio holds
            # a message twice at its end, in pieces and in one.
            readers=max(2, config.batch.memory_bytes // (2 * limit)),
            tls=self._certificates,
            tokens=self._tokens,
            is_ready=lambda: self._application.is_ready,
            report=self._application.report_call,
            idle_secs=config.server.idle_timeout_secs,
        )

    def renew_certificates(self, tls: Mapping[str, Any]) -> None:
        """Take the files that ``tls`` names as they are now, for connections from now on."""
        if self._certificates is not None:
            self._certificates.renew(tls)

    async def stop(self, grace_secs: float) -> None:
        """Take no more calls; returns when those in progress are answered, or time is over.

        May be called once more, with less time.
        """
        if self._server is not None:
            await self._server.stop(grace_secs)

    def expire(self) -> None:
        """Refuse the calls whose messages are not here."""
        if self._server is not None:
            self._server.expire()


class _CannotError(Exception):
    """What is configured cannot be had with gRPC."""
