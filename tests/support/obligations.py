"""A ledger of telemetry: who sent what, what was acknowledged, and what is in the files.

Every record's id and content follow from a seed. The judge is DuckDB over the files; it knows
nothing of the server but its table columns. Nobody sends anything twice, so nothing may be there
twice.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp2parquet.core.otlp_grpc import METHODS
from otlp2parquet.core.signals import SIGNALS, Signal
from tests.support.duckdb_rows import query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

START = 1_767_225_600_000_000_000

TABLES = {
    "logs": ("logs", "Body", "LogAttributes"),
    "traces": ("traces", "SpanName", "SpanAttributes"),
    "metrics": ("metrics/gauge", "MetricName", "Attributes"),
}
"""For each signal: its folder, the column of the id, the column of the content."""


def content_of(name: str) -> str:
    """What a record of this id holds; nothing else may be found with it."""
    return sha256(name.encode()).hexdigest()


def request_of(signal: str, names: list[str], service: str) -> bytes:
    """An export request with one record for each id."""
    group: Any
    if signal == "logs":
        logs = ExportLogsServiceRequest()
        group = logs.resource_logs.add()
        records, request = group.scope_logs.add().log_records, logs
    elif signal == "traces":
        traces = ExportTraceServiceRequest()
        group = traces.resource_spans.add()
        records, request = group.scope_spans.add().spans, traces
    else:
        metrics = ExportMetricsServiceRequest()
        group = metrics.resource_metrics.add()
        records, request = group.scope_metrics.add().metrics, metrics
    group.resource.attributes.add(key="service.name").value.string_value = service
    for name in names:
        record: Any = records.add()
        holder = record
        if signal == "logs":
            record.body.string_value, record.time_unix_nano = name, START
        elif signal == "traces":
            record.name, record.start_time_unix_nano = name, START
        else:
            record.name = name
            holder = record.gauge.data_points.add(time_unix_nano=START, as_int=1)
        holder.attributes.add(key="content").value.string_value = content_of(name)
    return bytes(request.SerializeToString())


class NoAnswerError(Exception):
    """Nobody can say what became of a request."""


class Wire(Protocol):
    """How a client sends."""

    def send(self, port: int, signal: str, payload: bytes) -> str | None:
        """None when it is acknowledged, else why it is not; raises ``NoAnswerError``."""

    def close(self) -> None:
        """The connection ends."""


class HttpWire:
    """A connection of HTTP, kept alive; a new one where it was lost."""

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None

    def send(self, port: int, signal: str, payload: bytes) -> str | None:
        """One request."""
        response: http.client.HTTPResponse | None = None
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                self._connection.connect()
            headers = {"Content-Type": "application/x-protobuf"}
            self._connection.request("POST", f"/v1/{signal}", payload, headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            if response is not None:
                response.close()
            self.close()
            raise NoAnswerError(error) from error
        return None if response.status == http.HTTPStatus.OK else f"{response.status} {body!r}"

    def close(self) -> None:
        """The connection ends."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class GrpcWire:
    """A channel of gRPC; a new one for each server and where it was lost."""

    def __init__(self) -> None:
        self._channel: Any = None
        self._port = 0

    def send(self, port: int, signal: str, payload: bytes) -> str | None:
        """One call."""
        if self._channel is None or port != self._port:
            self.close()
            options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
            self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
            self._port = port
        try:
            self._channel.unary_unary(EXPORTS[signal])(payload, timeout=60)
        except grpc.RpcError as error:
            # The library has statuses of its own for a lost connection; what is ours to be sent
            # again has details.
            is_ours = "grpc-status-details-bin" in dict(error.trailing_metadata() or ())
            if error.code() not in FINAL and not is_ours:
                self.close()
                raise NoAnswerError(error) from error
            return f"{error.code()} {error.details()}"
        return None

    def close(self) -> None:
        """The channel ends."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None


EXPORTS: dict[str, str] = {signal: method for method, signal in METHODS.items()}
FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}


class Client(threading.Thread):
    """Sends requests of seeded ids one after another until it is told to stop.

    A request without an answer is not sent again: its records may be stored once or not at all.
    ``port`` gives where the server is now, or None while there is none. ``pause_secs`` is how long
    it waits between requests. ``wire`` is how it sends: over HTTP, or another one of its own.
    """

    def __init__(
        self,
        number: int,
        port: Callable[[], int | None],
        mark: Callable[[], int],
        *,
        signals: Sequence[Signal] = SIGNALS,
        pause_secs: float = 0.0,
        wire: Wire | None = None,
    ) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self.number = number
        self.acknowledged: dict[tuple[str, str], int] = {}
        """Signal and id, to the mark at the time of the answer."""
        self.refused: set[tuple[str, str]] = set()
        self.unanswered: set[tuple[str, str]] = set()
        self.trouble: list[str] = []
        """What became of each request that was not acknowledged."""
        self.stopped = threading.Event()
        self._port = port
        self._mark = mark
        self._signals = signals
        self._pause_secs = pause_secs
        self._wire: Wire = HttpWire() if wire is None else wire

    def run(self) -> None:
        """Send until stopped."""
        turn = 0
        with contextlib.closing(self._wire):
            while not self.stopped.is_set():
                port = self._port()
                if port is None:
                    self.stopped.wait(0.005)
                    continue
                turn += 1
                self._send(turn, port)

    def _send(self, turn: int, port: int) -> None:
        signal = self._signals[turn % len(self._signals)]
        if self._pause_secs:
            self.stopped.wait(self._pause_secs)
        count = 40 if turn % 17 == 0 else 1 + turn % 3
        names = [f"{self.number}-{turn}-{item}" for item in range(count)]
        keys = {(signal, name) for name in names}
        payload = request_of(signal, names, f"service{turn % 2}")
        try:
            refusal = self._wire.send(port, signal, payload)
        except NoAnswerError as error:
            self.unanswered |= keys
            self.trouble.append(f"request {turn} had no answer: {error!r}")
            return
        if refusal is None:
            self.acknowledged.update(dict.fromkeys(keys, self._mark()))
        else:
            self.refused |= keys
            self.trouble.append(f"request {turn} was refused: {refusal}")
            self.stopped.wait(0.02)


Key = tuple[str, str]
"""Signal and id."""


def stored(data: Path) -> dict[Key, int]:
    """How often each id is in the files below a folder; wrong content is an error."""
    return stored_in(
        {
            signal: [str(path) for path in (data / folder).rglob("*.parquet")]
            for signal, (folder, _, _) in TABLES.items()
        }
    )


def stored_in(files: Mapping[str, Sequence[str]]) -> dict[Key, int]:
    """How often each id is in the files of each signal; one that is named twice counts twice."""
    counts: dict[Key, int] = {}
    for signal, paths in files.items():
        _, name, content = TABLES[signal]
        if not paths:
            continue
        rows = query(
            f"SELECT {name}, {content}, count(*) FROM "  # noqa: S608 - our own names
            "read_parquet($files, hive_partitioning = false) GROUP BY ALL",
            {"files": list(paths)},
        )
        for found, held, count in rows:
            assert f'"{content_of(found)}"' in held, f"{found} holds {held}"
            counts[signal, found] = counts.get((signal, found), 0) + count
    return counts


def judge(
    found: Mapping[Key, int], obliged: set[Key], forbidden: set[Key], allowed: set[Key]
) -> dict[str, int]:
    """Counts of what is lost, doubled, stored though refused, and unknown."""
    known = obliged | forbidden | allowed
    return {
        "lost": sum(key not in found for key in obliged),
        "doubled": sum(count > 1 for count in found.values()),
        "refused": sum(key in found for key in forbidden),
        "unknown": sum(key not in known for key in found),
    }


def judge_clients(data: Path, clients: Sequence[Client]) -> tuple[dict[str, int], int]:
    """The verdict over what some clients have sent, and how many records were acknowledged."""
    return judge_found(stored(data), clients)


def judge_found(found: Mapping[Key, int], clients: Sequence[Client]) -> tuple[dict[str, int], int]:
    """The same, of what was found anywhere."""
    obliged = {key for client in clients for key in client.acknowledged}
    forbidden = {key for client in clients for key in client.refused}
    allowed = {key for client in clients for key in client.unanswered}
    return judge(found, obliged, forbidden, allowed), len(obliged)


@contextlib.contextmanager
def sending(clients: Sequence[Client]) -> Iterator[None]:
    """While this lasts, the clients send."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stopped.set()
        for client in clients:
            client.join()


CLEAN = {"lost": 0, "doubled": 0, "refused": 0, "unknown": 0}


def wait_for_answers(clients: list[Client], count: int, secs: float = 60.0) -> None:
    """Return when every client has ``count`` more acknowledged records."""
    goals = [len(client.acknowledged) + count for client in clients]
    deadline = time.monotonic() + secs
    for client, goal in zip(clients, goals, strict=True):
        while len(client.acknowledged) < goal:
            assert time.monotonic() < deadline, "the clients get no answers"
            client.stopped.wait(0.005)
