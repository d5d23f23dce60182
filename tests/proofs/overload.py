"""Overload: for minutes more is offered than a slow disk can take, then the disk is well again.

Knows the clients and the server as its users start it, on a disk that ``slow_disk`` slows. Must
not import otlp2parquet. Shown is that memory stays within ``batch.memory_bytes`` and 250 MB,
that clients are refused with 503, that nothing acknowledged is lost, and that the same process
takes everything again once the disk does.

    python -m tests.proofs.overload --secs 1200
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.components import Server
from tests.components.process import wait_until
from tests.proofs.clients import Leaver, Steady, finish
from tests.proofs.ledger import Ledger
from tests.proofs.memory import Curve
from tests.proofs.results import save

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.proofs.clients import Client

SLOW_DISK = Path(__file__).with_name("slow_disk.py")
MARGIN_BYTES = 250_000_000
"""What the process may need beside its budget."""

RECOVERY_SECS = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how slow, and within which budget."""

    secs: float
    sync_secs: float
    memory_bytes: int = 512 << 20
    max_bytes: int = 128 << 20
    max_payload_bytes: int = 64 << 20
    every_secs: float = 5.0

    @property
    def settings(self) -> str:
        """The server's configuration."""
        return (
            '[durability]\nmode = "memory"\n'
            f"[request]\nmax_payload_bytes = {self.max_payload_bytes}\n"
            f"[batch]\nmemory_bytes = {self.memory_bytes}\nmax_bytes = {self.max_bytes}\n"
        )


def ready(server: Server) -> tuple[int, Any]:
    """Status and content of the page /ready."""
    try:
        with urllib.request.urlopen(f"{server.endpoint}/ready", timeout=30) as page:
            return page.status, json.load(page)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def offer(server: Server, ledger: Ledger) -> list[Client]:
    """Clients that do not wait, one that does as it is told, and some that leave."""
    large = [("logs", 1000), ("logs", 4000)]
    mixed = [("logs", 1), ("traces", 500), ("metrics", 500), ("logs", 200)]
    clients: list[Client] = [
        Steady(server.port, ledger, "large-0", large, forms=("plain",)),
        Steady(server.port, ledger, "large-1", large),
        Steady(server.port, ledger, "mixed-0", mixed),
        Steady(server.port, ledger, "mixed-1", mixed, forms=("chunked",)),
        Steady(server.port, ledger, "small", [("logs", 1)], forms=("plain",)),
        Steady(server.port, ledger, "patient", large, patient=True),
        Leaver(server.port, ledger, "leaver", pause_secs=0.05),
    ]
    return clients


def overload(folder: Path, plan: Plan) -> dict[str, Any]:
    """Overload, recovery, stop; the figures. ``AssertionError`` where a promise is broken."""
    config, pace = folder / "overload.toml", folder / "sync_secs"
    config.write_text(plan.settings, encoding="utf-8")
    pace.write_text(str(plan.sync_secs), encoding="ascii")
    program: Sequence[str | Path] = [sys.executable, SLOW_DISK, pace]
    ledger = Ledger()
    with Server(folder, ["-c", str(config)], program=program) as server:
        clients = offer(server, ledger)

        def note() -> dict[str, float]:
            _, page = ready(server)
            return {
                "used": page["memory"]["used_bytes"],
                "closed": page["batches"]["waiting"],
                "acknowledged": sum(len(each.account.acknowledged) for each in clients),
                "refused": sum(each.account.refused.total() for each in clients),
            }

        curve = Curve(server.process.pid, plan.every_secs, note)
        curve.start()
        for client in clients:
            client.start()
        threading.Event().wait(plan.secs)
        finish(clients)
        # The disk is well again: the same process stores what it holds, and takes everything.
        pace.write_text("0", encoding="ascii")
        wait_until(
            lambda: ready(server)[1]["batches"]["waiting"] == 0 and ready(server)[0] == 200,
            RECOVERY_SECS,
            lambda: server.log,
        )
        late = Steady(server.port, ledger, "late", [("logs", 1000), ("traces", 100)])
        for _ in range(60):
            assert late.turn()
        assert len(late.account.acknowledged) == 60, late.account.refused
        assert late.connection is not None
        late.connection.close()
        samples = curve.stop()
        assert server.stop() == 0, server.log
    verdict = ledger.compare(server.data)
    verdict.insist()
    assert set(verdict.refused) == {503}, verdict.refused
    return {
        "secs": plan.secs,
        "sync_secs": plan.sync_secs,
        "memory_bytes": plan.memory_bytes,
        "peak_pss": curve.peak,
        "bound": plan.memory_bytes + MARGIN_BYTES,
        "curve": samples,
        **verdict.figures(),
    }


def insist_on_bound(figures: dict[str, Any]) -> None:
    """Raise ``AssertionError`` when the memory was ever above what is promised."""
    peak, bound = figures["peak_pss"], figures["bound"]
    assert peak <= bound, f"{peak / 1e6:.0f} MB, expected at most {bound / 1e6:.0f} MB"


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secs", type=float, default=1200)
    parser.add_argument("--sync-secs", type=float, default=1.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overload-") as folder:
        figures = overload(Path(folder), Plan(chosen.secs, chosen.sync_secs))
    save("overload", figures)
    insist_on_bound(figures)


if __name__ == "__main__":
    main()
