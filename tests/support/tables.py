"""Batches of every table, made of those requests, and the way to write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from otlp2parquet import (
    Batch,
    BatchBuilder,
    ParquetWriter,
    StoredFile,
)
from tests.support.requests import (
    logs_request,
    metrics_request,
    traces_request,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH_ID = "01980000-0000-7000-8000-000000000001"
ROWS = 40


def all_batches(*, dictionaries: bool) -> dict[str, Batch]:
    """A batch of every table, as the server and ``convert`` get it or as the API gives it."""
    builder = BatchBuilder()
    builder.append(logs_request(ROWS), "logs")
    builder.append(traces_request(ROWS), "traces")
    builder.append(metrics_request(ROWS), "metrics")
    return {batch.table: batch for batch in builder.finish(dictionaries=dictionaries)}


def logs_batch(
    count: int, first: int = 0, *, dictionaries: bool = True, service: str = "checkout"
) -> Batch:
    """One batch of logs."""
    builder = BatchBuilder()
    builder.append(logs_request(count, service, first), "logs")
    (batch,) = builder.finish(dictionaries=dictionaries)
    return batch


def write(
    writer: ParquetWriter, batches: Sequence[Batch], batch_id: str = BATCH_ID, part: int = 0
) -> StoredFile:
    """Write batches of one file under a name that is known."""
    return writer.write(batches, batch_id=batch_id, part=part)


def rows_of(batch: Batch) -> list[dict[str, Any]]:
    """The rows as plain objects."""
    rows: list[dict[str, Any]] = pa.record_batch(batch).to_pylist()
    return rows
