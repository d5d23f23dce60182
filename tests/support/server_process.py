"""The server as a process on a free port, and requests to it by the standard library."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.components.process import RunningProcess

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

COMMAND = Path(sys.executable).with_name("otlp2parquet")
PROTOBUF = {"Content-Type": "application/x-protobuf"}
PATIENCE_SECS = 60.0


class Server(RunningProcess):
    """A server on a free port that it chose itself; its files are in ``folder/data``."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        options: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        super().__init__(
            [*launcher, COMMAND, "-p", str(port), *options],
            folder / "server.log",
            env=environment() | dict(settings or {}),
            cwd=folder,
        )
        self.wait_ready(lambda: self.address() is not None)
        address = self.address()
        assert address is not None
        self.host, self.port = address

    def address(self) -> tuple[str, int] | None:
        """Where it listens, as it says itself."""
        found = re.search(r"\bHTTPS? (\S+):(\d+), .*, to ", self.log)
        return None if found is None else (found[1].strip("[]"), int(found[2]))

    @property
    def grpc_address(self) -> str:
        """Where it takes OTLP/gRPC, as it says itself; empty if it does not."""
        found = re.search(r"listening for OTLP/gRPC on https?://(\S+)", self.log)
        return "" if found is None else found[1]

    def connect(self) -> http.client.HTTPConnection:
        """A connection for requests one after another."""
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_SECS)

    def post(self, payload: bytes, signal_name: str = "logs", **headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        with contextlib.closing(self.connect()) as connection:
            return post(connection, payload, signal_name, **headers)

    def raw(self) -> socket.socket:
        """A socket for what no client library would send."""
        return socket.create_connection((self.host, self.port), timeout=PATIENCE_SECS)

    def flush(self) -> None:
        """Have it store what it has taken until now."""
        with contextlib.closing(self.connect()) as connection:
            connection.request("POST", "/flush")
            response = connection.getresponse()
            assert response.status == 200, response.read()

    def bodies(self, table: str = "logs") -> list[str]:
        """The bodies of all log records in files."""
        return bodies_in(self.data / table)


def bodies_in(folder: Path) -> list[str]:
    """The bodies of all log records in files below ``folder``."""
    files = sorted(folder.rglob("*.parquet"))
    return [text for file in files for text in pq.ParquetFile(file).read()["Body"].to_pylist()]


def environment() -> dict[str, str]:
    """This process's environment without settings of somebody's own server.

    No OTLP/gRPC, unless a test asks for it: several servers at once would want the one port.
    """
    outer = {k: v for k, v in os.environ.items() if not k.startswith("OTLP2PARQUET_")}
    return outer | {"OTLP2PARQUET_GRPC_ADDR": "off"}


def post(
    connection: http.client.HTTPConnection,
    payload: bytes,
    signal_name: str = "logs",
    **headers: str,
) -> tuple[int, bytes]:
    """One request; status and body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", f"/v1/{signal_name}", payload, PROTOBUF | named)
    response = connection.getresponse()
    return response.status, response.read()


def logs_of(*bodies: str) -> bytes:
    """An export request with one record for each body."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    resource_logs.resource.attributes.add(key="service.name").value.string_value = "shop"
    records = resource_logs.scope_logs.add().log_records
    for text in bodies:
        records.add(time_unix_nano=time.time_ns()).body.string_value = text
    return bytes(request.SerializeToString())


def ended(process: subprocess.Popen[bytes]) -> int:
    """Its exit code, once it has ended."""
    return process.wait(PATIENCE_SECS)
