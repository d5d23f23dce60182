"""The clients' requests: small, of many services and hours, every row with an id of its own.

Knows OTLP by the official protobuf classes. What a request holds follows from its client and its
number alone, so requests are made once and serve all seeds.
"""

from __future__ import annotations

import gzip
import random
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otlp2parquet.core.signals import Signal

SERVICES: Final = (None, "unknown-service", "Foo", "foo", "bar", "con")
"""Two that share a folder, two that some file systems take for one, a usual and a forbidden one."""

FIRST_HOUR: Final = 1_767_225_600
_HOURS: Final = 2

_ID_COLUMNS: Final = {"otel_logs": "Body", "otel_traces": "SpanName"}


@dataclass(frozen=True, slots=True)
class Export:
    """One export request, and the ids of its rows by (table, service, hour)."""

    payload: bytes
    signal: Signal
    content_type: str
    content_encoding: str | None
    ids: tuple[str, ...]
    acceptable: bool = True
    """Whether the decoder takes it."""


@cache
def export_of(client: int, number: int) -> Export:
    """The request of this number of this client."""
    dice = random.Random(client * 1_000_003 + number)
    lot = dice.random()
    if lot < 0.03:
        return Export(b"\x0a\xff no protobuf", "logs", _PROTOBUF, None, (), acceptable=False)
    if lot < 0.06:
        return Export(b"", "logs", _PROTOBUF, None, ())
    signal: Signal = dice.choice(("logs", "logs", "traces"))
    request: Any = ExportLogsServiceRequest() if signal == "logs" else ExportTraceServiceRequest()
    ids = []
    for group in range(dice.choice((1, 1, 2, 3))):
        service, hour = dice.choice(SERVICES), dice.randrange(_HOURS)
        table = "otel_logs" if signal == "logs" else "otel_traces"
        for row in range(dice.choice((1, 1, 2, 5))):
            ids.append(f"{client}.{number}.{group}.{row}|{table}|{service}|{hour}")
        _add(request, signal, service, hour, ids[-row - 1 :])
    if dice.random() < 0.2:
        payload, content_type = MessageToJson(request, indent=None).encode(), "application/json"
    else:
        payload, content_type = request.SerializeToString(), _PROTOBUF
    encoding = None
    if dice.random() < 0.1:
        payload, encoding = gzip.compress(payload, mtime=0), "gzip"
    return Export(payload, signal, content_type, encoding, tuple(ids))


def ids_in(batches: Iterable[Any], table: str) -> list[str]:
    """The ids of the rows of record batches, in order."""
    ids: list[str] = []
    for batch in batches:
        column = pa.record_batch(batch).column(_ID_COLUMNS[table])
        ids += column.to_pylist()
    return ids


def belongs(row: str, table: str, services: Iterable[str | None], hour: int) -> bool:
    """Whether the row of this id may lie in a file of this table, these services and this hour."""
    _, of_table, service, number = row.split("|")
    in_hour = FIRST_HOUR + 3600 * int(number) == hour
    return of_table == table and in_hour and service in {str(service) for service in services}


def service_of(row: str) -> str:
    """The service of the row of this id, as text."""
    return row.split("|")[2]


def place_of(row: str) -> tuple[str, tuple[int, ...]]:
    """Which request the row of this id is of, and its place there."""
    client, number, group, place = row.split("|", maxsplit=1)[0].split(".")
    return f"{client}.{number}", (int(group), int(place))


_PROTOBUF: Final = "application/x-protobuf"


def _add(request: Any, signal: str, service: str | None, hour: int, ids: list[str]) -> None:
    logs = signal == "logs"
    resource = (request.resource_logs if logs else request.resource_spans).add()
    if service is not None:
        value = resource.resource.attributes.add(key="service.name").value
        value.string_value = service
    scope = (resource.scope_logs if logs else resource.scope_spans).add()
    moment = (FIRST_HOUR + 3600 * hour) * 1_000_000_000
    for place, name in enumerate(ids):
        if logs:
            record = scope.log_records.add(time_unix_nano=moment + place)
            record.body.string_value = name
        else:
            scope.spans.add(start_time_unix_nano=moment + place, name=name)
