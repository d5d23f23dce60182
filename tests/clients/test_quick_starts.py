"""What people do first: ``otlp2parquet dev``, and any SDK, Collector or agent as it comes.

Nobody is told where to send to: the ports are those that every client has as its default (Go's
wants to be told that there is no TLS). What is sent is on the terminal within a second of its
arrival, and in the files when the program has ended.
"""

from __future__ import annotations

import re
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from tests.components import Collector, send_from_go, send_from_java, send_from_javascript
from tests.components.parquet_rows import stored_tables
from tests.support.conversion import run
from tests.support.dev_program import Dev
from tests.support.usual_ports import usual_ports
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 40
PROMISED_SECS = 1.0
SLACK_SECS = 4.0
"""What a machine gets that does ten other things."""


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One that was started without any option, and what it has stored at its end."""
    with usual_ports() as ports:
        wait_for(lambda: all(map(is_free, ports)))
        with Dev(tmp_path_factory.mktemp("desk"), usual_ports=True) as running:
            assert (running.http, running.grpc) == ("http://127.0.0.1:4318", "127.0.0.1:4317")
            yield running
            assert running.stop(signal.SIGINT) == 0
            assert "REFUSED" not in running.out
            assert_stored(running)


def assert_stored(dev: Dev) -> None:
    """Of every service that was on the terminal: each record once."""
    tables = stored_tables(dev.folder / "data")
    for service in {row["ServiceName"] for row in tables["otel_logs"]}:
        bodies = [r["Body"] for r in tables["otel_logs"] if r["ServiceName"] == service]
        assert sorted(bodies) == sorted(f"log {n}" for n in range(COUNT)), service
        if service.startswith("python"):
            continue  # it sends logs alone
        spans = [r["SpanName"] for r in tables["otel_traces"] if r["ServiceName"] == service]
        assert sorted(spans) == sorted(f"span {n}" for n in range(COUNT)), service
        counters = tables["otel_metrics_sum"]
        points = [
            r for r in counters if (r["ServiceName"], r["MetricName"]) == (service, "requests")
        ]
        assert len({row["Attributes"] for row in points}) == len(points) == COUNT, service


def assert_seen(dev: Dev, service: str, *, kinds: tuple[str, ...]) -> None:
    """All of its records come to the terminal within the second that is promised."""
    began = time.monotonic()
    dev.wait_for(*(f" {service}  {kind} {COUNT - 1}" for kind in kinds))
    assert time.monotonic() - began < PROMISED_SECS + SLACK_SECS
    for kind in kinds:
        shown = re.findall(rf" {re.escape(service)}  {kind} (\d+)\b", "\n".join(dev.lines))
        assert sorted(map(int, shown)) == list(range(COUNT))


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporters in this process have their own defaults."""
    for name in ("ENDPOINT", "PROTOCOL", "HEADERS", "COMPRESSION", "INSECURE"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)


def log_by(exporter: HttpLogs | GrpcLogs, service: str) -> None:
    """Log records as an application makes them."""
    provider = LoggerProvider(Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    for number in range(COUNT):
        provider.get_logger("quick").emit(
            timestamp=time.time_ns(), severity_number=SeverityNumber.INFO, body=f"log {number}"
        )
    provider.shutdown()


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("exporter", [HttpLogs, GrpcLogs], ids=["http", "grpc"])
def test_python(dev: Dev, exporter: type[HttpLogs | GrpcLogs]) -> None:
    """Its exporters, made without an argument."""
    service = f"python-{exporter.__module__.split('.')[-2]}"
    log_by(exporter(), service)
    assert_seen(dev, service, kinds=("log",))


@pytest.mark.parametrize("form", ["proto", "http", "grpc"])
def test_javascript(dev: Dev, form: str) -> None:
    """Its exporters, made without an argument; ``http`` is their word for JSON."""
    service = f"javascript-{form}"
    send_from_javascript("", COUNT, "none", form, {"OTEL_SERVICE_NAME": service})
    assert_seen(dev, service, kinds=("log", "span"))


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_java(dev: Dev, protocol: str) -> None:
    """Its SDK as it configures itself."""
    service = f"java-{protocol.partition('/')[0]}"
    send_from_java("", COUNT, protocol, service)
    assert_seen(dev, service, kinds=("log", "span"))


@pytest.mark.parametrize("form", ["grpc", "http"])
def test_go(dev: Dev, form: str) -> None:
    """Its exporters, made without an option, and told that the server speaks plain text."""
    service = f"go-{form}"
    settings = {"OTEL_EXPORTER_OTLP_INSECURE": "true", "OTEL_SERVICE_NAME": service}
    send_from_go("", COUNT, form, settings)
    assert_seen(dev, service, kinds=("log", "span"))


@pytest.mark.parametrize("kind", ["otlp_grpc", "otlp_http"])
def test_a_collector(dev: Dev, tmp_path: Path, kind: str) -> None:
    """Its exporters, as its documentation names this machine."""
    exporter: dict[str, object] = (
        {"type": kind, "endpoint": "localhost:4317", "tls": {"insecure": True}}
        if kind == "otlp_grpc"
        else {"type": kind, "endpoint": "http://localhost:4318"}
    )
    service = f"collector-{kind}"
    with Collector(tmp_path, dict.fromkeys(("logs", "traces", "metrics"), exporter)) as collector:
        send_from_javascript(
            collector.endpoint, COUNT, "gzip", settings={"OTEL_SERVICE_NAME": service}
        )
        assert_seen(dev, service, kinds=("log", "span"))
        assert collector.stop() == 0, collector.log


@pytest.mark.parametrize(("protocol", "form"), [("grpc", "grpc"), ("http", "proto")])
def test_a_coding_agent(dev: Dev, protocol: str, form: str) -> None:
    """The variables that ``connect claude-code`` prints, played by the SDK that the agent has."""
    printed = run("connect", "claude-code", "--protocol", protocol).stdout
    settings = dict(re.findall(r"^export (\w+)=(\S+)$", printed, re.MULTILINE))
    assert settings["OTEL_EXPORTER_OTLP_PROTOCOL"].partition("/")[0] == protocol
    assert settings["OTEL_LOGS_EXPORTER"] == settings["OTEL_METRICS_EXPORTER"] == "otlp"
    service = f"claude-code-{protocol}"
    send_from_javascript("", COUNT, "none", form, settings | {"OTEL_SERVICE_NAME": service})
    assert_seen(dev, service, kinds=("log", "span"))
