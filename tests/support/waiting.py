"""How a test waits for what another thread does: for the thing itself, never for a time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


PATIENCE_SECS = 30.0


def wait_for(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` holds; fail when it does not come to hold."""
    deadline = time.monotonic() + PATIENCE_SECS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.002)
