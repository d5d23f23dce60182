"""JSON in plain Python gives what the extension gives, which gives what the oracle gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import example, given

from tests.support import strategies, strategies_json
from tests.support.equivalence_json import JSON, NDJSON
from tests.support.strategies import NOW
from tests.support.twins import assert_twins

if TYPE_CHECKING:
    from otlp2parquet import Signal


@strategies.examples(300)
@given(strategies_json.plain_texts)
def test_plain_messages(signal_text: tuple[Signal, bytes]) -> None:
    """Every spelling that OTLP/JSON allows."""
    assert_twins(signal_text[1], signal_text[0], content_type=JSON, received_at=NOW)


@strategies.examples(800)
@given(strategies_json.odd_texts)
def test_odd_messages(signal_text: tuple[Signal, bytes]) -> None:
    """Members twice, nulls, wrong types, unknown keys."""
    assert_twins(signal_text[1], signal_text[0], content_type=JSON, received_at=NOW)


@strategies.examples(800)
@given(strategies_json.mutated_texts())
def test_mutated_messages(signal_text: tuple[Signal, bytes]) -> None:
    """Damaged text: refused at the same byte with the same words, or read alike."""
    assert_twins(signal_text[1], signal_text[0], content_type=JSON, received_at=NOW)


@strategies.examples(200)
@given(strategies.arbitrary_payloads())
@example(("logs", b"{}")).via("the empty request")
@example(("logs", b"")).via("no JSON at all")
def test_arbitrary_bytes(signal_text: tuple[Signal, bytes]) -> None:
    """Any byte string."""
    assert_twins(signal_text[1], signal_text[0], content_type=JSON, received_at=NOW)


@strategies.examples(200)
@given(strategies_json.lines())
def test_json_lines(signal_text: tuple[Signal, bytes]) -> None:
    """Each line is a request."""
    assert_twins(signal_text[1], signal_text[0], content_type=NDJSON, received_at=NOW)


@strategies.examples(30)
@given(strategies_json.small_texts)
def test_every_truncation(signal_text: tuple[Signal, bytes]) -> None:
    """Cut anywhere."""
    signal, text = signal_text
    for end in range(len(text)):
        assert_twins(text[:end], signal, content_type=JSON, received_at=NOW)
