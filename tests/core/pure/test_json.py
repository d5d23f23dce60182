"""JSON in plain Python: what the equivalence tests, which hold it to the extension, do not try.

Those do so on every vector and every generated message (``support/twins``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from otlp2parquet.core.decoder import recognize_json as native_recognize_json
from otlp2parquet.core.pure.otlp_json.decimals import nearest_double
from otlp2parquet.core.pure.otlp_json.recognize import recognize_json
from tests.support import strategies, strategies_json
from tests.support.equivalence_json import JSON
from tests.support.strategies import NOW
from tests.support.twins import assert_twins

if TYPE_CHECKING:
    from otlp2parquet import Signal


@strategies.examples(10)
@given(strategies_json.small_texts)
def test_every_truncation(signal_text: tuple[Signal, bytes]) -> None:
    """Cut anywhere it is refused at the same byte with the same words, and recognized alike."""
    signal, text = signal_text
    for end in range(len(text)):
        assert_twins(text[:end], signal, content_type=JSON, received_at=NOW)
        assert recognize_json(text[:end]) == native_recognize_json(text[:end])


@pytest.mark.parametrize("text", ["\ud800", '{"resourceLogs":[]}'])
def test_text_is_taken_for_json(text: str) -> None:
    """As the extension takes it: what UTF-8 cannot encode is the caller's mistake."""
    if text.isascii():
        assert_twins(text, "logs", content_type=JSON)
        return
    with pytest.raises(UnicodeEncodeError):
        assert_twins(text, "logs", content_type=JSON)


def test_long_numbers_take_no_longer_than_their_text() -> None:
    """A double of a million digits is read, and rounded as it should be."""
    digits = b"1" + b"0" * 1_000_000
    assert nearest_double(b"0." + digits) == 0.1
    assert nearest_double(digits + b"e-1000000") == 1.0
    assert nearest_double(digits) is None
