"""The one way to hold JSON decoders against the oracle, on one body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otlp2parquet import BatchBuilder, DecodeError, TooLargeError
from tests.support import oracle, oracle_json
from tests.support.canonical import exact_rows, groups_of
from tests.support.strategies import NOW
from tests.support.twins import assert_twin, facts_of, facts_of_error

if TYPE_CHECKING:
    from otlp2parquet import Signal

JSON, NDJSON = "application/json", "application/x-ndjson"


def assert_same(text: bytes, signal: Signal, content_type: str = JSON) -> None:
    """Hold the native decoder against the oracle on one body, and its twin to it."""
    builder = BatchBuilder()
    try:
        want = oracle_json.decode(text, signal, NOW, content_type)
    except (oracle.UndecodableError, oracle.OverLimitError) as error:
        is_malformed = isinstance(error, oracle.UndecodableError)
        with pytest.raises(
            DecodeError if is_malformed else TooLargeError,
            match="malformed json" if is_malformed else "",
        ) as caught:
            builder.append(text, signal, content_type=content_type, received_at=NOW)
        assert builder.finish() == []
        assert_twin(
            text, signal, facts_of_error(caught.value), {},
            content_type=content_type, received_at=NOW,
        )  # fmt: skip
        return
    appended = builder.append(text, signal, content_type=content_type, received_at=NOW)
    groups = groups_of(builder.finish())
    assert set(groups) == set(want.decoded.groups)
    for key, rows in want.decoded.groups.items():
        assert exact_rows(groups[key]) == exact_rows(rows), key
    counts = (appended.accepted, appended.rejected, appended.undated)
    assert counts == (want.decoded.accepted, want.rejected, want.decoded.undated), appended.message
    assert bool(appended.message) == want.speaks, appended.message
    assert_twin(
        text, signal, facts_of(appended), groups, content_type=content_type, received_at=NOW
    )
