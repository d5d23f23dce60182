"""What is asked of lives, whatever they run over: that they hold, and that they replay exactly.

Starts processes that run seeds. It must not load the batch layer itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.simulation.run import Result, spread

if TYPE_CHECKING:
    from collections.abc import Sequence


def lives_that_hold(seeds: int, lives: int, over: Sequence[str] = ()) -> dict[str, int]:
    """What was run without a finding: ``seeds``, or as many as make ``lives`` if that is not 0."""
    whole = Result()
    for result in spread(0, 10 * lives if lives else seeds, over=over):
        whole.add(result)
        for seed, found in result.findings.items():
            print(f"{' '.join(('python -m tests.simulation', *over))} {seed}: {found[0]}")
        if lives and whole.lives >= lives:
            break
    assert not whole.findings
    assert whole.lives >= lives
    assert whole.acknowledged > whole.seeds
    assert whole.faults > whole.seeds
    return {
        "seeds": whole.seeds,
        "lives": whole.lives,
        "steps": whole.steps,
        "requests": whole.requests,
        "acknowledged": whole.acknowledged,
        "faults": whole.faults,
        "findings": len(whole.findings),
    }


def digests(hash_seed: str, seeds: int, over: Sequence[str] = ()) -> dict[str, int]:
    """The digest of each seed, from a process in which texts and objects have other hashes."""
    command = [sys.executable, "-m", "tests.simulation", *over, "work", "0", str(seeds), "1", ""]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    read: dict[str, int] = {}
    for line in done.stdout.splitlines():
        read |= json.loads(line)["digests"]
    return read
