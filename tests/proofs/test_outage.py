"""Storage that is down under load, then comes and goes: nothing is lost, doubled or piled up.

Some seconds in an ordinary run; with ``--full`` (``make prove-outage``) as many as
``TESTS_OUTAGE_SECS`` says, by default 600.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.components.process import wait_until
from tests.proofs.outage import MEMORY_BYTES, SETTINGS, outage, outage_secs
from tests.support.obligations import CLEAN, judge_clients
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


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
    secs = outage_secs(request)
    dice = random.Random(3)
    settings = SETTINGS | {"OTLP2PARQUET_DURABILITY_PATH": "log"}
    with Server(tmp_path, settings=settings) as server:
        with outage(server) as running:
            storage = Storage(server.data)
            storage.set(up=False)
            running.last(secs)
            running.last(secs / 2, lambda: storage.set(up=dice.random() < 0.5))
            storage.set(up=True)
            running.answers()
        # Fifteen minutes' worth of files, each synced: it takes what the disk takes.
        wait_until(lambda: not list((tmp_path / "log").glob("*.segment")), 600, lambda: server.log)
        assert server.stop() == 0
    verdict, records = judge_clients(server.data, running.clients)
    assert not any(client.refused or client.unanswered for client in running.clients)
    assert verdict == CLEAN
    assert running.peak < MEMORY_BYTES + (170 << 20)
    assert not list(server.data.rglob("*.tmp"))
    record(
        "outage",
        down_secs=secs,
        flapping_secs=secs / 2,
        records=records,
        verdict=verdict,
        peak_rss=running.peak,
        memory_bytes=MEMORY_BYTES,
    )
