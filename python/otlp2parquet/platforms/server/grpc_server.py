"""The gRPC front: calls become export requests of the same use case that HTTP has.

Knows grpcio, ``core.otlp_grpc`` and the use case ``platforms.export``. It must not know the
configuration, HTTP or batches. Messages stay bytes: no message object is ever made.

grpcio receives a whole message before it gives any of it away, and says nothing of its size, so
what it holds cannot be in the budget. It is bounded otherwise: each handler decides before its
message is asked for, at most ``readers`` messages are received at a time, and of the others only
what fits into a stream's window is taken from the network. (That is why the handlers are those of
client streaming, of which a unary call is one with a single message: for unary methods grpcio
receives the message first.)
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc

from otlp2parquet.core import Signal
from otlp2parquet.core.auth import Tokens
from otlp2parquet.core.otlp_grpc import MEDIA_TYPE, METHODS, UNAUTHENTICATED, Answer, refuse, render
from otlp2parquet.core.outcome import (
    NO_MEMORY,
    SLOW_BODY,
    STOPPING,
    Outcome,
    RefusedError,
    too_large,
)
from otlp2parquet.platforms.export import Admission, Exports

MAX_CALLS: Final = 4096
"""Calls in progress; further ones are told to come again. (grpcio's own bound answers with a status
that makes clients throw their data away.)"""

MAX_STREAMS: Final = 100
"""Calls in progress on one connection: RFC 9113, 6.5.2, recommends no less."""

MAX_METADATA_BYTES: Final = 16 << 10

SLOW_SECS: Final = 30.0
"""How long a message may be on its way, from when it is asked for."""

QUEUE_SECS: Final = 4.0
"""How long a call waits to be asked for its message: "answer within 5 s or say UNAVAILABLE", since
clients give an export 10 s with all of its retries."""

HEALTH: Final = "/grpc.health.v1.Health/"
_SERVING, _NOT_SERVING, _SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"
"""HealthCheckResponse: ``ServingStatus status = 1``."""

WATCH_SECS: Final = 1.0
"""How often a watcher's server looks at itself."""

Report = Callable[[str, str, Answer, Outcome | None], None]
"""Told of a client's address, a method, its answer and what became of its request, where it was
looked at: of every answer that has something to say."""


class GrpcHead(NamedTuple):
    """What a call says before its message."""

    signal: Signal
    media_type: str = MEDIA_TYPE
    encoding: str | None = None
    """grpcio has undone what the message was compressed with."""
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
        self._is_ready = is_ready
        self._report = report
        # For us both end alike. grpcio's own answer to the first may lose the race against ours,
        # so that it has to be final; to a client that has left it is all the same.
        most = exports.max_payload_bytes
        text = f"the message is larger than {most} bytes, the most taken here, or was cut"
        self._no_message = too_large(most)._replace(message=text)
        self._readers = asyncio.Semaphore(readers)
        self._calls = 0
        self._is_stopping = asyncio.Event()
        self._options = {
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
        """Take no more calls; returns when those in progress are answered, or time is over."""
        self._is_stopping.set()
        if self._server is not None:
            await self._server.stop(grace_secs)

    # -- which method is called -------------------------------------------------------------

    def _handler_of(self, method: str) -> Any:  # noqa: ANN401 - grpcio has no types
        signal = METHODS.get(method)
        if signal is not None:
            export = partial(self._export, method, signal)
            return grpc.stream_unary_rpc_method_handler(export)
        if method == f"{HEALTH}Check":
            return grpc.stream_unary_rpc_method_handler(self._check)
        if method == f"{HEALTH}Watch":
            return grpc.stream_stream_rpc_method_handler(self._watch)
        return grpc.stream_unary_rpc_method_handler(partial(self._unknown, method))

    async def _unknown(self, method: str, _: Any, context: Any) -> bytes:  # noqa: ANN401
        known = ", ".join(METHODS)
        answer = refuse("UNIMPLEMENTED", "unknown path", f"no such method, expected {known}")
        self._note(_address(context.peer()), method, "", answer)
        return await _give(context, answer)

    # -- exports ----------------------------------------------------------------------------

    async def _export(self, method: str, signal: Signal, _: Any, context: Any) -> bytes:  # noqa: ANN401
        # A client that has left cancels this handler, and not what is under way for its request.
        client = _address(context.peer())  # behind the call's end grpcio does not tell it any more
        taking = asyncio.ensure_future(self._take(client, method, signal, context))
        return await _give(context, await asyncio.shield(taking))

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
        try:
            outcome = await self._exports.take(GrpcHead(signal), partial(self._read, context))
        finally:
            self._calls -= 1
        return self._note(client, method, signal, render(outcome), outcome)

    async def _read(self, context: Any, admission: Admission | None) -> bytes:  # noqa: ANN401
        """The message; raises ``RefusedError``."""
        try:
            await asyncio.wait_for(self._readers.acquire(), QUEUE_SECS)
        except TimeoutError:
            raise RefusedError(NO_MEMORY) from None
        try:
            body = await asyncio.wait_for(self._next(context), SLOW_SECS)
        except TimeoutError:
            raise RefusedError(SLOW_BODY) from None
        finally:
            self._readers.release()
        if body is None:
            raise RefusedError(self._no_message)
        if admission is not None:
            admission.cover(len(body))
        return body

    async def _next(self, context: Any) -> bytes | None:  # noqa: ANN401
        """The next message, None if there is none; ``RefusedError`` when the server is stopped."""
        reading = asyncio.ensure_future(context.read())
        stopping = asyncio.ensure_future(self._is_stopping.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                raise RefusedError(STOPPING)
            # Nothing comes where the call has ended: by its client, or by grpcio, which answers
            # messages that are too large itself.
            if reading.cancelled() or reading.exception() is not None:
                return None
            body = reading.result()
            return None if body is grpc.aio.EOF else body
        finally:
            reading.cancel()
            stopping.cancel()

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

    # -- health -----------------------------------------------------------------------------

    def _status(self) -> bytes:
        is_serving = self._is_ready() and not self._is_stopping.is_set()
        return _SERVING if is_serving else _NOT_SERVING

    async def _asks_for_ours(self, context: Any) -> bool:  # noqa: ANN401
        """Whether the whole server or one of our services is asked for."""
        try:
            return await self._read(context, None) in _HEALTH_REQUESTS
        except RefusedError as refused:
            await _give(context, render(refused.outcome))
            return False

    async def _check(self, _: Any, context: Any) -> bytes:  # noqa: ANN401
        """``HealthCheckRequest`` has ``string service = 1``; ours are all in one condition."""
        if not await self._asks_for_ours(context):
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return self._status()

    async def _watch(self, _: Any, context: Any) -> None:  # noqa: ANN401
        """Says how it is at once, and again whenever that has changed."""
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


async def _give(context: Any, answer: Answer) -> bytes:  # noqa: ANN401
    if answer.code != "OK":
        code = grpc.StatusCode[answer.code]
        await context.abort(code, answer.message, answer.trailers)  # which raises
    return answer.body


_BUSY: Final = refuse("UNAVAILABLE", "memory", "too many calls at once, send it again")


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """Hands over raw bytes: no method has a serializer."""

    def __init__(self, handler_of: Callable[[str], Any]) -> None:
        self._handler_of = handler_of

    def service(self, handler_call_details: Any) -> Any:  # noqa: ANN401 - grpcio's own classes
        """What answers a call."""
        return self._handler_of(handler_call_details.method)


class Certificates:
    """The files of a certificate, read again for every connection after ``renew``."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._needs_client = client_ca is not None
        self._now = _configuration(cert, key, client_ca)

    def credentials(self) -> Any:  # noqa: ANN401 - grpcio has no types
        """What grpcio serves with."""
        return grpc.dynamic_ssl_server_credentials(
            self._now, lambda: self._now, require_client_authentication=self._needs_client
        )

    def renew(self, tls: Mapping[str, Any]) -> None:
        """Use the files that ``tls`` names as they are now, for connections from now on."""
        self._now = _configuration(tls["ssl_cert"], tls["ssl_key"], tls["ssl_ca"])


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


_SERVICES: Final = [name.split("/")[1].encode() for name in METHODS]
_HEALTH_REQUESTS: Final = frozenset(
    {b"", b"\x0a\0", *(b"\x0a" + bytes([len(name)]) + name for name in _SERVICES)}
)
"""HealthCheckRequest, which is ``string service = 1``, for all that we are asked for."""
