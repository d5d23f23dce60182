"""The byte budget: what is admitted, what is counted, and that no byte is given back twice."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_who_wants_to_know_is_told_when_memory_is_short() -> None:
    """Above seven eighths it is, until no more than three quarters are in use; told once each."""
    told: list[bool] = []
    budget = Budget(1000, told.append)
    budget.take(875)
    assert told == []
    assert budget.try_take(1)
    assert told == [True]
    budget.take(40)
    budget.give(165)
    assert told == [True]
    budget.give(1)
    assert told == [True, False]
    budget.take(125)
    assert told == [True, False]


@given(st.lists(st.integers(-600, 600)))
def test_short_and_not_short_are_told_in_turn(steps: list[int]) -> None:
    """However the use goes up and down, what was told last is so."""
    told = [False]
    budget = Budget(1000, told.append)
    for step in steps:
        budget.take(step)
        assert told == [index % 2 == 1 for index in range(len(told))]
        assert told[-1] == (budget.used > (750 if told[-1] else 875))


def test_what_changes_while_it_is_told_is_told_behind() -> None:
    """Another thread does not wait for the one that tells, and its change is not forgotten."""
    told: list[bool] = []

    def hear(is_short: bool) -> None:  # noqa: FBT001 - as the budget tells it
        told.append(is_short)
        if is_short:
            other = threading.Thread(target=budget.give, args=(90,))
            other.start()
            other.join(10)
            assert not other.is_alive()
            assert told == [True]

    budget = Budget(100, hear)
    budget.take(90)
    assert told == [True, False]
