"""The decoder in plain Python gives what the extension gives, which gives what the oracle gives.

Same rows, same verdicts, counts, messages and places, on whatever Hypothesis thinks of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import example, given

from tests.support import strategies
from tests.support.twins import assert_twins

if TYPE_CHECKING:
    from otlp2parquet import Signal


@strategies.examples(300)
@given(strategies.plain_payloads, strategies.RECEIVED_AT)
def test_plain_messages(signal_payload: tuple[Signal, bytes], received_at: int | None) -> None:
    """What any library writes."""
    assert_twins(signal_payload[1], signal_payload[0], received_at=received_at)


@strategies.examples(200)
@given(strategies.object_payloads, strategies.RECEIVED_AT)
def test_message_objects(signal_payload: tuple[Signal, bytes], received_at: int | None) -> None:
    """What the official classes write."""
    assert_twins(signal_payload[1], signal_payload[0], received_at=received_at)


@strategies.examples(600)
@given(strategies.odd_payloads, strategies.RECEIVED_AT)
def test_odd_messages(signal_payload: tuple[Signal, bytes], received_at: int | None) -> None:
    """Whatever the wire format allows."""
    assert_twins(signal_payload[1], signal_payload[0], received_at=received_at)


@strategies.examples(800)
@given(strategies.mutated_payloads())
def test_mutated_messages(signal_payload: tuple[Signal, bytes]) -> None:
    """Damaged messages: refused at the same byte with the same words, or read alike."""
    assert_twins(signal_payload[1], signal_payload[0])


@strategies.examples(200)
@given(strategies.arbitrary_payloads())
@example(("logs", b"")).via("the empty request")
def test_arbitrary_bytes(signal_payload: tuple[Signal, bytes]) -> None:
    """Any byte string."""
    assert_twins(signal_payload[1], signal_payload[0])


@strategies.examples(50)
@given(strategies.small_payloads)
def test_every_truncation(signal_payload: tuple[Signal, bytes]) -> None:
    """A cut message."""
    signal, payload = signal_payload
    for end in range(len(payload)):
        assert_twins(payload[:end], signal)
