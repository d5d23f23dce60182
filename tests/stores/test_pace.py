"""A storage that asks to slow down gets fewer requests, later, and more again once it is well."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

import pytest

from otlp2parquet.errors import StorageUnavailableError
from otlp2parquet.stores.clients import Access, open_store
from otlp2parquet.stores.location import Location
from otlp2parquet.stores.obstore import ObstoreStore
from otlp2parquet.stores.pace import MOST_AT_ONCE, Pace
from tests.components.s3 import BUCKET, Versitygw
from tests.support.proxy import Asked, Proxy, Trouble

if TYPE_CHECKING:
    from tests.stores.conftest import Servers


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def pace_at(clock: Clock) -> Pace:
    """A pace whose pauses are not varied."""
    return Pace(clock, jitter=lambda: 0.5)


def good_answer(pace: Pace) -> None:
    """A request that goes well."""
    with pace.turn():
        pass


def throttled(pace: Pace, at_once: int = 1) -> None:
    """So many requests that are under way together, and the storage says it of each."""
    with suppress(StorageUnavailableError), ExitStack() as turns:
        for _ in range(at_once):
            turns.enter_context(pace.turn())
        for _ in range(at_once):
            pace.slow_down()
        raise StorageUnavailableError("slow down")


def test_nothing_is_held_up_without_a_reason() -> None:
    """Requests go at once."""
    pace = pace_at(Clock())
    for _ in range(1000):
        good_answer(pace)
    assert (pace.most, pace.pause_secs) == (MOST_AT_ONCE, 0.0)


def test_half_as_many_and_later() -> None:
    """Each word halves what may be at once, and doubles the pause, within bounds."""
    clock = Clock()
    pace = pace_at(clock)
    pauses = []
    for _ in range(8):
        throttled(pace, 4)
        pauses.append(pace.pause_secs)
        clock.now += pace.pause_secs
        if pace.most < 4:
            break
    assert pauses == [0.25]
    assert pace.most == 2
    throttled(pace)
    assert (pace.most, pace.pause_secs) == (1, 0.5)
    for _ in range(10):
        clock.now += pace.pause_secs
        throttled(pace)
    assert (pace.most, pace.pause_secs) == (1, 8.0)


def test_well_again() -> None:
    """As many good answers as may be under way at once allow one more."""
    clock = Clock()
    pace = pace_at(clock)
    throttled(pace)
    clock.now += 1
    allowed = []
    for _ in range(6):
        good_answer(pace)
        allowed.append(pace.most)
    assert allowed == [2, 2, 3, 3, 3, 4]


def test_a_word_now_and_then() -> None:
    """One request in seven that is throttled keeps neither the others nor the next pause long."""
    clock = Clock()
    pace = pace_at(clock)
    for _ in range(20):
        clock.now += pace.pause_secs
        throttled(pace)
        assert pace.pause_secs == 0.25
        clock.now += pace.pause_secs
        for _ in range(6):
            good_answer(pace)
        assert pace.most == 4


def test_who_waits_waits_a_bounded_time() -> None:
    """A turn begins when another ends, or when the time is up."""
    pace = Pace(jitter=lambda: 0.0)
    throttled(pace)
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with pace.turn():
            begun.set()
            go_on.wait(30)
            order.append("first")

    def second() -> None:
        begun.wait(30)
        with pace.turn():
            order.append("second")

    threads = [threading.Thread(target=one) for one in (first, second)]
    for thread in threads:
        thread.start()
    begun.wait(30)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert order == ["first", "second"]


def test_a_failure_is_no_good_answer() -> None:
    """Its turn ends all the same."""
    pace = pace_at(Clock())
    with pytest.raises(ValueError, match="x"), pace.turn():
        raise ValueError("x")
    for _ in range(MOST_AT_ONCE):
        good_answer(pace)


def write(sink: BinaryIO) -> None:
    """An object's content."""
    sink.write(b"x")


def test_a_throttling_bucket_is_asked_less(servers: Servers) -> None:
    """The answer of a real request is what slows the store down."""

    def script(asked: Asked) -> Trouble | None:
        return Trouble(status=503, code="SlowDown", retry_after=1) if asked.number < 1 else None

    with Proxy(servers.get("versitygw", Versitygw).port, script) as proxy:
        store = open_store(Location("s3", BUCKET, "pace", proxy.endpoint), Access(timeout_secs=5))
        assert isinstance(store, ObstoreStore)
        with pytest.raises(StorageUnavailableError, match="slow down"):
            store.create("a", write)
        assert store.pace.most == 1
        store.create("a", write)
        assert proxy.count("PUT") == 2


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(status=503, code="SlowDown", retry_after=60),
        Trouble(status=503, code="ServiceUnavailable"),
        Trouble(status=429, code="TooManyRequests", retry_after=60),
        Trouble(status=429, code="x"),
    ],
    ids=lambda trouble: f"{trouble.status} {trouble.code}",
)
def test_pauses_before_a_throttling_bucket(servers: Servers, trouble: Trouble) -> None:
    """Each word doubles the time until the next request; a Retry-After is not to be seen."""
    asked_at: list[float] = []

    def script(_: Asked) -> Trouble | None:
        asked_at.append(time.monotonic())
        return trouble if len(asked_at) <= 3 else None

    with Proxy(servers.get("versitygw", Versitygw).port, script) as proxy:
        prefix = f"pace/{uuid4().hex}"
        store = open_store(Location("s3", BUCKET, prefix, proxy.endpoint), Access(timeout_secs=5))
        for _ in range(3):
            with pytest.raises(StorageUnavailableError, match="slow down"):
                store.create("a", write)
        store.create("a", write)
    pauses = [after - before for before, after in pairwise(asked_at)]
    assert len(pauses) == 3
    # Varied by a quarter.
    for pause, least in zip(pauses, (0.25, 0.5, 1.0), strict=True):
        assert 0.75 * least <= pause < 30
