"""One child process: started on loopback, awaited by its ready sign, ended by its own pid.

Knows processes, ports and logs. Must not know any component's options.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Final, Self

from .cache import ComponentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

READY_SECS = 60.0
"""Starts take well under a second; a loaded machine gets a minute."""
STOP_SECS = 60.0
POLL_SECS = 0.02


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on now, and nobody else is about to take.

    It is below those that systems give to whoever asks for any, clients too. Of processes that
    test side by side each has its own.
    """
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError  # the ports have no end


def _own_ports() -> Iterator[int]:
    """Over and over, each time from another one on: others may run the same tests."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 16_000 + _PORTS_EACH * (process % 8)
    start = random.SystemRandom().randrange(_PORTS_EACH)
    for number in itertools.count(start):
        yield first + number % _PORTS_EACH


_PORTS_EACH: Final = 2_000
_ports: Final = _own_ports()


def wait_until(condition: Callable[[], bool], secs: float, what: Callable[[], str]) -> None:
    """Return as soon as ``condition`` holds; after ``secs`` raise ``ComponentError(what())``."""
    deadline = time.monotonic() + secs
    while not condition():
        if time.monotonic() > deadline:
            raise ComponentError(what())
        time.sleep(POLL_SECS)


class RunningProcess:
    """A child process with its output in a log file; a context manager that ends it."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start ``command``; both its streams go to ``log``. No ``env``: that of the tests."""
        self.log_path = log
        self.words = [str(word) for word in command]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                self.words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
            )

    @property
    def log(self) -> str:
        """Everything that the process has printed so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def describe(self, trouble: str) -> str:
        """``trouble``, which process it was, and the end of its log."""
        return f"{self.words[0]} {trouble}; its log ends with:\n{self.log[-8000:]}"

    def wait_ready(self, ready: Callable[[], bool], secs: float = READY_SECS) -> None:
        """Wait for the ready sign; a process that ends first is an error with its log."""

        def ready_or_ended() -> bool:
            code = self.process.poll()
            if code is not None:
                raise ComponentError(self.describe(f"ended with {code} before it was ready"))
            return ready()

        try:
            wait_until(ready_or_ended, secs, lambda: self.describe("is not ready"))
        except BaseException:
            self.kill()
            raise

    def stop(self) -> int:
        """Ask it to end (SIGTERM), wait, and give its exit code (negative: the signal's number)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECS)
        except subprocess.TimeoutExpired as error:
            trouble = self.describe(f"did not end within {STOP_SECS:.0f} s of SIGTERM")
            self.kill()
            raise ComponentError(trouble) from error

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        """The running process itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process if the test has not done so."""
        if self.process.poll() is None:
            self.stop()
