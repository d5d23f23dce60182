"""The ports that everything uses by default are one test's at a time, whoever else tests here."""

from __future__ import annotations

import fcntl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL_PORTS = (4317, 4318)


@contextmanager
def usual_ports() -> Iterator[tuple[int, ...]]:
    """Wait until no other process of the tests is at them."""
    with Path(tempfile.gettempdir(), "otlp2parquet-usual-ports").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield USUAL_PORTS
