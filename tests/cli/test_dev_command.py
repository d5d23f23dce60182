"""``otlp2parquet dev`` as its user meets it: on a terminal and on a pipe, with the real SDK."""

from __future__ import annotations

import http.client
import re
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode
from rich.cells import cell_len

from otlp2parquet.cli.dev import summary
from tests.cli.terminal.harmless import is_harmless
from tests.support.dev_program import Dev
from tests.support.server_process import PATIENCE_SECS, logs_of

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "\x1b]0;owned\x07\x1b[2Jcleared\r\n\u202eright\x9b5m日本語" + "x" * 100


def log_by(exporter: Any, *texts: str) -> None:
    """Log records of an application, by the SDK's own means."""
    provider = LoggerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    for text in texts:
        provider.get_logger("shop").emit(
            timestamp=time.time_ns(), severity_number=SeverityNumber.ERROR, body=text
        )
    provider.shutdown()


def trace_by(exporter: Any) -> None:
    """A trace of three spans, one of which failed."""
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("GET /cart"):
        with tracer.start_as_current_span("load cart"):
            pass
        with tracer.start_as_current_span("pay") as span:
            span.set_status(Status(StatusCode.ERROR, "card refused"))
    provider.shutdown()


def count_by(exporter: Any) -> None:
    """A counter."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=Resource({"service.name": "shop"}))
    provider.get_meter("shop").create_counter("orders", "By").add(3, {"kind": "new"})
    provider.shutdown()


def test_all_signals_are_on_a_pipe_within_a_second_and_in_files(tmp_path: Path) -> None:
    """By HTTP and gRPC, as the SDK sends them; plain whole lines, and a summary beside them."""
    with Dev(tmp_path) as dev:
        log_by(OTLPLogExporter(f"{dev.http}/v1/logs"), "by http")
        began = time.monotonic()
        dev.wait_for("by http")
        by_http = time.monotonic() - began
        log_by(GrpcLogs(dev.grpc, insecure=True), "by grpc")
        began = time.monotonic()
        dev.wait_for("by grpc")
        by_grpc = time.monotonic() - began
        trace_by(OTLPSpanExporter(f"{dev.http}/v1/traces"))
        trace_by(GrpcSpans(dev.grpc, insecure=True))
        count_by(OTLPMetricExporter(f"{dev.http}/v1/metrics"))
        assert dev.post(b"\xff") == 400
        dev.wait_for("orders", "REFUSED", "malformed protobuf at byte 0")
        # A second is promised; a machine that does ten other things gets a few.
        assert max(by_http, by_grpc) < 5
        assert dev.stop(signal.SIGINT) == 0
        lines = dev.lines
        assert all(line[:2] == "20" for line in lines)
        assert "\x1b" not in dev.out + dev.err
        assert sum("ERROR  shop  by " in line for line in lines) == 2
        trees = [line.partition("  ")[2] for line in lines if " SPAN " in line]
        assert len(trees) == 6
        names = [re.sub(r"^ *[-\d.]+ .?s  ", "", tree) for tree in trees]
        for tree in (names[:3], names[3:]):
            assert tree[0].startswith("shop  GET /cart  trace=")
            assert tree[1:] == ["├─ shop  load cart", "└─ shop  pay  ERROR card refused"]
        assert any("METRIC shop  orders  3 By  kind=new" in line for line in lines)
        assert "2 log records, 6 spans, 1 data point in 6 requests; 1 request refused" in dev.err
        assert re.search(rf"\d+ files, [\d.]+ KiB, in {tmp_path}/data\n", dev.err)
        assert 'try: otlp2parquet query "SELECT Timestamp, Body FROM logs LIMIT 5"' in dev.err
    rows = [pq.ParquetFile(one).metadata.num_rows for one in tmp_path.rglob("*.parquet")]
    assert sum(rows) == 9


def test_a_terminal_has_colours_and_columns_and_nothing_that_acts(tmp_path: Path) -> None:
    """Hostile texts in bodies, names and refusals; 80 columns also of wide characters."""
    with Dev(tmp_path, columns=80) as dev:
        log_by(OTLPLogExporter(f"{dev.http}/v1/logs"), HOSTILE, "last")
        assert dev.post(b"\xff" * 50) == 400
        dev.wait_for("last", "REFUSED")
        assert dev.stop(signal.SIGTERM) == 0
        assert "\x1b[31mERROR" in dev.out
        lines = dev.lines
        assert all(cell_len(line) <= 80 for line in lines if str(tmp_path) not in line)
        assert all(is_harmless(line) for line in lines)
        assert any(r"\x1b]0;owned\x07\x1b[2Jcleared\r\n" in line for line in lines)
        assert "nothing was received" not in dev.out
        assert "2 log records in 3 requests; 1 request refused" in dev.out


def test_no_color_is_honoured(tmp_path: Path) -> None:
    """Also on a terminal."""
    with Dev(tmp_path, columns=80, NO_COLOR="1") as dev:
        assert dev.post(logs_of("plain")) == 200
        dev.wait_for("plain")
        assert dev.stop(signal.SIGINT) == 0
        assert "\x1b" not in dev.out


def test_quiet_has_refusals_and_the_summary(tmp_path: Path) -> None:
    """And what was told by --output is in the query to try."""
    with Dev(tmp_path, "--quiet", "-o", "out put") as dev:
        assert dev.post(logs_of("unseen")) == 200
        assert dev.post(b"\xff") == 400
        dev.wait_for("REFUSED")
        assert dev.stop(signal.SIGINT) == 0
        assert "unseen" not in dev.out
        assert len(dev.lines) == 1
        assert "LIMIT 5\" 'out put'\n" in dev.err
    assert list((tmp_path / "out put").rglob("*.parquet"))


def test_it_has_the_page_and_settings_precede_its_defaults(tmp_path: Path) -> None:
    """``server.page = false`` leaves the terminal."""
    with Dev(tmp_path, OTLP2PARQUET_SERVER_PAGE="false") as dev:
        where = dev.http.removeprefix("http://")
        with closing(http.client.HTTPConnection(where, timeout=PATIENCE_SECS)) as connection:
            connection.request("GET", "/live")
            assert connection.getresponse().status == 404
        assert "page " not in dev.err
        assert dev.post(logs_of("seen here")) == 200
        dev.wait_for("seen here")
        assert dev.stop(signal.SIGINT) == 0


def test_nobody_who_reads_is_the_end(tmp_path: Path) -> None:
    """As behind ``head``: what was received is stored, and the program ends well."""
    with Dev(tmp_path, is_read=False) as dev:
        assert dev.post(logs_of("into the void")) == 200
        assert dev.process.wait(PATIENCE_SECS) == 0
    assert list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("totals", "records", "lines"),
    [
        ({"requests": 0}, {}, ["nothing was received"]),
        (
            {"requests": 2, "refused": 2},
            {},
            ["nothing in 2 requests; 2 requests refused"],
        ),
        (
            {"requests": 1, "rejected": 3, "files": 1, "bytes": 1536},
            {"metrics": 1},
            [
                "1 data point in 1 request; 3 records refused",
                "1 file, 1.5 KiB, in here",
                'try: otlp2parquet query "SELECT DISTINCT MetricName FROM metrics"',
            ],
        ),
    ],
)
def test_the_summary(totals: dict[str, int], records: dict[str, int], lines: list[str]) -> None:
    """What came, where it is, and a question to it that has an answer."""
    none = {"requests": 0, "refused": 0, "rejected": 0, "files": 0, "bytes": 0}
    state = {"folder": "here", "totals": {**none, **totals, "records": records}}
    assert summary(state, None) == lines
