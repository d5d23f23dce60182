"""The command on a disk whose every sync of a file takes long.

A program: ``python slow_disk.py FILE serve ...``. The first argument is a file that holds the
seconds (it may be changed while the server runs), the rest are the command's. What is slowed is
the system call as the server makes it, with the file's bytes written and its memory still held;
there is no setting of the product for this.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path


def slow(where: Path) -> None:
    """Make ``os.fsync`` and ``os.fdatasync`` of files as slow as ``where`` says."""
    fsync = os.fsync

    def slow_sync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            time.sleep(float(where.read_text(encoding="ascii")))
        fsync(descriptor)

    os.fsync = slow_sync  # type: ignore[assignment]
    os.fdatasync = slow_sync  # type: ignore[assignment]


def main() -> None:
    """Slow the disk, then be the command."""
    slow(Path(sys.argv[1]))
    from otlp2parquet.cli import main as command  # noqa: PLC0415 - behind the slow disk

    sys.argv = ["otlp2parquet", *sys.argv[2:]]
    command()


if __name__ == "__main__":
    main()
