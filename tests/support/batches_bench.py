"""Batches over doubles, and the requests that fill them; knows no log on a disk and no HTTP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import BatchConfig
from tests.support.doubles import Clock, Recorder, Written
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from otlp2parquet.batches.log.protocol import Log
    from otlp2parquet.batches.request import Acknowledge
    from otlp2parquet.batches.shard import Shard
    from otlp2parquet.batches.storing import Finisher
    from otlp2parquet.core import Appended

NOW = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
HOUR = 3600 * 10**9


def logs(rows: int = 1, service: str | None = "shop", when: int = NOW) -> bytes:
    """An export request with ``rows`` log records of one service."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    if service is not None:
        attribute = resource_logs.resource.attributes.add(key="service.name")
        attribute.value.string_value = service
    scope_logs = resource_logs.scope_logs.add()
    for number in range(rows):
        record = scope_logs.log_records.add(time_unix_nano=when)
        record.body.string_value = f"message {number}"
    return bytes(request.SerializeToString())


def append_logs(
    ingest: Ingest, payload: bytes, *, wait: bool = True, acknowledge: Acknowledge | None = None
) -> Appended | None:
    """Append one request of logs in protobuf, received at ``NOW``."""
    return ingest.append(
        payload,
        "logs",
        content_type="application/x-protobuf",
        content_encoding=None,
        received_at=NOW,
        wait=wait,
        acknowledge=acknowledge,
    )


def shards_of(ingest: Ingest) -> list[Shard]:
    """The shards of the open batch: to hold one as a decoding thread does."""
    batch = ingest._open  # noqa: SLF001 - what a decoding thread has by claiming
    assert batch is not None
    return batch._shards  # noqa: SLF001 - as above


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The fields of the log lines about stored batches."""
    return [
        dict(vars(record)["fields"])
        for record in caplog.records
        if record.getMessage() == "batch stored"
    ]


class Bench:
    """Batches over a recorder and a clock, ended with the test.

    ``threads=0`` starts none: steps are done by ``bench.storing.run_one``.
    """

    def __init__(
        self,
        *,
        shards: int = 2,
        threads: int = 2,
        memory_bytes: int = 512 << 20,
        writer: Recorder | None = None,
        config: BatchConfig | None = None,
        log: Log | None = None,
        finishers: Sequence[Finisher] = (),
        new_id: Callable[[], str] = new_batch_id,
    ) -> None:
        self.clock = Clock()
        self.writer = Recorder() if writer is None else writer
        self.budget = Budget(memory_bytes)
        self.storing = Storing(
            self.writer,
            most_threads=max(1, threads - 1),
            finishers=finishers,
            monotonic=self.clock,
            jitter=lambda: 0.5,
        )
        others = set(threading.enumerate())
        self.storing.start(threads)
        self._threads = set(threading.enumerate()) - others
        self.ingest = Ingest(
            BatchConfig() if config is None else config,
            self.storing,
            self.budget,
            shards=shards,
            max_payload_bytes=1 << 20,
            log=log,
            monotonic=self.clock,
            new_id=new_id,
        )

    def append(
        self, payload: bytes, *, wait: bool = True, acknowledge: Acknowledge | None = None
    ) -> Appended | None:
        """Append one request of logs."""
        return append_logs(self.ingest, payload, wait=wait, acknowledge=acknowledge)

    def tick(self, secs: float) -> None:
        """Let time pass."""
        self.clock.now += secs
        self.ingest.tick()

    def wait_with_ticks(self, condition: Callable[[], bool], secs: float) -> None:
        """Wait until ``condition`` holds, while time passes in steps of ``secs``."""

        def holds() -> bool:
            self.tick(secs)
            return condition()

        wait_for(holds)

    @property
    def waiting(self) -> int:
        """Closed batches that are not done."""
        return self.ingest.status().backlog.batches

    def stored(self, rows: int) -> list[Written]:
        """Wait until ``rows`` rows are stored and no batch is left; the files."""
        wait_for(lambda: self.writer.rows >= rows and not self.waiting)
        assert self.writer.rows == rows
        return self.writer.files

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for gate in self.writer.gates.values():
            gate.set()
        self.storing.stop()
        for thread in self._threads:  # what it logs is not for the next test to find
            thread.join(PATIENCE_SECS)
