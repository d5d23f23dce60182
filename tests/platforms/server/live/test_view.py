"""The view in steps: ring, watchers and gaps, under generated interleavings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.platforms.server.live.events import Refusal, Refused
from otlp2parquet.platforms.server.live.filters import Filter, Row
from otlp2parquet.platforms.server.live.rows import Export, Rows
from otlp2parquet.platforms.server.live.view import CHUNK_BYTES, View, Watcher
from tests.support.sse import events_in

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYTHING = Filter()


def export(number: int, pieces: int = 1) -> Export:
    """An export that ``decode`` makes so many pieces of."""
    return Export(b"%d" % number, "logs", "", None, pieces, pieces)


def decode(one: Export) -> Iterator[Rows]:
    """One row a piece, which says which export it is of."""
    for piece in range(one.received_at):
        text = json.dumps({"export": int(one.body), "piece": piece})
        yield Rows("otel_logs", "now", (Row(text, "", 9),), len(text))


class Looking:
    """A watcher that keeps what it gets."""

    def __init__(self, wanted: Filter = EVERYTHING, **options: Any) -> None:
        self.text = b""
        self.is_ended = False
        self.watcher = Watcher(wanted, self._take, **options)

    def _take(self, chunk: bytes | None) -> None:
        assert not self.is_ended
        if chunk is None:
            self.is_ended = True
        else:
            assert len(chunk) <= CHUNK_BYTES + 2000
            self.text += chunk

    @property
    def exports(self) -> list[int]:
        """The exports of which it saw something, each as often as it did."""
        return [
            row["export"]
            for event in events_in(self.text)
            if event.name == "rows"
            for row in event.data["rows"]
        ]

    @property
    def skipped(self) -> int:
        """How many events it was told that it had missed."""
        return sum(one.data["events"] for one in events_in(self.text) if one.name == "skipped")


def show_all(view: View, one: Export) -> None:
    """The whole of an export."""
    view.begin(one)
    while view.is_decoding:
        view.show()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("show"), st.integers(1, 4)),
        st.tuples(st.just("deliver"), st.just(0)),
        st.tuples(st.just("want"), st.integers(0, 2)),
        st.tuples(st.just("join"), st.integers(0, 2)),
        st.tuples(st.just("leave"), st.integers(0, 2)),
    ),
    max_size=80,
)


@given(steps=STEPS)
def test_each_watcher_sees_or_is_told_of_everything_since_it_joined(
    steps: list[tuple[str, int]],
) -> None:
    """However slow it is and whatever the others do: nothing twice, nothing out of order.

    What it saw and what it was told that it missed is all that came.
    """
    view = View(1, max_events=6, decode=decode)
    looking = [Looking(), Looking(), Looking()]
    since: list[int | None] = [None, None, None]
    came = 0
    for what, number in steps:
        if what == "show":
            for _ in range(number):
                show_all(view, export(came))
                came += 1
        elif what == "deliver":
            view.deliver()
        elif what == "join" and since[number] is None:
            since[number] = came
            looking[number] = Looking()
            view.join(looking[number].watcher)
        elif what == "leave":
            view.leave(looking[number].watcher)
            since[number] = None
        elif what == "want":
            looking[number].watcher.is_wanting = True
    for one, joined in zip(looking, since, strict=True):
        if joined is None:
            continue
        one.watcher.is_wanting = one.watcher.is_last = True
        view.deliver()
        one.watcher.is_wanting = True
        view.deliver()
        assert one.is_ended
        assert one.exports == sorted(set(one.exports))
        assert all(number >= joined for number in one.exports)
        assert len(one.exports) + one.skipped == came - joined


def test_a_newcomer_sees_the_recent_past_as_far_as_it_asks() -> None:
    """The last events of the ring, or what is behind the number that it saw last."""
    view = View(100, decode=decode)
    for number in range(10):
        show_all(view, export(number))
    three, none, behind, future = (
        Looking(recent=3), Looking(), Looking(after=107), Looking(after=10**6),
    )  # fmt: skip
    for one in (three, none, behind, future):
        view.join(one.watcher)
    view.deliver()
    assert three.exports == [7, 8, 9]
    assert none.exports == future.exports == []
    assert behind.exports == [8, 9]


def test_who_comes_back_late_is_told_what_is_gone() -> None:
    """Between the number that it saw last and the oldest event that is left."""
    view = View(1, max_events=3, decode=decode)
    for number in range(10):
        show_all(view, export(number))
    late = Looking(after=2)
    view.join(late.watcher)
    view.deliver()
    assert (late.skipped, late.exports) == (5, [7, 8, 9])


def test_a_failure_ends_the_view_of_one_export() -> None:
    """What was not shown of it is a gap; the next one is shown."""

    def failing(one: Export) -> Iterator[Rows]:
        yield from decode(one._replace(received_at=1))
        if one.body == b"0":
            raise RuntimeError("a defect")

    view, looking = View(1, decode=failing), Looking()
    view.join(looking.watcher)
    view.begin(export(0, pieces=5))
    view.show()
    with pytest.raises(RuntimeError):
        view.show()
    assert not view.is_decoding
    show_all(view, export(1))
    view.deliver()
    assert looking.exports == [0, 1]
    (gap,) = (one.data for one in events_in(looking.text) if one.name == "skipped")
    assert gap == {"events": 1, "rows": 4}


def test_refusals_and_the_newest_state_are_told() -> None:
    """A state that nobody has read yet is replaced by the next one, and told once."""
    view, looking = View(1), Looking(Filter(frozenset({"traces"})))
    view.join(looking.watcher)
    told = Refusal("127.0.0.1", "", 401, "unauthenticated", "no\ntoken")
    view.refuse(Refused("now", told, 3))
    view.refuse(Refused("now", told._replace(signal="logs"), 3))
    view.state = "event: state\ndata: 1\n\n"
    view.state = "event: state\ndata: 2\n\n"
    view.deliver()
    looking.watcher.is_wanting = True
    view.deliver()
    state, refused = events_in(looking.text)
    assert state.data == 2
    assert refused.data == {"time": "now", **told._asdict(), "count": 3}


def test_a_filter_that_matches_nothing_ends_a_step_early() -> None:
    """One watcher's search does not hold up the others for the whole ring."""
    view = View(1, decode=lambda _: iter([Rows("otel_logs", "", (), 600_000)]))
    looking = Looking(Filter(frozenset({"traces"})), recent=100)
    for number in range(6):
        show_all(view, export(number)._replace(records=0))
    view.join(looking.watcher)
    assert view.deliver()
    assert view.deliver()
    assert not [view.deliver() for _ in range(3)][-1]
    assert looking.text == b""
