"""``otlp2parquet dev`` as a program that runs: where it takes telemetry, and what it prints."""

from __future__ import annotations

import http.client
import re
from contextlib import closing
from typing import TYPE_CHECKING

from tests.support.server_process import COMMAND, PATIENCE_SECS, PROTOBUF, environment
from tests.support.terminal import Program

if TYPE_CHECKING:
    from pathlib import Path


class Dev(Program):
    """``dev`` on free ports, or with ``usual_ports`` on its own; its folder is ``folder``."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        usual_ports: bool = False,
        columns: int | None = None,
        is_read: bool = True,
        **env: str,
    ) -> None:
        settings = environment() | {"TERM": "xterm", "OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0"}
        command: list[str | Path] = [COMMAND, "dev", "-p", "0", *options]
        if usual_ports:
            del settings["OTLP2PARQUET_GRPC_ADDR"], command[2:4]
        super().__init__(command, cwd=folder, env=settings | env, columns=columns, is_read=is_read)
        self.folder = folder
        self.wait_for("Waiting for telemetry")

    def _address(self, label: str) -> str:
        found = re.search(rf"{label} +(\S+)", "\n".join(self.lines) + self.err)
        assert found is not None
        return found[1]

    @property
    def http(self) -> str:
        """Where it takes OTLP/HTTP."""
        return self._address("OTLP/HTTP")

    @property
    def grpc(self) -> str:
        """Where it takes OTLP/gRPC."""
        return self._address("OTLP/gRPC")

    def post(self, payload: bytes) -> int:
        """One request; its status."""
        where = self.http.removeprefix("http://")
        with closing(http.client.HTTPConnection(where, timeout=PATIENCE_SECS)) as connection:
            connection.request("POST", "/v1/logs", payload, PROTOBUF)
            return connection.getresponse().status
