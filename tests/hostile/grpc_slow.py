"""Slow calls by the hundred, and large messages all at once; figures of what becomes of others.

Knows sockets, grpcio's client and the server's process. Must not judge: it gives figures.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from tests.hostile.grpc_trying import GOOD_BODY, grpc_port
from tests.hostile.grpc_wire import HELLO, LOGS, PREFACE, data, message, open_call
from tests.hostile.memory import Watch
from tests.hostile.slow import TRICKLE_SECS, Figures, Pace, pace
from tests.hostile.wire import PATIENCE_SECS
from tests.support.shapes import string_value
from tests.support.strategies import delimited

if TYPE_CHECKING:
    from tests.components import Server

MIB = 1 << 20
SILENT = HELLO + open_call()
TRICKLE = SILENT + data(message(b"", length=MIB), end=False)
CALLS = HELLO + b"".join(
    open_call(stream) + data(message(GOOD_BODY), stream) for stream in range(1, 100, 2)
)
PING_BYTE = b"\0\0\1\0\0\0\0\0\1x"
"""A frame of one byte of the message: what a slow client sends each time."""


def grpc_pace(port: int, requests: int) -> Pace:
    """Send ``requests`` good calls over one connection; every one must be taken."""
    millis = []
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        export = channel.unary_unary(LOGS)
        for _ in range(requests):
            started = time.perf_counter()
            assert export(GOOD_BODY, timeout=PATIENCE_SECS) == b""
            millis.append((time.perf_counter() - started) * 1000)
    cuts = statistics.quantiles(millis, n=100)
    return Pace(requests, statistics.median(millis), cuts[98])


class SlowCalls:
    """``count`` connections of five kinds, until they are left.

    They say nothing; nothing behind the preface; no message of their call; a byte of it every half
    second; or they make fifty calls and never read an answer.
    """

    def __init__(self, port: int, count: int) -> None:
        self._stop = threading.Event()
        self._clients: list[tuple[socket.socket, bool]] = []
        for number in range(count):
            client = socket.create_connection(("127.0.0.1", port), PATIENCE_SECS)
            client.setblocking(False)  # noqa: FBT003 - the library's own signature
            first = (b"", PREFACE, SILENT, TRICKLE, CALLS)[number % 5]
            with contextlib.suppress(BlockingIOError):
                client.send(first)
            self._clients.append((client, first is TRICKLE))
        self._thread = threading.Thread(target=self._trickle)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for client, _is_trickling in self._clients:
            client.close()

    def _trickle(self) -> None:
        with selectors.DefaultSelector() as selector:
            for client, is_trickling in self._clients:
                if is_trickling:
                    selector.register(client, selectors.EVENT_WRITE, client)
            while not self._stop.wait(TRICKLE_SECS):
                for key, _ in selector.select(0):
                    try:
                        key.data.send(PING_BYTE)
                    except OSError:  # the server has given it up
                        selector.unregister(key.fileobj)


@dataclass(frozen=True, slots=True)
class CallFigures:
    """Good clients of both fronts, before and among slow calls."""

    over_http: Figures
    over_grpc: Figures


def among_slow_calls(server: Server, count: int, requests: int) -> CallFigures:
    """Good clients' paces before and among ``count`` slow ones, and the server's memory."""
    port = grpc_port(server)
    pace(server.port, 50)
    grpc_pace(port, 50)
    before = pace(server.port, requests), grpc_pace(port, requests)
    with Watch(server.process.pid) as watch, SlowCalls(port, count):
        during = pace(server.port, requests), grpc_pace(port, requests)
    over_http, over_grpc = (
        Figures(count, *paces, watch.grown) for paces in zip(before, during, strict=True)
    )
    return CallFigures(over_http, over_grpc)


@dataclass(frozen=True, slots=True)
class LargeFigures:
    """What became of large messages that were sent all at once; memory in MiB."""

    codes: Counter[str]
    grown: float
    records: int


def large_messages_at_once(server: Server, count: int, message_bytes: int) -> LargeFigures:
    """``count`` clients send a message of that size each, as fast as the server takes it."""
    one = delimited(5, string_value(b"x" * (MIB // 4)))
    records = message_bytes // (MIB // 4) - 1
    body = delimited(1, delimited(2, delimited(2, one) * records))
    address = server.grpc_address
    codes: Counter[str] = Counter()
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    with Watch(server.process.pid) as watch, contextlib.ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(address, options=options))
            for _ in range(count)
        ]
        calls = [each.unary_unary(LOGS).future(body, timeout=PATIENCE_SECS) for each in channels]
        for one_call in calls:
            codes[one_call.code().name] += 1
    return LargeFigures(codes, watch.grown, records)
