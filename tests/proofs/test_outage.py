"""Storage that is down under load, then comes and goes: nothing is lost, doubled or piled up.

Some seconds in an ordinary run; with ``--full`` (``make prove-outage``) as many as
``OTLP2PARQUET_OUTAGE_SECS`` says, by default 600.
"""

from __future__ import annotations

import os
import random
import threading
from typing import TYPE_CHECKING

import psutil

from tests.components.process import wait_until
from tests.support.obligations import CLEAN, Client, judge, wait_for_answers
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

MEMORY_BYTES = 200 << 20
"""The budget, for about 70 MB of an idle process and the writers' buffers on top of it."""

SETTINGS = {
    "OTLP2PARQUET_DURABILITY_PATH": "log",
    "OTLP2PARQUET_BATCH_MAX_ROWS": "500",
    "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.5",
    "OTLP2PARQUET_BATCH_MAX_BYTES": str(8 << 20),
    "OTLP2PARQUET_MAX_PAYLOAD_BYTES": str(8 << 20),
    "OTLP2PARQUET_BATCH_MEMORY_BYTES": str(MEMORY_BYTES),
    "OTLP2PARQUET_LOG_LEVEL": "error",
}


class Storage:
    """The folder of the files, which can be taken away and given back."""

    def __init__(self, data: Path) -> None:
        self._data, self._away = data, data.with_name("away")
        self._is_up = True

    def set(self, *, up: bool) -> None:
        """Give it, or put something else in its place."""
        if up == self._is_up:
            return
        if up:
            self._data.unlink()
            self._away.rename(self._data)
        else:
            self._data.rename(self._away)
            self._data.write_text("in the way")
        self._is_up = up


def test_an_outage_loses_and_doubles_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, record: Callable[..., None]
) -> None:
    """Down for most of the time, then in and out at half of all moments, then up."""
    is_full = request.config.getoption("--full")
    secs = float(os.environ.get("OTLP2PARQUET_OUTAGE_SECS", "600")) if is_full else 4.0
    dice = random.Random(3)
    pause = threading.Event()
    with Server(tmp_path, settings=SETTINGS) as server:
        clients = [Client(number, lambda: server.port, lambda: 0) for number in range(4)]
        for client in clients:
            client.start()
        wait_for_answers(clients, 50)
        storage = Storage(server.data)
        storage.set(up=False)
        process = psutil.Process(server.process.pid)
        peak = 0
        for _ in range(int(secs * 5)):
            pause.wait(0.2)
            peak = max(peak, process.memory_info().rss)
        wait_for_answers(clients, 50)
        for _ in range(int(secs * 2.5)):
            storage.set(up=dice.random() < 0.5)
            pause.wait(0.2)
        storage.set(up=True)
        wait_for_answers(clients, 50)
        for client in clients:
            client.stopped.set()
        for client in clients:
            client.join()
        wait_until(lambda: not list((tmp_path / "log").glob("*.segment")), 120, lambda: server.log)
        assert server.stop() == 0
    obliged = {key for client in clients for key in client.acknowledged}
    verdict = judge(server.data, obliged, set(), set())
    assert not any(client.refused or client.unanswered for client in clients)
    assert verdict == CLEAN
    assert peak < MEMORY_BYTES + (170 << 20)
    assert not list(server.data.rglob("*.tmp"))
    record(
        "outage",
        down_secs=secs,
        flapping_secs=secs / 2,
        records=len(obliged),
        verdict=verdict,
        peak_rss=peak,
        memory_bytes=MEMORY_BYTES,
    )
