"""The server as its operators meet it: a process, a port, signals, and files afterwards."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow.parquet as pq
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.components.process import wait_until
from tests.support.server_process import (
    COMMAND,
    PATIENCE_SECS,
    PROTOBUF,
    Server,
    ended,
    environment,
    logs_of,
    post,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running server with defaults."""
    with Server(tmp_path) as running:
        yield running


def test_requests_become_files_and_sigterm_ends_with_0(server: Server) -> None:
    """Identity and gzip, acknowledged with 200 and no bytes, are in files after SIGTERM."""
    assert server.post(logs_of("a", "b")) == (200, b"")
    assert server.post(gzip.compress(logs_of("c")), Content_Encoding="gzip") == (200, b"")
    assert server.stop() == 0
    assert sorted(server.bodies()) == ["a", "b", "c"]
    (file,) = server.data.rglob("*.parquet")
    assert file.relative_to(server.data).parts[:2] == ("logs", "service=shop")


def test_a_newcomer_sees_files_without_stopping_the_server(server: Server) -> None:
    """The first batch is closed 2 s after its first row."""
    server.post(logs_of("first"))
    wait_until(lambda: server.bodies() == ["first"], PATIENCE_SECS, lambda: server.log)


@pytest.mark.parametrize(
    ("mode", "price"),
    [
        (None, "outlives a crash, kill -9 and a power cut"),
        ("memory", "lost if the process is killed"),
        ("stored", "only with the storage"),
    ],
)
def test_the_start_says_where_and_what_can_be_lost(
    tmp_path: Path, mode: str | None, price: str
) -> None:
    """A short line first: address, folder, durability; then each in full, on lines of their own."""
    settings = {} if mode is None else {"OTLP2PARQUET_DURABILITY_MODE": mode}
    with Server(tmp_path, settings=settings) as server:
        wait_until(lambda: server.log.count("\n") > 2, PATIENCE_SECS, lambda: server.log)
        first, place, promise = server.log.splitlines()
    short = f"INFO HTTP 127.0.0.1:{server.port}, no gRPC, to ./data, {mode or 'fsync'}"
    assert first.endswith(short)
    assert place.endswith(f"http://127.0.0.1:{server.port}, writing to {server.data}")
    assert f"durability is {mode or 'fsync'}" in promise
    assert price in promise


def test_the_pages(server: Server) -> None:
    """/health and /ready answer over a socket, also to HEAD."""
    with contextlib.closing(server.connect()) as connection:
        for method in ("GET", "HEAD"):
            for path in ("/health", "/ready", "/metrics"):
                connection.request(method, path)
                response = connection.getresponse()
                body = response.read()
                assert response.status == 200
                assert bool(body) == (method == "GET")


def test_a_signal_right_behind_the_start_line_ends_it_with_0(tmp_path: Path) -> None:
    """Whoever reads that it listens may stop it in the same moment."""
    for number in range(5):
        with Server(tmp_path / str(number)) as server:
            assert server.stop() == 0


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, None])
def test_the_python_sdk_is_served(server: Server, compression: Compression | None) -> None:
    """Logs, spans and points of the SDK's exporters arrive, every one."""
    endpoint = f"http://127.0.0.1:{server.port}/v1/"
    resource = Resource.create({"service.name": "sdk"})

    traces = TracerProvider(resource=resource)
    traces.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint + "traces", compression=compression))
    )
    tracer = traces.get_tracer("test")
    for number in range(700):
        tracer.start_span(f"span {number}").end()
    traces.shutdown()

    logger_provider = LoggerProvider(resource=resource)
    logger_provider.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(endpoint + "logs", compression=compression))
    )
    logger = logger_provider.get_logger("test")
    for number in range(600):
        logger.emit(body=f"log {number}", timestamp=time.time_ns())
    logger_provider.shutdown()

    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint + "metrics", compression=compression),
        export_interval_millis=float("inf"),
    )
    meters = MeterProvider([reader], resource)
    counter = meters.get_meter("test").create_counter("requests")
    for number in range(50):
        counter.add(1, {"route": number})
    assert meters.force_flush()
    meters.shutdown()

    assert server.stop() == 0
    counts = {
        str(folder.relative_to(server.data)): sum(
            pq.read_metadata(file).num_rows for file in folder.rglob("*.parquet")
        )
        for folder in (
            server.data / "logs",
            server.data / "traces",
            server.data / "metrics" / "sum",
        )
    }
    assert counts == {"logs": 600, "traces": 700, "metrics/sum": 50}


class Load(threading.Thread):
    """A client that sends records one request after another until the server is gone."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self.server, self.number = server, number
        self.acknowledged: list[str] = []
        self.refused: list[int] = []

    def run(self) -> None:
        """Send until a connection fails."""
        connection = self.server.connect()
        turn = 0
        while True:
            # Small bodies and ones beyond the inline bound, plain and compressed.
            count = 1 if turn % 5 else 800
            names = [f"{self.number}-{turn}-{item}" for item in range(count)]
            payload, headers = logs_of(*names), {}
            if turn % 2:
                payload, headers = gzip.compress(payload, 1), {"Content_Encoding": "gzip"}
            try:
                status, _ = post(connection, payload, **headers)
            except (OSError, http.client.HTTPException):
                connection.close()
                if self.server.process.poll() is not None or not can_connect(self.server):
                    return
                connection = self.server.connect()
                continue
            if status == 200:
                self.acknowledged += names
            else:
                self.refused.append(status)
            turn += 1


def can_connect(server: Server) -> bool:
    """Whether somebody listens on its port."""
    try:
        server.raw().close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("sent_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_loses_and_doubles_nothing(
    tmp_path: Path, sent_signal: signal.Signals
) -> None:
    """Rows in files are exactly the rows acknowledged, and the exit code is 0."""
    settings = {"OTLP2PARQUET_BATCH_MAX_ROWS": "3000", "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.3"}
    with Server(tmp_path, settings=settings) as server:
        clients = [Load(server, number) for number in range(8)]
        for client in clients:
            client.start()
        wait_until(
            lambda: all(len(client.acknowledged) > 8000 for client in clients),
            PATIENCE_SECS,
            lambda: server.log,
        )
        server.process.send_signal(sent_signal)
        assert ended(server.process) == 0
        for client in clients:
            client.join()
        acknowledged = [name for client in clients for name in client.acknowledged]
        stored = server.bodies()
        assert len(stored) == len(set(stored))
        assert set(stored) == set(acknowledged)
        assert len(stored) == len(acknowledged)
        assert [status for client in clients for status in client.refused] == []
        # One file a batch: there is one service, and (but for the turn of an hour) one hour.
        batches = server.log.count("batch stored")
        files = list(server.data.rglob("*.parquet"))
        hours = len({file.parent for file in files})
        assert batches <= len(files) <= batches + hours - 1
        assert not list(server.data.rglob("*.tmp"))
        assert not list(server.data.rglob("*.segment"))


def test_a_second_signal_ends_it_at_once(server: Server) -> None:
    """Whoever insists does not wait for a client that never finishes."""
    with server.raw() as client:
        client.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
        client.sendall(b"Content-Type: application/x-protobuf\r\n\r\nx")
        # The request is being read once another one behind it has been answered.
        server.post(logs_of("a"))
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in server.log, PATIENCE_SECS, lambda: server.log)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert ended(server.process) == 1
        assert "second signal" in server.log


def test_a_client_that_sends_nothing_does_not_stop_the_stop(server: Server) -> None:
    """A body that never comes is given up, with an answer; idle connections are just closed."""
    idle = [server.raw() for _ in range(20)]
    used = server.connect()
    post(used, logs_of("a"))
    with server.raw() as client:
        client.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
        client.sendall(b"Content-Type: application/x-protobuf\r\n\r\nx")
        server.post(logs_of("b"))
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 20
        assert client.recv(100).startswith(b"HTTP/1.1 503 ")
    assert sorted(server.bodies()) == ["a", "b"]
    for connection in idle:
        connection.close()
    used.close()


def raw_request(body: bytes, *headers: bytes) -> bytes:
    """A request as bytes."""
    head = [b"POST /v1/logs HTTP/1.1", b"Host: x", b"Content-Type: application/x-protobuf"]
    return b"\r\n".join([*head, *headers, b"", b""]) + body


MESSAGE = logs_of("cut")
CHUNK = b"%x\r\n%s\r\n" % (len(MESSAGE), MESSAGE)
CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    "request_bytes",
    [
        raw_request(b"", b"Content-Length: 10"),
        raw_request(MESSAGE, b"Content-Length: %d" % (len(MESSAGE) + 1)),
        raw_request(b"", CHUNKED),
        raw_request(CHUNK, CHUNKED),
        raw_request(CHUNK + b"0\r\n", CHUNKED),
        raw_request(CHUNK[:-2], CHUNKED),
        raw_request(CHUNK + b"zz\r\n\r\n", CHUNKED),
        raw_request(CHUNK + b"-1\r\n\r\n", CHUNKED),
        raw_request(CHUNK + b"ffffffffffffffffff\r\n", CHUNKED),
        raw_request(CHUNK[:-2] + b"0\r\n\r\n", CHUNKED),
    ],
)
def test_a_cut_or_badly_framed_body_is_never_a_200(server: Server, request_bytes: bytes) -> None:
    """An empty or a partial body would look valid; on the wire it is told apart."""
    with server.raw() as client:
        client.sendall(request_bytes)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while part := client.recv(4096):
            received += part
    assert not received.startswith(b"HTTP/1.1 200")
    assert server.post(logs_of("whole")) == (200, b"")
    assert server.stop() == 0
    assert server.bodies() == ["whole"]


def test_expect_100_continue_and_chunked_bodies(server: Server) -> None:
    """What curl and JavaScript clients do."""
    with server.raw() as client:
        expect = b"Expect: 100-continue"
        client.sendall(raw_request(b"", b"Content-Length: %d" % len(MESSAGE), expect))
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(MESSAGE)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        client.sendall(raw_request(CHUNK + b"0\r\n\r\n", CHUNKED))
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert server.stop() == 0
    assert server.bodies() == ["cut", "cut"]


def test_a_refusal_reaches_a_client_that_is_still_sending(tmp_path: Path) -> None:
    """413 is read by a client that sends its whole body first."""
    with Server(tmp_path, settings={"OTLP2PARQUET_MAX_PAYLOAD_BYTES": "1000"}) as server:
        status, body = server.post(b"x" * 900_000)
        assert status == 413
        assert b"1000" in body


def test_paths_media_types_and_encodings_as_senders_spell_them(tmp_path: Path) -> None:
    """Over a socket: below the prefix too, with doubled slashes, under other names."""
    settings = {"OTLP2PARQUET_SERVER_PATH_PREFIX": "/otlp"}
    plain, protobuf = logs_of("a"), "application/x-protobuf"
    cases = [
        ("/v1/logs", protobuf, "identity", plain),
        ("//v1//logs/", "application/protobuf", "none", plain),
        (
            "/otlp/v1/logs",
            "application/vnd.google.protobuf",
            "identity, x-gzip",
            gzip.compress(plain),
        ),
        ("//otlp//v1/logs//?x=1", protobuf, "zlib", zlib.compress(plain)),
    ]
    with Server(tmp_path, settings=settings) as server:
        with contextlib.closing(server.connect()) as connection:
            for path, media_type, encoding, body in cases:
                fields = {"Content-Type": media_type, "Content-Encoding": encoding}
                connection.request("POST", path, body, fields)
                answer = connection.getresponse()
                assert (path, answer.status, answer.read()) == (path, 200, b"")
                assert answer.headers["content-type"] == protobuf
        assert server.stop() == 0
        assert server.bodies() == ["a"] * len(cases)


def test_a_refusal_is_in_the_log(server: Server) -> None:
    """With the client's address, as Granian tells it, and what the client was told."""
    assert server.post(b"\x0a\x7fhush")[0] == 400
    # It is written behind the answer.
    wait_until(lambda: "WARNING" in server.log, PATIENCE_SECS, lambda: server.log)
    (line,) = (line for line in server.log.splitlines() if "WARNING" in line)
    assert 'requests refused client=127.0.0.1 reason="bad data" count=1 path=/v1/logs' in line
    assert "malformed protobuf at byte 1" in line
    assert "hush" not in line


def test_a_port_in_use_is_an_error(server: Server, tmp_path: Path) -> None:
    """A second server does not take half of the first one's connections."""
    command = [str(COMMAND), "-p", str(server.port)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(),
        check=False,
        capture_output=True,
        timeout=PATIENCE_SECS,
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}: address already in use" in str(done.stderr)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"OTLP2PARQUET_STORAGE_PATH": "file/data"}, "cannot make the folder file/data"),
        ({"OTLP2PARQUET_STORAGE_PATH": "file"}, "cannot make the folder file"),
        ({"OTLP2PARQUET_LISTEN_ADDR": "host.invalid:4318"}, "cannot listen on host.invalid:4318"),
        ({"OTLP2PARQUET_LISTEN_ADDR": "192.0.2.1:4318"}, "cannot listen on 192.0.2.1:4318"),
        (
            {"OTLP2PARQUET_STORAGE_BACKEND": "s3"},
            "storage.s3.bucket (default): found none, expected one",
        ),
        ({"OTLP2PARQUET_SERVER_TLS_KEY_PASSWORD": "hush"}, "not available in this version"),
    ],
)
def test_what_cannot_work_stops_the_start(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    """Exit code 1 and a message, before a single row is taken; never a traceback."""
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [COMMAND, "serve"],
        cwd=tmp_path,
        env=environment() | settings,
        check=False,
        capture_output=True,
        timeout=PATIENCE_SECS,
    )
    assert done.returncode == 1
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert b"hush" not in done.stderr


def test_kill_9_leaves_no_orphan_and_a_new_server_starts(tmp_path: Path) -> None:
    """There is one process; its port is free at once, connections or not."""
    with Server(tmp_path / "one") as server:
        clients = [server.connect() for _ in range(5)]
        for client in clients:
            assert post(client, logs_of("a"))[0] == 200
        assert psutil.Process(server.process.pid).children(recursive=True) == []
        server.kill()
        with Server(tmp_path / "two", port=server.port) as again:
            assert again.port == server.port
            assert again.post(logs_of("b")) == (200, b"")
            assert again.stop() == 0
            assert again.bodies() == ["b"]
        for client in clients:
            client.close()


def test_storage_trouble_is_outlived(tmp_path: Path) -> None:
    """The folder is away for a while: rows wait, are stored later, and none is missing."""
    settings = {"OTLP2PARQUET_BATCH_ENABLED": "false", "OTLP2PARQUET_DURABILITY_PATH": "log"}
    with Server(tmp_path, settings=settings) as server:
        shutil.rmtree(server.data)
        server.data.write_text("in the way")
        assert server.post(logs_of("a")) == (200, b"")
        wait_until(lambda: "writing failed" in server.log, PATIENCE_SECS, lambda: server.log)
        server.data.unlink()
        server.data.mkdir()
        wait_until(lambda: server.bodies() == ["a"], PATIENCE_SECS, lambda: server.log)
        assert server.stop() == 0


HOSTILE_NAMES = [
    "../../../../outside",
    "..",
    ".",
    "/outside",
    "//outside/x",
    "a/../../../outside",
    "..\\..\\outside",
    "C:\\outside",
    "%2e%2e%2foutside",
    "~/outside",
    "$HOME",
    "a\0b",
    "a\nb",
    "\u202eoutside",
    "\ufeff../x",
    "CON",
    ".otlp2parquet",
    ".otlp2parquet/log",
    "hour=2026-01-01T00",
    "x" * 5000,
    "ü" * 300,
    "logs",
    " ",
    "-rf",
]


def test_service_names_never_leave_the_storage(server: Server) -> None:
    """Whatever a sender calls itself: files lie below the folder of their table, whole."""
    before = {path for path in server.data.parent.iterdir() if path != server.data}
    for number, name in enumerate(HOSTILE_NAMES):
        request = ExportLogsServiceRequest()
        resource_logs = request.resource_logs.add()
        resource_logs.resource.attributes.add(key="service.name").value.string_value = name
        record = resource_logs.scope_logs.add().log_records.add(time_unix_nano=time.time_ns())
        record.body.string_value = str(number)
        assert server.post(request.SerializeToString()) == (200, b"")
    assert server.stop() == 0
    assert {path for path in server.data.parent.iterdir() if path != server.data} == before
    files = list(server.data.rglob("*.parquet"))
    assert len(files) == len(HOSTILE_NAMES)
    for file in files:
        assert file.resolve().is_relative_to((server.data / "logs").resolve())
        assert not file.is_symlink()
        (name,) = pq.ParquetFile(file).read()["ServiceName"].to_pylist()
        assert name in HOSTILE_NAMES
    assert sorted(map(int, server.bodies())) == list(range(len(HOSTILE_NAMES)))


def test_json_logs_are_json_line_by_line(tmp_path: Path) -> None:
    """Every line of the log, from the first to the last, can be read by a machine."""
    settings = {"OTLP2PARQUET_LOG_FORMAT": "json", "OTLP2PARQUET_NONSENSE": "1"}
    with Server(tmp_path, options=["-v"], settings=settings) as server:
        server.post(logs_of("a"))
        assert server.stop() == 0
        events: list[dict[str, Any]] = [json.loads(line) for line in server.log.splitlines()]
    messages = [event["message"] for event in events]
    assert "OTLP2PARQUET_NONSENSE" in messages[0]
    assert messages[1].startswith("HTTP 127.0.0.1:")
    assert messages[2].startswith("listening on ")
    assert "request" in messages
    (stored,) = (event for event in events if event["message"] == "batch stored")
    assert (stored["rows"], stored["files"]) == (1, 1)
    assert {"bytes", "age_secs", "write_secs", "closed_by", "batch"} < set(stored)
    assert stored["tables"] == "otel_logs"
    assert stored["path"].startswith("logs/service=shop/date=")


def test_options_of_the_command(tmp_path: Path) -> None:
    """-c, --host, -p and -o do what they say."""
    (tmp_path / "my.toml").write_text('[server]\nlog_level = "error"\n')
    options = ["-c", "my.toml", "--host", "localhost", "-o", "elsewhere/deep"]
    with Server(tmp_path, options=options) as server:
        server.post(logs_of("a"))
        assert server.stop() == 0
        # The start is announced at any level, and nothing else at this one.
        assert len(server.log.splitlines()) == 1
    assert list((tmp_path / "elsewhere" / "deep").rglob("*.parquet"))


def test_help_does_not_load_the_server() -> None:
    """--help answers without pyarrow and Granian."""
    code = (
        "import sys\nfrom otlp2parquet.cli import main\n"
        "try:\n main(['serve', '--help'])\n"
        "except SystemExit:\n assert not {'pyarrow', 'granian'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        timeout=PATIENCE_SECS,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    for option in (b"--config", b"--host", b"--port", b"--output", b"--verbose"):
        assert option in done.stdout


def test_many_connections_at_once(server: Server) -> None:
    """300 kept-alive connections each get their answers."""
    connections = [server.connect() for _ in range(300)]
    for turn in range(2):
        for number, connection in enumerate(connections):
            connection.request("POST", "/v1/logs", logs_of(f"{turn}-{number}"), PROTOBUF)
        for connection in connections:
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"")
    assert server.stop() == 0
    for connection in connections:
        connection.close()
    assert len(set(server.bodies())) == len(server.bodies()) == 600
