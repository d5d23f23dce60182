"""Who looks: from the first watcher to the last, and nothing before, behind or instead."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.platforms.server.live import tap as tap_module
from otlp2parquet.platforms.server.live.events import Refusal
from otlp2parquet.platforms.server.live.filters import Filter
from otlp2parquet.platforms.server.live.intake import MAX_REFUSALS, Intake
from otlp2parquet.platforms.server.live.rows import Export
from otlp2parquet.platforms.server.live.session import Session
from otlp2parquet.platforms.server.live.view import View, Watcher
from tests.support.asgi_bench import Bench, ask, logs_request, parts_of, with_length
from tests.support.sse import Event, events_in
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

THREAD = "otlp2parquet-live"


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An application over a recorder and a clock."""
    with Bench() as made:
        yield made
        made.app.tap.close()


def threads() -> list[str]:
    """Threads of views."""
    return [one.name for one in threading.enumerate() if one.name == THREAD]


def send(bench: Bench, payload: bytes) -> int:
    """One request; its status."""
    return bench.ask(parts_of(payload), headers=with_length(payload)).status


def is_watched(bench: Bench) -> bool:
    """Whether the use case has somebody to tell."""
    return bench.app.exports.watch is not None


class Looking:
    """A watcher of an application that reads event by event."""

    def __init__(self, bench: Bench, **options: Any) -> None:
        self.chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.watcher = Watcher(Filter(), self.chunks.put, **options)
        self.tap = bench.app.tap
        self.tap.join(self.watcher)
        self._events: list[Event] = []

    def next(self, name: str) -> Event:
        """The next event of a name; others before it are left out."""
        while True:
            while self._events:
                event = self._events.pop(0)
                if event.name == name:
                    return event
            chunk = self.chunks.get(timeout=PATIENCE_SECS)
            assert chunk is not None, "the end"
            self._events = events_in(chunk)
            self.tap.want(self.watcher)


def test_nothing_is_there_while_nobody_looks(bench: Bench) -> None:
    """No watch, so nothing is called; no thread. It comes with the first and goes with the last."""
    assert send(bench, logs_request(2)) == 200
    assert not is_watched(bench)
    assert threads() == []
    first, second = Looking(bench), Looking(bench)
    assert is_watched(bench)
    assert threads() == [THREAD]
    bench.app.tap.leave(first.watcher)
    assert is_watched(bench)
    bench.app.tap.leave(second.watcher)
    assert not is_watched(bench)
    wait_for(lambda: threads() == [])


def test_kept_rows_and_refusals_are_seen(bench: Bench) -> None:
    """What was kept, with its rows; what was refused, with what the client was told; numbers."""
    looking = Looking(bench)
    assert looking.next("state").data["totals"]["requests"] == 0
    assert send(bench, logs_request(2)) == 200
    rows = looking.next("rows").data
    assert [row["Body"] for row in rows["rows"]] == ["message 0", "message 1"]
    assert send(bench, b"\xff") == 400
    refused = looking.next("refused").data
    assert (refused["signal"], refused["status"], refused["count"]) == ("logs", 400, 1)
    assert (refused["reason"], refused["client"]) == ("bad data", "unknown")
    assert "byte 0" in refused["message"]
    assert send(bench, logs_request(3, attributes=10_001)) == 200
    refused = looking.next("refused").data
    assert (refused["status"], refused["reason"], refused["count"]) == (200, "rejected records", 1)
    bench.clock.now += 1
    bench.app.tap.tick()
    totals = looking.next("state").data["totals"]
    assert totals["requests"] == 3
    assert (totals["rows"], totals["refused"], totals["rejected"]) == (4, 1, 1)


def test_numbers_are_told_once_a_second(bench: Bench) -> None:
    """However often the clockwork looks."""
    looking = Looking(bench)
    first = looking.next("state")
    bench.clock.now += 0.9
    bench.app.tap.tick()
    bench.clock.now += 0.1
    bench.app.tap.tick()
    second = looking.next("state")
    assert second.data["uptime_secs"] - first.data["uptime_secs"] == pytest.approx(1.0)


def test_rates_are_what_came_since_the_last_numbers(bench: Bench) -> None:
    """Per second."""
    looking = Looking(bench)
    looking.next("state")
    send(bench, logs_request(6))
    bench.clock.now += 2
    bench.app.tap.tick()
    assert looking.next("state").data["rates"] == {"requests": 0.5, "rows": 3.0, "refused": 0.0}


def test_numbers_grow_over_sessions(bench: Bench) -> None:
    """So that who comes back with an old one sees only what is newer."""
    numbers = []
    for _ in range(2):
        looking = Looking(bench)
        send(bench, logs_request(1))
        numbers.append(looking.next("rows").number or 0)
        bench.app.tap.leave(looking.watcher)
    assert 0 < numbers[0] < numbers[1] < 1 << 53


def test_a_watch_that_fails_costs_no_request(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """The request is kept, the view ends, and the log says so once."""

    class Failing:
        def kept(self, *_: object) -> None:
            raise RuntimeError("a defect")

    bench.app.exports.watch = Failing()
    with caplog.at_level(logging.ERROR):
        assert send(bench, logs_request(1)) == 200
        assert send(bench, logs_request(1)) == 200
    assert not is_watched(bench)
    assert len(caplog.records) == 1
    assert bench.rows == 2


def test_a_fault_within_the_view_costs_one_export(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the thread meets: who sent has its 200, and the next export is seen."""
    looking = Looking(bench)
    broken = Export(b"", "logs", "application/x-protobuf", None, 0, 7)
    monkeypatch.setattr(Intake, "put", lambda self, export: _put(self, export, broken))
    assert send(bench, logs_request(1)) == 200
    assert looking.next("skipped").data == {"events": 1, "rows": 7}
    assert looking.next("rows").data["rows"][0]["Body"] == "message 0"


def _put(intake: Intake, export: Export, broken: Export) -> None:
    intake._exports.extend((broken._replace(body=b"\xff"), export))  # noqa: SLF001 - behind its back


def test_a_stop_ends_the_streams_and_leaves_ours_to_its_end(bench: Bench) -> None:
    """Other watchers end at once; the server's own sees what came before it finishes."""

    async def life() -> tuple[Looking, Looking]:
        other, ours = Looking(bench), Looking(bench, is_ours=True)
        await ask(bench.app, parts_of(payload), headers=with_length(payload))
        bench.app.refuse_new()
        late = Looking(bench)
        assert late.chunks.get(timeout=PATIENCE_SECS) is None
        return other, ours

    payload = logs_request(1)
    other, ours = asyncio.run(life())
    while other.chunks.get(timeout=PATIENCE_SECS) is not None:
        pass
    bench.app.tap.finish(ours.watcher)
    assert ours.next("rows")
    while (chunk := ours.chunks.get(timeout=PATIENCE_SECS)) is not None:
        ours.tap.want(ours.watcher)
    assert chunk is None
    bench.app.tap.leave(ours.watcher)


def test_so_many_look_and_no_more(bench: Bench) -> None:
    """Whoever asks sees it."""
    looking = [Looking(bench) for _ in range(tap_module.MAX_WATCHERS)]
    assert bench.app.tap.is_full
    bench.app.tap.leave(looking[0].watcher)
    assert not bench.app.tap.is_full


@given(
    st.lists(st.one_of(st.integers(0, 40), st.sampled_from(["take", "refuse"])), max_size=60),
    st.integers(1, 5),
)
def test_what_waits_is_bounded_and_accounted_for(steps: list[int | str], max_exports: int) -> None:
    """In exports and in bytes; each is taken out once, in order, or counted as lost."""
    intake = Intake(max_exports=max_exports, max_bytes=100)
    put, came, lost = 0, [], 0
    for step in [*steps, *["take"] * 10]:
        if step == "take":
            taken = intake.take(export=True)
            lost += taken.lost.rows
            assert taken.lost.rows == taken.lost.events
            if taken.export is not None:
                came.append(taken.export.received_at)
        elif isinstance(step, int):
            intake.put(Export(bytes(step), "logs", "", None, put, 1))
            put += 1
        assert intake.num_bytes <= 100
        assert len(intake._exports) <= max_exports  # noqa: SLF001 - the bound itself
    assert came == sorted(set(came))
    assert len(came) + lost == put
    assert intake.is_empty
    assert intake.num_bytes == 0


def test_refusals_are_counted_together_and_bounded() -> None:
    """Equal ones are one; past a hundred different ones the others are told as others."""
    intake = Intake()
    for number in range(2 * MAX_REFUSALS):
        intake.refuse(Refusal(str(number), "logs", 401, "unauthenticated", "no token"), 1)
        intake.refuse(Refusal("0", "logs", 401, "unauthenticated", "no token"), 2)
    refusals = intake.take(export=False).refusals
    assert len(refusals) == MAX_REFUSALS + 1
    assert refusals[Refusal("0", "logs", 401, "unauthenticated", "no token")] == 401
    assert sum(refusals.values()) == 600
    assert intake.is_empty


def test_a_flood_is_bounded_while_nobody_shows_it() -> None:
    """A session whose thread does not run holds what its bounds say, and counts the rest."""
    session = Session(View(1), lambda: 0)
    chunks: list[bytes | None] = []
    watcher = Watcher(Filter(), chunks.append)
    session.join(watcher)
    payload = logs_request(10, text="x" * 10_000)
    for _ in range(1000):
        session.put(Export(payload, "logs", "application/x-protobuf", None, 0, 10))
    assert session.intake.num_bytes <= 8 << 20
    while not session.intake.is_empty or not watcher.is_wanting:
        session.run_one()
        watcher.is_wanting = True
    session.run_one()
    events = events_in(b"".join(chunk or b"" for chunk in chunks))
    seen = sum(len(one.data["rows"]) for one in events if one.name == "rows")
    missed = sum(one.data.get("rows", 0) for one in events if one.name == "skipped")
    assert seen > 0
    assert seen + missed == 10_000
