"""A storage that is down under load, then bad, then well again: what both proofs of it share.

Knows the server as a process, and the clients that send to it. Must not know what kind of storage
it is, nor how one is brought down.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psutil

from tests.support.obligations import Client, sending, wait_for_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from tests.support.server_process import Server

MEMORY_BYTES: Final = 200 << 20
"""The budget, for about 70 MB of an idle process and the writers' buffers on top of it."""

SETTINGS: Final = {
    "OTLP2PARQUET_BATCH_MAX_ROWS": "500",
    "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.5",
    "OTLP2PARQUET_BATCH_MAX_BYTES": str(8 << 20),
    "OTLP2PARQUET_MAX_PAYLOAD_BYTES": str(8 << 20),
    "OTLP2PARQUET_BATCH_MEMORY_BYTES": str(MEMORY_BYTES),
    "OTLP2PARQUET_LOG_LEVEL": "error",
}

_MOMENT_SECS: Final = 0.2


def outage_secs(request: pytest.FixtureRequest) -> float:
    """How long it is down: some seconds, and in full as long as ``TESTS_OUTAGE_SECS``."""
    if not request.config.getoption("--full"):
        return 4.0
    return float(os.environ.get("TESTS_OUTAGE_SECS", "600"))


class Outage:
    """Four clients that a server answers throughout; its memory is looked at meanwhile."""

    def __init__(self, server: Server, clients: list[Client]) -> None:
        self.clients = clients
        self.peak = 0
        self._process = psutil.Process(server.process.pid)

    def last(self, secs: float, at_each_moment: Callable[[], None] = lambda: None) -> None:
        """Let time pass, in which no request is refused; each client still gets answers then."""
        for moment in range(int(secs / _MOMENT_SECS)):
            trouble = {client.name: client.trouble for client in self.clients if client.trouble}
            assert not trouble, f"after {moment * _MOMENT_SECS:.0f} s of {secs:.0f}: {trouble}"
            at_each_moment()
            threading.Event().wait(_MOMENT_SECS)
            self.peak = max(self.peak, self._process.memory_info().rss)
        self.answers()

    def answers(self) -> None:
        """Return when each client has some more answers."""
        wait_for_answers(self.clients, 50)


@contextmanager
def outage(server: Server) -> Iterator[Outage]:
    """Clients that send to a server, and have had answers; at the end they stop."""
    clients = [Client(number, lambda: server.port, lambda: 0) for number in range(4)]
    with sending(clients):
        running = Outage(server, clients)
        running.answers()
        yield running
