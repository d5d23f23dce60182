"""JSON gives what the oracle gives, and what protobuf gives: same rows, same verdict and counts.

Whatever Hypothesis thinks of is held against the oracle here; the cases with an outcome written
down by hand are in ``vectors/test_json.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given

from otlp2parquet import DecodeError, process_otlp
from tests.support import json_edits, oracle, oracle_json, strategies, strategies_json
from tests.support.canonical import arrow_bytes
from tests.support.equivalence_json import JSON, NDJSON, assert_same
from tests.support.strategies import NOW

if TYPE_CHECKING:
    from otlp2parquet import Signal


HALF_A_PAIR = (
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"status":{"code":"\\ude00\\ud83d"}}]}]}]}'
)


@strategies.examples(600)
@given(strategies_json.plain_texts)
def test_plain_messages(signal_text: tuple[Signal, bytes]) -> None:
    """Every spelling that OTLP/JSON allows means what it says."""
    assert_same(signal_text[1], signal_text[0])


@strategies.examples(1500)
@given(strategies_json.odd_texts)
def test_odd_messages(signal_text: tuple[Signal, bytes]) -> None:
    """Members twice, nulls, wrong types, unknown keys: each costs what the rules say."""
    assert_same(signal_text[1], signal_text[0])


@strategies.examples(1500)
@given(strategies_json.mutated_texts())
def test_mutated_messages(signal_text: tuple[Signal, bytes]) -> None:
    """Damaged text is refused exactly where the standard library refuses it."""
    assert_same(signal_text[1], signal_text[0])


@strategies.examples(700)
@given(json_edits.edited_texts())
def test_edited_messages(signal_text: tuple[Signal, bytes]) -> None:
    """What is nearly right is taken, left out or refused for what it is."""
    assert_same(signal_text[1], signal_text[0])


@strategies.examples(500)
@given(strategies.arbitrary_payloads())
@example(("logs", b"{}")).via("the empty request")
@example(("traces", HALF_A_PAIR)).via("half a surrogate pair where the name of an enum belongs")
@example(("logs", b"")).via("no JSON at all")
def test_arbitrary_bytes(signal_text: tuple[Signal, bytes]) -> None:
    """Any byte string gives tables or a DecodeError, never a panic."""
    assert_same(signal_text[1], signal_text[0])


@strategies.examples(400)
@given(strategies_json.lines())
def test_json_lines(signal_text: tuple[Signal, bytes]) -> None:
    """Each line is a request; one bad line is an error of the whole."""
    assert_same(signal_text[1], signal_text[0], NDJSON)


@strategies.examples(500)
@given(strategies_json.message_and_text())
def test_json_and_protobuf_of_one_message(case: tuple[Signal, bytes, bytes]) -> None:
    """The tables do not tell in which format a request came: every buffer is the same."""
    signal, payload, text = case
    protobuf = process_otlp(payload, signal, received_at=NOW)
    try:
        oracle_json.decode(text, signal, NOW, JSON)
    except oracle.UndecodableError:
        # Members, and none that the signal knows: in JSON that is told, and hides no record.
        with pytest.raises(DecodeError, match="found "):
            process_otlp(text, signal, content_type=JSON)
        assert protobuf.accepted == protobuf.rejected == 0
        return
    json = process_otlp(text, signal, content_type=JSON, received_at=NOW)
    assert arrow_bytes(json.batches) == arrow_bytes(protobuf.batches)
    assert (json.accepted, json.rejected) == (protobuf.accepted, protobuf.rejected)


@strategies.examples(60)
@given(strategies_json.small_texts)
def test_every_truncation(signal_text: tuple[Signal, bytes]) -> None:
    """Cut anywhere before its last bracket, a request is an error: an object has one end."""
    signal, text = signal_text
    for end in range(len(text.rstrip())):
        with pytest.raises(DecodeError, match="malformed json") as caught:
            process_otlp(text[:end], signal, content_type=JSON)
        assert caught.value.offset is not None
        assert caught.value.offset <= end
