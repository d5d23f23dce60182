"""A thousand slow clients, and a good one that keeps its pace beside them.

The slow ones are of four kinds: silent, slow in the head, slow in the body, and deaf (they send
requests one after another and never read an answer). Must not judge: it gives figures.
"""

from __future__ import annotations

import contextlib
import http.client
import selectors
import socket
import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.hostile.inputs import ONE
from tests.hostile.memory import Watch
from tests.hostile.wire import PATIENCE_SECS, head, request

if TYPE_CHECKING:
    from tests.components import RunningProcess

TRICKLE_SECS = 0.5
"""Every slow client sends one byte this often."""

SLOW_HEAD = head("/v1/logs", "X-Slow: " + "x" * 4000, "Content-Length: 0")
SLOW_BODY = head("/v1/logs", "Content-Length: 1000000")
SLOW_CHUNKS = head("/v1/logs", "Transfer-Encoding: chunked") + b"f4240\r\n"


@dataclass(frozen=True, slots=True)
class Pace:
    """Latencies of a good client's requests, in milliseconds."""

    requests: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Before and among the slow clients; memory in MiB."""

    clients: int
    before: Pace
    during: Pace
    grown: float


def pace(port: int, requests: int) -> Pace:
    """Send ``requests`` good ones over one connection; every one must be taken."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECS)
    millis = []
    with contextlib.closing(connection):
        for _ in range(requests):
            started = time.perf_counter()
            fields = {"Content-Type": "application/x-protobuf"}
            connection.request("POST", "/v1/logs", ONE, fields)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"")
            millis.append((time.perf_counter() - started) * 1000)
    cuts = statistics.quantiles(millis, n=100)
    return Pace(requests, statistics.median(millis), cuts[98])


class SlowClients:
    """``count`` connections that trickle until they are left."""

    def __init__(self, port: int, count: int) -> None:
        self._stop = threading.Event()
        self._clients: list[tuple[socket.socket, bytes]] = []
        deaf = request("logs", ONE) * 200
        for number in range(count):
            client = socket.create_connection(("127.0.0.1", port), PATIENCE_SECS)
            client.setblocking(False)  # noqa: FBT003 - the library's own signature
            first = (b"", SLOW_HEAD[:60], SLOW_BODY, SLOW_CHUNKS, deaf)[number % 5]
            with contextlib.suppress(BlockingIOError):
                client.send(first)
            self._clients.append((client, b"x" if 0 < number % 5 < 4 else b""))
        self._thread = threading.Thread(target=self._trickle)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for client, _byte in self._clients:
            client.close()

    def _trickle(self) -> None:
        with selectors.DefaultSelector() as selector:
            for client, byte in self._clients:
                if byte:
                    selector.register(client, selectors.EVENT_WRITE, (client, byte))
            while not self._stop.wait(TRICKLE_SECS):
                for key, _ in selector.select(0):
                    client, byte = key.data
                    try:
                        client.send(byte)
                    except OSError:  # the server has given it up
                        selector.unregister(client)


def among_slow_clients(process: RunningProcess, port: int, count: int, requests: int) -> Figures:
    """A good client's pace before and among ``count`` slow ones, and the server's memory."""
    pace(port, 50)
    before = pace(port, requests)
    with Watch(process.process.pid) as watch, SlowClients(port, count):
        during = pace(port, requests)
    return Figures(count, before, during, watch.grown)
