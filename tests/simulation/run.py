"""Seeds in, findings out: one after another in this process, or spread over all cores.

The batch layer is loaded anew in each process that runs seeds, with points and perhaps with a
mutation; so whoever only starts such processes never loads it.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.simulation.scheduler import Step
    from tests.simulation.script import Focus

_SLICE: Final = 10
"""Seeds between two lines of a process's report."""


@dataclass(slots=True)
class Result:
    """What came of some seeds."""

    seeds: int = 0
    lives: int = 0
    steps: int = 0
    requests: int = 0
    acknowledged: int = 0
    faults: int = 0
    findings: dict[int, list[str]] = field(default_factory=dict)
    digests: dict[int, int] = field(default_factory=dict)

    def add(self, other: Result) -> None:
        """Take another's in."""
        self.seeds += other.seeds
        self.lives += other.lives
        self.steps += other.steps
        self.requests += other.requests
        self.acknowledged += other.acknowledged
        self.faults += other.faults
        self.findings.update(other.findings)
        self.digests.update(other.digests)


def run_seed(seed: int, trace: list[Step] | None = None, *, focus: Focus = "") -> Result:
    """All lives of one seed, until one of them finds something."""
    from tests.simulation.life import Life  # noqa: PLC0415 - behind the loader
    from tests.simulation.script import script_of  # noqa: PLC0415
    from tests.simulation.world import World  # noqa: PLC0415

    script = script_of(seed, focus)
    world = World(script)
    result = Result(seeds=1)
    digest = 0
    for number, life_script in enumerate(script.lives, 1):
        world.life = number
        life = Life(world, life_script, trace)
        life.run()
        last = number == len(script.lives)
        if last:
            for storage in world.storages.values():
                storage.settle(float("inf"))
        world.ledger.judge(world.storages.values(), final=last)
        result.lives += 1
        result.steps += life.scheduler.steps
        result.faults += life.disk_faults.met + life.store_faults.met
        digest = hash((digest, life.scheduler.digest, life.scheduler.steps))
        if world.ledger.findings:
            break
    attempts = world.ledger.attempts
    result.requests = len(attempts)
    result.acknowledged = sum(attempt.answer == "acknowledged" for attempt in attempts)
    result.digests[seed] = digest
    if world.ledger.findings:
        result.findings[seed] = world.ledger.findings
    return result


def run_seeds(seeds: Iterable[int], focus: Focus = "") -> Result:
    """One after another."""
    logging.disable(logging.CRITICAL)
    gc.freeze()
    result = Result()
    for seed in seeds:
        result.add(run_seed(seed, focus=focus))
    return result


def work(first: int, end: int, step: int, focus: Focus) -> None:
    """What a process of ``spread`` does: seeds, and a line of JSON for each slice of them."""
    seeds = range(first, end, step)
    for start in range(0, len(seeds), _SLICE):
        result = run_seeds(seeds[start : start + _SLICE], focus)
        told = {name: getattr(result, name) for name in Result.__slots__}
        print(json.dumps(told), flush=True)


def spread(
    first: int,
    end: int,
    *,
    mutation: str = "",
    processes: int | None = None,
    secs: float = 1e9,
    over: Sequence[str] = (),
) -> Iterator[Result]:
    """Results of the seeds, some at a time, from all cores; no more once the seconds are over.

    ``over`` is ``("bucket",)`` for lives over a bucket.
    """
    count = processes or os.cpu_count() or 1
    started = time.monotonic()
    workers = []
    for number in range(count):
        command = [sys.executable, "-m", "tests.simulation", *over, "work"]
        command += [str(first + number), str(end), str(count), mutation]
        workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1))
    try:
        for line in _lines(workers):
            yield _read(json.loads(line))
            if time.monotonic() - started > secs:
                return
        for worker in workers:
            if worker.wait() != 0:
                raise RuntimeError(f"a process that ran seeds ended with {worker.returncode}")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            assert worker.stdout is not None
            worker.stdout.close()


def _lines(workers: list[subprocess.Popen[str]]) -> Iterator[str]:
    import selectors  # noqa: PLC0415

    selector = selectors.DefaultSelector()
    for worker in workers:
        assert worker.stdout is not None
        selector.register(worker.stdout, selectors.EVENT_READ)
    while selector.get_map():
        for key, _ in selector.select():
            line = key.fileobj.readline()  # type: ignore[union-attr]
            if line:
                yield line
            else:
                selector.unregister(key.fileobj)


def _read(read: dict[str, Any]) -> Result:
    read["findings"] = {int(seed): found for seed, found in read["findings"].items()}
    read["digests"] = {int(seed): digest for seed, digest in read["digests"].items()}
    return Result(**read)
