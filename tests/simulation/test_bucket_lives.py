"""The lives over a bucket hold, replay exactly, and find what they have to find.

A seed that finds something is shown by ``python -m tests.simulation bucket SEED``. Some hundred
lives in an ordinary run; with ``--full`` (``make simulate``) a tenth of ``OTLP2PARQUET_LIVES``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.simulation.bucket_mutations import BUCKET_MUTATIONS
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
    lives = int(os.environ.get("OTLP2PARQUET_LIVES", "100000")) // 10 if is_full else 0
    whole = Result()
    for result in spread(0, 10 * lives if is_full else SEEDS, over=BUCKET):
        whole.add(result)
        for seed, found in result.findings.items():
            print(f"python -m tests.simulation bucket {seed}: {found[0]}")
        if is_full and whole.lives >= lives:
            break
    assert not whole.findings
    assert whole.lives >= lives
    assert whole.acknowledged > whole.seeds
    assert whole.faults > whole.seeds
    record(
        "bucket_simulation",
        seeds=whole.seeds,
        lives=whole.lives,
        steps=whole.steps,
        requests=whole.requests,
        acknowledged=whole.acknowledged,
        faults=whole.faults,
        findings=len(whole.findings),
    )


def test_a_seed_over_a_bucket_replays_exactly() -> None:
    """In another process, in which texts and objects have other hashes, step by step."""

    def digests(hash_seed: str) -> dict[str, int]:
        command = [sys.executable, "-m", "tests.simulation", *BUCKET, "work", "0", "10", "1", ""]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        read: dict[str, int] = {}
        for line in done.stdout.splitlines():
            read |= json.loads(line)["digests"]
        return read

    first = digests("1")
    assert len(set(first.values())) == 10
    assert digests("2") == first


@pytest.mark.parametrize("name", BUCKET_MUTATIONS)
def test_faults_in_the_store_are_found(name: str) -> None:
    """Each of the store's rules is one without which a seed finds something."""
    whole = Result()
    for result in spread(0, ENOUGH, mutation=name, over=BUCKET):
        whole.add(result)
        if whole.findings:
            return
    pytest.fail(f"{name}: not found in {whole.seeds} seeds")
