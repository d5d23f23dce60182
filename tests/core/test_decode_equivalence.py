"""The native decoder gives what the oracle gives: same rows, same verdict, same counts.

Whatever Hypothesis thinks of is held against the oracle here; the cases with an outcome
written down by hand, so that the two decoders cannot be wrong together, are in ``vectors``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otlp2parquet import process_otlp
from tests.support import strategies
from tests.support.canonical import arrow_bytes
from tests.support.shapes import assert_same
from tests.support.strategies import END_GROUP, NOW, START_GROUP, nested, tag

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from otlp2parquet import Signal


@strategies.examples(800)
@given(strategies.plain_payloads, strategies.RECEIVED_AT)
def test_plain_messages(signal_payload: tuple[Signal, bytes], received_at: int | None) -> None:
    """What any library writes is decoded as the tables say."""
    assert_same(signal_payload[1], signal_payload[0], received_at)


@strategies.examples(500)
@given(strategies.object_payloads, strategies.RECEIVED_AT)
def test_message_objects(signal_payload: tuple[Signal, bytes], received_at: int | None) -> None:
    """What the official classes write is decoded as the tables say."""
    assert_same(signal_payload[1], signal_payload[0], received_at)


@strategies.examples(1500)
@given(strategies.odd_payloads, strategies.RECEIVED_AT)
def test_odd_messages(signal_payload: tuple[Signal, bytes], received_at: int | None) -> None:
    """Whatever the wire format allows means what protobuf says it means."""
    assert_same(signal_payload[1], signal_payload[0], received_at)


@strategies.examples(2000)
@given(strategies.mutated_payloads())
def test_mutated_messages(signal_payload: tuple[Signal, bytes]) -> None:
    """Damaged messages are refused, or accepted, exactly where the official parser does."""
    assert_same(signal_payload[1], signal_payload[0])


@strategies.examples(1500)
@given(strategies.skipped_groups())
@example(b"\x00\x01").via("field number 0, which no message may have and a skipped group may")
def test_what_a_skipped_group_holds(inside: bytes) -> None:
    """A group that nobody knows is passed over as the official parser does, whatever is in it."""
    group = tag(99, START_GROUP) + inside + tag(99, END_GROUP)
    for numbers in ((), (1,), (1, 1), (1, 2), (1, 2, 2), (1, 2, 2, 5), (1, 2, 2, 6)):
        assert_same(nested(numbers, group), "logs")


@strategies.examples(500)
@given(strategies.arbitrary_payloads())
@example(("logs", b"")).via("the empty request")
def test_arbitrary_bytes(signal_payload: tuple[Signal, bytes]) -> None:
    """Any byte string gives tables or a DecodeError, never a panic."""
    assert_same(signal_payload[1], signal_payload[0])


@strategies.examples(150)
@given(strategies.small_payloads)
def test_every_truncation(signal_payload: tuple[Signal, bytes]) -> None:
    """A cut message is an error, or the message that its prefix happens to be."""
    signal, payload = signal_payload
    for end in range(len(payload)):
        assert_same(payload[:end], signal)


@strategies.examples(150)
@given(strategies.valid_payloads)
def test_the_same_bytes_give_the_same_arrow(signal_payload: tuple[Signal, bytes]) -> None:
    """The decode is a function of its bytes: every buffer is the same the second time."""
    signal, payload = signal_payload
    first = process_otlp(payload, signal, received_at=NOW)
    again = process_otlp(payload, signal, received_at=NOW)
    assert arrow_bytes(first.batches) == arrow_bytes(again.batches)


RECORDS: dict[Signal, tuple[Message, tuple[int, ...]]] = {
    "logs": (
        LogRecord(
            time_unix_nano=NOW,
            severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
            severity_text="INFO",
            body=AnyValue(string_value="text"),
            attributes=[KeyValue(key="a", value=AnyValue(double_value=1.5))],
            dropped_attributes_count=1,
            flags=1,
            trace_id=bytes(range(16)),
            span_id=bytes(range(8)),
            observed_time_unix_nano=NOW,
        ),
        (1, 2, 2),
    ),
    "traces": (
        Span(
            trace_id=bytes(range(16)),
            span_id=bytes(range(8)),
            name="name",
            kind=Span.SPAN_KIND_SERVER,
            start_time_unix_nano=NOW,
            end_time_unix_nano=NOW + 1,
            attributes=[KeyValue(key="a", value=AnyValue(int_value=300))],
            events=[Span.Event(time_unix_nano=NOW, name="event")],
            status=Status(code=Status.STATUS_CODE_OK),
            flags=257,
        ),
        (1, 2, 2),
    ),
    "metrics": (
        NumberDataPoint(
            start_time_unix_nano=NOW,
            time_unix_nano=NOW,
            as_double=1.5,
            attributes=[KeyValue(key="a", value=AnyValue(bool_value=True))],
            exemplars=[Exemplar(time_unix_nano=NOW, as_int=-1, span_id=bytes(range(8)))],
            flags=1,
        ),
        (1, 2, 2, 5, 1),
    ),
}
"""A usual record of each signal, and the fields that it lies in."""


@pytest.mark.parametrize("signal", RECORDS)
def test_a_record_cut_anywhere(signal: Signal) -> None:
    """Also where nothing is behind it, so that who reads on leaves the request."""
    record, fields = RECORDS[signal]
    whole = record.SerializeToString(deterministic=True)
    for end in range(len(whole) + 1):
        assert_same(nested(fields, whole[:end]), signal, NOW)
        assert_same(nested(fields, whole[:end]) + nested(fields, whole), signal, NOW)
