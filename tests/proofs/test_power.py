"""Power cuts: a disk with nothing that was not synced still holds all that was acknowledged.

The server runs under a shim that writes a journal of its calls; the journal is replayed up to a
cut, what is not safe is dropped (or kept in part), and the server starts on what is left.
A few cuts in an ordinary run; with ``--full`` (``make prove-power``) 200.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.obligations import CLEAN, Client, judge, sending, stored, wait_for_answers
from tests.support.power import Disk, operations
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.power import Operation

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the shim is for Linux")

SETTINGS = {
    "OTLP2PARQUET_BATCH_MAX_ROWS": "40",
    "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.2",
    "OTLP2PARQUET_LOG_LEVEL": "warn",
}


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled journal."""
    library = tmp_path_factory.mktemp("shim") / "journal.so"
    source = Path(__file__).parents[1] / "support" / "journal.c"
    command = ["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]
    subprocess.run([*command, library, source, "-ldl", "-lpthread"], check=True)
    return library


class Recorded:
    """One life of a server under load, as a journal and a ledger."""

    def __init__(self, folder: Path, shim: Path, mode: str, answers: int) -> None:
        self.folder, self.mode = folder, mode
        journal = folder.parent / f"{folder.name}.journal"
        self.settings = SETTINGS | {"OTLP2PARQUET_DURABILITY_MODE": mode}
        shimmed = self.settings | {
            "LD_PRELOAD": str(shim),
            "JOURNAL_ROOT": str(folder),
            "JOURNAL_FILE": str(journal),
        }
        with Server(folder, settings=shimmed) as server:
            clients = [
                Client(number, lambda: server.port, lambda: journal.stat().st_size)
                for number in range(3)
            ]
            with sending(clients):
                wait_for_answers(clients, answers)
            server.kill()
        assert not any(client.refused or client.unanswered for client in clients)
        self.acknowledged = {k: v for client in clients for k, v in client.acknowledged.items()}
        self.calls: list[Operation] = list(operations(journal.read_bytes()))

    def cuts(self, count: int, dice: random.Random) -> list[int]:
        """Places in the journal: half right behind an answer, half behind any call."""
        marks = sorted(set(self.acknowledged.values()))
        ends = [call.end for call in self.calls if call.end >= marks[0]]
        picked = [dice.choice(marks) for _ in range(count // 2)]
        return picked + [dice.choice(ends) for _ in range(count - count // 2)]

    def verdict(self, cut: int, dice: random.Random | None) -> dict[str, int]:
        """What a start on the disk that this cut leaves brings to light."""
        disk = Disk(self.folder)
        for call in self.calls:
            if call.end > cut:
                break
            disk.apply(call)
        shutil.rmtree(self.folder)
        disk.leave(self.folder, dice)
        with Server(self.folder, settings=self.settings) as server:
            assert server.stop() == 0
        assert list((self.folder / "data" / ".otlp2parquet").glob("*.segment")) == []
        obliged = {key for key, mark in self.acknowledged.items() if mark <= cut}
        allowed = self.acknowledged.keys() - obliged
        return judge(stored(self.folder / "data"), obliged, set(), allowed)


def test_a_power_cut_loses_and_doubles_nothing(
    tmp_path: Path,
    shim: Path,
    request: pytest.FixtureRequest,
    record: Callable[..., None],
) -> None:
    """At any call, with nothing that was not synced, or any part of it."""
    is_full = request.config.getoption("--full")
    count = int(os.environ.get("TESTS_CUTS", "200")) if is_full else 6
    dice = random.Random(11)
    life = Recorded(tmp_path / "life", shim, "fsync", 400 if is_full else 120)
    for number, cut in enumerate(life.cuts(count, dice)):
        verdict = life.verdict(cut, None if number % 3 else dice)
        assert verdict == CLEAN, f"cut {number} at byte {cut} of the journal"
    kinds = {call.kind for call in life.calls}
    assert kinds >= set("CWSDLUM"), "the journal misses calls"
    record("power", cuts=count, calls=len(life.calls), records=len(life.acknowledged))


def test_the_power_cut_bites(tmp_path: Path, shim: Path) -> None:
    """In the mode memory the same cuts lose rows, and never double one."""
    life = Recorded(tmp_path / "life", shim, "memory", 60)
    dice = random.Random(11)
    verdicts = [life.verdict(cut, None) for cut in life.cuts(4, dice)]
    assert sum(verdict["lost"] for verdict in verdicts) > 0
    assert sum(verdict["doubled"] for verdict in verdicts) == 0
