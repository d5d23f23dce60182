"""The ASGI application over doubles, and clients that send it events without a socket."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from otlp2parquet.platforms.acknowledgements import Acknowledgements
from otlp2parquet.platforms.server.application import Application
from tests.support.batches_bench import NOW
from tests.support.doubles import Clock, Recorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from otlp2parquet.platforms.server.asgi import Asgi

LIMIT = 200_000
PROTOBUF = (b"content-type", b"application/x-protobuf")
GZIP = (b"content-encoding", b"gzip")


def logs_request(rows: int, text: str = "message", attributes: int = 0) -> bytes:
    """An export request; the first record has ``attributes`` attributes."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for number in range(rows):
        record = records.add(time_unix_nano=NOW)
        record.body.string_value = f"{text} {number}"
        if number == 0:
            for key in range(attributes):
                record.attributes.add(key=str(key))
    return bytes(request.SerializeToString())


def with_length(payload: bytes, *extra: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Headers of a request that announces its length."""
    return [PROTOBUF, (b"content-length", str(len(payload)).encode()), *extra]


def parts_of(*parts: bytes, end: bool = True) -> list[dict[str, Any]]:
    """Body events; without ``end`` the last one announces more."""
    events: list[dict[str, Any]] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    if end:
        events[-1]["more_body"] = False
    return events


DISCONNECT = {"type": "http.disconnect"}


@dataclass
class Answer:
    """What the application sent, and how many events it had received when it began to."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    received_before: int = -1
    received: int = 0


async def ask(
    app: Asgi,
    events: Sequence[dict[str, Any]] = (),
    *,
    headers: Sequence[tuple[bytes, bytes]] = (PROTOBUF,),
    path: str = "/v1/logs",
    query: bytes = b"",
    method: str = "POST",
    http_version: str = "1.1",
    then: Callable[[], Awaitable[dict[str, Any]]] | None = None,
) -> Answer:
    """One request. After ``events`` comes what ``then`` gives, else the client is gone."""
    waiting = deque(events)
    answer = Answer()

    async def receive() -> dict[str, Any]:
        answer.received += 1
        if waiting:
            return waiting.popleft()
        return DISCONNECT if then is None else await then()

    async def send(event: Any) -> None:
        if event["type"] == "http.response.start":
            assert not answer.status, "a second response"
            answer.status = event["status"]
            answer.headers = dict(event["headers"])
            answer.received_before = answer.received
        else:
            assert event["type"] == "http.response.body"
            answer.body += event["body"]

    scope = {
        "type": "http",
        "http_version": http_version,
        "method": method,
        "path": path,
        "query_string": query,
        "headers": list(headers),
    }
    await app(scope, receive, send)
    assert answer.status, "no answer"
    return answer


class Bench:
    """An application over a recorder and a clock, ended with the test."""

    def __init__(
        self,
        *,
        memory_bytes: int = 512 << 20,
        threads: int = 2,
        writer: Recorder | None = None,
        config: BatchConfig | None = None,
        max_payload_bytes: int = LIMIT,
        path_prefix: str = "",
    ) -> None:
        self.clock = Clock()
        self.writer = Recorder() if writer is None else writer
        self.budget = Budget(memory_bytes)
        self.storing = Storing(self.writer, monotonic=self.clock)
        self.storing.start(2)
        self.ingest = Ingest(
            BatchConfig() if config is None else config,
            self.storing,
            self.budget,
            shards=threads,
            max_payload_bytes=max_payload_bytes,
            monotonic=self.clock,
        )
        self.app = Application(
            self.ingest,
            self.budget,
            Acknowledgements(),
            threads=threads,
            max_payload_bytes=max_payload_bytes,
            path_prefix=path_prefix,
            monotonic=self.clock,
            time_ns=lambda: NOW,
        )

    def ask(self, *args: Any, **kwargs: Any) -> Answer:
        """One request on an event loop of its own."""
        return asyncio.run(ask(self.app, *args, **kwargs))

    @property
    def rows(self) -> int:
        """Rows in the open batch."""
        return self.ingest.status().open_rows

    @property
    def nothing_held(self) -> bool:
        """Whether no request holds any of the budget."""
        opened = self.ingest._open  # noqa: SLF001 - what the rows themselves hold
        held = 0 if opened is None else opened._memory.bytes  # noqa: SLF001 - as above
        return self.budget.used == held

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for gate in self.writer.gates.values():
            gate.set()
        self.storing.stop()
        self.app.exports.close()  # what stop() does, without a drain
