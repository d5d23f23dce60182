"""``GET /live`` on a running server: what is seen, by whom, and how streams end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import pytest

from otlp2parquet.platforms.server.live import stream
from otlp2parquet.platforms.server.live.tap import MAX_WATCHERS, Tap
from tests.support.asgi_bench import Bench
from tests.support.requests import logs_request, metrics_request, traces_request
from tests.support.server_process import PATIENCE_SECS, Server, logs_of
from tests.support.sse import Event, events_in
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

PAGE = {"OTLP2PARQUET_SERVER_PAGE": "true"}
TOKENS = {"OTLP2PARQUET_SERVER_AUTH_TOKENS": "open-sesame"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the page on, for all tests here that do not stop theirs."""
    with Server(tmp_path_factory.mktemp("live"), settings=PAGE) as running:
        yield running


class Stream:
    """One client of ``/live``, which reads event by event."""

    def __init__(self, server: Server, query: str = "", **headers: str) -> None:
        self._connection = server.connect()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", f"/live?{query}", headers=named)
        self.answer = self._connection.getresponse()
        self._lines: list[bytes] = []

    def __enter__(self) -> Self:
        assert self.answer.status == 200
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()

    def events(self) -> Iterator[Event]:
        """Event by event; ends with the stream."""
        block = b""
        while line := self.answer.readline():
            block += line
            if line == b"\n":
                yield from events_in(block)
                block = b""

    def next(self, name: str) -> Event:
        """The next event of a name; others before it are left out."""
        return next(event for event in self.events() if event.name == name)


def get(
    server: Server, target: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str]]:
    """One request that is answered with JSON."""
    with contextlib.closing(server.connect()) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, headers=named)
        answer: http.client.HTTPResponse = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")


def test_all_signals_are_seen_within_a_second_of_their_arrival(server: Server) -> None:
    """Rows of every table, and a refusal; as server-sent events that nobody stores."""
    with Stream(server) as looking:
        assert looking.answer.headers["content-type"] == "text/event-stream"
        assert looking.answer.headers["cache-control"] == "no-store"
        looking.next("state")
        began = time.monotonic()
        assert server.post(logs_request(2), "logs")[0] == 200
        assert server.post(traces_request(2), "traces")[0] == 200
        assert server.post(metrics_request(1), "metrics")[0] == 200
        assert server.post(b"\xff", "traces")[0] == 400
        tables, refused = set(), None
        for event in looking.events():
            if event.name == "rows":
                tables.add(event.data["table"])
            refused = event.data if event.name == "refused" else refused
            if len(tables) == 7 and refused is not None:
                break
        assert time.monotonic() - began < PATIENCE_SECS
        assert refused is not None
        assert (refused["client"], refused["signal"], refused["status"]) == (
            "127.0.0.1",
            "traces",
            400,
        )


def test_filters_are_the_servers_work(server: Server) -> None:
    """A client gets what it asked for and nothing else."""
    query = "signal=logs&service=shop&level=info&text=WANTED&recent=0"
    with Stream(server, query) as picky, Stream(server, "signal=logs&recent=0") as everything:
        picky.next("state")
        everything.next("state")
        server.post(logs_request(4, service="shop"))
        server.post(logs_of("wanted, but without a severity"))
        wanted = logs_request(2, service="shop", blob="it is wanted")
        server.post(wanted)
        found = picky.next("rows").data["rows"]
        assert len(found) == 2
        assert all("it is wanted" in row["ResourceAttributes"] for row in found)
        assert len(everything.next("rows").data["rows"]) == 4
        assert everything.next("rows").data["rows"][0]["Body"].startswith("wanted")


def test_a_newcomer_sees_what_others_are_seeing(server: Server) -> None:
    """The ring's past while somebody looks; and who comes back goes on behind its last event."""
    with Stream(server, "recent=0") as first:
        first.next("state")
        server.post(logs_of("one"))
        number = first.next("rows").number
        server.post(logs_of("two"))
        first.next("rows")
        with Stream(server) as second:
            assert second.next("rows").data["rows"][0]["Body"] in ("one", "two")
        with Stream(server, Last_Event_ID=str(number)) as back:
            assert back.next("rows").data["rows"][0]["Body"] == "two"


@pytest.mark.parametrize(
    ("query", "word"), [("level=loud", "fatal"), ("signal=log", "traces"), ("colour=red", "recent")]
)
def test_another_query_is_a_400_that_says_what_was_expected(
    server: Server, query: str, word: str
) -> None:
    """A misspelt filter shows neither nothing nor everything."""
    status, page = get(server, f"/live?{query}")
    assert status == 400
    assert word in page["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
        {"Origin": "null"},
    ],
)
def test_other_peoples_pages_may_not_look(server: Server, headers: dict[str, str]) -> None:
    """Neither from another origin nor by a name that leads to a loopback address."""
    status, page = get(server, "/live", **headers)
    assert status == 403
    assert "origins" in page["message"]


@pytest.mark.parametrize("host", ["localhost:4318", "127.0.0.1", "[::1]:4318", "app.localhost"])
def test_names_of_this_machine_may(server: Server, host: str) -> None:
    """As a browser on it sends them, with the page's own origin."""
    with Stream(server, Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin"):
        pass


def test_methods(server: Server) -> None:
    """A HEAD is answered without a stream, anything else is refused."""
    assert get(server, "/live", "HEAD") == (200, {})
    assert get(server, "/live", "POST")[0] == 405


def test_without_the_setting_it_is_a_404_that_names_it(tmp_path: Path) -> None:
    """So that whoever looks learns what to set."""
    with Server(tmp_path) as server:
        status, page = get(server, "/live")
        assert (status, page["setting"]) == (404, "server.page")
        assert "server.page = true" in page["error"]


def test_tokens_open_it_and_streams_end_with_the_server(tmp_path: Path) -> None:
    """A server with clients that look, one of which does not read, stops as fast as one without."""
    bearer = {"Authorization": "Bearer open-sesame"}
    with Server(tmp_path, settings=PAGE | TOKENS) as server:
        assert get(server, "/live")[0] == 401
        assert get(server, "/live", Authorization="Bearer other")[0] == 401
        with Stream(server, Host="behind.example", **bearer) as reading, server.raw() as idle:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\nX-API-Key: open-sesame\r\n\r\n")
            blob = "x" * 200_000
            events = reading.events()
            for number in range(30):
                payload = logs_request(3, first=3 * number, blob=blob)
                assert server.post(payload, **bearer)[0] == 200
                assert next(one for one in events if one.name == "rows")
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 4, "it waited for who looks"
            assert all(event.name in ("rows", "state") for event in events)


def test_a_stream_ends_with_the_token_that_opened_it(tmp_path: Path) -> None:
    """When tokens are read again: who shows one of the new ones may come again, nobody else."""
    tokens = tmp_path / "tokens"
    tokens.write_text("old")
    settings = PAGE | {"OTLP2PARQUET_SERVER_AUTH_TOKENS_FILE": str(tokens)}
    program = "import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"
    launcher = (sys.executable, "-c", program)  # without a terminal SIGHUP is no hang-up
    with Server(tmp_path, settings=settings, launcher=launcher) as server:
        with Stream(server, X_API_Key="old") as looking:
            looking.next("state")
            tokens.write_text("new")
            server.process.send_signal(signal.SIGHUP)
            assert all(event.name == "state" for event in looking.events())
        assert get(server, "/live", X_API_Key="old")[0] == 401
        with Stream(server, X_API_Key="new") as again:
            again.next("state")


def test_a_client_that_is_slow_is_told_what_it_missed(server: Server) -> None:
    """It goes on with what is there, nobody waits for it, and all rows are seen or counted."""
    with Stream(server, "recent=0") as slow, Stream(server, "recent=0") as fast:
        slow.next("state")
        events = fast.events()
        assert next(events).name == "state"
        blob = "x" * 300_000
        for number in range(100):
            payload = logs_request(1, first=number, blob=blob)
            assert server.post(payload)[0] == 200
            assert next(one for one in events if one.name == "rows")
        missed = seen = 0
        for event in slow.events():
            if event.name == "skipped":
                missed += event.data["events"]
            elif event.name == "rows":
                seen += 1
                if "order 99 " in event.data["rows"][-1]["Body"]:
                    break
        assert missed > 0
        assert seen + missed == 100


def test_a_client_that_has_left_is_noticed_at_once() -> None:
    """Its stream ends, and with the last one the view."""
    with Bench() as bench:
        bench.app._has_page = True  # noqa: SLF001 - a bench has no settings
        answer = bench.ask([], path="/live", method="GET")
        assert answer.status == 200
        assert answer.body.startswith(b": otlp2parquet\n")
        assert bench.app.exports.watch is None


def test_a_stream_on_which_nothing_happens_says_that_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a comment, so that nobody between takes it for dead."""
    monkeypatch.setattr(stream, "STILL_HERE_SECS", 0.001)

    with Bench() as bench:
        bench.app._has_page = True  # noqa: SLF001 - as above
        answer = asyncio.run(look(bench))
    assert answer.count(b": still here\n\n") == 1
    wait_for(lambda: bench.app.exports.watch is None)


async def look(bench: Bench) -> bytes:
    """A client that leaves once it has read a comment."""
    answer = bytearray()
    commented = asyncio.Event()

    async def receive() -> dict[str, str]:
        await commented.wait()
        return {"type": "http.disconnect"}

    async def send(event: MutableMapping[str, Any]) -> None:
        answer.extend(event.get("body", b""))
        if b"still here" in answer:
            commented.set()

    scope = {"type": "http", "method": "GET", "path": "/live", "headers": []}
    await bench.app(scope, receive, send)
    return bytes(answer)


def test_no_more_look_than_may_when_all_come_at_once() -> None:
    """Whoever was let in counts from then on, also while its answer has not begun."""
    watchers: list[int] = []
    tap = Tap(SimpleNamespace(watch=None), dict)  # type: ignore[arg-type]
    statuses: list[int] = []
    scope = {"method": "GET", "headers": [], "query_string": b""}

    async def receive() -> dict[str, str]:
        await asyncio.sleep(0.2)
        return {"type": "http.disconnect"}

    async def send(event: MutableMapping[str, Any]) -> None:
        await asyncio.sleep(0.01)
        if "status" in event:
            statuses.append(event["status"])
            watchers.append(len(tap._watchers))  # noqa: SLF001 - how many look

    async def all_at_once() -> None:
        some = (stream.answer(tap, scope, receive, send) for _ in range(MAX_WATCHERS + 8))
        await asyncio.gather(*some)

    asyncio.run(all_at_once())
    assert statuses.count(200) == MAX_WATCHERS
    assert statuses.count(503) == 8
    assert max(watchers) == MAX_WATCHERS
    assert not tap._watchers  # noqa: SLF001 - all have left
