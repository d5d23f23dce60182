"""Refusals and rejections reach the server's log, and cannot flood it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.config import AuthConfig, ServerConfig
from otlp2parquet.platforms import logs
from otlp2parquet.platforms.refusals import MAX_PAIRS, OTHERS, PERIOD_SECS, Refusals
from otlp2parquet.platforms.server.front_door import front_door
from tests.support.asgi_bench import PROTOBUF, Bench, ask, logs_request, parts_of
from tests.support.doubles import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otlp2parquet.platforms.server.asgi import Asgi


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An application with the default limits, but small bodies."""
    with Bench() as made:
        yield made


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of the warnings about refusals; they are forgotten then."""
    found = [
        vars(record)["fields"] | {"text": record.message}
        for record in caplog.records
        if record.name.endswith(".refusals")
    ]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    caplog.clear()
    return found


def ask_from(bench: Bench, client: str, *args: Any, app: Asgi | None = None, **options: Any) -> int:
    """One request from an address; its status."""

    async def from_client(scope: Any, receive: Any, send: Any) -> None:
        await (app or bench.app)({**scope, "client": (client, 4711)}, receive, send)

    return asyncio.run(ask(from_client, *args, **options)).status


def test_a_minute_has_one_line_for_a_client_and_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    """The first at once, the others together, and nothing when there are none."""
    clock = Clock()
    refusals = Refusals(clock)

    def add(client: str, reason: str, message: str = "why") -> None:
        refusals.add(client, reason, message, path="/v1/logs", content_type="application/json")

    add("a", "bad data", "first")
    (line,) = lines(caplog)
    assert line == {
        "text": "requests refused",
        "client": "a",
        "reason": "bad data",
        "count": 1,
        "path": "/v1/logs",
        "content_type": "application/json",
        "answer": "first",
    }
    for number in range(5):
        add("a", "bad data", f"again {number}")
    assert lines(caplog) == []
    add("b", "bad data")
    add("a", "memory")
    assert [(line["client"], line["reason"]) for line in lines(caplog)] == [
        ("b", "bad data"),
        ("a", "memory"),
    ]
    clock.now += PERIOD_SECS - 1
    refusals.tick()
    assert lines(caplog) == []
    clock.now += 1
    refusals.tick()
    (line,) = lines(caplog)
    assert (line["client"], line["count"], line["answer"]) == ("a", 5, "again 4")
    add("a", "bad data")  # within its next minute
    add("b", "bad data")  # a minute without one is over, so it is a first again
    (line,) = lines(caplog)
    assert (line["client"], line["count"]) == ("b", 1)
    clock.now += PERIOD_SECS
    refusals.tick()
    assert [(line["client"], line["count"]) for line in lines(caplog)] == [("a", 1)]
    clock.now += PERIOD_SECS
    refusals.tick()
    assert lines(caplog) == []


def test_the_end_leaves_nothing_unsaid(caplog: pytest.LogCaptureFixture) -> None:
    """What came together is logged also when the minute does not end any more."""
    refusals = Refusals(Clock())
    for _ in range(3):
        refusals.add("a", "log", "why", path="/v1/logs", content_type="")
    lines(caplog)
    refusals.tick(everything=True)
    assert [line["count"] for line in lines(caplog)] == [2]


def test_many_addresses_fill_neither_memory_nor_log(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond a bound clients count as one."""
    clock = Clock()
    refusals = Refusals(clock)
    for number in range(10 * MAX_PAIRS):
        refusals.add(f"client {number}", "bad data", "x" * 9_999, path="/" * 9_999, content_type="")
    found = lines(caplog)
    assert len(found) == MAX_PAIRS + 1
    assert found[-1]["client"] == OTHERS
    assert all(len(line["path"]) == 100 and len(line["answer"]) == 500 for line in found)
    clock.now += PERIOD_SECS
    refusals.tick()
    (line,) = lines(caplog)
    assert (line["client"], line["count"]) == (OTHERS, 9 * MAX_PAIRS - 1)


SECRET = b"hush-hush"


def test_every_refusal_is_logged_as_it_was_answered(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """By its head, by its body, by the server's state; never with a byte of the payload."""
    payload = logs_request(1, SECRET.decode())
    cases: list[tuple[str, dict[str, Any], bytes]] = [
        ("unknown path", {"path": "/other"}, payload),
        ("not a POST", {"method": "PUT"}, payload),
        ("unsupported", {"headers": [(b"content-type", b"text/plain")]}, payload),
        ("too large", {"headers": [PROTOBUF, (b"content-length", b"999999999")]}, payload),
        ("bad data", {}, payload + b"\x0a\x7f" + SECRET),
        ("cut body", {"headers": [PROTOBUF, (b"content-length", b"99999")]}, payload),
    ]
    for reason, options, body in cases:
        status = ask_from(bench, "203.0.113.9", parts_of(body), **options)
        assert status >= 400
        (line,) = lines(caplog)
        assert (line["client"], line["reason"], line["count"]) == ("203.0.113.9", reason, 1)
        assert line["answer"]
        assert line["path"] == options.get("path", "/v1/logs")
        assert SECRET.decode() not in str(line)
    bench.budget.take(bench.budget.limit)
    assert ask_from(bench, "::1", parts_of(payload)) == 503
    bench.budget.give(bench.budget.limit)
    (line,) = lines(caplog)
    assert (line["client"], line["reason"]) == ("::1", "memory")
    assert bench.app.exports.counts.refused == {"cut body": 1, "memory": 1}


def test_who_shows_no_token_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Also what is turned away at the door; not what was shown there."""
    config = ServerConfig(auth=AuthConfig(tokens=("right",)))
    door = front_door(bench.app, config, bench.app.report_response)
    headers = [PROTOBUF, (b"x-api-key", SECRET)]
    assert ask_from(bench, "10.0.0.1", parts_of(b""), app=door, headers=headers) == 401
    (line,) = lines(caplog)
    assert (line["client"], line["reason"]) == ("10.0.0.1", "unauthenticated")
    assert SECRET.decode() not in str(line)
    assert bench.app.exports.counts.answers == {("", "401"): 1}


def test_rejected_records_are_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A 200 with a part missing looks like a success to most senders."""
    assert ask_from(bench, "a", parts_of(logs_request(3, attributes=10_001))) == 200
    (line,) = lines(caplog)
    assert (line["text"], line["reason"], line["records"], line["count"]) == (
        "records rejected",
        "rejected records",
        1,
        1,
    )
    assert "10000" in line["answer"]


def test_a_success_is_not_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Neither rows nor an empty request, nor mended text beside rows."""
    mended = logs_request(1, "caf\N{LATIN SMALL LETTER E WITH ACUTE}").replace(
        b"\xc3\xa9", b"\xff\xff"
    )
    for payload in (logs_request(1), b"", mended):
        assert ask_from(bench, "a", parts_of(payload)) == 200
    assert lines(caplog) == []


def test_a_senders_text_cannot_forge_a_line() -> None:
    """A path may hold line ends and what moves a terminal's cursor: it is quoted."""
    record = logging.LogRecord("x", logging.WARNING, "", 0, "requests refused", (), None)
    hostile = "/v1/\x1b[2J\x9b\u2028\n2026 INFO all=well"
    record.fields = {"path": hostile, "plain": "/v1/caf\N{LATIN SMALL LETTER E WITH ACUTE}"}
    line = logs.TextFormatter().format(record)
    assert line.isprintable()
    assert r'path="/v1/\u001b[2J\u009b\u2028\n2026 INFO all=well"' in line
    assert line.endswith("plain=/v1/caf\N{LATIN SMALL LETTER E WITH ACUTE}")
