"""Protobuf's traps: each thing the wire allows or forbids, with its outcome."""

from __future__ import annotations

from typing import Any

import pytest

from otlp2parquet import DecodeError, process_otlp
from tests.support import oracle
from tests.support.shapes import (
    METRIC,
    assert_same,
    attribute,
    log,
    resource,
    string_value,
    the_row,
)
from tests.support.strategies import (
    END_GROUP,
    FIXED32,
    FIXED64,
    LENGTH,
    START_GROUP,
    VARINT,
    delimited,
    nested,
    tag,
    varint,
)

INT = tag(3, VARINT)
BODY = tag(5, LENGTH)
WIRE_CASES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "a scalar given twice: the last": (
        delimited(3, b"INFO") + delimited(3, b"WARN"),
        {"SeverityText": "WARN"},
    ),
    "a scalar given twice, the last a default": (
        delimited(3, b"INFO") + delimited(3, b""),
        {"SeverityText": None},
    ),
    "a oneof set twice: the last": (
        delimited(5, string_value(b"x") + INT + b"\x07"),
        {"Body": "7", "BodyType": "int"},
    ),
    "a submessage given twice is merged, its oneof too": (
        delimited(5, string_value(b"x")) + delimited(5, tag(2, VARINT) + b"\x01"),
        {"Body": "true", "BodyType": "bool"},
    ),
    "an array given twice is concatenated": (
        delimited(5, nested((5, 1), string_value(b"a")))
        + delimited(5, nested((5, 1), string_value(b"b"))),
        {"Body": '["a","b"]'},
    ),
    "an array overwritten between is not": (
        delimited(
            5,
            nested((5, 1), string_value(b"a"))
            + string_value(b"x")
            + nested((5, 1), string_value(b"b")),
        ),
        {"Body": '["b"]'},
    ),
    "a submessage given again, empty, changes nothing": (
        delimited(5, string_value(b"x")) + delimited(5, b""),
        {"Body": "x", "BodyType": "string"},
    ),
    "an unknown field of each wire type": (
        tag(99, VARINT)
        + b"\xff\x01"
        + tag(99, FIXED64)
        + bytes(8)
        + delimited(99, b"\xff")
        + tag(99, FIXED32)
        + bytes(4)
        + delimited(3, b"INFO"),
        {"SeverityText": "INFO"},
    ),
    "an unknown group with groups and a known number inside": (
        tag(99, START_GROUP)
        + delimited(3, b"no")
        + tag(3, START_GROUP)
        + tag(3, END_GROUP)
        + tag(99, END_GROUP),
        {"SeverityText": None},
    ),
    "a group under a known number is unknown": (
        tag(5, START_GROUP) + delimited(1, b"no") + tag(5, END_GROUP),
        {"Body": None},
    ),
    "a known field with another wire type is unknown": (
        tag(3, VARINT) + b"\x05" + tag(1, VARINT) + b"\x05" + tag(2, FIXED32) + bytes(4),
        {"SeverityText": None, "SeverityNumber": 0, "TimestampNanos": None},
    ),
    "an overlong varint": (tag(2, VARINT) + varint(9, pad=9), {"SeverityNumber": 9}),
    "an overlong tag": (tag(2, VARINT, pad=4) + b"\x09", {"SeverityNumber": 9}),
    "an overlong length": (tag(3, LENGTH) + varint(1, pad=4) + b"x", {"SeverityText": "x"}),
    "a varint of ten bytes with bits to spare": (
        tag(2, VARINT) + b"\xff" * 9 + b"\x7f",
        {"SeverityNumber": -1},
    ),
    "32 bits are kept of a varint": (
        tag(2, VARINT) + varint(2**32 + 5) + tag(7, VARINT) + varint(2**40 + 6),
        {"SeverityNumber": 5, "DroppedAttributesCount": 6},
    ),
    "a negative enum": (tag(2, VARINT) + varint(-5), {"SeverityNumber": -5}),
    "any bit makes a bool": (
        delimited(5, tag(2, VARINT) + varint(2**63)),
        {"Body": "true"},
    ),
    "flags in full": (tag(8, FIXED32) + b"\xff\xff\xff\xff", {"TraceFlags": 2**32 - 1}),
    "ids of any length": (
        delimited(9, b"\x01") + delimited(10, b"\xab" * 20),
        {"TraceId": "01", "SpanId": "ab" * 20},
    ),
}


@pytest.mark.parametrize("case", WIRE_CASES)
def test_wire_trap(case: str) -> None:
    """Each trap of the wire format has the outcome that protobuf gives it."""
    record, want = WIRE_CASES[case]
    row = the_row(log(record), "logs")
    assert {name: row[name] for name in want} == want


BROKEN_WIRE = {
    "field number 0": b"\x00\x00",
    "field number 0 with a length": b"\x02\x00",
    "wire type 6": tag(99, 6) + b"\x00",
    "wire type 7": tag(99, 7) + b"\x00",
    "a group that is not open": tag(99, END_GROUP),
    "a group that is not closed": tag(99, START_GROUP),
    "a group closed under another number": tag(99, START_GROUP) + tag(98, END_GROUP),
    "a varint of eleven bytes": tag(2, VARINT) + varint(1, pad=10),
    "an unknown varint of eleven bytes": tag(99, VARINT) + varint(1, pad=10),
    "a tag of six bytes": tag(2, VARINT, pad=5) + b"\x00",
    "a tag beyond 32 bits": varint(2**32 | 16) + b"\x00",
    "a length of six bytes": tag(3, LENGTH) + varint(0, pad=5),
    "a length beyond the record": tag(3, LENGTH) + b"\x01",
    "a length beyond 31 bits": tag(3, LENGTH) + varint(2**31),
    "a length beyond 64 bits": tag(3, LENGTH) + b"\xff" * 9 + b"\x01",
    "an unknown length beyond the record": tag(99, LENGTH) + b"\x01",
    "a fixed64 cut short": tag(1, FIXED64) + bytes(7),
    "a fixed32 cut short": tag(8, FIXED32) + bytes(3),
    "a varint without its end": tag(2, VARINT) + b"\x80",
    "a tag without its value": tag(2, VARINT),
    "a broken value that is overwritten": BODY + b"\x02\x0a\x05" + delimited(5, string_value(b"x")),
    "a broken item that is overwritten": delimited(
        5, nested((5, 1), tag(1, LENGTH) + b"\x05") + string_value(b"x")
    ),
}


@pytest.mark.parametrize("case", BROKEN_WIRE)
@pytest.mark.parametrize("last", [True, False], ids=["last", "before others"])
def test_broken_wire(case: str, *, last: bool) -> None:
    """What the official parser refuses is refused, also when more records follow."""
    broken = log(BROKEN_WIRE[case], *([] if last else [b""]))
    with pytest.raises(oracle.UndecodableError):
        oracle.decode(broken, "logs")
    with pytest.raises(DecodeError):
        process_otlp(broken, "logs")


def test_field_order_is_free() -> None:
    """Resource, scope, schema URLs and the metric's facts may come after the records."""
    record = delimited(2, delimited(3, b"INFO"))
    scope = record + delimited(1, delimited(1, b"scope")) + delimited(3, b"scope-url")
    late = delimited(3, b"url") + resource(attribute(b"service.name", string_value(b"late")))
    row = the_row(delimited(1, delimited(2, scope) + late), "logs")
    assert (row["ServiceName"], row["ScopeName"], row["ResourceSchemaUrl"]) == (
        "late",
        "scope",
        "url",
    )
    point = delimited(1, tag(6, FIXED64) + b"\x05" + bytes(7))
    late_metric = delimited(7, point + tag(2, VARINT) + b"\x01") + delimited(1, b"late name")
    row = the_row(nested(METRIC, late_metric), "metrics")
    assert (row["MetricName"], row["AggregationTemporality"], row["IntValue"]) == (
        "late name",
        "AGGREGATION_TEMPORALITY_DELTA",
        5,
    )


def test_metric_data_given_twice() -> None:
    """The same kind of data twice is merged; another kind replaces the first."""
    point = delimited(1, tag(8, VARINT) + b"\x01")
    merged = nested(METRIC, delimited(5, point) + delimited(5, point))
    assert_same(merged, "metrics")
    assert process_otlp(merged, "metrics").accepted == 2
    replaced = nested(METRIC, delimited(5, point + point) + delimited(7, point))
    assert_same(replaced, "metrics")
    (batch,) = process_otlp(replaced, "metrics").batches
    assert (batch.table, batch.num_rows) == ("otel_metrics_sum", 1)
    again = nested(METRIC, delimited(5, point) + delimited(7, point) + delimited(5, point))
    assert_same(again, "metrics")
    assert [b.table for b in process_otlp(again, "metrics").batches] == ["otel_metrics_gauge"]


@pytest.mark.parametrize("way", ["packed", "unpacked", "mixed", "in two chunks"])
def test_repeated_numbers_packed_or_not(way: str) -> None:
    """Bucket counts and bounds read the same however they are packed."""
    items = [n.to_bytes(8, "little") for n in (1, 2, 3)]
    unpacked = b"".join(tag(6, FIXED64) + item for item in items)
    point = {
        "packed": delimited(6, b"".join(items)),
        "unpacked": unpacked,
        "mixed": delimited(6, items[0]) + unpacked[9:18] + delimited(6, items[2]),
        "in two chunks": delimited(6, items[0])
        + delimited(6, b"")
        + delimited(6, b"".join(items[1:])),
    }[way]
    row = the_row(nested((*METRIC, 9, 1), point), "metrics")
    assert row["BucketCounts"] == [1, 2, 3]
    counts = {
        "packed": delimited(2, b"\x01\x02\x03"),
        "unpacked": b"\x10\x01\x10\x02\x10\x03",
        "mixed": b"\x10\x01" + delimited(2, b"\x02\x03"),
        "in two chunks": delimited(2, b"\x01") + delimited(2, b"\x02\x83\x00"),
    }[way]
    row = the_row(nested((*METRIC, 10, 1, 9), counts), "metrics")
    assert (row["NegativeOffset"], row["NegativeBucketCounts"]) == (0, [1, 2, 3])
    assert (row["PositiveOffset"], row["PositiveBucketCounts"]) == (None, [])


@pytest.mark.parametrize("size", [1, 7, 9, 15])
def test_packed_numbers_of_a_broken_length(size: int) -> None:
    """A packed list of 8-byte numbers that does not divide by 8 is an error."""
    broken = nested((*METRIC, 9, 1, 6), bytes(size))
    assert_same(broken, "metrics")
    with pytest.raises(DecodeError):
        process_otlp(broken, "metrics")
