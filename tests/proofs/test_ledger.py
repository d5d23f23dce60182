"""The proofs by load can fail: each way in which rows and answers can differ is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.proofs.ledger import Ledger
from tests.proofs.stamped import template

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[tuple[str, int]]


def store(folder: Path, rows: Rows) -> None:
    """A file with rows of (service, request number)."""
    (folder / "logs").mkdir()
    table = pa.table(
        {
            "ServiceName": [service for service, _ in rows],
            "ScopeVersion": [f"{number:010d}" for _, number in rows],
        }
    )
    pq.write_table(table, folder / "logs" / "a.parquet")


TWO = template("logs", "client", 2)


def ledger() -> Ledger:
    """Request 0 was acknowledged, 1 refused, 2 left unseen, 3 cut; and a tally of 1."""
    made = Ledger()
    account = made.open("client")
    account.note(0, TWO, 200)
    account.note(1, TWO, 503)
    account.note(2, TWO, None)
    made.count("counted", "otel_logs", 1)
    made.tally("tallied", [TWO], 1, 0)
    return made


GOOD: Rows = [("client", 0), ("client", 0), ("counted", 9), ("tallied", 1), ("tallied", 1)]


@pytest.mark.parametrize("more", [[], [("client", 2), ("client", 2)]])
def test_what_was_acknowledged_and_what_is_open(tmp_path: Path, more: Rows) -> None:
    """All rows of acknowledged requests; of one whose answer nobody saw all or none."""
    store(tmp_path, GOOD + more)
    verdict = ledger().compare(tmp_path)
    verdict.insist()
    assert verdict.acknowledged["otel_logs"] == 5
    assert verdict.unseen["otel_logs"] == len(more)
    assert verdict.refused == {503: 1}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (GOOD[1:], "request 0 of client, acknowledged, has 1 rows, not 2"),
        (GOOD[2:], "request 0 of client, acknowledged, has 0 rows, not 2"),
        ([*GOOD, ("client", 0)], "request 0 of client, acknowledged, has 3 rows, not 2"),
        ([*GOOD, ("client", 1)], "1 requests of client were never acknowledged"),
        ([*GOOD, ("client", 3)], "1 requests of client were never acknowledged"),
        ([*GOOD, ("client", 2)], "request 2 of client, answer unseen, has 1 rows"),
        ([*GOOD, ("stranger", 0)], "rows of unknown services ['stranger']"),
        ([*GOOD, ("counted", 9)], "counted has 2 rows, not 1"),
        (GOOD[:-1], "request 0000000001 of tallied has 1 rows, not 2"),
        (GOOD[:-2], "tallied: 0 requests have rows, 1 were acknowledged"),
        ([*GOOD, ("tallied", 2), ("tallied", 2)], "tallied: 2 requests have rows, 1 were"),
    ],
)
def test_every_difference_is_a_fault(tmp_path: Path, rows: Rows, said: str) -> None:
    """Missing, doubled, partly stored, refused but stored, or from nowhere."""
    store(tmp_path, rows)
    verdict = ledger().compare(tmp_path)
    with pytest.raises(AssertionError) as error:
        verdict.insist()
    assert said in str(error.value)


def test_a_template_is_stamped_in_every_scope() -> None:
    """The number is the version of every scope, so each row names its request."""
    for signal in ("logs", "traces", "metrics"):
        made = template(signal, "client", 10)
        body = made.stamped(1234)
        assert len(made.parts) == 2
        assert body.count(b"0000001234") == 1
        assert sum(made.rows.values()) == 10
