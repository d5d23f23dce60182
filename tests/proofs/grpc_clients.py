"""Clients of a load over gRPC: those that wait for every answer, and those that leave before it.

Knows grpcio's client and the ledger. Must not know the server's insides. Statuses are noted as what
they are over HTTP: 200 for OK, 503 for what may be sent again, 400 for what may not.
"""

from __future__ import annotations

import itertools
import random
import socket
from typing import TYPE_CHECKING, Any

import grpc

from tests.proofs.clients import TIMEOUT_SECS, Client
from tests.proofs.stamped import Template, template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.proofs.ledger import Answer, Ledger

METHODS = {
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
OPTIONS = [
    # Nothing is sent twice by the library itself, and no channel shares another one's connection.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
FINAL = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)


def is_listening(port: int) -> bool:
    """Whether somebody still takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port), TIMEOUT_SECS).close()
    except OSError:
        return False
    return True


def status_of(error: Any) -> Answer:
    """What a call that failed is noted as; None where the server's own answer was not seen."""
    if error.code() in FINAL:
        return 400
    ours = "grpc-status-details-bin" in dict(error.trailing_metadata() or ())
    return 503 if ours else None


class GrpcClient(Client):
    """A client with a channel, which is closed at the end."""

    def __init__(self, port: int, ledger: Ledger, service: str, *, pause_secs: float) -> None:
        super().__init__(port, ledger, service, pause_secs=pause_secs)
        self.channel: Any = grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)

    def run(self) -> None:
        """As every client."""
        with self.channel:
            super().run()


class SteadyGrpc(GrpcClient):
    """Waits for every answer; sends each of its shapes in turn, plain and as gzip."""

    def __init__(
        self,
        port: int,
        ledger: Ledger,
        service: str,
        shapes: Sequence[tuple[str, int]],
        *,
        pause_secs: float = 0.0,
    ) -> None:
        """``shapes`` are (signal, records)."""
        super().__init__(port, ledger, service, pause_secs=pause_secs)
        templates = [template(signal, service, count) for signal, count in shapes]
        forms = (grpc.Compression.NoCompression, grpc.Compression.Gzip)
        self.choices = itertools.cycle(list(itertools.product(templates, forms)))

    def turn(self) -> bool:
        """One call."""
        chosen, form = next(self.choices)
        number = next(self.numbers)
        answer = self.send(chosen, form, number)
        self.account.note(number, chosen, answer)
        return answer is not None or is_listening(self.port)

    def send(self, chosen: Template, form: grpc.Compression, number: int) -> Answer:
        """Send and wait for the answer."""
        export = self.channel.unary_unary(METHODS[chosen.signal])
        try:
            export(chosen.stamped(number), timeout=TIMEOUT_SECS, compression=form)
        except grpc.RpcError as error:
            return status_of(error)
        return 200


class LeaverGrpc(GrpcClient):
    """Leaves in the middle: without a message, by a deadline, by cancelling, by hanging up."""

    WAYS = ("no message", "deadline", "cancel", "connection")

    def __init__(
        self, port: int, ledger: Ledger, service: str, *, pause_secs: float = 0.01
    ) -> None:
        super().__init__(port, ledger, service, pause_secs=pause_secs)
        self.random = random.Random(service)
        self.templates = [
            template("logs", service, 1),
            template("logs", service, 500),
            template("metrics", service, 50),
        ]
        self.left = 0

    def turn(self) -> bool:
        """One call, one way to leave."""
        way, chosen = self.random.choice(self.WAYS), self.random.choice(self.templates)
        number = next(self.numbers)
        method, body = METHODS[chosen.signal], chosen.stamped(number)
        soon = self.random.random() * 0.01
        if way == "no message":
            call = self.channel.stream_unary(method).future(iter(()))
            self.leave.wait(soon)
            call.cancel()
            self.left += 1
            return is_listening(self.port)
        answer: Answer = None
        if way == "connection":
            with grpc.insecure_channel(f"127.0.0.1:{self.port}", options=OPTIONS) as channel:
                call = channel.unary_unary(method).future(body)
                self.leave.wait(2 * soon)
        else:
            deadline = soon if way == "deadline" else TIMEOUT_SECS
            call = self.channel.unary_unary(method).future(body, timeout=deadline)
            self.leave.wait(soon)
            if way == "cancel":
                call.cancel()
        try:
            call.result()
            answer = 200
        except grpc.RpcError as error:
            answer = status_of(error)
        except grpc.FutureCancelledError:
            pass
        self.account.note(number, chosen, answer)
        self.left += 1
        return answer is not None or is_listening(self.port)
