"""wrk: a load generator in C, faster than any server it is pointed at.

Knows its options and the script ``wrk.lua``. Must not know who receives the requests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .cache import ComponentError

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = Path(__file__).with_name("wrk.lua")
QUIET_SECS = 3
"""At the end no new request begins for so long: time for all answers to come."""


@dataclass(frozen=True, slots=True)
class Answers:
    """How many requests were answered with 200, and with anything else."""

    acknowledged: int
    refused: int


def wrk(
    url: str,
    bodies: Sequence[bytes],
    secs: int,
    *,
    connections: int = 16,
    threads: int = 1,
    encoding: str = "",
    core: int | None = None,
) -> Answers:
    """Post ``bodies`` in turn to ``url`` for ``secs`` seconds, on ``core`` alone if given.

    Every request is answered when this returns. Raises ``ComponentError`` when wrk is missing,
    fails, or met an error on a connection.
    """
    program = shutil.which("wrk")
    if program is None:
        message = "wrk is not installed; it is needed for loads at full speed (apt-get install wrk)"
        raise ComponentError(message)
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for number, body in enumerate(bodies):
            path = Path(folder, f"{number}.bin")
            path.write_bytes(body)
            names.append(str(path))
        env = {**os.environ, "BODIES": ":".join(names), "SECS": str(secs)}
        env |= {"ENCODING": encoding} if encoding else {}
        command = [program, "-t", str(threads), "-c", str(connections), "--timeout", "60s"]
        command += ["-d", f"{secs + QUIET_SECS}s", "-s", str(SCRIPT), url]
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=secs + QUIET_SECS + 60,
            check=False,
        )
    found = re.search(r"acknowledged=(\d+) refused=(\d+)", done.stdout)
    if done.returncode or found is None or "Socket errors" in done.stdout:
        message = f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}"
        raise ComponentError(message)
    return Answers(int(found[1]), int(found[2]))
