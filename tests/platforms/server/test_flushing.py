"""``POST /flush`` and SIGUSR1: what is open is stored, and who asked is told in every case."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.config import AuthConfig, BatchConfig, ServerConfig
from otlp2parquet.errors import StorageUnavailableError
from otlp2parquet.platforms.server.front_door import front_door
from tests.components.process import wait_until
from tests.support.asgi_bench import Bench, ask, logs_request, parts_of
from tests.support.doubles import Recorder
from tests.support.server_process import PATIENCE_SECS, Server, logs_of
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.asgi_bench import Answer


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An application with the default limits."""
    with Bench() as made:
        yield made


def flush(bench: Bench, **named: Any) -> Answer:
    """Ask for a flush."""
    return bench.ask([{"type": "http.request", "body": b""}], path="/flush", headers=(), **named)


def said(answer: Answer) -> dict[str, Any]:
    """What the body of an answer says."""
    assert answer.headers[b"content-type"] == b"application/json"
    page: dict[str, Any] = json.loads(answer.body)
    return page


def test_the_answer_comes_when_all_is_stored(bench: Bench) -> None:
    """It says what was stored; the batch was nowhere near its end."""
    assert bench.ask(parts_of(logs_request(7))).status == 200
    answer = flush(bench)
    assert answer.status == 200
    page = said(answer)
    assert page.pop("secs") >= 0
    assert page == {
        "status": "stored", "root": "", "batches": 1, "files": 1, "bytes": 100,
        "rows": {"otel_logs": 7},
    }  # fmt: skip
    assert bench.writer.rows == 7


def test_a_flush_of_an_empty_server_is_a_success(bench: Bench) -> None:
    """There is nothing that is not stored."""
    page = said(flush(bench))
    assert (page["status"], page["batches"], page["rows"]) == ("stored", 0, {})


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_only_a_post_changes_something(bench: Bench, method: str) -> None:
    """A link or a prefetch closes no batch."""
    bench.ask(parts_of(logs_request(1)))
    answer = flush(bench, method=method)
    assert (answer.status, answer.headers[b"allow"]) == (405, b"POST")
    assert bench.ingest.status().open_rows == 1


def test_a_flush_needs_a_token_as_an_export_does(bench: Bench) -> None:
    """Whoever may not send may not have files written."""
    door = front_door(bench.app, ServerConfig(auth=AuthConfig(("secret",))))
    body = [{"type": "http.request", "body": b""}]

    async def both() -> tuple[int, int]:
        bench.app.start()
        strangers = await ask(door, body, path="/flush", headers=())
        ours = await ask(door, body, path="/flush", headers=((b"x-api-key", b"secret"),))
        return strangers.status, ours.status

    assert asyncio.run(both()) == (401, 200)


OWN = (b"host", b"127.0.0.1:4318")
REBOUND = (b"host", b"evil.example:4318")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((OWN,), 200),
        ((OWN, (b"origin", b"http://127.0.0.1:4318")), 200),
        ((OWN, (b"origin", b"http://evil.example")), 403),
        ((OWN, (b"origin", b"null")), 403),
        ((OWN, (b"sec-fetch-site", b"cross-site")), 403),
        ((OWN, (b"sec-fetch-site", b"same-site")), 403),
        ((REBOUND, (b"origin", b"http://evil.example:4318")), 403),
        ((REBOUND,), 200),
    ],
)
def test_a_web_page_of_somebody_else_flushes_nothing(
    bench: Bench, headers: tuple[tuple[bytes, bytes], ...], status: int
) -> None:
    """A browser sends a POST without a body for every page; a proxy before us is no browser."""
    bench.ask(parts_of(logs_request(1)))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await bench.app({**scope, "server": ("127.0.0.1", 4318)}, receive, send)

    body = [{"type": "http.request", "body": b""}]

    async def asked() -> Answer:
        bench.app.start()
        return await ask(app, body, path="/flush", headers=headers)

    answer = asyncio.run(asked())
    assert answer.status == status
    assert bench.ingest.status().open_rows == (status == 403)


@pytest.mark.parametrize("query", [b"timeout=-1", b"timeout=301", b"timeout=", b"timeout=%1b[31m"])
def test_a_timeout_that_is_none_is_refused(bench: Bench, query: bytes) -> None:
    """The message says what is taken, and nothing that the client wrote."""
    answer = flush(bench, query=query)
    assert answer.status == 400
    assert "300" in said(answer)["message"]
    assert "31m" not in answer.body.decode()


@pytest.mark.parametrize("query", [b"timeout=0", b"timeout=10ms"])
def test_a_storage_that_takes_nothing_is_told_in_time(query: bytes) -> None:
    """The answer may be asked for again, says why, and where the rows are."""
    writer = Recorder(fail=lambda _: StorageUnavailableError("the bucket is away"))
    with Bench(writer=writer) as bench:
        bench.ask(parts_of(logs_request(1)))
        bench.ingest.flush(lambda _: None)  # so that it has failed before the answer
        wait_for(lambda: bool(bench.ingest.status().backlog.last_error))
        answer = flush(bench, query=query)
        assert answer.status == 504
        message = said(answer)["message"]
        assert "1 batches are not stored" in message
        assert "in memory" in message
        assert "the bucket is away" in message


def test_a_stop_answers_who_waits() -> None:
    """And refuses who comes then: the stop itself stores everything."""
    writer = Recorder(gates={None: threading.Event()})
    with Bench(writer=writer) as bench:

        async def scenario() -> list[Answer]:
            bench.app.start()
            body = [{"type": "http.request", "body": b""}]
            await ask(bench.app, parts_of(logs_request(3)))
            waiting = [asyncio.create_task(ask(bench.app, body, path="/flush")) for _ in range(20)]
            await asyncio.to_thread(wait_for, lambda: bool(writer.attempts))
            bench.app.refuse_new()
            answers = [await one for one in waiting]
            answers.append(await ask(bench.app, body, path="/flush"))
            writer.gates[None].set()
            await bench.app.stop()
            return answers

        answers = asyncio.run(scenario())
        assert {one.status for one in answers} == {503}
        assert all("stopping" in said(one)["message"] for one in answers)
        assert all(one.headers[b"retry-after"] for one in answers)
        assert writer.rows == 3


def test_many_flushes_are_served_together() -> None:
    """None of them makes a batch for itself alone while another is on its way."""
    with Bench(config=BatchConfig()) as bench:

        async def scenario() -> list[Answer]:
            bench.app.start()
            body = [{"type": "http.request", "body": b""}]

            async def one() -> Answer:
                assert (await ask(bench.app, parts_of(logs_request(1)))).status == 200
                return await ask(bench.app, body, path="/flush")

            return list(await asyncio.gather(*[one() for _ in range(100)]))

        assert {one.status for one in asyncio.run(scenario())} == {200}
        assert bench.writer.rows == 100


@pytest.mark.parametrize("mode", ["fsync", "memory", "stored"])
def test_rows_are_in_files_when_a_server_says_so(tmp_path: Path, mode: str) -> None:
    """In each mode, by HTTP and by SIGUSR1."""
    settings = {
        "OTLP2PARQUET_DURABILITY_MODE": mode,
        "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "3600",
    }
    with Server(tmp_path, settings=settings) as server:

        def ask_server(method: str, path: str) -> tuple[int, dict[str, Any]]:
            connection = server.connect()
            try:
                connection.request(method, path)
                response = connection.getresponse()
                return response.status, json.loads(response.read())
            finally:
                connection.close()

        assert ask_server("POST", "/flush")[1]["rows"] == {}
        assert server.post(logs_of("a", "b")) == (200, b"")
        status, page = ask_server("POST", "/flush?timeout=60s")
        assert status == 200
        assert page["root"] == str(server.data)
        assert sorted(server.bodies()) == ["a", "b"]
        assert server.post(logs_of("c")) == (200, b"")
        server.process.send_signal(signal.SIGUSR1)
        wait_until(
            lambda: "SIGUSR1: what was open is stored" in server.log,
            PATIENCE_SECS,
            lambda: server.log,
        )
        assert sorted(server.bodies()) == ["a", "b", "c"]
        assert ask_server("GET", "/flush")[0] == 405
        assert server.stop() == 0
