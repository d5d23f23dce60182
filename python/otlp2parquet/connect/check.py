"""A record of each signal that is known again, and the files that have it.

Knows OTLP's JSON, the layouts and the columns. Must not know how a request is sent.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pyarrow.parquet as pq

from otlp2parquet.core.layout import partition_path
from otlp2parquet.core.schema import TABLE_FOLDERS
from otlp2parquet.core.signals import Signal
from otlp2parquet.listing import place_of
from otlp2parquet.stores import Store

SERVICE: Final = "otlp2parquet-check"
"""The ``service.name`` of the records, by which they can be told from others, and left out."""

TABLES: Final[dict[Signal, str]] = {
    "logs": "otel_logs",
    "traces": "otel_traces",
    "metrics": "otel_metrics_gauge",
}
"""The table in which the record of each signal is to be found."""


@dataclass(frozen=True, slots=True)
class Check:
    """Records of one check: an id, which is their ``service.instance.id``, and a time."""

    id: str
    time_ns: int

    @property
    def hour(self) -> datetime:
        """When it was, to the second."""
        return datetime.fromtimestamp(self.time_ns // 1_000_000_000, UTC)


def request_of(check: Check, signal: Signal) -> bytes:
    """An export request with one record, as OTLP/JSON."""
    time = str(check.time_ns)
    if signal == "logs":
        record = {
            "timeUnixNano": time,
            "severityNumber": 9,
            "severityText": "INFO",
            "body": {"stringValue": "otlp2parquet connect --check"},
        }
        return _request("resourceLogs", "scopeLogs", {"logRecords": [record]}, check)
    if signal == "traces":
        trace_id = check.id.replace("-", "")
        span = {
            "traceId": trace_id,
            "spanId": trace_id[:16],
            "name": "otlp2parquet connect --check",
            "kind": 1,
            "startTimeUnixNano": time,
            "endTimeUnixNano": time,
        }
        return _request("resourceSpans", "scopeSpans", {"spans": [span]}, check)
    point = {"timeUnixNano": time, "asInt": "1"}
    metric = {"name": "otlp2parquet.check", "gauge": {"dataPoints": [point]}}
    return _request("resourceMetrics", "scopeMetrics", {"metrics": [metric]}, check)


def _request(group: str, scope: str, content: dict[str, object], check: Check) -> bytes:
    attributes = [
        {"key": key, "value": {"stringValue": value}}
        for key, value in (("service.name", SERVICE), ("service.instance.id", check.id))
    ]
    one = {"resource": {"attributes": attributes}, scope: [content]}
    return json.dumps({group: [one]}).encode()


def find(check: Check, signal: Signal, store: Store) -> str | None:
    """The path of the file that has the record of a signal; None if there is none.

    Raises ``StorageError`` when the storage cannot be listed or read.
    """
    for path in _candidates(check, TABLES[signal], store):
        with store.open(path) as file:
            ids = pq.ParquetFile(file).read(columns=["ServiceInstanceId"])
        if check.id in ids.column(0).to_pylist():
            return path
    return None


def _candidates(check: Check, table: str, store: Store) -> Iterator[str]:
    """Files of that table and hour, first those of the layout that names the service."""
    by_service = partition_path(table, SERVICE, check.hour, "service")
    folders = dict.fromkeys([by_service, TABLE_FOLDERS[table]])
    hour = check.hour.replace(minute=0, second=0, microsecond=0)
    seen: set[str] = set()
    for folder in folders:
        for one in store.list(folder):
            place = place_of(one.path)
            if place is not None and place[1] == hour and one.path not in seen:
                seen.add(one.path)
                # Of another service, if the layout says so.
                if "/service=" not in one.path or one.path.startswith(by_service):
                    yield one.path
