"""Small requests by their shape, and the one way to hold decoders and oracle together.

Knows field numbers of OTLP, to be able to write what no library writes; it knows no outcome.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import text_format

from otlp2parquet import BatchBuilder, DecodeError, TooLargeError, process_otlp
from tests.support import oracle
from tests.support.canonical import exact_rows, groups_of
from tests.support.strategies import FIXED64, delimited, nested, tag
from tests.support.twins import assert_twin, facts_of, facts_of_error

if TYPE_CHECKING:
    from otlp2parquet import Signal

VECTORS = Path(__file__).parents[1] / "vectors"
LOG = SPAN = METRIC = (1, 2, 2)
"""The way to a record: resource_logs, scope_logs, log_records; the others are alike."""


def assert_same(payload: bytes, signal: Signal, received_at: int | None = None) -> None:
    """Hold the native decoder against the oracle on one payload, and its twin to it."""
    builder = BatchBuilder()
    try:
        want = oracle.decode(payload, signal, received_at)
    except (oracle.UndecodableError, oracle.OverLimitError) as error:
        is_malformed = isinstance(error, oracle.UndecodableError)
        with pytest.raises(DecodeError if is_malformed else TooLargeError) as caught:
            builder.append(payload, signal, received_at=received_at)
        assert builder.finish() == []
        assert_twin(payload, signal, facts_of_error(caught.value), {}, received_at=received_at)
        return
    appended = builder.append(payload, signal, received_at=received_at)
    groups = groups_of(builder.finish())
    assert set(groups) == set(want.groups)
    for key, rows in want.groups.items():
        assert exact_rows(groups[key]) == exact_rows(rows), key
    counts = (appended.accepted, appended.rejected, appended.undated)
    assert counts == (want.accepted, want.rejected, want.undated)
    assert bool(appended.message) == want.speaks, appended.message
    assert_twin(payload, signal, facts_of(appended), groups, received_at=received_at)


def string_value(text: bytes) -> bytes:
    """An AnyValue that is a string."""
    return delimited(1, text)


def attribute(key: bytes, value: bytes) -> bytes:
    """A KeyValue."""
    return delimited(1, key) + delimited(2, value)


def log(record: bytes, *more: bytes) -> bytes:
    """A request with one log record per argument."""
    return nested(LOG[:2], b"".join(delimited(2, r) for r in (record, *more)))


def resource(*pairs: bytes) -> bytes:
    """The resource field of a ResourceLogs (Spans, Metrics)."""
    return delimited(1, b"".join(delimited(1, pair) for pair in pairs))


def the_row(payload: bytes, signal: Signal, received_at: int | None = None) -> oracle.Row:
    """The only row of a payload, which the oracle sees too."""
    assert_same(payload, signal, received_at)
    result = process_otlp(payload, signal, received_at=received_at)
    (rows,) = groups_of(result.batches).values()
    (row,) = rows
    return row


def at(nanos: int) -> bytes:
    """The fixed64 that a time is."""
    return nanos.to_bytes(8, "little")


def double_value(x: float) -> bytes:
    """An AnyValue that is a double."""
    return tag(4, FIXED64) + struct.pack("<d", x)


def every_field(signal: Signal) -> Any:
    """The request in which every field of OTLP is set."""
    text = (VECTORS / f"every_field.{signal}.textproto").read_text(encoding="utf-8")
    return text_format.Parse(text, oracle.REQUESTS[signal]())


def deep(levels: int) -> bytes:
    """An AnyValue of nested arrays and kvlists in turn, with a string at the bottom."""
    value = string_value(b"x")
    for level in range(levels):
        if level % 2:
            value = delimited(6, delimited(1, attribute(b"k", value)))
        else:
            value = delimited(5, delimited(1, value))
    return value
