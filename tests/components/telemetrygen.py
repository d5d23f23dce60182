"""telemetrygen: the OpenTelemetry project's own load generator, a client in Go.

Knows its options. Must not know who receives what it sends.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from .cache import ComponentError, go_install

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "0.161.0"
PACKAGE = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen"
SEND_SECS = 120
"""It retries for ever when it is refused, so a run has an end of its own."""


def build_telemetrygen() -> Path:
    """The program, compiled on first use."""
    return go_install(PACKAGE, VERSION)


def telemetrygen(signal: str, port: int, count: int, *options: str, grpc: bool = False) -> None:
    """Send ``count`` records of ``signal`` (``logs``, ``traces``, ``metrics``) to 127.0.0.1.

    One worker, no throttling, OTLP/HTTP unless ``grpc``. For ``traces`` the unit is a trace,
    which telemetrygen makes of one parent and ``--child-spans`` children (one by default).
    Raises ``ComponentError`` with its output when it fails or does not end.
    """
    command = [str(build_telemetrygen()), signal, "--otlp-insecure", "--rate", "0"]
    command += ["--otlp-endpoint", f"127.0.0.1:{port}", f"--{signal}", str(count)]
    command += ["--workers", "1", *options]
    if not grpc:
        command.append("--otlp-http")
    # An OTEL_* variable of the caller's would change what is sent, and to where.
    env = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    try:
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
    except subprocess.TimeoutExpired as error:
        message = f"{' '.join(command)} did not end within {SEND_SECS} s"
        raise ComponentError(message) from error
    if done.returncode:
        message = f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-8000:]}"
        raise ComponentError(message)
