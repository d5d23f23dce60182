"""What a kept 200 costs: the real server under load, in the modes fsync and memory in turn.

Knows HTTP/1.1 as a client speaks it, and the server's command. Counts only answers of 200; an
answer that is none is an error, not a figure.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .payloads import SHAPES, Payloads

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = Path(sys.executable).with_name("otlp2parquet")
BODY_BYTES = 64 << 10
RATE = 500
START_SECS = 30


class RefusedError(Exception):
    """An answer other than 200: the load says nothing then."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Both modes under the same load, and the answers at a steady rate."""

    fsync_a_sec: float
    memory_a_sec: float
    ratio: float
    rate: float
    """Requests a second that were really sent, of ``RATE`` wanted."""
    p50_ms: float
    p99_ms: float
    body_bytes: int


def body() -> bytes:
    """An export request of about 64 KiB: log records of 5 services."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (  # noqa: PLC0415 - slow to load
        ExportLogsServiceRequest,
    )

    request = ExportLogsServiceRequest.FromString(
        Payloads("logs", SHAPES["typical"]).requests(1)[0]
    )
    while request.ByteSize() > BODY_BYTES:
        for resource_logs in request.resource_logs:
            del resource_logs.scope_logs[0].log_records[-2:]
    return bytes(request.SerializeToString())


@contextmanager
def server(mode: str) -> Iterator[int]:
    """A server in this mode, on a port of its own, with nothing left behind."""
    with tempfile.TemporaryDirectory() as folder:
        env = {k: v for k, v in os.environ.items() if not k.startswith("OTLP2PARQUET_")}
        env |= {"OTLP2PARQUET_DURABILITY_MODE": mode, "OTLP2PARQUET_GRPC_ADDR": "off"}
        log = Path(folder, "log")
        with log.open("wb") as sink:
            running = subprocess.Popen(
                [COMMAND, "-p", "0"], cwd=folder, env=env, stderr=sink, stdout=sink
            )
        try:
            deadline = time.monotonic() + START_SECS
            while " listening on " not in (text := log.read_text()):
                if running.poll() is not None or time.monotonic() > deadline:
                    raise RefusedError(text)
                time.sleep(0.02)
            yield int(text.split("http://", 1)[1].split(",", 1)[0].rpartition(":")[2])
        finally:
            running.terminate()
            running.wait()


class Connection:
    """One kept-alive connection."""

    def __init__(self, port: int, payload: bytes) -> None:
        self._port = port
        head = (
            "POST /v1/logs HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/x-protobuf\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        self._request = head.encode() + payload

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self) -> float:
        """One request; the seconds until its answer."""
        started = time.perf_counter()
        self._writer.write(self._request)
        await self._writer.drain()
        answer = await self._reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RefusedError(answer)
        return time.perf_counter() - started

    def close(self) -> None:
        """Leave."""
        self._writer.close()


async def _connections(port: int, payload: bytes, count: int) -> list[Connection]:
    made = [Connection(port, payload) for _ in range(count)]
    for connection in made:
        await connection.open()
    return made


async def saturate(port: int, payload: bytes, connections: int, secs: float) -> float:
    """Requests a second when every connection asks as soon as it is answered."""
    made = await _connections(port, payload, connections)
    until = time.monotonic() + secs

    async def ask(connection: Connection) -> int:
        count = 0
        while time.monotonic() < until:
            await connection.ask()
            count += 1
        return count

    counts = await asyncio.gather(*map(ask, made))
    for connection in made:
        connection.close()
    return sum(counts) / secs


async def steady(port: int, payload: bytes, rate: int, secs: float) -> tuple[float, list[float]]:
    """Requests at a fixed rate: the rate that was kept, and the seconds of each.

    They count from when the request was due, so that a stall counts for all that it held up.
    """
    made = await _connections(port, payload, 64)
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    for connection in made:
        free.put_nowait(connection)
    waits: list[float] = []

    async def ask(due: float) -> None:
        connection = await free.get()
        await connection.ask()
        waits.append(time.perf_counter() - due)
        free.put_nowait(connection)

    begun = time.perf_counter()
    tasks = []
    for number in range(int(rate * secs)):
        due = begun + number / rate
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        tasks.append(asyncio.create_task(ask(due)))
    await asyncio.gather(*tasks)
    took = time.perf_counter() - begun
    for connection in made:
        connection.close()
    return len(waits) / took, waits


def kept(rounds: int = 5, secs: float = 4.0, steady_secs: float = 20.0) -> Kept:
    """The median of ratios of neighbouring runs, and the waits at ``RATE`` in the mode fsync."""
    payload = body()
    found: dict[str, list[float]] = {"memory": [], "fsync": []}
    for _ in range(rounds):
        for mode, speeds in found.items():
            with server(mode) as port:
                speeds.append(asyncio.run(saturate(port, payload, 32, secs)))
    ratios = [f / m for f, m in zip(found["fsync"], found["memory"], strict=True)]
    with server("fsync") as port:
        rate, waits = asyncio.run(steady(port, payload, RATE, steady_secs))
    waits.sort()
    return Kept(
        statistics.median(found["fsync"]),
        statistics.median(found["memory"]),
        statistics.median(ratios),
        rate,
        waits[len(waits) // 2] * 1e3,
        waits[len(waits) * 99 // 100] * 1e3,
        len(payload),
    )


if __name__ == "__main__":
    print(kept())
