"""The JavaScript OpenTelemetry SDK as a client: ``js/send.mjs`` under Node.

Knows npm and the script's arguments. Must not know who receives what it sends.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from .cache import ComponentError, locked, run_build

SOURCE = Path(__file__).with_name("js")
FILES = ("package.json", "package-lock.json", "send.mjs")
SEND_SECS = 120


def build_javascript() -> Path:
    """The folder with the script and the packages it needs, made on first use."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((SOURCE / name).read_bytes())
    with locked("javascript") as cache:
        folder = cache / f"javascript-{digest.hexdigest()[:12]}"
        if not folder.exists():
            building = cache / ".javascript.building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            for name in FILES:
                shutil.copy(SOURCE / name, building)
            run_build(["npm", "ci", "--no-audit", "--no-fund", "--prefix", building])
            building.replace(folder)
    return folder


def send_from_javascript(endpoint: str, count: int, compression: str, form: str = "proto") -> None:
    """Send ``count`` log records, spans and data points; ``compression`` is gzip or none.

    ``form`` is the exporters' own word: proto, or http for JSON.
    Raises ``ComponentError`` with its output when an export did not succeed.
    """
    command = ["node", str(build_javascript() / "send.mjs"), endpoint, str(count), compression]
    command.append(form)
    # An OTEL_* variable of the caller's would change what is sent, and to where.
    env = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    done = subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SEND_SECS,
        check=False,
    )
    if done.returncode:
        message = f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-8000:]}"
        raise ComponentError(message)
