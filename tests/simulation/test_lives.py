"""The simulation holds, replays exactly, and finds what it has to find.

A seed that finds something is shown with its script and its trace by
``python -m tests.simulation SEED``. Some thousand lives in an ordinary run; with ``--full``
(``make simulate``) as many as ``TESTS_LIVES`` says.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.simulation.checks import digests, lives_that_hold
from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import Result, spread

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = 900
"""Of an ordinary run: some 2,500 lives."""

ENOUGH = 1500
"""Seeds within which each mutation has to be found; most are found within ten."""


def test_lives_hold(request: pytest.FixtureRequest, record: Callable[..., None]) -> None:
    """After every life the ledger is right: nothing lost, doubled, stuck or left behind."""
    is_full = request.config.getoption("--full")
    lives = int(os.environ.get("TESTS_LIVES", "100000")) if is_full else 0
    record("simulation", **lives_that_hold(SEEDS, lives))


def test_a_seed_replays_exactly() -> None:
    """In another process, in which texts and objects have other hashes, step by step."""
    first = digests("1", 20)
    assert len(first) == 20
    assert len(set(first.values())) == 20
    assert digests("2", 20) == first


@pytest.mark.parametrize("name", MUTATIONS)
def test_faults_that_are_put_in_are_found(name: str) -> None:
    """Each of the product's rules is one without which a seed finds something."""
    whole = Result()
    for result in spread(0, ENOUGH, mutation=name):
        whole.add(result)
        if whole.findings:
            return
    pytest.fail(f"{name}: not found in {whole.seeds} seeds")
