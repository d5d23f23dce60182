"""kill -9 at random points under load: what was acknowledged is stored exactly once.

A few kills in an ordinary run; with ``--full`` (``make prove-kill``, recorded) as many as
``TESTS_KILLS`` says, by default 1,000.
"""

from __future__ import annotations

import os
import random
import threading
from functools import partial
from typing import TYPE_CHECKING

from tests.components.process import wait_until
from tests.support.obligations import (
    CLEAN,
    Client,
    GrpcWire,
    HttpWire,
    Wire,
    judge_clients,
    sending,
)
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

SETTINGS = {
    # Batches are closed, planned, stored and removed all the time.
    "OTLP2PARQUET_BATCH_MAX_ROWS": "60",
    "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.2",
    "OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0",
}


def acknowledged(clients: list[Client]) -> int:
    """How many records they have an answer for."""
    return sum(len(client.acknowledged) for client in clients)


def kill_again_and_again(
    folder: Path, kills: int, seed: int, mode: str
) -> tuple[dict[str, int], int]:
    """The verdict after so many kills under four clients, and how many records were obliged.

    Two of them send over HTTP, two over gRPC. Each wire has been acknowledged something.
    """
    dice = random.Random(seed)
    where: list[int | None] = [None, None]
    wires: list[Wire] = [HttpWire(), HttpWire(), GrpcWire(), GrpcWire()]
    clients = [
        Client(number, partial(where.__getitem__, number // 2), lambda: 0, wire=wire)
        for number, wire in enumerate(wires)
    ]
    settings = SETTINGS | {"OTLP2PARQUET_DURABILITY_MODE": mode}
    with sending(clients):
        for _ in range(kills):
            # A start that fails is an error here.
            with Server(folder, settings=settings) as server:
                where[:] = server.port, int(server.grpc_address.rpartition(":")[2])
                # So many answers, not so much time: a loaded machine gives fewer of them.
                goal = acknowledged(clients) + dice.choice((0, 0, 10, 30, 90))
                wait_until(lambda: acknowledged(clients) >= goal, 60, lambda: server.log)  # noqa: B023
                threading.Event().wait(dice.choice((0.0, 0.01, 0.05)) * dice.random())
                where[:] = None, None
                server.kill()
    with Server(folder, settings=settings) as server:
        assert server.stop() == 0
    assert list((folder / "data" / ".otlp2parquet").glob("*.segment")) == []
    for pair in (clients[:2], clients[2:]):
        assert acknowledged(pair) > kills, [client.trouble[-3:] for client in pair]
    return judge_clients(folder / "data", clients)


def test_kill_9_loses_and_doubles_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, record: Callable[..., None]
) -> None:
    """Of each process in turn (there is one), at any time, also while it starts and replays."""
    is_full = request.config.getoption("--full")
    kills = int(os.environ.get("TESTS_KILLS", "1000")) if is_full else 6
    verdict, obliged = kill_again_and_again(tmp_path, kills, seed=7, mode="fsync")
    assert verdict == CLEAN
    assert obliged > 10 * kills
    record("kill", kills=kills, records=obliged, verdict=verdict, fronts="HTTP and gRPC")


def test_the_ledger_bites(tmp_path: Path) -> None:
    """In the mode memory the same test finds loss."""
    verdict, obliged = kill_again_and_again(tmp_path, 4, seed=7, mode="memory")
    assert obliged
    assert verdict["lost"] > 0
    assert verdict["doubled"] == 0
