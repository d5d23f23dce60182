"""The server's application driven in its own process, without sockets: rows a second.

A program: ``python -m benchmarks.two_cores CORES REQUESTS ENCODING`` keeps 16 requests of 1,000 log
records in progress on so many cores until all are acknowledged and their files are stored, and
prints the seconds. Without a load generator nothing but the application uses the cores.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.payloads import SHAPES, Payloads
from otlp2parquet.config import Config
from otlp2parquet.platforms.server.run import make_application

IN_PROGRESS = 16
DISTINCT = 32


async def drive(config: Config, bodies: list[bytes], count: int, encoding: str) -> float:
    """Send ``count`` requests; the seconds until everything is stored."""
    application, assembly = make_application(config)
    assembly.start()
    application.start()
    headers = [(b"content-type", b"application/x-protobuf")]
    if encoding == "gzip":
        headers.append((b"content-encoding", b"gzip"))
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            body = bodies[number % len(bodies)]
            scope = {
                "type": "http",
                "http_version": "1.1",
                "method": "POST",
                "path": "/v1/logs",
                "headers": [*headers, (b"content-length", b"%d" % len(body))],
            }

            async def receive(body: bytes = body) -> dict[str, Any]:
                return {"type": "http.request", "body": body, "more_body": False}

            async def send(event: Any) -> None:
                if event["type"] == "http.response.start" and event["status"] != 200:
                    message = f"a request was answered with {event['status']}, expected 200"
                    raise RuntimeError(message)

            await application(scope, receive, send)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(IN_PROGRESS)))
    await application.stop()
    return time.perf_counter() - started


def main() -> None:
    """Drive, check that every row is in a file, and print the seconds."""
    cores, count, encoding = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    bodies = Payloads("logs", SHAPES["typical"]).requests(DISTINCT)
    if encoding == "gzip":
        bodies = [gzip.compress(body) for body in bodies]
    with tempfile.TemporaryDirectory() as folder:
        config = Config()
        config = replace(
            config,
            server=replace(config.server, threads=cores),
            # The disk must not count: what it cannot take yet waits in memory.
            batch=replace(config.batch, memory_bytes=4 << 30),
            storage=replace(config.storage, fs=replace(config.storage.fs, path=Path(folder))),
            durability=replace(config.durability, mode="memory"),
        )
        secs = asyncio.run(drive(config, bodies, count, encoding))
        rows = sum(pq.read_metadata(path).num_rows for path in Path(folder).rglob("*.parquet"))
        if rows != count * SHAPES["typical"].records:
            message = f"{rows} rows in files, expected {count * SHAPES['typical'].records}"
            raise RuntimeError(message)
    print(secs, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
