"""The ASGI application, driven event by event without a socket."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceResponse,
)

from otlp2parquet.config import BatchConfig
from otlp2parquet.platforms.export import (
    INFLATE_ESTIMATE,
    INLINE_BYTES,
    INLINE_COMPRESSED_BYTES,
)
from otlp2parquet.platforms.server import application, asgi
from otlp2parquet.platforms.server.asgi import DRAIN_BYTES
from otlp2parquet.platforms.server.body import GRACE_SECS, MIN_BYTES_PER_SEC
from tests.support.asgi_bench import (
    DISCONNECT,
    GZIP,
    LIMIT,
    PROTOBUF,
    Answer,
    Bench,
    ask,
    logs_request,
    parts_of,
    with_length,
)
from tests.support.batches_bench import shards_of
from tests.support.doubles import Recorder
from tests.support.encoded import zstd_zeros
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An application with the default limits, but small bodies."""
    with Bench() as made:
        yield made


def regimes(payload: bytes) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The same bytes as servers may deliver them."""
    single = [bytes([byte]) for byte in payload]
    half = len(payload) // 2
    yield "one event", parts_of(payload)
    yield "byte by byte", parts_of(*single)
    yield "end in an event of its own", parts_of(payload, b"")
    yield "empty events between", parts_of(b"", payload[:half], b"", payload[half:], b"")
    yield "without more_body", [{"type": "http.request", "body": payload}]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("announced", [False, True])
def test_a_body_is_the_same_however_it_is_delivered(
    bench: Bench,
    *,
    compressed: bool,
    announced: bool,
) -> None:
    """One chunk, byte by byte, with and without a length, gzip or not: the same rows."""
    payload = logs_request(3)
    sent = gzip.compress(payload) if compressed else payload
    extra = [GZIP] if compressed else []
    headers = with_length(sent, *extra) if announced else [PROTOBUF, *extra]
    rows = 0
    for name, events in regimes(sent):
        answer = bench.ask(events, headers=headers)
        rows += 3
        assert (name, answer.status, answer.body, bench.rows) == (name, 200, b"", rows)
    assert bench.nothing_held


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_split_of_a_body_is_the_same_body(data: st.DataObject) -> None:
    """Whatever the boundaries between the events."""
    payload = logs_request(4)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(payload)), max_size=6)))
    bounds = [0, *cuts, len(payload)]
    parts = [payload[a:b] for a, b in itertools.pairwise(bounds)]
    with Bench() as bench:
        assert bench.ask(parts_of(*parts)).status == 200
        assert bench.rows == 4


@pytest.mark.parametrize("announced", [False, True])
def test_a_cut_body_is_never_a_success(
    bench: Bench,
    *,
    announced: bool,
) -> None:
    """The client leaves at every chunk in turn: no 200, no row, no memory kept.

    The cut at 0 bytes, and the one between two messages, would be valid bodies by themselves.
    """
    one = logs_request(1)
    parts = [one, *(bytes([byte]) for byte in logs_request(2))]
    headers = with_length(b"".join(parts)) if announced else [PROTOBUF]
    for count in range(len(parts)):
        events = [*parts_of(*parts[:count], end=False), DISCONNECT] if count else [DISCONNECT]
        answer = bench.ask(events, headers=headers)
        assert answer.status == 503
        assert b"retry-after" in answer.headers
    assert bench.rows == 0
    assert bench.nothing_held


def test_a_request_that_the_loop_takes_down_with_it_is_no_error(bench: Bench) -> None:
    """Only our own giving up is an answer; Granian would log a traceback for any other."""

    async def scenario() -> None:
        async def never() -> dict[str, Any]:
            await asyncio.Event().wait()
            return DISCONNECT

        async def send(_: object) -> None:
            pytest.fail("nobody is there to be answered")

        scope = {"type": "http", "method": "POST", "path": "/v1/logs", "headers": [PROTOBUF]}
        task = asyncio.create_task(bench.app(scope, never, send))
        while not len(bench.app.bodies):  # noqa: ASYNC110 - the task runs on this very loop
            await asyncio.sleep(0)
        task.cancel()
        await task

    asyncio.run(scenario())
    assert bench.nothing_held
    assert not len(bench.app.bodies)


def test_a_body_shorter_or_longer_than_announced_is_no_success(bench: Bench) -> None:
    """Also when a server says that it was complete."""
    payload = logs_request(1)
    for wrong in (payload + b"x", payload[:-1], b""):
        answer = bench.ask(parts_of(payload), headers=with_length(wrong))
        assert answer.status == 503
    assert bench.rows == 0
    assert bench.nothing_held


def test_a_body_over_the_limit_is_refused_unread_if_announced(bench: Bench) -> None:
    """413 before a single event is received."""
    answer = bench.ask(parts_of(b"x" * 10), headers=with_length(b"x" * (LIMIT + 1)))
    assert (answer.status, answer.received_before) == (413, 0)
    assert answer.headers[b"connection"] == b"close"


def test_a_chunked_body_over_the_limit_is_refused_on_the_way(bench: Bench) -> None:
    """Reading stops at the chunk that crosses the limit, and little more is taken in."""
    endless = parts_of(*[b"x" * 50_000] * 200, end=False)
    answer = bench.ask(endless)
    assert (answer.status, answer.received_before) == (413, LIMIT // 50_000 + 1)
    assert answer.received - answer.received_before <= DRAIN_BYTES // 50_000 + 2
    assert bench.nothing_held


def test_the_limit_itself_is_allowed(bench: Bench) -> None:
    """The bound is inclusive."""
    payload = logs_request(1, "x" * (LIMIT - 200))
    payload = logs_request(1, "x" * (LIMIT - 200 + LIMIT - len(payload)))
    assert len(payload) == LIMIT
    assert bench.ask(parts_of(payload[:7], payload[7:])).status == 200


def test_a_bomb_is_refused_by_its_inflated_size(bench: Bench) -> None:
    """The limit holds after decompression too."""
    bomb = gzip.compress(logs_request(1, "x" * (LIMIT + 1)))
    assert len(bomb) < 2000
    assert bench.ask(parts_of(bomb), headers=with_length(bomb, GZIP)).status == 413
    assert bench.rows == 0
    assert bench.nothing_held


def test_without_memory_the_body_is_not_read() -> None:
    """503 with Retry-After comes before the first event is received."""
    with Bench(memory_bytes=1000) as bench:
        payload = logs_request(60)
        assert len(payload) > 1000
        bench.budget.take(1)  # an idle server takes whatever the limits allow
        for headers in (with_length(payload), with_length(payload, GZIP)):
            answer = bench.ask(parts_of(payload), headers=headers)
            assert (answer.status, answer.received_before) == (503, 0)
            assert 1 <= int(answer.headers[b"retry-after"]) <= 3
        bench.budget.take(999)
        answer = bench.ask(parts_of(payload))
        assert (answer.status, answer.received_before) == (503, 0)
        assert bench.budget.used == 1000


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("announced", [False, True])
def test_an_idle_server_takes_any_request_that_the_settings_accept(
    *, compressed: bool, announced: bool
) -> None:
    """However small the budget is: a retry would find the server no idler than this."""
    payload = logs_request(1, "x" * (LIMIT - 100))
    sent = gzip.compress(payload, 0) if compressed else payload
    assert len(sent) <= LIMIT
    extra = [GZIP] if compressed else []
    headers = with_length(sent, *extra) if announced else [PROTOBUF, *extra]
    with Bench(memory_bytes=1) as bench:
        for _ in range(3):
            parts = parts_of(sent[:1000], sent[1000:])
            if bench.ask(parts, headers=headers).status == 503:
                wait_for(lambda: bench.budget.used == 0)
                assert bench.ask(parts_of(sent), headers=headers).status == 200


def test_a_chunked_body_is_admitted_as_it_grows() -> None:
    """It is refused at the chunk for which there is no memory."""
    with Bench(memory_bytes=1000) as bench:
        bench.budget.take(1)
        answer = bench.ask(parts_of(*[b"x" * 300] * 9))
        assert (answer.status, answer.received_before) == (503, 4)
        assert bench.budget.used == 1


def test_a_compressed_body_is_budgeted_with_its_inflated_form() -> None:
    """A small gzip body that will be large does not slip in."""
    payload = gzip.compress(logs_request(1, "x" * 3000), 0)
    headers = with_length(payload, GZIP)
    needed = len(payload) * (1 + INFLATE_ESTIMATE)
    for room, used, status in ((needed, 1, 503), (needed + 1, 1, 200), (1000, 0, 200)):
        with Bench(memory_bytes=room) as bench:
            bench.budget.take(used)
            assert bench.ask(parts_of(payload), headers=headers).status == status


def test_memory_of_the_open_batch_is_relieved_by_a_refusal() -> None:
    """Refusing closes the batch that holds the memory, so that the retry gets in."""
    with Bench(memory_bytes=60_000) as bench:
        payload = logs_request(100)
        headers = with_length(payload)
        answers = [bench.ask(parts_of(payload), headers=headers).status]
        while answers[-1] == 200:
            answers.append(bench.ask(parts_of(payload), headers=headers).status)
        assert answers[-1] == 503
        acknowledged = 100 * (len(answers) - 1)
        assert acknowledged > 0
        wait_for(lambda: bench.writer.rows == acknowledged and bench.budget.used == 0)
        assert bench.ask(parts_of(payload), headers=headers).status == 200


@pytest.mark.parametrize(
    ("payload", "headers", "status"),
    [
        (b"\xff\xff", [], 400),
        (b"not gzip", [GZIP], 400),
        (b"", [], 200),
        (b"", [GZIP], 200),
        (b"x", [(b"content-encoding", b"zstd")], 400),
        (b"x", [(b"content-encoding", b"deflate")], 400),
        (b"x", [(b"content-encoding", b"br")], 415),
    ],
)
def test_the_answers_to_bodies(
    bench: Bench, payload: bytes, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    """Protobuf bodies, and their codes; a Status or nothing comes back as protobuf."""
    answer = bench.ask(parts_of(payload), headers=with_length(payload, *headers))
    assert answer.status == status
    assert answer.headers[b"content-type"] == b"application/x-protobuf"
    assert (answer.body == b"") == (status == 200)
    assert bench.nothing_held


@pytest.mark.parametrize(
    ("media_type", "payload", "status"),
    [
        (b"application/json", b"{}", 200),
        (b"application/json", b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}', 200),
        (b"application/json; charset=utf-8", b" {} ", 200),
        (b"application/x-ndjson", b"{}\n", 200),
        (b"application/jsonl", b"{}\n\n{}", 200),
        (b"application/json", b"{}{}", 400),
        (b"application/json", b"[]", 400),
        (b"application/x-ndjson", b"{}\n{", 400),
        (b"application/json", b"", 400),
        (b"application/x-ndjson", b"", 200),
        (b"text/plain", b"x", 415),
    ],
)
def test_json_is_answered_in_json(
    bench: Bench, media_type: bytes, payload: bytes, status: int
) -> None:
    """A success, and every trouble."""
    answer = bench.ask(parts_of(payload), headers=[(b"content-type", media_type)])
    assert answer.status == status
    assert answer.headers[b"content-type"] == b"application/json"
    assert isinstance(json.loads(answer.body), dict)


def test_bad_records_are_a_partial_success(bench: Bench) -> None:
    """The good ones are kept, the bad ones counted and explained."""
    payload = logs_request(3, attributes=10_001)
    answer = bench.ask(parts_of(payload), headers=with_length(payload))
    assert answer.status == 200
    response: Any = ExportLogsServiceResponse()
    response.ParseFromString(answer.body)
    assert response.partial_success.rejected_log_records == 1
    assert response.partial_success.error_message
    assert bench.rows == 2


def test_bad_records_in_json_are_a_partial_success(bench: Bench) -> None:
    """The good ones are kept, the bad ones counted and explained, without a word of theirs."""
    records = '{"body":{"stringValue":"kept"}},{"body":{"stringValue":17}},{"flags":"secret"}'
    payload = f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}'.encode()
    answer = bench.ask(parts_of(payload), headers=[(b"content-type", b"application/json")])
    assert answer.status == 200
    partial = json.loads(answer.body)["partialSuccess"]
    assert int(partial["rejectedLogRecords"]) == 2
    assert "logRecords[2].flags" in partial["errorMessage"]
    assert "secret" not in partial["errorMessage"]
    assert bench.rows == 1


def test_json_that_is_none_names_its_place(bench: Bench) -> None:
    """Offset and field path, never the text itself."""
    payload = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":secret}]}]}]}'
    answer = bench.ask(parts_of(payload), headers=[(b"content-type", b"application/json")])
    message = json.loads(answer.body)["message"]
    assert answer.status == 400
    assert "at byte 54, in resourceLogs[0].scopeLogs[0].logRecords[0].body" in message
    assert "secret" not in message
    assert bench.nothing_held


@pytest.mark.parametrize("path", ["/v1/logs/", "/v1/traces", "/v1/metrics/"])
def test_paths_with_a_slash(bench: Bench, path: str) -> None:
    """All three signals, with and without it."""
    assert bench.ask(parts_of(b""), path=path).status == 200


@pytest.mark.parametrize(("version", "closes"), [("1.0", True), ("1.1", True), ("2", False)])
def test_a_refusal_closes_the_connection_on_http_1_only(
    bench: Bench, version: str, *, closes: bool
) -> None:
    """HTTP/2 forbids the header, and one stream must not end the others."""
    answer = bench.ask(parts_of(b"x"), path="/other", http_version=version)
    assert answer.status == 404
    assert (b"connection" in answer.headers) == closes


def test_a_refused_body_that_never_ends_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Draining it is bounded in time as well."""
    monkeypatch.setattr(asgi, "DRAIN_SECS", 0.01)

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        return DISCONNECT

    assert bench.ask(path="/other", then=never).status == 404


def test_an_unforeseen_error_is_a_503_and_is_logged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A 500 would make the client drop its data."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("hush")

    monkeypatch.setattr(bench.ingest, "append", broken)
    answer = bench.ask(parts_of(b"x"))
    assert answer.status == 503
    assert b"hush" not in answer.body
    assert any(record.exc_info for record in caplog.records)
    assert bench.nothing_held


def test_after_the_drain_a_request_is_a_503(bench: Bench) -> None:
    """A late request is not acknowledged, and not lost either: its client tries again."""
    assert bench.ingest.drain(10)
    answer = bench.ask(parts_of(logs_request(1)))
    assert answer.status == 503
    assert b"retry-after" in answer.headers


# -- slow bodies ---------------------------------------------------------------------------


async def start_reading(bench: Bench, events: list[dict[str, Any]]) -> asyncio.Task[Answer]:
    """A request whose body does not go on after ``events``."""

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        return DISCONNECT

    async def asking() -> Answer:
        answer = await ask(bench.app, events, then=never)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0, "the server would take the request for cancelled"
        return answer

    task = asyncio.create_task(asking())
    while not len(bench.app.bodies):  # noqa: ASYNC110 - the task runs on this very loop
        await asyncio.sleep(0)
    for _ in range(len(events) + 1):
        await asyncio.sleep(0)
    return task


def test_a_body_that_is_too_slow_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets a grace and a minimum rate; then a 503, and its memory is free."""
    monkeypatch.setattr(asgi, "DRAIN_SECS", 0.01)

    async def scenario() -> Answer:
        received = 2 * MIN_BYTES_PER_SEC
        task = await start_reading(bench, parts_of(b"x" * received, end=False))
        assert bench.budget.used == received
        bench.clock.now += GRACE_SECS + 2
        bench.app.bodies.expire()
        await asyncio.sleep(0)
        assert not task.done()
        bench.clock.now += 0.001
        bench.app.bodies.expire()
        return await task

    answer = asyncio.run(scenario())
    assert answer.status == 503
    assert b"retry-after" in answer.headers
    assert bench.nothing_held
    assert not len(bench.app.bodies)


def test_at_the_end_all_bodies_are_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stops does not wait for clients that send nothing."""
    monkeypatch.setattr(asgi, "DRAIN_SECS", 0.01)

    async def scenario() -> Answer:
        task = await start_reading(bench, [])
        bench.app.bodies.expire(everything=True)
        return await task

    assert asyncio.run(scenario()).status == 503


# -- threads -------------------------------------------------------------------------------


def stored(size: int) -> bytes:
    """A gzip body of ``size`` bytes that is hardly larger inside: deflate's stored blocks."""
    body = gzip.compress(bytes(size - 23), 0)
    assert len(body) == size
    return body


SMALL_AND_LARGE: dict[str, tuple[str, bytes, bool]] = {
    "plain, at the bound": ("identity", b"x" * INLINE_BYTES, True),
    "plain, over it": ("identity", b"x" * (INLINE_BYTES + 1), False),
    "compressed, at the bound": ("gzip", stored(INLINE_COMPRESSED_BYTES), True),
    "compressed, over it": ("gzip", stored(INLINE_COMPRESSED_BYTES + 1), False),
    "inflates to the bound": ("gzip", gzip.compress(bytes(INLINE_BYTES)), True),
    "inflates to more": ("gzip", gzip.compress(bytes(INLINE_BYTES + 1)), False),
    "says that it is small": ("gzip", gzip.compress(bytes(1 << 22)) + gzip.compress(b""), False),
    "a small bomb": ("zstd", zstd_zeros(500), False),
    "broken": ("deflate", b"no zlib", False),
}


@pytest.mark.parametrize("case", SMALL_AND_LARGE)
def test_small_bodies_are_decoded_inline_and_large_ones_in_the_pool(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """The loop is not held up by large bodies, nor slowed by a hand-over of small ones.

    Large is also what is small on the wire: two kilobytes of gzip can be a million records.
    """
    encoding, body, inline = SMALL_AND_LARGE[case]
    threads: list[str] = []
    real = bench.ingest.append

    def append(*args: Any, **kwargs: Any) -> Any:
        threads.append(threading.current_thread().name)
        return real(b"", *args[1:], **kwargs | {"content_encoding": None})

    monkeypatch.setattr(bench.ingest, "append", append)
    headers = [PROTOBUF, (b"content-encoding", encoding.encode())]
    assert bench.ask(parts_of(body), headers=headers).status == 200
    (thread,) = threads
    assert (thread == threading.current_thread().name) == inline
    assert thread.startswith("otlp2parquet-decode") != inline


def test_a_small_body_goes_to_the_pool_when_all_shards_are_busy(bench: Bench) -> None:
    """The event loop does not wait for another thread's decode: it serves others meanwhile."""
    bench.ask(parts_of(logs_request(1)))
    shards = shards_of(bench.ingest)

    async def scenario() -> tuple[Answer, Answer]:
        for shard in shards:
            shard.lock.acquire()
        waiting = asyncio.create_task(ask(bench.app, parts_of(logs_request(5))))
        health = await ask(bench.app, path="/health", method="GET")
        assert not waiting.done()
        for shard in shards:
            shard.lock.release()
        return await waiting, health

    answer, health = asyncio.run(scenario())
    assert (answer.status, health.status) == (200, 200)
    assert bench.rows == 6


def test_a_body_that_nobody_waits_for_any_more_is_not_appended(bench: Bench) -> None:
    """Its room in the budget went with the task: a queue of such bodies would be memory unseen."""
    entered, release = threading.Semaphore(0), threading.Event()
    pool = bench.app.exports._pool  # noqa: SLF001 - to hold its threads as decodes that take long

    def decode() -> None:
        entered.release()
        release.wait()

    async def scenario() -> None:
        for _ in range(2):
            pool.submit(decode)
            entered.acquire()
        task = asyncio.create_task(ask(bench.app, parts_of(logs_request(3000))))
        for _ in range(20):
            await asyncio.sleep(0)
        assert pool._work_queue.qsize() == 1  # noqa: SLF001 - it has come to wait
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        release.set()

    asyncio.run(scenario())
    pool.shutdown()  # what was submitted has run
    assert bench.rows == 0
    assert bench.budget.used == 0


# -- pages ---------------------------------------------------------------------------------


def test_health_says_that_the_process_answers(bench: Bench) -> None:
    """GET and HEAD, with no regard to memory or storage."""
    bench.budget.take(bench.budget.limit)
    answer = bench.ask(path="/health", method="GET")
    assert (answer.status, json.loads(answer.body)) == (200, {"status": "ok"})
    head = bench.ask(path="/health", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers == answer.headers


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_pages_are_only_read(bench: Bench, path: str) -> None:
    """Other methods are 405 with the ones that are allowed."""
    answer = bench.ask(parts_of(b"x"), path=path)
    assert (answer.status, answer.headers[b"allow"]) == (405, b"GET, HEAD")


def test_ready_is_truthful_and_gives_reasons() -> None:
    """Not ready is exactly: a request now would get a 503, or the server is stopping."""
    with Bench(memory_bytes=1 << 20) as bench:
        page = bench.ask(path="/ready", method="GET")
        assert (page.status, json.loads(page.body)["reasons"]) == (200, [])
        bench.budget.take(1 << 20)
        page = bench.ask(path="/ready", method="GET")
        assert page.status == 503
        assert "memory" in json.loads(page.body)["reasons"][0]
        bench.budget.give(1 << 20)
        assert bench.ask(path="/ready", method="GET").status == 200
        bench.app.refuse_new()
        page = bench.ask(path="/ready", method="HEAD")
        assert (page.status, page.body) == (503, b"")


def test_ready_shows_a_storage_that_fails() -> None:
    """Requests are still taken while there is memory, and the trouble can be seen."""
    writer = Recorder(fail=lambda _: OSError("the disk is full"))
    with Bench(writer=writer, config=BatchConfig(max_rows=1)) as bench:
        bench.ask(parts_of(logs_request(1)))
        wait_for(lambda: bench.ingest.status().backlog.resting == 1)
        page = bench.ask(path="/ready", method="GET")
        assert page.status == 200
        shown = json.loads(page.body)["batches"]
        assert (shown["waiting"], shown["resting"]) == (1, 1)
        assert shown["last_error"] == "the disk is full"


# -- life ----------------------------------------------------------------------------------


async def live(bench: Bench, during: Callable[[], Awaitable[object]]) -> list[str]:
    """The lifespan protocol around ``during``; what the application sent."""
    events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: asyncio.Queue[str] = asyncio.Queue()

    async def send(event: Any) -> None:
        await sent.put(event["type"])

    task = asyncio.create_task(bench.app({"type": "lifespan"}, events.get, send))
    await events.put({"type": "lifespan.startup"})
    types = [await sent.get()]
    await during()
    await events.put({"type": "lifespan.shutdown"})
    types.append(await sent.get())
    await task
    return types


def test_the_shutdown_stores_what_was_acknowledged(bench: Bench) -> None:
    """After lifespan.shutdown.complete everything is in files."""

    async def during() -> None:
        assert (await ask(bench.app, parts_of(logs_request(7)))).status == 200
        assert bench.writer.rows == 0

    assert asyncio.run(live(bench, during)) == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert bench.writer.rows == 7
    assert bench.app.unsaved_rows is False
    asyncio.run(bench.app.stop())  # a second time is harmless


def test_the_clockwork_closes_batches_and_survives_trouble(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ages are looked at while the server lives, also after a tick that failed."""
    monkeypatch.setattr(application, "TICK_SECS", 0.001)
    troubles = [ZeroDivisionError("once")]
    real = bench.ingest.tick

    def tick() -> None:
        if troubles:
            raise troubles.pop()
        real()

    monkeypatch.setattr(bench.ingest, "tick", tick)

    async def during() -> None:
        await ask(bench.app, parts_of(logs_request(1)))
        bench.clock.now += 2
        await asyncio.to_thread(wait_for, lambda: bench.writer.rows == 1)

    asyncio.run(live(bench, during))
    assert any(record.exc_info for record in caplog.records)


def test_a_shutdown_that_cannot_store_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are left behind are not kept secret."""
    monkeypatch.setattr(application, "STORE_SECS", 0.05)
    with Bench(writer=Recorder(fail=lambda _: OSError("down"))) as bench:

        async def during() -> None:
            await ask(bench.app, parts_of(logs_request(1)))

        asyncio.run(live(bench, during))
        assert bench.app.unsaved_rows is True


def test_there_is_one_stop_and_everybody_awaits_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes second does not leave earlier, and one that gives up ends it for nobody."""
    drained, calls = threading.Event(), []

    def drain(secs: float) -> bool:
        calls.append(secs)
        assert drained.wait(30)
        return True

    monkeypatch.setattr(bench.ingest, "drain", drain)

    async def scenario() -> None:
        bench.app.start()
        stops = [asyncio.create_task(bench.app.stop()) for _ in range(3)]
        await asyncio.to_thread(wait_for, lambda: bool(calls))
        stops[0].cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert [stop.done() for stop in stops] == [True, False, False]
        answer = await ask(bench.app, parts_of(logs_request(1)))
        assert answer.status == 503
        assert b"stopping" in answer.body
        drained.set()
        await asyncio.gather(*stops[1:])
        assert stops[0].cancelled()

    asyncio.run(scenario())
    assert calls == [application.STORE_SECS]
    assert bench.app.unsaved_rows is False


def test_what_fails_is_tried_again_until_the_stop_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that comes back while the server stops gets everything, whoever waits for it."""
    monkeypatch.setattr(application, "TICK_SECS", 0.001)
    down = threading.Event()
    down.set()
    bench.writer.fail = lambda _: OSError("down") if down.is_set() else None

    async def scenario() -> None:
        bench.app.start()
        await ask(bench.app, parts_of(logs_request(4)))
        first, second = (asyncio.create_task(bench.app.stop()) for _ in range(2))

        def attempted() -> bool:
            bench.clock.now += 0.01
            return len(bench.writer.attempts) >= 20

        await asyncio.to_thread(wait_for, attempted)
        down.clear()
        while not first.done():
            bench.clock.now += 0.01
            await asyncio.sleep(0)
        await asyncio.gather(first, second)

    asyncio.run(scenario())
    assert bench.app.unsaved_rows is False
    assert bench.writer.rows == 4


# -- log lines -----------------------------------------------------------------------------


def test_no_line_per_request_unless_asked(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """At debug level a request has one line, with what became of it; above it none."""
    caplog.set_level("INFO", application.__name__)
    payload = logs_request(3)
    bench.ask(parts_of(payload))
    assert caplog.records == []
    caplog.set_level("DEBUG", application.__name__)
    bench.ask(parts_of(payload))
    (record,) = caplog.records
    assert vars(record)["fields"] == {
        "method": "POST",
        "path": "/v1/logs",
        "status": 200,
        "bytes": len(payload),
        "accepted": 3,
        "rejected": 0,
        "secs": 0.0,
    }
