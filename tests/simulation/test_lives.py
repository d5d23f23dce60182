"""The simulation holds, replays exactly, and finds what it has to find.

A seed that finds something is shown with its script and its trace by
``python -m tests.simulation SEED``. Some thousand lives in an ordinary run; with ``--full``
(``make simulate``) as many as ``OTLP2PARQUET_LIVES`` says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

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
    lives = int(os.environ.get("OTLP2PARQUET_LIVES", "100000")) if is_full else 0
    whole = Result()
    for result in spread(0, 10 * lives if is_full else SEEDS):
        whole.add(result)
        for seed, found in result.findings.items():
            print(f"python -m tests.simulation {seed}: {found[0]}")
        if is_full and whole.lives >= lives:
            break
    assert not whole.findings
    assert whole.lives >= lives
    assert whole.acknowledged > whole.seeds
    assert whole.faults > whole.seeds
    record(
        "simulation",
        seeds=whole.seeds,
        lives=whole.lives,
        steps=whole.steps,
        requests=whole.requests,
        acknowledged=whole.acknowledged,
        faults=whole.faults,
        findings=len(whole.findings),
    )


def test_a_seed_replays_exactly() -> None:
    """In another process, in which texts and objects have other hashes, step by step."""

    def digests(hash_seed: str) -> dict[str, int]:
        command = [sys.executable, "-m", "tests.simulation", "work", "0", "20", "1", ""]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        read: dict[str, int] = {}
        for line in done.stdout.splitlines():
            read |= json.loads(line)["digests"]
        return read

    first = digests("1")
    assert len(first) == 20
    assert len(set(first.values())) == 20
    assert digests("2") == first


@pytest.mark.parametrize("name", MUTATIONS)
def test_faults_that_are_put_in_are_found(name: str) -> None:
    """Each of the product's rules is one without which a seed finds something."""
    whole = Result()
    for result in spread(0, ENOUGH, mutation=name):
        whole.add(result)
        if whole.findings:
            return
    pytest.fail(f"{name}: not found in {whole.seeds} seeds")
