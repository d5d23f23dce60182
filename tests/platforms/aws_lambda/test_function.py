"""A function over a folder: what is answered, kept, counted and told."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.errors import StorageUnavailableError
from otlp2parquet.stores import LocalStore
from tests.support.lambda_bench import PROTOBUF, FunctionBench
from tests.support.lambda_events import FORMS, SCHEDULED, function_url, response_of
from tests.support.requests import logs_request, metrics_request, traces_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_EVENT_BYTES = 6 * 1024 * 1024
"""What Lambda takes as the event of a request that waits for its answer."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FunctionBench]:
    """A function that writes into a folder."""
    with FunctionBench(tmp_path) as made:
        yield made


def test_what_is_acknowledged_is_stored(bench: FunctionBench) -> None:
    """Of every signal, before the answer; each request is a batch of its own."""
    assert bench.post(logs_request(10)).status == 200
    assert bench.rows == 10
    assert bench.post(traces_request(7), "traces").status == 200
    assert bench.rows == 17
    assert bench.post(metrics_request(5), "metrics").status == 200
    assert bench.rows == 17 + 5 * 5
    assert bench.assembly.counts.batches_closed == {"request": 3}
    assert bench.assembly.budget.used == 0


@pytest.mark.parametrize("form", FORMS)
def test_health(form: str, bench: FunctionBench) -> None:
    """What a load balancer asks for; nothing is looked at for it, and nobody may change it."""
    got = response_of(bench.handle(FORMS[form]("GET", "/health", [], b"")))
    assert (got.status, json.loads(got.body)) == (200, {"status": "ok"})
    head = bench.handle(FORMS[form]("HEAD", "/health", [], b""))
    assert (head["statusCode"], head["body"]) == (200, "")
    assert response_of(bench.handle(FORMS[form]("POST", "/health", [], b""))).status == 405


def test_the_largest_event_is_taken(bench: FunctionBench) -> None:
    """A body that makes an event of just 6 MB; larger ones Lambda refuses by itself."""
    event = function_url("POST", "/v1/logs", PROTOBUF, b"x")
    room = (MOST_EVENT_BYTES - len(json.dumps(event)) + len(event["body"])) // 4 * 3
    blob = "x" * (room - len(logs_request(1, blob="x" * 100_000)) + 100_000 - 6)
    while len(logs_request(1, blob=blob)) < room:
        blob += "x" * (room - len(logs_request(1, blob=blob)))
    body = logs_request(1, blob=blob[: len(blob) - (len(logs_request(1, blob=blob)) - room)])
    event = function_url("POST", "/v1/logs", PROTOBUF, body)
    assert MOST_EVENT_BYTES - 8 <= len(json.dumps(event)) <= MOST_EVENT_BYTES
    assert response_of(bench.handle(event)).status == 200
    assert bench.rows == 1


def test_what_inflates_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """However small it came: the limit holds for what a request becomes."""
    packed = [*PROTOBUF, (b"content-encoding", b"gzip")]
    body = logs_request(1, blob="x" * (7 << 20))
    with FunctionBench(tmp_path, {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256"}) as bench:
        event = function_url("POST", "/v1/logs", packed, gzip.compress(body))
        assert response_of(bench.handle(event)).status == 413
        event = function_url("POST", "/v1/logs", PROTOBUF, body)
        assert response_of(bench.handle(event)).status == 413
        assert bench.rows == 0
    with FunctionBench(tmp_path, {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}) as bench:
        event = function_url("POST", "/v1/logs", packed, gzip.compress(body))
        assert response_of(bench.handle(event)).status == 200


def test_a_body_that_is_shorter_than_announced_is_no_success(bench: FunctionBench) -> None:
    """Cut at the right place it looks valid; that it is longer means that somebody inflated it."""
    body = logs_request(2)
    for length, status in ((len(body) + 1, 503), (len(body), 200), (3, 200)):
        headers = [*PROTOBUF, (b"content-length", b"%d" % length)]
        event = function_url("POST", "/v1/logs", headers, body)
        assert response_of(bench.handle(event)).status == status


def test_bytes_that_came_as_text_are_sent_again(bench: FunctionBench) -> None:
    """Until the API is set right: the data stays with its sender."""
    event = function_url("POST", "/v1/logs", PROTOBUF, b"x")
    event |= {"body": "\N{REPLACEMENT CHARACTER}", "isBase64Encoded": False}
    got = response_of(bench.handle(event))
    assert got.status == 503
    assert b"binary" in got.body


def test_a_storage_that_fails_is_a_503_and_leaves_nothing(
    bench: FunctionBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five files the last one fails: the others are taken back before the answer."""
    create = LocalStore.create
    made = 0

    def fail(self: LocalStore, path: str, fill: Any) -> int:
        nonlocal made
        made += 1
        if made == 5:
            raise StorageUnavailableError("the disk is full")
        return create(self, path, fill)

    monkeypatch.setattr(LocalStore, "create", fail)
    got = bench.post(metrics_request(3), "metrics")
    assert got.status == 503
    assert dict(got.headers)[b"retry-after"] == b"1"
    assert bench.rows == 0
    assert bench.post(metrics_request(3), "metrics").status == 200
    assert bench.rows == 15


def test_a_storage_that_hangs_is_a_503_in_time(
    bench: FunctionBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before AWS ends the invocation, whose time is known."""
    hangs = threading.Event()
    create = LocalStore.create

    def hang(self: LocalStore, path: str, fill: Any) -> int:
        hangs.wait()
        return create(self, path, fill)

    monkeypatch.setattr(LocalStore, "create", hang)
    got = bench.post(logs_request(3), remaining_ms=1200)
    hangs.set()
    assert got.status == 503


def test_a_defect_is_a_503(bench: FunctionBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of what carries events would make a 500 of an error, and clients throw data away."""

    def defect(*_: Any, **__: Any) -> None:
        raise KeyError("something")

    monkeypatch.setattr("otlp2parquet.platforms.aws_lambda.function.read_head", defect)
    assert bench.post(logs_request(1)).status == 503


def test_counts_are_lines_of_metrics(bench: FunctionBench) -> None:
    """One line a request that CloudWatch reads as metrics: every value is declared, with a unit."""
    body = logs_request(4)
    bench.post(body)
    bench.post(b"\x0a\x7f")
    good, bad = bench.metrics
    assert (good["accepted_records"], good["received_bytes"]) == (4, len(body))
    assert (good["requests"], good["refused_requests"]) == (1, 0)
    assert (bad["requests"], bad["refused_requests"], bad["accepted_records"]) == (1, 1, 0)
    declared = good["_aws"]["CloudWatchMetrics"][0]
    assert {one["Name"] for one in declared["Metrics"]} <= good.keys()
    assert declared["Dimensions"] == [["function", "signal"]]
    assert (good["function"], good["signal"]) == ("bench", "logs")


def test_refusals_are_told_once_a_minute(
    bench: FunctionBench, caplog: pytest.LogCaptureFixture
) -> None:
    """With the client's address and the words that it got."""
    with caplog.at_level(logging.WARNING, logger="otlp2parquet"):
        for _ in range(3):
            bench.post(b"\x0a\x7f")
    (record,) = caplog.records
    fields: Any = record.__dict__["fields"]
    assert fields["client"] == "192.0.2.7"
    assert fields["reason"] == "bad data"


def test_there_is_nothing_to_reconcile_without_a_catalog(bench: FunctionBench) -> None:
    """A schedule that is there all the same does no harm; there are two services for them."""
    assert bench.handle(SCHEDULED) == {"is_complete": True}
    assert bench.handle({**SCHEDULED, "source": "aws.scheduler"}) == {"is_complete": True}


PROGRAM = """
import json, os, sys
os.environ["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:1"
import otlp2parquet.platforms.aws_lambda as function
assert function._functions, "put together when it is loaded"
print(json.dumps(function.handler(json.load(sys.stdin))))
"""


def test_the_handler_is_put_together_when_it_is_loaded(tmp_path: Path) -> None:
    """In AWS's runtime; the name of the handler is the documented one."""
    event = function_url("POST", "/v1/logs", PROTOBUF, logs_request(3))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(event),
        env={
            "PATH": "",
            "PYTHONPATH": ":".join(sys.path),
            "OTLP2PARQUET_STORAGE_PATH": str(tmp_path / "data"),
            "OTLP2PARQUET_DURABILITY_PATH": str(tmp_path / "log"),
            "AWS_LAMBDA_FUNCTION_NAME": "telemetry",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metrics, result = (json.loads(line) for line in done.stdout.splitlines())
    assert result["statusCode"] == 200
    assert base64.b64decode(result["body"]) == b""
    assert metrics["function"] == "telemetry"
    logged = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["message"] for line in logged} >= {"batch stored"}
