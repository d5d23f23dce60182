"""The short form of ``make overload``: the same code, for seconds and with a small budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.proofs.overload import Plan, insist_on_bound, overload

if TYPE_CHECKING:
    from pathlib import Path


def test_memory_is_bounded_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """More than a slow disk takes: 503s within the budget, and the same process recovers."""
    plan = Plan(
        secs=6,
        sync_secs=0.5,
        memory_bytes=96 << 20,
        max_bytes=16 << 20,
        max_payload_bytes=16 << 20,
        every_secs=0.5,
    )
    figures = overload(tmp_path, plan)
    assert figures["refused"]["503"] > 100
    insist_on_bound(figures)
