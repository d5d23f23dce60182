"""How a time is taken: two things in turn, many times, and the median of their ratios.

Knows clocks and cores. Must not know what is measured.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Pair:
    """Two measured side by side: seconds of each (medians) and the median of their ratios."""

    ours: float
    peer: float
    ratio: float


@contextmanager
def one_core() -> Iterator[None]:
    """Stay on the last of the cores we may use, where the system lets us choose."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def cpu_secs(action: Callable[[], object]) -> float:
    """CPU seconds of this thread for one run: what others do on the machine is left out."""
    start = time.thread_time()
    kept = action()
    del kept  # taking the result down belongs to its price
    return time.thread_time() - start


def side_by_side(
    ours: Callable[[], object], peer: Callable[[], object], *, rounds: int, inner: int = 1
) -> Pair:
    """Run both in turn ``rounds`` times, ``inner`` runs a time; which is first alternates.

    The times are those of one run.
    """

    def repeated(action: Callable[[], object]) -> float:
        return sum(cpu_secs(action) for _ in range(inner)) / inner

    repeated(ours)
    repeated(peer)
    pairs = []
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            if number % 2:
                second, first = repeated(peer), repeated(ours)
            else:
                first, second = repeated(ours), repeated(peer)
            pairs.append((first, second))
    finally:
        gc.enable()
    return Pair(
        ours=statistics.median(first for first, _ in pairs),
        peer=statistics.median(second for _, second in pairs),
        ratio=statistics.median(first / second for first, second in pairs),
    )
