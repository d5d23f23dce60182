"""The Go OpenTelemetry SDK as a client, and a load over gRPC at full speed: the programs in ``go``.

Knows ``go install`` and the programs' arguments. Must not know who receives what they send.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .cache import ComponentError, go_programs
from .sender import run_sender
from .wrk import Answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCE = Path(__file__).with_name("go")
FILES = ("go.mod", "go.sum", "send/main.go", "load/main.go")
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
LAST_SECS = 60
"""Behind the end of a load no new call begins: time for the answers that are still to come."""


def build_go_sdk() -> Path:
    """The folder with the two programs, compiled on first use."""
    return go_programs("go-sdk", SOURCE, FILES)


def send_from_go(
    endpoint: str, count: int, form: str, settings: Mapping[str, str] | None = None
) -> None:
    """Send ``count`` log records, spans and data points; ``form`` is grpc or http.

    Without an ``endpoint`` it is the SDK's own, which the variables ``settings`` may say.

    Raises ``ComponentError`` with its output when an export did not succeed.
    """
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if endpoint else {}
    command = [str(build_go_sdk() / "send"), str(count), form]
    run_sender(command, settings={**where, **(settings or {})})


def grpc_load(
    address: str,
    bodies: Sequence[bytes],
    secs: int,
    *,
    connections: int = 16,
    encoding: str = "",
    core: int | None = None,
) -> Answers:
    """Send ``bodies`` as log requests in turn for ``secs`` seconds, on ``core`` alone if given.

    Every call is answered when this returns. With an ``encoding`` the bodies are in it already.
    Raises ``ComponentError`` when the program fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        for number, body in enumerate(bodies):
            Path(folder, f"{number:06}.bin").write_bytes(body)
        command = [str(build_go_sdk() / "load"), address, LOGS, folder, str(secs), str(connections)]
        command += [encoding] if encoding else []
        if core is not None:
            taskset = shutil.which("taskset")
            assert taskset is not None
            command = [taskset, "-c", str(core), *command]
        done = subprocess.run(
            command,
            env=os.environ | ({} if core is None else {"GOMAXPROCS": "1"}),
            capture_output=True,
            text=True,
            timeout=secs + LAST_SECS,
            check=False,
        )
    if done.returncode:
        message = f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-8000:]}"
        raise ComponentError(message)
    acknowledged, refused = map(int, done.stdout.split())
    return Answers(acknowledged, refused)
