"""The one way to hold the native JSON decoder against the oracle, on one body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otlp2parquet import BatchBuilder, DecodeError, TooLargeError
from tests.support import oracle, oracle_json
from tests.support.canonical import exact_rows, groups_of
from tests.support.strategies import NOW

if TYPE_CHECKING:
    from otlp2parquet import Signal

JSON, NDJSON = "application/json", "application/x-ndjson"


def assert_same(text: bytes, signal: Signal, content_type: str = JSON) -> None:
    """Hold the native decoder against the oracle on one body."""
    builder = BatchBuilder()
    try:
        want = oracle_json.decode(text, signal, NOW, content_type)
    except oracle.UndecodableError:
        with pytest.raises(DecodeError, match="malformed json"):
            builder.append(text, signal, content_type=content_type, received_at=NOW)
        assert builder.finish() == []
        return
    except oracle.OverLimitError:
        with pytest.raises(TooLargeError):
            builder.append(text, signal, content_type=content_type, received_at=NOW)
        return
    appended = builder.append(text, signal, content_type=content_type, received_at=NOW)
    groups = groups_of(builder.finish())
    assert set(groups) == set(want.decoded.groups)
    for key, rows in want.decoded.groups.items():
        assert exact_rows(groups[key]) == exact_rows(rows), key
    counts = (appended.accepted, appended.rejected, appended.undated)
    assert counts == (want.decoded.accepted, want.rejected, want.decoded.undated), appended.message
    assert bool(appended.message) == want.speaks, appended.message
