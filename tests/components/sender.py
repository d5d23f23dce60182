"""A client that sends what it was told and ends: run to its end, whatever the caller's settings.

Knows processes. Must not know any client's options.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from .cache import ComponentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SEND_SECS = 120


def run_sender(
    command: Sequence[str], secs: float = SEND_SECS, settings: Mapping[str, str] | None = None
) -> None:
    """Run ``command``; ``ComponentError`` with its output when it fails or does not end.

    ``settings`` are variables of its environment.
    """
    # Nothing of the caller's may change what is sent, to where, or by which packages.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "PYTHON"))}
    env |= settings or {}
    try:
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=secs,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        message = f"{' '.join(command)} did not end within {secs} s"
        raise ComponentError(message) from error
    if done.returncode:
        message = f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-8000:]}"
        raise ComponentError(message)
