"""The lives over a bucket hold, replay exactly, and find what they have to find.

A seed that finds something is shown by ``python -m tests.simulation bucket SEED``. Some hundred
lives in an ordinary run; with ``--full`` (``make simulate``) a tenth of ``TESTS_LIVES``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.simulation.bucket_mutations import BUCKET_MUTATIONS
from tests.simulation.checks import digests, lives_that_hold
from tests.simulation.run import Result, spread

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = 150
ENOUGH = 300
"""Seeds within which each mutation has to be found; most are found within ten."""
BUCKET = ("bucket",)


def test_lives_over_a_bucket_hold(
    request: pytest.FixtureRequest, record: Callable[..., None]
) -> None:
    """Nothing lost, doubled, stuck or overwritten, whatever a bucket's requests do."""
    is_full = request.config.getoption("--full")
    lives = int(os.environ.get("TESTS_LIVES", "100000")) // 10 if is_full else 0
    record("bucket_simulation", **lives_that_hold(SEEDS, lives, over=BUCKET))


def test_a_seed_over_a_bucket_replays_exactly() -> None:
    """In another process, in which texts and objects have other hashes, step by step."""
    first = digests("1", 10, over=BUCKET)
    assert len(set(first.values())) == 10
    assert digests("2", 10, over=BUCKET) == first


@pytest.mark.parametrize("name", BUCKET_MUTATIONS)
def test_faults_in_the_store_are_found(name: str) -> None:
    """Each of the store's rules is one without which a seed finds something."""
    whole = Result()
    for result in spread(0, ENOUGH, mutation=name, over=BUCKET):
        whole.add(result)
        if whole.findings:
            return
    pytest.fail(f"{name}: not found in {whole.seeds} seeds")
