"""The ring and its readers, under every order of writing and reading."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.platforms.server.live.ring import Ring

ORDERS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 12)),
        st.tuples(st.just("read"), st.integers(0, 2)),
        st.tuples(st.just("back"), st.integers(0, 2)),
    ),
    max_size=120,
)


@given(orders=ORDERS, max_events=st.integers(1, 6), max_bytes=st.integers(1, 30))
def test_a_reader_sees_or_is_told_of_every_event_once(
    orders: list[tuple[str, int]], max_events: int, max_bytes: int
) -> None:
    """Whoever reads, and whenever: each event is met once, in order, or counted as lost.

    And the ring never holds more than its bounds.
    """
    ring: Ring[int] = Ring(max_events=max_events, max_bytes=max_bytes, first=7)
    positions = [7, 7, 7]
    accounted = [7, 7, 7]
    sizes: list[int] = []
    for what, number in orders:
        if what == "append":
            assert ring.append(ring.next, number) == 7 + len(sizes)
            sizes.append(number)
        elif what == "back":
            positions[number] = accounted[number] = ring.back(3)
            assert ring.first <= positions[number] <= ring.next
        else:
            step = ring.read(positions[number])
            if step is None:
                assert positions[number] == ring.next or not ring
                continue
            assert step.event == step.number == accounted[number] + step.lost
            accounted[number] = positions[number] = step.number + 1
        assert len(ring) <= max_events
        held = sizes[len(sizes) - len(ring) :]
        assert ring.num_bytes == sum(held) <= max_bytes
        # No more went than had to.
        if len(ring) < min(max_events, len(sizes)):
            assert sum(sizes[len(sizes) - len(ring) - 1 :]) > max_bytes


def test_what_is_larger_than_the_ring_is_a_gap() -> None:
    """It passes through, and is counted when the next one comes."""
    ring: Ring[str] = Ring(max_events=5, max_bytes=10)
    ring.append("large", 11)
    assert ring.read(1) is None
    ring.append("small", 1)
    step = ring.read(1)
    assert step is not None
    assert (step.lost, step.number, step.event) == (1, 2, "small")
