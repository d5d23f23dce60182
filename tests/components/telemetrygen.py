"""telemetrygen: the OpenTelemetry project's own load generator, a client in Go.

Knows its options. Must not know who receives what it sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .cache import go_install
from .sender import run_sender

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "0.161.0"
PACKAGE = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen"
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
    run_sender(command)
