"""Claims of objects: one holds a version at a time, and nobody holds it for long who is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otlp2parquet.errors import StorageUnavailableError
from otlp2parquet.platforms.aws_lambda.claims import (
    CLAIM_SECS,
    FOLDER,
    HOLD_SECS,
    RETIRED_SECS,
    Claim,
    is_retired,
    node_of_object,
)
from otlp2parquet.platforms.aws_lambda.object_events import ObjectReference
from tests.support.memory_store import MemoryStore

OBJECT = ObjectReference("captures", "a.pb", "v1", "e", 1, 0)
AWS_RETRY_SECS = 60.0


class Bench:
    """A store, and a clock that stands."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now = 1000.0

    def claim(self) -> Claim:
        """Another invocation's."""
        return Claim(self.store, OBJECT, lambda: self.now)

    @property
    def names(self) -> set[str]:
        """What lies there of the version."""
        return {path.rpartition("/")[2] for path in self.store.objects}

    def retired(self, node: str = node_of_object(OBJECT)) -> bool:
        """Whether a node is retired now."""
        return is_retired(self.store, node, lambda: self.now)


def killed(claim: Claim) -> Any:
    """An invocation that has taken the version and cannot give it up."""
    held = claim.held()
    assert held.__enter__()
    return held


def test_a_version_is_done_once() -> None:
    """All of what was claimed goes when it is done."""
    bench = Bench()
    claim = bench.claim()
    with claim.held() as is_held:
        assert is_held
        claim.done()
    assert bench.names == {"done"}
    with bench.claim().held() as is_held:
        assert not is_held


def test_who_fails_gives_it_up() -> None:
    """The next one need not wait."""
    bench = Bench()
    with pytest.raises(ValueError, match="odd"), bench.claim().held():
        raise ValueError("odd")
    with bench.claim().held() as is_held:
        assert is_held


def test_the_first_retry_of_aws_meets_no_claim_of_the_dead() -> None:
    """It comes a minute later; whoever comes before that is told to come again."""
    bench = Bench()
    kept = killed(bench.claim())
    bench.now += CLAIM_SECS - 1
    with pytest.raises(StorageUnavailableError, match="for 1 s more"), bench.claim().held():
        pass
    bench.now += AWS_RETRY_SECS - CLAIM_SECS + 1
    with bench.claim().held() as is_held:
        assert is_held
    del kept


def test_who_is_alive_holds_it_for_as_long_as_it_takes() -> None:
    """Fifteen minutes, if need be: nobody takes over."""
    bench = Bench()
    claim = bench.claim()
    with claim.held():
        for _ in range(60):
            bench.now += 15
            claim.hold()
            with pytest.raises(StorageUnavailableError), bench.claim().held():
                pass
        assert len(bench.names) < 60
        claim.done()


def test_who_was_slow_goes_on_if_nobody_came() -> None:
    """The time of its claim is over, and the next number is its own."""
    bench = Bench()
    claim = bench.claim()
    with claim.held():
        bench.now += 10 * CLAIM_SECS
        claim.hold()
        bench.now += CLAIM_SECS - HOLD_SECS
        claim.hold()
    assert bench.names == {"1", "2"}


def test_who_was_taken_over_stops() -> None:
    """Before it makes anything: two are not at one version."""
    bench = Bench()
    slow, fast = bench.claim(), bench.claim()
    with slow.held():
        bench.now += CLAIM_SECS + 1
        kept = killed(fast)
        with pytest.raises(StorageUnavailableError, match="taken over"):
            slow.hold()
        slow.give_up()
    # It gave up its own claim, not the other's.
    with pytest.raises(StorageUnavailableError), bench.claim().held():
        pass
    del kept


def test_a_node_is_retired_when_its_version_is_done_for_a_while() -> None:
    """Until then somebody who was taken over may make its receipts again."""
    bench = Bench()
    assert not bench.retired()
    claim = bench.claim()
    with claim.held():
        assert not bench.retired()
        claim.done()
    bench.now += RETIRED_SECS
    assert not bench.retired()
    bench.now += 1
    assert bench.retired()
    assert json.loads(bench.store.objects[f"{FOLDER}/{claim.node}/done"])["version"] == "v1"


def test_nodes_of_servers_are_not_asked_for() -> None:
    """Their ids have another version."""
    bench = Bench()
    bench.store.open = None  # type: ignore[assignment, method-assign]
    assert not bench.retired("0b9fd5dc-7c5a-4a7d-8a6c-0a2b8d1c9e11")


def test_two_that_are_done_are_done() -> None:
    """Whoever comes second leaves it as it is."""
    bench = Bench()
    for claim in (bench.claim(), bench.claim()):
        claim.done()
    assert bench.names == {"done"}


def test_who_was_taken_over_stops_when_the_other_is_done() -> None:
    """Its claims are gone, so the numbers are free; receipts that came later would count twice."""
    bench = Bench()
    slow = bench.claim()
    with slow.held():
        bench.now += CLAIM_SECS + 1
        with bench.claim().held() as is_held:
            assert is_held
            bench.claim().done()
        with pytest.raises(StorageUnavailableError, match="taken over"):
            slow.hold()
        assert bench.names == {"done"}


def test_who_comes_while_another_is_done_has_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The claims that it has seen are removed before it makes its own."""
    bench = Bench()
    kept = killed(bench.claim())
    bench.now += CLAIM_SECS + 1
    late = bench.claim()
    left = late._time_left  # noqa: SLF001 - between the look and the claim

    def done_meanwhile(number: int) -> float:
        secs = left(number)
        bench.claim().done()
        return secs

    monkeypatch.setattr(late, "_time_left", done_meanwhile)
    with late.held() as is_held:
        assert not is_held
    assert bench.names == {"done"}
    del kept
