"""The byte budget: what is admitted, what is counted, and that no byte is given back twice."""

from __future__ import annotations

import pytest

from otlp2parquet.batches.budget import Allowance, Budget


def test_the_budget_refuses_what_does_not_fit() -> None:
    """Admission stops at the limit; growth that happened is counted beyond it."""
    budget = Budget(100)
    assert budget.try_take(60)
    assert not budget.try_take(41)
    assert budget.try_take(40)
    assert not budget.try_take(0)
    budget.take(50)
    assert budget.used == 150
    budget.give(51)
    assert budget.try_take(1)


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [0, 5], [7, 11, 13], [0, 0], []])
def test_an_allowance_is_split_without_a_byte_left_behind(weights: list[int]) -> None:
    """Whoever holds a share gives it back once; what nobody got is given back at once."""
    budget = Budget(10)
    whole = Allowance(budget)
    whole.take(1001)
    shares = whole.split(weights)
    assert whole.bytes == 0
    assert len(shares) == len(weights)
    assert sum(share.bytes for share in shares) == budget.used
    assert budget.used == (1001 if sum(weights) else 0)
    for share in shares:
        share.release()
        share.release()
    assert budget.used == 0
