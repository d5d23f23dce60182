"""The gRPC front: calls become export requests of the same use case that HTTP has.

Knows grpcio, ``core.otlp_grpc`` and the use case ``platforms.export``. It must not know the
configuration, HTTP or batches. Messages stay bytes: no message object is ever made.

grpcio receives a whole message before it gives any of it away, and says nothing of its size, so
what it holds cannot be in the budget. It is bounded otherwise: each handler decides before its
message is asked for, few messages are received at a time (``grpc_readers``), and of the others only
what fits into a window is taken from the network. (That is why the handlers are those of client
streaming, of which a unary call is one with a single message: for unary methods grpcio receives the
message first.) Nor does grpcio inflate anything: a message comes as it was sent, so that what it
grows to is in the budget, is bounded while it grows, and is inflated where HTTP's bodies are.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc

from otlp2parquet.core import Signal
from otlp2parquet.core.auth import Tokens
from otlp2parquet.core.otlp_grpc import (
    MEDIA_TYPE,
    METHODS,
    UNAUTHENTICATED,
    Answer,
    encoding_of,
    refuse,
    render,
)
from otlp2parquet.core.outcome import Outcome, RefusedError, of_error, too_large
from otlp2parquet.platforms.export import Admission, Exports
from otlp2parquet.platforms.server.grpc_call import give, read_message
from otlp2parquet.platforms.server.grpc_health import HEALTH, Health
from otlp2parquet.platforms.server.grpc_readers import Readers

log = logging.getLogger(__name__)

MAX_CALLS: Final = 4096
"""Calls in progress; further ones are told to come again. (grpcio's own bound answers with a status
that makes clients throw their data away.)"""

MAX_STREAMS: Final = 100
"""Calls in progress on one connection: RFC 9113, 6.5.2, recommends no less."""

MAX_METADATA_BYTES: Final = 16 << 10

Report = Callable[[str, str, Answer, Outcome | None], None]
"""Told of a client's address, a method, its answer and what became of its request, where it was
looked at: of every answer that has something to say."""


@dataclass(slots=True)
class GrpcHead:
    """What a call says before its message."""

    signal: Signal
    media_type: str = MEDIA_TYPE
    encoding: str | None = None
    """Known once the message is here."""
    content_length: int | None = None


class GrpcServer:
    """Serves OTLP/gRPC from ``start`` to ``stop``, on the running event loop.

    Without ``tls`` it serves plain text.
    ``tokens`` are the secrets that open the door, which may be replaced under way; None: it is
    open. ``is_ready`` is what the health service says.
    """

    def __init__(
        self,
        exports: Exports,
        *,
        readers: int,
        tls: "Certificates | None" = None,
        tokens: Tokens | None = None,
        is_ready: Callable[[], bool] = lambda: True,
        report: Report = lambda _client, _method, _answer, _outcome: None,
        idle_secs: float = 300.0,
    ) -> None:
        self.tokens = tokens
        self._exports = exports
        self._tls = tls
        self._report = report
        # For us all three end alike. grpcio's own answer to the first and the last may lose the
        # race against ours, so that it has to be final; to who has left it is all the same.
        most = exports.max_payload_bytes
        text = (
            f"the message is larger than {most} bytes, the most taken here, or was cut, or its "
            "compression is unknown, expected gzip or deflate"
        )
        self._no_message = too_large(most)._replace(message=text)
        self._readers = Readers(readers)
        self._health = Health(is_ready)
        self._calls = 0
        self._options = {
            # A message comes as it was sent.
            "grpc.per_message_decompression": 0,
            # Windows stay at 64 KiB, but for messages that are asked for.
            "grpc.http2.bdp_probe": 0,
            "grpc.max_receive_message_length": exports.max_payload_bytes,
            "grpc.max_concurrent_streams": MAX_STREAMS,
            "grpc.max_metadata_size": MAX_METADATA_BYTES,
            # A second server on a port in use would take half of its connections without a word.
            "grpc.so_reuseport": 0,
            "grpc.max_connection_idle_ms": round(idle_secs * 1000),
            # Exporters that ask whether we are there, as they may, are no attackers.
            "grpc.http2.min_ping_interval_without_data_ms": 5_000,
            "grpc.keepalive_permit_without_calls": 1,
        }
        self._server: Any = None

    async def start(self, host: str, port: int) -> int:
        """Take calls from now on; the port. Raises ``OSError`` when the address cannot be used."""
        server = grpc.aio.server(
            handlers=[_Handlers(self._handler_of)], options=list(self._options.items())
        )
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._tls is None:
                bound = server.add_insecure_port(where)
            else:
                bound = server.add_secure_port(where, self._tls.credentials())
        except RuntimeError as error:
            raise OSError(f"cannot listen on {where}") from error
        await server.start()
        self._server = server
        return int(bound)

    async def stop(self, grace_secs: float) -> None:
        """Take no more calls; returns when those in progress are answered, or time is over.

        May be called once more, with less time.
        """
        self._health.stop()
        if self._server is not None:
            await self._server.stop(grace_secs)

    def expire(self) -> None:
        """Refuse the calls whose messages are not here."""
        self._readers.stop()

    # -- which method is called -------------------------------------------------------------

    def _handler_of(self, method: str) -> Any:  # noqa: ANN401 - grpcio has no types
        signal = METHODS.get(method)
        if signal is not None:
            export = partial(self._export, method, signal)
            return grpc.stream_unary_rpc_method_handler(export)
        if method == f"{HEALTH}/Check":
            return grpc.stream_unary_rpc_method_handler(self._health.check)
        if method == f"{HEALTH}/Watch":
            return grpc.stream_stream_rpc_method_handler(self._health.watch)
        return grpc.stream_unary_rpc_method_handler(partial(self._unknown, method))

    async def _unknown(self, method: str, _: Any, context: Any) -> bytes:  # noqa: ANN401
        known = ", ".join(METHODS)
        answer = refuse("UNIMPLEMENTED", "unknown path", f"no such method, expected {known}")
        self._note(_address(context.peer()), method, "", answer)
        return await give(context, answer)

    # -- exports ----------------------------------------------------------------------------

    async def _export(self, method: str, signal: Signal, _: Any, context: Any) -> bytes:  # noqa: ANN401
        # A client that has left cancels this handler, and not what is under way for its request.
        client = _address(context.peer())  # behind the call's end grpcio does not tell it any more
        taking = asyncio.ensure_future(self._take(client, method, signal, context))
        try:
            answer = await asyncio.shield(taking)
        except Exception as error:
            # grpcio's own answer would be UNKNOWN, for which clients throw their data away.
            log.exception("a call failed for an unforeseen reason")
            answer = self._note(client, method, signal, render(of_error(error)))
        return await give(context, answer)

    async def _take(
        self,
        client: str,
        method: str,
        signal: Signal,
        context: Any,  # noqa: ANN401 - grpcio has no types
    ) -> Answer:
        if self.tokens is not None and not self.tokens.admit(_fields(context)):
            return self._note(client, method, "", UNAUTHENTICATED)
        if self._calls >= MAX_CALLS:
            return self._note(client, method, signal, _BUSY)
        self._calls += 1
        head = GrpcHead(signal)
        try:
            outcome = await self._exports.take(head, partial(self._read, context, head))
        finally:
            self._calls -= 1
        return self._note(client, method, signal, render(outcome), outcome)

    async def _read(self, context: Any, head: GrpcHead, admission: Admission) -> bytes:  # noqa: ANN401
        """The message; raises ``RefusedError``."""
        body = await self._readers.read(partial(read_message, context))
        if body is None:
            raise RefusedError(self._no_message)
        head.encoding = encoding_of(body)
        admission.is_compressed = head.encoding is not None
        admission.cover(len(body))
        return body

    def _note(
        self,
        client: str,
        method: str,
        signal: str,
        answer: Answer,
        outcome: Outcome | None = None,
    ) -> Answer:
        """Count an answer, and have the log tell of it; also where its client has left."""
        self._exports.counts.answers[signal, answer.code] += 1
        if answer.message:
            self._report(client, method, answer, outcome)
        return answer


_BUSY: Final = refuse("UNAVAILABLE", "memory", "too many calls at once, send it again")


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """Hands over raw bytes: no method has a serializer."""

    def __init__(self, handler_of: Callable[[str], Any]) -> None:
        self._handler_of = handler_of

    def service(self, handler_call_details: Any) -> Any:  # noqa: ANN401 - grpcio's own classes
        """What answers a call."""
        return self._handler_of(handler_call_details.method)


class Certificates:
    """The files of a certificate; those of ``renew`` are for connections from then on."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._needs_client = client_ca is not None
        self._first = _configuration(cert, key, client_ca)
        self._renewed: Any = None

    def credentials(self) -> Any:  # noqa: ANN401 - grpcio has no types
        """What grpcio serves with."""
        return grpc.dynamic_ssl_server_credentials(
            self._first, self._news, require_client_authentication=self._needs_client
        )

    def _news(self) -> Any:  # noqa: ANN401
        """What is new since the last connection; grpcio reads its files again for what it gets."""
        news, self._renewed = self._renewed, None
        return news

    def renew(self, tls: Mapping[str, Any]) -> None:
        """Use the files that ``tls`` names as they are now, for connections from now on."""
        self._renewed = _configuration(tls["ssl_cert"], tls["ssl_key"], tls["ssl_ca"])


def _configuration(cert: Path, key: Path, client_ca: Path | None) -> Any:  # noqa: ANN401
    return grpc.ssl_server_certificate_configuration(
        [(key.read_bytes(), cert.read_bytes())],
        root_certificates=None if client_ca is None else client_ca.read_bytes(),
    )


def _fields(context: Any) -> list[tuple[bytes, bytes]]:  # noqa: ANN401
    """A call's metadata as HTTP's header fields are given."""
    return [
        (name.encode(), value.encode() if isinstance(value, str) else value)
        for name, value in context.invocation_metadata() or ()
    ]


def _address(peer: str) -> str:
    """The address of ``ipv4:127.0.0.1:4317`` or ``ipv6:%5B::1%5D:4317``."""
    kind, _, rest = peer.partition(":")
    host = rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
    return host if kind in ("ipv4", "ipv6") else ""
