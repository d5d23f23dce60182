"""The memory of a process and its children over time: PSS, as the system counts it.

Knows the system's accounts. PSS shares what processes share, so that a group's sum is what would
be free without it. Must not know what the process is.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable


def group_pss(pid: int) -> int:
    """Bytes of the process and everything that it has started; 0 once it has ended."""
    total = 0
    try:
        leader = psutil.Process(pid)
        group = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in group:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # it has ended since
    return total


class Curve(threading.Thread):
    """Samples of a process group's memory, taken until stopped, with what else is worth noting."""

    def __init__(
        self, pid: int, every_secs: float, note: Callable[[], dict[str, float]] = dict
    ) -> None:
        """``note`` gives further figures of the moment."""
        super().__init__(name="memory", daemon=True)
        self.pid, self.every_secs, self.note = pid, every_secs, note
        self.samples: list[dict[str, float]] = []
        self._stop_sampling = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        started = time.monotonic()
        while not self._stop_sampling.wait(self.every_secs):
            pss = group_pss(self.pid)
            if pss:
                sample = {"secs": round(time.monotonic() - started, 1), "pss": float(pss)}
                self.samples.append(sample | self.note())

    def stop(self) -> list[dict[str, float]]:
        """No more samples; those taken."""
        self._stop_sampling.set()
        self.join()
        return self.samples

    @property
    def peak(self) -> float:
        """The largest sample so far, in bytes."""
        return max((sample["pss"] for sample in self.samples), default=0.0)
