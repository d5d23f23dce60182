"""The JavaScript OpenTelemetry SDK as a client: ``js/send.mjs`` under Node.

Knows npm and the script's arguments. Must not know who receives what it sends.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .cache import npm_folder
from .sender import run_sender

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = Path(__file__).with_name("js")
FILES = ("package.json", "package-lock.json", "send.mjs")


def build_javascript() -> Path:
    """The folder with the script and the packages it needs, made on first use."""
    return npm_folder("javascript", SOURCE, FILES)


def send_from_javascript(
    endpoint: str,
    count: int,
    compression: str,
    form: str = "proto",
    settings: Mapping[str, str] | None = None,
) -> None:
    """Send ``count`` log records, spans and data points; ``compression`` is gzip or none.

    ``form`` is the exporters' own word: proto, http for JSON, or grpc. Without an ``endpoint`` it
    is the SDK's own, which the variables ``settings`` may say.
    Raises ``ComponentError`` with its output when an export did not succeed.
    """
    command = ["node", str(build_javascript() / "send.mjs"), endpoint, str(count), compression]
    command.append(form)
    run_sender(command, settings=settings)
