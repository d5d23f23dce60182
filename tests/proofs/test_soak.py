"""The short form of ``make soak``: the same code, for seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.proofs.soak import Plan, soak

if TYPE_CHECKING:
    from pathlib import Path

SHORT = """
[durability]
mode = "memory"
[batch]
max_rows = 20000
max_age_secs = 1.0
"""


def test_rows_in_files_are_rows_acknowledged(tmp_path: Path) -> None:
    """Real clients, a rush with clients that leave, SIGTERM under load: equal in every table."""
    figures = soak(tmp_path, Plan(3, 3, with_wrk=False, settings=SHORT))
    stored = figures["stored"]
    assert isinstance(stored, dict)
    assert len(stored) == 7
    assert all(stored.values()), stored
    assert figures["refused"] == {}
