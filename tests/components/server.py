"""The otlp2parquet server as its users start it: the installed command, on a free port.

Knows the command line and the ready sign. Must not import otlp2parquet: what runs is the
installed command, as a process of its own.
"""

from __future__ import annotations

import http.client
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .process import RunningProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = Path(sys.executable).with_name("otlp2parquet")
"""The console script of the environment that runs the tests."""


def healthy(port: int) -> bool:
    """Whether a server on ``port`` answers ``GET /health`` with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Server(RunningProcess):
    """A running ``otlp2parquet serve`` that writes to ``data``; on a free port if none is given."""

    def __init__(
        self,
        folder: Path,
        options: Sequence[str] = (),
        *,
        port: int | None = None,
        program: Sequence[str | Path] = (COMMAND,),
        grpc: bool = False,
    ) -> None:
        """Start it in ``folder`` (its log lies there too) and wait until it is healthy.

        ``program`` is what understands the command's arguments, where it is not the command.
        With ``grpc`` it takes OTLP/gRPC, too, at ``grpc_address``.
        """
        self.port = port or free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        folder = folder.absolute()
        self.data = folder / "data"
        command: list[str | Path] = [*program, "serve", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "-o", self.data]
        # A setting of the caller's own server must not reach this one.
        env = {
            key: value for key, value in os.environ.items() if not key.startswith("OTLP2PARQUET_")
        }
        # Several at once would want the one port.
        env["OTLP2PARQUET_GRPC_ADDR"] = "127.0.0.1:0" if grpc else "off"
        here = str(Path(__file__).parents[2])  # for programs of the tests
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [here, env.get("PYTHONPATH")]))
        super().__init__([*command, *options], folder / "server.log", env=env, cwd=folder)
        self.wait_ready(lambda: healthy(self.port))

    @property
    def grpc_address(self) -> str:
        """Where it takes OTLP/gRPC, as it says itself."""
        found = re.search(r"listening for OTLP/gRPC on https?://(\S+)", self.log)
        assert found is not None, self.log
        return found[1]
