"""Other versions of the Python SDK, each in an environment of its own: ``python_client.py``.

Knows pip and the script's arguments. Must not know who receives what it sends.
"""

from __future__ import annotations

from pathlib import Path

from .cache import python_environment
from .sender import run_sender

SCRIPT = Path(__file__).with_name("python_client.py")
ENVIRONMENTS = {
    # name: what is installed, the package of the exporters
    "1.20": (
        ("opentelemetry-sdk==1.20.0", "opentelemetry-exporter-otlp-proto-http==1.20.0"),
        "opentelemetry.exporter.otlp.proto.http",
    ),
    "json": (
        ("opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-json-http==0.66b1"),
        "opentelemetry.exporter.otlp.json.http",
    ),
}


def build_python_sdk(name: str) -> Path:
    """The Python of the environment ``name``, made on first use."""
    requirements, _ = ENVIRONMENTS[name]
    return python_environment(f"python-sdk-{name}", requirements)


def send_from_python(name: str, endpoint: str, count: int, compression: str) -> None:
    """Send ``count`` log records, spans and data points; none, gzip or deflate.

    Raises ``ComponentError`` with its output when an export did not succeed.
    """
    python = build_python_sdk(name)
    command = [str(python), str(SCRIPT), endpoint, str(count), compression, ENVIRONMENTS[name][1]]
    run_sender(command)
