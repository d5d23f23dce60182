"""Batches over doubles, and the requests that fill them; knows no log and no HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.ingestion import Batches
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from tests.support.doubles import Clock, Recorder, Written
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from otlp2parquet.core import Appended

NOW = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
HOUR = 3600 * 10**9


def logs(rows: int = 1, service: str = "shop", when: int = NOW) -> bytes:
    """An export request with ``rows`` log records of one service."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    attribute = resource_logs.resource.attributes.add(key="service.name")
    attribute.value.string_value = service
    scope_logs = resource_logs.scope_logs.add()
    for number in range(rows):
        record = scope_logs.log_records.add(time_unix_nano=when)
        record.body.string_value = f"message {number}"
    return bytes(request.SerializeToString())


class Bench:
    """Batches over a recorder and a clock, ended with the test."""

    def __init__(
        self,
        *,
        shards: int = 2,
        threads: int = 2,
        memory_bytes: int = 512 << 20,
        writer: Recorder | None = None,
        config: BatchConfig | None = None,
    ) -> None:
        self.clock = Clock()
        self.writer = Recorder() if writer is None else writer
        self.budget = Budget(memory_bytes)
        self.storing = Storing(
            self.writer, threads=threads, monotonic=self.clock, jitter=lambda: 0.5
        )
        self.batches = Batches(
            BatchConfig() if config is None else config,
            self.storing,
            self.budget,
            shards=shards,
            max_payload_bytes=1 << 20,
            monotonic=self.clock,
        )

    def append(self, payload: bytes, *, wait: bool = True) -> Appended | None:
        """Append one request of logs."""
        return self.batches.append(
            payload,
            "logs",
            content_type="application/x-protobuf",
            content_encoding=None,
            received_at=NOW,
            wait=wait,
        )

    def stored(self, rows: int) -> list[Written]:
        """Wait until ``rows`` rows are stored and no batch is left; the files."""
        wait_for(lambda: self.writer.rows >= rows and not self.batches.held().closed_batches)
        assert self.writer.rows == rows
        return self.writer.files

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for gate in self.writer.gates.values():
            gate.set()
        self.storing.stop()
