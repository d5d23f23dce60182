"""A program on a terminal of its own, or on a pipe: what a person sees of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from typing import TYPE_CHECKING, Self

from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LAUNCH = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A program in the foreground minds Ctrl-C, also where the tests run in the background."""

COLOURS = re.compile("\x1b\\[[0-9;]*m")


class Program:
    """Runs a command; ``out`` and ``err`` are what it has printed so far.

    With ``columns`` both are one terminal of that width, and all is in ``out``. Without ``is_read``
    nobody reads what it prints for others.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        columns: int | None = None,
        is_read: bool = True,
    ) -> None:
        self._out = bytearray()
        self._err = bytearray()
        if columns is None:
            (out, its_out), (err, its_err) = os.pipe(), os.pipe()
            ends = [(out, self._out), (err, self._err)]
        else:
            out, its_out = pty.openpty()
            fcntl.ioctl(its_out, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            its_err = os.dup(its_out)
            ends = [(out, self._out)]
        if not is_read:
            os.close(ends.pop(0)[0])
        launcher = [sys.executable, "-c", LAUNCH]
        self.process = subprocess.Popen(
            [*launcher, *command], cwd=cwd, env=env, stdout=its_out, stderr=its_err
        )
        os.close(its_out)
        os.close(its_err)
        self._threads = [threading.Thread(target=_read, args=end, daemon=True) for end in ends]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_SECS)
        for thread in self._threads:
            thread.join(PATIENCE_SECS)

    @property
    def out(self) -> str:
        """What it has printed for whoever reads on."""
        return self._out.decode(errors="replace").replace("\r\n", "\n")

    @property
    def err(self) -> str:
        """What it has said about it."""
        return self._err.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The lines of ``out``, without colours."""
        return COLOURS.sub("", self.out).splitlines()

    def wait_for(self, *texts: str) -> None:
        """Return when it has printed all of ``texts``."""

        def is_there() -> bool:
            shown = COLOURS.sub("", self.out) + self.err
            return all(text in shown for text in texts)

        try:
            wait_for(is_there)
        except AssertionError:
            message = f"{texts} not in:\n{self.out}\n{self.err}"
            raise AssertionError(message) from None

    def stop(self, number: int) -> int:
        """Send a signal, and wait for the end; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECS)
        for thread in self._threads:
            thread.join(PATIENCE_SECS)
        return code


def _read(descriptor: int, into: bytearray) -> None:
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except OSError:  # the terminal's other end is closed
            part = b""
        if not part:
            os.close(descriptor)
            return
        into += part
