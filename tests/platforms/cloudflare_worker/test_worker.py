"""What ``deploy cloudflare`` writes, under Pyodide with the real SDK and Miniflare's R2."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otlp2parquet import process_otlp
from otlp2parquet.core.files import BATCH_ID_KEY
from tests.components.process import wait_until
from tests.components.worker_runtime import wrangler
from tests.support.answer_matrix import LIMIT, MEDIA_TYPES, OUTCOMES, SECRET, Case, answer
from tests.support.canonical import exact_rows, rows_of
from tests.support.requests import logs_request, metrics_request, traces_request
from tests.support.shapes import every_field

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from otlp2parquet.core.signals import Signal
    from tests.components.worker_runtime import WorkerRuntime

PROTOBUF = (b"content-type", b"application/x-protobuf")
JSON = (b"content-type", b"application/json")
SIGNALS: dict[Signal, bytes] = {
    "logs": logs_request(10),
    "traces": traces_request(7),
    "metrics": metrics_request(5),
}
SIGNAL_NAMES = list(SIGNALS)
ENCODED = ("gzip", "none", "deflate")
CARRIERS = {b"date", b"connection", b"keep-alive", b"transfer-encoding", b"content-length"}
"""Fields that Node adds, where Cloudflare would add its own."""


def post(worker: WorkerRuntime, path: str, body: bytes, *fields: tuple[bytes, bytes]) -> int:
    """The status of the answer to an export request."""
    headers = [*(fields or (PROTOBUF,)), (b"content-length", b"%d" % len(body))]
    return worker.fetch("POST", path, headers, body).status


def rows(worker: WorkerRuntime, folder: Path) -> int:
    """Rows in the bucket's files."""
    return sum(pq.read_metadata(path).num_rows for path in worker.save(folder))


def only_batch(path: Path) -> pa.RecordBatch:
    """The rows of a file, in one batch."""
    (batch,) = pq.read_table(path, partitioning=None).combine_chunks().to_batches()
    return batch


@pytest.mark.parametrize("signal", SIGNALS)
def test_rows_are_those_of_the_extension(
    signal: Signal, worker: WorkerRuntime, tmp_path: Path
) -> None:
    """Of the vector with every field and of plain requests, in protobuf and JSON, to the bit."""
    message = every_field(signal)
    vector = bytes(message.SerializeToString())
    json_vector = json_format.MessageToJson(message).encode()
    for number, (body, field) in enumerate(
        ((SIGNALS[signal], PROTOBUF), (vector, PROTOBUF), (json_vector, JSON))
    ):
        worker.clear()
        assert post(worker, f"/v1/{signal}", body, field) == 200, worker.lines()
        found: dict[str, list[Any]] = {}
        for path in worker.save(tmp_path / str(number)):
            name = pq.read_metadata(path).metadata[b"otlp2parquet.table"].decode()
            found.setdefault(name, []).extend(exact_rows(rows_of(only_batch(path))))
        expected: dict[str, list[Any]] = {}
        for batch in process_otlp(body, signal, content_type=field[1].decode()).batches:
            expected.setdefault(batch.table, []).extend(exact_rows(rows_of(batch)))
        assert {name: sorted(map(repr, some)) for name, some in found.items()} == {
            name: sorted(map(repr, some)) for name, some in expected.items()
        }


def test_a_worker_answers_the_same(worker: WorkerRuntime, tmp_path: Path) -> None:
    """A part of the answer matrix: what the server answers, byte for byte."""
    variables = {"SERVER_AUTH_TOKENS": f"another,{SECRET}", "MAX_PAYLOAD_BYTES": str(LIMIT)}
    worker.restart({f"OTLP2PARQUET_{name}": value for name, value in variables.items()})
    kept = 0
    # 413: an HTTP client cannot announce more than it sends.
    chosen = [
        Case(outcome, format_, encoding, SIGNAL_NAMES[(row + column) % len(SIGNAL_NAMES)])
        for row, outcome in enumerate(name for name in OUTCOMES if name != "413")
        for column, (format_, encoding) in enumerate(zip(MEDIA_TYPES, ENCODED, strict=True))
    ]
    for case in chosen:
        if case.outcome == "503":
            worker.fail(*["put fails", "head works"] * 3)
        got, same = worker.fetch(case.method, case.path, case.headers, case.body), answer(case)
        if case.outcome == "503":
            assert (got.status, dict(got.headers)[b"retry-after"]) == (503, b"1")
            continue
        assert (got.status, got.body) == (same.status, same.body), case
        fields = {name: value for name, value in got.headers if name not in CARRIERS}
        assert fields == {n: v for n, v in same.headers if n not in CARRIERS}, case
        kept += {"ok": 2, "partial": 1}.get(case.outcome, 0)
    assert rows(worker, tmp_path) == kept


def test_a_body_beyond_the_limit_is_a_413(worker: WorkerRuntime) -> None:
    """Announced, chunked, and after decompression."""
    worker.restart({"OTLP2PARQUET_MAX_PAYLOAD_BYTES": "1000"})
    body = logs_request(50)
    assert post(worker, "/v1/logs", body) == 413
    chunk = b"%x\r\n%s\r\n" % (len(body), body)
    fields = (PROTOBUF, (b"transfer-encoding", b"chunked"))
    assert worker.fetch("POST", "/v1/logs", fields, chunk + b"0\r\n\r\n").status == 413
    assert worker.keys() == []


@pytest.mark.parametrize("level", [b"[", b'{"a":', b"[[],"], ids=["lists", "objects", "both"])
def test_json_of_any_depth_is_answered(level: bytes, worker: WorkerRuntime) -> None:
    """The stack of WebAssembly is small: neither Python's nor the engine's may overflow."""
    body = b'{"resourceLogs":' + level * 100_000
    assert post(worker, "/v1/logs", body, JSON) == 400
    assert post(worker, "/v1/logs", b'{"unknown":' + level * 100_000, JSON) == 400
    assert post(worker, "/v1/logs", logs_request(1)) == 200


def test_a_chunked_body_is_taken(worker: WorkerRuntime, tmp_path: Path) -> None:
    """Some exporters send nothing else."""
    body = logs_request(5)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (body[:100], body[100:]))
    fields = (PROTOBUF, (b"transfer-encoding", b"chunked"))
    assert worker.fetch("POST", "/v1/logs", fields, chunks + b"0\r\n\r\n").status == 200
    assert rows(worker, tmp_path) == 5


def test_a_lost_answer_of_r2_is_looked_up(worker: WorkerRuntime, tmp_path: Path) -> None:
    """By Miniflare's own etag and condition: stored once, acknowledged."""
    worker.fail("put lost", "head fails")
    assert post(worker, "/v1/logs", logs_request(5)) == 200
    assert rows(worker, tmp_path) == 5
    assert len(worker.keys()) == 1


def test_nothing_is_overwritten(worker: WorkerRuntime) -> None:
    """R2's condition holds under the real binding: a name that is taken keeps its content."""
    worker.order(
        "python",
        "import otlp2parquet.platforms.cloudflare_worker.application as application\n"
        "made = application.Application.__init__\n"
        "def fixed(self, *given):\n"
        "    made(self, *given, batch_id=lambda: '01980000-0000-7000-8000-000000000001')\n"
        "application.Application.__init__ = fixed\n",
    )
    assert post(worker, "/v1/logs", logs_request(3)) == 200
    (before,) = worker.keys()
    assert post(worker, "/v1/logs", logs_request(4)) == 503
    assert worker.keys() == [before]


def test_a_second_file_that_fails_takes_the_first_one_back(
    worker: WorkerRuntime, tmp_path: Path
) -> None:
    """And the sender's next attempt stores all rows once."""
    worker.fail("put works", "put works", *["put fails", "head works"] * 20)
    assert post(worker, "/v1/metrics", SIGNALS["metrics"]) == 503
    assert worker.keys() == []
    worker.fail()
    assert post(worker, "/v1/metrics", SIGNALS["metrics"]) == 200
    assert rows(worker, tmp_path) == 25


def test_killed_between_two_puts(worker: WorkerRuntime, tmp_path: Path) -> None:
    """Nobody was answered, what is there is whole, and the sender's next attempt has all rows.

    Rows of the first attempt are there twice, then: it had no time to take them back. A batch is
    told from another by its id.
    """
    worker.fail("put works", "put works", "put hangs")
    answered: list[int] = []

    def send() -> None:
        with suppress(OSError, HTTPException):
            answered.append(post(worker, "/v1/metrics", SIGNALS["metrics"]))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    wait_until(lambda: len(worker.keys()) >= 2, 30, lambda: worker.log)
    worker.restart()  # the isolate is gone, and with it whoever would have answered
    worker.order("drop")
    sender.join(30)
    assert answered == []
    worker.fail()
    left = len(worker.keys())
    assert post(worker, "/v1/metrics", SIGNALS["metrics"]) == 200
    batches: dict[bytes, int] = {}
    for path in worker.save(tmp_path):
        footer = pq.read_metadata(path)
        batch = footer.metadata[BATCH_ID_KEY.encode()]
        batches[batch] = batches.get(batch, 0) + footer.num_rows
    assert max(batches.values()) == 25
    assert sum(batches.values()) == 25 + 5 * left


def test_a_token_closes_the_endpoint(worker: WorkerRuntime) -> None:
    """In both of the places where exporters can put it; health stays open."""
    worker.restart({"OTLP2PARQUET_SERVER_AUTH_TOKENS": "one,two"})
    assert post(worker, "/v1/logs", b"") == 401
    assert post(worker, "/v1/logs", b"", PROTOBUF, (b"authorization", b"Bearer two")) == 200
    assert post(worker, "/v1/logs", b"", PROTOBUF, (b"x-api-key", b"one")) == 200
    assert worker.fetch("GET", "/health").status == 200


def test_an_open_endpoint_is_told_in_the_log(worker: WorkerRuntime) -> None:
    """Lines are JSON objects, each with a time, a level and a message."""
    assert post(worker, "/v1/logs", logs_request(2)) == 200
    said = {line["level"]: line for line in worker.lines()}
    assert "open to everybody" in said["warning"]["message"]
    assert said["info"]["rows"] == 2
    assert {"time", "level", "logger", "message"} <= said["info"].keys()


@pytest.mark.parametrize("trouble", ["binding", "catalog"])
def test_a_wrong_configuration_says_so(trouble: str, worker: WorkerRuntime) -> None:
    """At /health and in the log; senders keep what they have."""
    variables = {"OTLP2PARQUET_CATALOG_TYPE": "glue"} if trouble == "catalog" else {}
    worker.restart(variables, bucket=trouble != "binding")
    health = worker.fetch("GET", "/health")
    assert health.status == 503
    named = {"binding": "OTLP_BUCKET", "catalog": "OTLP2PARQUET_CATALOG_TYPE"}[trouble]
    assert named in json.loads(health.body)["error"]
    assert post(worker, "/v1/logs", logs_request(1)) == 503
    assert any(named in line["message"] for line in worker.lines() if line["level"] == "error")
    assert worker.keys() == []


def test_the_cron_trigger_finds_nothing_to_do(worker: WorkerRuntime) -> None:
    """Without a catalog nothing is ever left to be finished."""
    worker.scheduled()
    assert "nothing to reconcile" in worker.lines()[-1]["message"]


def test_the_official_exporter_sends_to_it(worker: WorkerRuntime, tmp_path: Path) -> None:
    """Of the Python SDK; compressed, too."""
    provider = TracerProvider()
    for compression in (Compression.NoCompression, Compression.Gzip):
        # The default of 10 s is for servers; who gives up and sends again sends twice.
        exporter = OTLPSpanExporter(
            f"{worker.endpoint}/v1/traces", compression=compression, timeout=300
        )
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    for number in range(3):
        tracer.start_span(f"span {number}").end()
    provider.shutdown()
    assert rows(worker, tmp_path) == 2 * 3


def test_wrangler_takes_the_folder(
    folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A dry run of a deployment: the configuration is right, all modules are found."""
    if not request.config.getoption("--worker"):
        pytest.skip("wrangler takes its time to start: --worker")
    done = wrangler(["deploy", "--dry-run", "--outdir", tmp_path], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OTLP_BUCKET" in done.stdout
    assert "WARNING" not in done.stdout + done.stderr
