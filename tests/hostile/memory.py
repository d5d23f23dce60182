"""What a process takes while something is done to it: its highest PSS and RSS, its CPU (Linux).

Knows ``/proc``. The proportional set size is read over and over by a thread; the kernel keeps the
highest resident set, so that no peak is too short to be seen.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Self

EVERY_SECS = 0.02
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)


class Watch:
    """Watches one process from entering to leaving; figures in MiB and seconds."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc", str(pid))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.before = 0.0
        self.peak_pss = 0.0
        self.peak_rss = 0.0
        self.cpu_secs = 0.0

    @property
    def grown(self) -> float:
        """How far the peak was above what it began with."""
        return self.peak_rss - self.before

    def __enter__(self) -> Self:
        # "5": the highest resident set is counted from now on.
        (self._folder / "clear_refs").write_text("5")
        self.before = self._figure("status", _RSS)
        self.cpu_secs = -self._cpu_secs()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_secs += self._cpu_secs()
        self._stop.set()
        self._thread.join()
        self.peak_rss = max(self.before, self._figure("status", _PEAK))

    def _read(self) -> None:
        while True:
            self.peak_pss = max(self.peak_pss, self._figure("smaps_rollup", _PSS))
            if self._stop.wait(EVERY_SECS):
                return

    def _cpu_secs(self) -> float:
        """Of all its threads, its own and the system's for it, in steps of a tick (10 ms)."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _figure(self, name: str, pattern: re.Pattern[str]) -> float:
        found = pattern.search((self._folder / name).read_text())
        assert found is not None
        return int(found[1]) / 1024
