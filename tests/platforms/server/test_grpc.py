"""OTLP/gRPC on a port of its own: the same pipeline, the same promises, its own words."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme
from google.rpc import status_pb2
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otlp2parquet.core.otlp_grpc import METHODS
from tests.components.process import wait_until
from tests.hostile.memory import Watch
from tests.support import asgi_bench
from tests.support.requests import logs_request
from tests.support.server_process import PATIENCE_SECS, Server, bodies_in, environment, logs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LOGS, TRACES, METRICS = METHODS
GRPC = {"OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0"}


@contextmanager
def serving(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server with both fronts on free ports; it stops well."""
    with Server(folder, settings=GRPC | dict(settings or {})) as server:
        yield server
        assert server.stop() == 0


def call(
    address: str, payload: bytes, method: str = LOGS, **options: Any
) -> tuple[grpc.StatusCode, bytes, str, dict[str, Any]]:
    """One unary call on a channel of its own: code, response, details, trailing metadata."""
    with grpc.insecure_channel(address) as channel:
        export = channel.unary_unary(method)
        try:
            return grpc.StatusCode.OK, export(payload, timeout=PATIENCE_SECS, **options), "", {}
        except grpc.RpcError as error:
            return error.code(), b"", error.details(), dict(error.trailing_metadata() or ())


def test_a_request_is_kept_and_stored(tmp_path: Path) -> None:
    """Of both fronts into the same batch; the response of a full success is empty."""
    with serving(tmp_path) as server:
        assert call(server.grpc_address, logs_of("a"))[:2] == (grpc.StatusCode.OK, b"")
        assert server.post(logs_of("b")) == (200, b"")
        compressed = grpc.Compression.Gzip
        assert call(server.grpc_address, logs_of("c"), compression=compressed)[1] == b""
        wait_until(lambda: len(server.bodies()) == 3, PATIENCE_SECS, lambda: server.log)
        assert sorted(server.bodies()) == ["a", "b", "c"]


def test_the_sdk_sends_all_signals(tmp_path: Path) -> None:
    """By its own exporters with their own defaults, but for the port."""
    with serving(tmp_path) as server:
        to: dict[str, Any] = {"endpoint": f"http://{server.grpc_address}", "insecure": True}
        tracer = TracerProvider()
        tracer.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**to)))
        for number in range(10):
            with tracer.get_tracer("test").start_as_current_span(f"span {number}"):
                pass
        logger = LoggerProvider()
        logger.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**to)))
        logger.get_logger("test").emit(body="hello")
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(**to))
        meter = MeterProvider([reader])
        meter.get_meter("test").create_counter("count").add(3)
        for provider in (tracer, logger, meter):
            assert provider.force_flush()
            provider.shutdown()
    assert bodies_in(server.data / "logs") == ["hello"]
    assert len(list((server.data / "traces").rglob("*.parquet"))) == 1
    assert len(list((server.data / "metrics" / "sum").rglob("*.parquet"))) == 1


def test_bad_data_is_said_with_its_place(tmp_path: Path) -> None:
    """To the client, and to whoever reads the log; it is not to be sent again."""
    with serving(tmp_path) as server:
        code, _, details, trailers = call(server.grpc_address, b"\x0a\x7f")
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "at byte 1" in details
        assert "grpc-retry-pushback-ms" not in trailers
        wait_until(lambda: "requests refused" in server.log, PATIENCE_SECS, lambda: server.log)
        assert 'reason="bad data"' in server.log
        assert LOGS in server.log
        assert "client=127.0.0.1" in server.log


def test_rejected_records_are_a_partial_success(tmp_path: Path) -> None:
    """As over HTTP: a record that cannot be stored is left out, counted and explained."""
    record = asgi_bench.logs_request(3, attributes=10_001)
    with serving(tmp_path) as server:
        over_http = server.post(record)
        code, body, _, _ = call(server.grpc_address, record)
        assert (over_http[0], code) == (200, grpc.StatusCode.OK)
        assert body == over_http[1]
        read = ExportLogsServiceResponse.FromString(body)
        assert read.partial_success.rejected_log_records == 1
        assert read.partial_success.error_message


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_too_large_is_final(tmp_path: Path, compression: grpc.Compression | None) -> None:
    """Also where it is small on the wire; nothing else is disturbed, and the log tells of it."""
    with serving(tmp_path, {"OTLP2PARQUET_MAX_PAYLOAD_BYTES": "1MiB"}) as server:
        code, _, _, trailers = call(server.grpc_address, bytes(8 << 20), compression=compression)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-retry-pushback-ms" not in trailers
        wait_until(lambda: "than 1048576 bytes" in server.log, PATIENCE_SECS, lambda: server.log)
        assert call(server.grpc_address, logs_of("a"))[0] is grpc.StatusCode.OK


def test_the_door_is_the_same(tmp_path: Path) -> None:
    """Tokens as bearer or key; nothing of a message is asked for without one."""
    settings = {"OTLP2PARQUET_SERVER_AUTH_TOKENS": "secret"}
    with serving(tmp_path, settings) as server:
        for metadata in ((), (("authorization", "Bearer other"),), (("x-api-key", ""),)):
            code, _, details, _ = call(server.grpc_address, logs_of("x"), metadata=metadata)
            assert code is grpc.StatusCode.UNAUTHENTICATED
            assert "secret" not in details
        for metadata in ((("authorization", "bearer secret"),), (("x-api-key", "secret"),)):
            code = call(server.grpc_address, logs_of("a"), metadata=metadata)[0]
            assert code is grpc.StatusCode.OK
        assert call(server.grpc_address, b"", "/grpc.health.v1.Health/Check")[1] == b"\x08\x01"
    assert server.bodies() == ["a", "a"]


def test_an_unknown_method_is_told_the_known_ones(tmp_path: Path) -> None:
    """Whoever has another service's client learns what is served here."""
    with serving(tmp_path) as server:
        code, _, details, _ = call(server.grpc_address, b"", "/opentelemetry.Old/Export")
        assert code is grpc.StatusCode.UNIMPLEMENTED
        assert all(method in details for method in METHODS)


def test_health_is_the_standard_service(tmp_path: Path) -> None:
    """Check by name or without, Watch until the end."""
    with serving(tmp_path) as server:
        check = "/grpc.health.v1.Health/Check"
        service = LOGS.split("/")[1].encode()
        asked = b"\x0a" + bytes([len(service)]) + service
        assert call(server.grpc_address, asked, check)[1] == b"\x08\x01"
        assert call(server.grpc_address, b"\x0a\x01x", check)[0] is grpc.StatusCode.NOT_FOUND
        with grpc.insecure_channel(server.grpc_address) as channel:
            watched = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
            assert next(watched) == b"\x08\x01"
            assert server.stop() == 0
            assert list(watched) in ([], [b"\x08\x02"])


def test_a_call_on_the_other_port_is_told_so(tmp_path: Path) -> None:
    """OTLP/HTTP's port answers gRPC in gRPC's words."""
    with serving(tmp_path) as server:
        code, _, details, _ = call(f"127.0.0.1:{server.port}", logs_of("a"))
        assert code is grpc.StatusCode.UNIMPLEMENTED
        assert "4317" in details


def test_a_port_that_is_taken_takes_nothing_else(tmp_path: Path) -> None:
    """HTTP is served, and the log says what is missing and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Server(tmp_path, settings={"OTLP2PARQUET_GRPC_ADDR": address}) as server:
            assert not server.grpc_address
            assert (
                f"OTLP/gRPC is not served, OTLP/HTTP is: cannot listen on {address}" in server.log
            )
            assert server.post(logs_of("a")) == (200, b"")
            assert server.stop() == 0


def test_a_port_is_free_again_for_the_next_start(tmp_path: Path) -> None:
    """Also when the last process was killed with connections open."""
    with Server(tmp_path, settings=GRPC) as server:
        address = server.grpc_address
        with grpc.insecure_channel(address) as channel:
            assert channel.unary_unary(LOGS)(logs_of("a"), timeout=PATIENCE_SECS) == b""
            server.kill()
    with serving(tmp_path, {"OTLP2PARQUET_GRPC_ADDR": address}) as server:
        assert server.grpc_address == address
        assert call(address, logs_of("b"))[0] is grpc.StatusCode.OK
    assert sorted(server.bodies()) == ["a", "b"]


def test_without_grpcio_http_is_served(tmp_path: Path) -> None:
    """Its wheels are not everywhere."""
    (tmp_path / "grpc").mkdir()
    (tmp_path / "grpc" / "__init__.py").write_text('raise ImportError("no grpcio here")\n')
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    with Server(tmp_path, settings=GRPC | {"PYTHONPATH": path}) as server:
        assert "OTLP/gRPC is not served, OTLP/HTTP is: no grpcio here" in server.log
        assert server.post(logs_of("a")) == (200, b"")
        assert server.stop() == 0


def test_what_grpcio_needs_is_not_loaded_without_it(tmp_path: Path) -> None:
    """Off means off: neither a thread nor a megabyte."""
    code = "import otlp2parquet.platforms.server.run, sys; sys.exit('grpc' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment())


def test_tls_is_that_of_http(tmp_path: Path) -> None:
    """The same certificate, and the same demand for one of the client's."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    files = {name: tmp_path / f"{name}.pem" for name in ("cert", "key", "ca")}
    issued.cert_chain_pems[0].write_to_path(str(files["cert"]))
    issued.private_key_pem.write_to_path(str(files["key"]))
    authority.cert_pem.write_to_path(str(files["ca"]))
    settings = GRPC | {
        "OTLP2PARQUET_SERVER_TLS_CERT": str(files["cert"]),
        "OTLP2PARQUET_SERVER_TLS_KEY": str(files["key"]),
        "OTLP2PARQUET_SERVER_TLS_CLIENT_CA": str(files["ca"]),
        "OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0",
    }
    client = authority.issue_cert("client")
    with Server(tmp_path, settings=settings) as server:
        port = server.grpc_address.rpartition(":")[2]
        ours = (client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes())
        for key, chain, expected in ((*ours, True), (None, None, False)):
            credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), key, chain)
            with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
                export = channel.unary_unary(LOGS)
                if expected:
                    assert export(logs_of("a"), timeout=PATIENCE_SECS) == b""
                else:
                    with pytest.raises(grpc.RpcError):
                        export(logs_of("b"), timeout=5)
        assert server.stop() == 0
    assert server.bodies() == ["a"]


def test_a_reload_reaches_calls_too(tmp_path: Path) -> None:
    """Behind a SIGHUP new connections see the new certificate, and all calls need the new token."""
    paths = {name: tmp_path / name for name in ("cert", "key", "tokens")}
    old, new = trustme.CA(), trustme.CA()

    def write(authority: trustme.CA, token: str) -> None:
        issued = authority.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(str(paths["cert"]))
        issued.private_key_pem.write_to_path(str(paths["key"]))
        paths["tokens"].write_text(token)

    def code(authority: trustme.CA, token: str) -> grpc.StatusCode:
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        options = [("grpc.use_local_subchannel_pool", 1)]
        port = server.grpc_address.rpartition(":")[2]
        with grpc.secure_channel(f"localhost:{port}", credentials, options) as channel:
            export = channel.unary_unary(LOGS)
            try:
                export(logs_of("a"), timeout=10, metadata=(("x-api-key", token),))
            except grpc.RpcError as error:
                found: grpc.StatusCode = error.code()
                return found
        return grpc.StatusCode.OK

    write(old, "one")
    settings = {
        "OTLP2PARQUET_SERVER_TLS_CERT": str(paths["cert"]),
        "OTLP2PARQUET_SERVER_TLS_KEY": str(paths["key"]),
        "OTLP2PARQUET_SERVER_AUTH_TOKENS_FILE": str(paths["tokens"]),
    }
    detached = "import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"
    launcher = (sys.executable, "-c", detached)
    with Server(tmp_path, settings=GRPC | settings, launcher=launcher) as server:
        assert code(old, "one") is grpc.StatusCode.OK
        for authority, token in ((new, "two"), (old, "three"), (new, "four")):
            write(authority, token)
            again = server.log.count("read again") + 1
            server.process.send_signal(signal.SIGHUP)
            wait_until(
                lambda again=again: server.log.count("read again") >= again,  # type: ignore[misc]
                PATIENCE_SECS,
                lambda: server.log,
            )
            assert code(authority, token) is grpc.StatusCode.OK
            assert code(authority, "one") is grpc.StatusCode.UNAUTHENTICATED
            other = old if authority is new else new
            assert code(other, token) is grpc.StatusCode.UNAVAILABLE
        assert server.stop() == 0


def test_a_stop_answers_what_is_in_progress(tmp_path: Path) -> None:
    """Who was told OK is stored, who was not may send again; nobody is left without an answer."""
    answers: list[grpc.StatusCode] = []
    stop = threading.Event()
    with serving(tmp_path) as server, grpc.insecure_channel(server.grpc_address) as channel:
        export = channel.unary_unary(LOGS)

        def send() -> None:
            while not stop.is_set():
                try:
                    export(logs_request(5), timeout=PATIENCE_SECS)
                    answers.append(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    answers.append(error.code())
                    return

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) > 20, PATIENCE_SECS, lambda: server.log)
        assert server.stop() == 0
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_SECS)
    kept = answers.count(grpc.StatusCode.OK)
    # Both of the others are sent again, by the specification.
    again = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert set(answers) <= {grpc.StatusCode.OK} | again
    assert len(server.bodies()) in range(5 * kept, 5 * (kept + len(threads)) + 1)


def test_a_server_without_room_says_when_to_come_again(tmp_path: Path) -> None:
    """UNAVAILABLE with RetryInfo, which is what keeps the data with the client."""
    settings = {
        "OTLP2PARQUET_DURABILITY_MODE": "stored",
        "OTLP2PARQUET_STORAGE_PATH": str(tmp_path / "data"),
    }
    (tmp_path / "data").mkdir()
    with Server(tmp_path, settings=GRPC | settings) as server:
        assert call(server.grpc_address, logs_of("a"))[0] is grpc.StatusCode.OK
        (tmp_path / "data" / "logs").rename(tmp_path / "away")
        (tmp_path / "data" / "logs").write_text("in the way")
        code, _, details, trailers = call(server.grpc_address, logs_of("b"))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "send it again" in details
        assert trailers["grpc-retry-pushback-ms"] == "1000"
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        assert status.details[0].type_url.endswith("google.rpc.RetryInfo")


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_message_that_says_nothing_of_its_encoding_is_read(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    """The bytes tell: of what stands before them, grpcio keeps to itself what it says."""
    with serving(tmp_path) as server:
        assert call(server.grpc_address, compress(logs_of("a")))[0] is grpc.StatusCode.OK
    assert server.bodies() == ["a"]


@pytest.mark.parametrize(
    "compression", [grpc.Compression.Gzip, grpc.Compression.Deflate], ids=["gzip", "deflate"]
)
def test_what_gzip_grows_to_is_bounded_while_it_grows(
    tmp_path: Path, compression: grpc.Compression
) -> None:
    """A message of 256 MiB costs the server no more than a message may have."""
    with serving(tmp_path) as server:
        with Watch(server.process.pid) as watch:
            code = call(server.grpc_address, bytes(256 << 20), compression=compression)[0]
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert watch.grown < 96


def silent_calls(server: Server, count: int, *, method: str = LOGS) -> list[Any]:
    """So many calls that begin and never send their message; each has a connection with others."""
    channel = grpc.insecure_channel(server.grpc_address)
    never = threading.Event()

    def nothing() -> Iterator[bytes]:
        never.wait(PATIENCE_SECS)
        yield from ()

    calls = [channel.stream_unary(method).future(nothing()) for _ in range(count)]
    return [channel, never, calls]


@pytest.mark.parametrize("method", [LOGS, "/grpc.health.v1.Health/Check"], ids=["export", "health"])
def test_calls_that_never_send_their_message_keep_nobody_out(tmp_path: Path, method: str) -> None:
    """More of them than messages may be received at a time; none needs a token for health."""
    with serving(tmp_path) as server:
        channel, never, calls = silent_calls(server, 20, method=method)
        try:
            for _ in range(5):
                assert call(server.grpc_address, logs_of("a"))[0] is grpc.StatusCode.OK
        finally:
            never.set()
            for one in calls:
                one.cancel()
            channel.close()
    assert server.bodies() == ["a"] * 5
