"""Where rows belong and what their columns say: services, hours, times, spans and points."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from otlp2parquet import BatchBuilder, process_otlp
from tests.support.canonical import exact, groups_of
from tests.support.shapes import (
    METRIC,
    SPAN,
    assert_same,
    at,
    attribute,
    double_value,
    log,
    resource,
    string_value,
    the_row,
)
from tests.support.strategies import FIXED64, HOUR, NOW, VARINT, delimited, nested, tag, varint

NAME = b"service.name"
SERVICES: dict[str, tuple[list[bytes], str | None]] = {
    "none": ([], None),
    "one": ([attribute(NAME, string_value(b"a"))], "a"),
    "empty": ([attribute(NAME, string_value(b""))], None),
    "not a string": ([attribute(NAME, tag(3, VARINT) + b"\x01")], None),
    "without a value": ([delimited(1, NAME)], None),
    "the first of two": (
        [attribute(NAME, string_value(b"a")), attribute(NAME, string_value(b"b"))],
        "a",
    ),
    "the first, though it is no string": (
        [attribute(NAME, tag(2, VARINT) + b"\x01"), attribute(NAME, string_value(b"b"))],
        None,
    ),
    "the first, though it is empty": (
        [attribute(NAME, string_value(b"")), attribute(NAME, string_value(b"b"))],
        None,
    ),
    "another spelling": ([attribute(b"Service.Name", string_value(b"a"))], None),
}


@pytest.mark.parametrize("case", SERVICES)
def test_service_name(case: str) -> None:
    """The first attribute of that key names the service, if it is a string with text."""
    pairs, want = SERVICES[case]
    payload = delimited(1, resource(*pairs) + nested((2, 2), b""))
    assert the_row(payload, "logs")["ServiceName"] == want
    (batch,) = process_otlp(payload, "logs").batches
    assert batch.service == want


def test_one_batch_per_service_and_hour_in_wire_order() -> None:
    """Rows of one (table, service, hour) are one batch, in wire order, resources apart or not."""
    hour = HOUR
    begin = NOW // hour * hour

    def one(service: bytes, *records: tuple[int, bytes]) -> bytes:
        logs = b"".join(
            delimited(2, tag(1, FIXED64) + at(time) + delimited(3, text)) for time, text in records
        )
        return delimited(1, resource(attribute(NAME, string_value(service))) + delimited(2, logs))

    payload = (
        one(b"a", (begin, b"1"), (begin - 1, b"2"), (begin + hour - 1, b"3"))
        + one(b"b", (begin, b"4"))
        + one(b"a", (begin + 5, b"5"), (begin + hour, b"6"))
    )
    assert_same(payload, "logs")
    groups = {
        (key[1], key[2]): [row["SeverityText"] for row in rows]
        for key, rows in groups_of(process_otlp(payload, "logs").batches).items()
    }

    def when(nanos: int) -> datetime:
        return datetime.fromtimestamp(nanos // 10**9, tz=UTC)

    assert groups == {
        ("a", when(begin)): ["1", "3", "5"],
        ("a", when(begin - hour)): ["2"],
        ("b", when(begin)): ["4"],
        ("a", when(begin + hour)): ["6"],
    }


TIME, OBSERVED = tag(1, FIXED64), tag(11, FIXED64)
SEEN = NOW + 1001
LOG_TIMES: dict[str, tuple[bytes, tuple[int, int | None, int | None, int | None], int]] = {
    "both": (TIME + at(NOW) + OBSERVED + at(SEEN), (NOW, 789, SEEN, 790), 0),
    "time alone": (TIME + at(NOW), (NOW, 789, None, None), 0),
    "observed alone": (OBSERVED + at(SEEN), (SEEN, None, SEEN, 790), 0),
    "neither": (b"", (SEEN + 5, None, None, None), 1),
    "zeros": (TIME + at(0) + OBSERVED + at(0), (SEEN + 5, None, None, None), 1),
    "the last of all": (TIME + at(2**64 - 1), (2**64 - 1, 615, None, None), 0),
    "the first of all": (TIME + at(1), (1, 1, None, None), 0),
}


@pytest.mark.parametrize("case", LOG_TIMES)
def test_log_times(case: str) -> None:
    """Timestamp is the record's time, else the observed, else the receive time.

    The row says which: TimestampNanos is null unless the record's own time was given. Were it
    set from the observed time too, a record with one time and a record with the same time
    twice would be the same row, and the message could not be rebuilt.
    """
    record, (stamp, nanos, observed, observed_nanos), undated = LOG_TIMES[case]
    payload = log(record)
    row = the_row(payload, "logs", received_at=SEEN + 5)
    assert row["Timestamp"] == stamp // 1000
    assert row["TimestampNanos"] == nanos
    assert row["ObservedTimestamp"] == (None if observed is None else observed // 1000)
    assert row["ObservedTimestampNanos"] == observed_nanos
    assert BatchBuilder().append(payload, "logs", received_at=SEEN + 5).undated == undated


def test_batches_come_by_table_and_then_by_first_appearance() -> None:
    """The tables have their order; within one, batches come as their first rows appear."""
    sums = nested((2, 7, 1), tag(3, FIXED64) + at(NOW)) + nested((2, 7, 1), b"")
    payload = nested((1, 2), nested((2, 11, 1), b"") + sums + nested((2, 5, 1), b""))
    batches = process_otlp(payload, "metrics").batches
    assert [(batch.table, batch.hour.year) for batch in batches] == [
        ("otel_metrics_gauge", 1970),
        ("otel_metrics_sum", 2026),
        ("otel_metrics_sum", 1970),
        ("otel_metrics_summary", 1970),
    ]


def test_without_a_receive_time_it_is_the_epoch() -> None:
    """The core has no clock: a record without a time, and no received_at, is of 1970."""
    (batch,) = process_otlp(nested(SPAN, b""), "traces").batches
    assert batch.hour == datetime(1970, 1, 1, tzinfo=UTC)
    assert the_row(nested(SPAN, b""), "traces")["Timestamp"] == 0


def test_received_at_is_not_for_spans_and_points_that_have_a_time() -> None:
    """Spans go by their start, points by their time, whatever the receive time."""
    span = the_row(nested(SPAN, tag(7, FIXED64) + at(NOW)), "traces", received_at=1)
    assert (span["Timestamp"], span["TimestampNanos"]) == (NOW // 1000, 789)
    point = tag(2, FIXED64) + at(SEEN) + tag(3, FIXED64) + at(NOW)
    row = the_row(nested((*METRIC, 11, 1), point), "metrics", received_at=1)
    assert (row["Timestamp"], row["StartTimestamp"]) == (NOW // 1000, SEEN // 1000)
    ended = the_row(nested(SPAN, tag(8, FIXED64) + at(7)), "traces", received_at=NOW)
    assert (ended["Timestamp"], ended["TimestampNanos"], ended["Duration"]) == (
        NOW // 1000,
        None,
        7,
    )


def test_spans_without_anything() -> None:
    """Absent is null, but NN text is empty, lists are empty and enums have their names."""
    row = the_row(nested(SPAN, b""), "traces")
    assert row["SpanName"] == ""
    assert row["SpanKind"] == "SPAN_KIND_UNSPECIFIED"
    assert row["StatusCode"] == "STATUS_CODE_UNSET"
    assert row["TraceId"] is row["TraceState"] is row["StatusMessage"] is None
    assert row["SpanAttributes"] == row["ResourceAttributes"] == row["ScopeAttributes"] == "{}"
    lists = [name for name in row if name.startswith(("Events", "Links"))]
    assert len(lists) == 11
    assert all(row[name] == [] for name in lists)


def test_empty_events_and_links_are_items() -> None:
    """An item follows its scalar's rule: nothing given is a null item, attributes are {}."""
    row = the_row(nested(SPAN, delimited(11, b"") * 2 + delimited(13, b"")), "traces")
    assert row["EventsTimestamp"] == row["EventsTimestampNanos"] == [None, None]
    assert row["EventsName"] == [None, None]
    assert row["EventsAttributes"] == ["{}", "{}"]
    assert row["EventsDroppedAttributesCount"] == [0, 0]
    assert row["LinksTraceId"] == row["LinksSpanId"] == row["LinksTraceState"] == [None]
    assert (row["LinksFlags"], row["LinksAttributes"]) == ([0], ["{}"])


@pytest.mark.parametrize(
    ("number", "name"),
    [(1, "SPAN_KIND_INTERNAL"), (5, "SPAN_KIND_CONSUMER"), (6, "6"), (-1, "-1")],
)
def test_enums_by_name_or_number(number: int, name: str) -> None:
    """A number that OTLP does not name is kept as its decimal text."""
    assert the_row(nested(SPAN, tag(6, VARINT) + varint(number)), "traces")["SpanKind"] == name
    status = nested((*SPAN, 15), tag(3, VARINT) + varint(number + 100))
    assert the_row(status, "traces")["StatusCode"] == str(number + 100)


@pytest.mark.parametrize(
    ("start", "end", "duration"),
    [
        (5, 3, -2),
        (0, 2**63 - 1, 2**63 - 1),
        (2**63, 0, -(2**63)),
        (2**64 - 1, 2**64 - 1, 0),
        (2**64 - 1, 2**63, -(2**63) + 1),
    ],
)
def test_durations_are_signed_and_exact(start: int, end: int, duration: int) -> None:
    """End minus start, never clamped, to the ends of int64."""
    times = tag(7, FIXED64) + at(start) + tag(8, FIXED64) + at(end)
    assert the_row(nested(SPAN, times), "traces")["Duration"] == duration


NUMBERS: dict[str, tuple[bytes, Any, int | None]] = {
    "no value": (b"", None, None),
    "int": (tag(6, FIXED64) + at(7), 7.0, 7),
    "zero": (tag(6, FIXED64) + at(0), 0.0, 0),
    "int beyond a double": (tag(6, FIXED64) + at(2**53 + 3), 2.0**53 + 4, 2**53 + 3),
    "least int": (tag(6, FIXED64) + at(2**63), -(2.0**63), -(2**63)),
    "double": (double_value(0.5), 0.5, None),
    "double zero": (double_value(-0.0), -0.0, None),
    "NaN": (double_value(float("nan")), float("nan"), None),
    "the last of both": (double_value(0.5) + tag(6, FIXED64) + at(1), 1.0, 1),
}


@pytest.mark.parametrize("kind", ["gauge", "sum"])
@pytest.mark.parametrize("case", NUMBERS)
def test_number_points(case: str, kind: str) -> None:
    """An int is exact in IntValue and near in Value; a point without a value has neither."""
    point, value, int_value = NUMBERS[case]
    row = the_row(nested((*METRIC, {"gauge": 5, "sum": 7}[kind], 1), point), "metrics")
    assert (exact(row["Value"]), row["IntValue"]) == (exact(value), int_value)


def test_histograms_keep_absent_apart_from_zero() -> None:
    """Sum, Min and Max are null unless given, and a side's offset too."""
    row = the_row(nested((*METRIC, 9, 1), b""), "metrics")
    assert row["Sum"] is row["Min"] is row["Max"] is None
    zeros = b"".join(tag(n, FIXED64) + bytes(8) for n in (5, 11, 12))
    row = the_row(nested((*METRIC, 9, 1), zeros), "metrics")
    assert row["Sum"] == row["Min"] == row["Max"] == 0.0
    row = the_row(nested((*METRIC, 10, 1), delimited(8, b"")), "metrics")
    assert (row["PositiveOffset"], row["NegativeOffset"]) == (0, None)
    assert (row["PositiveBucketCounts"], row["NegativeBucketCounts"]) == ([], [])


def test_requests_without_records_give_no_batches() -> None:
    """Resources, scopes and metrics without a record leave nothing, also when they are bad."""
    for payload in (b"", delimited(1, b""), nested((1, 2), b""), nested((1, 2, 2, 5), b"")):
        assert_same(payload, "metrics")
        result = process_otlp(payload, "metrics")
        assert (result.batches, result.accepted, result.rejected, result.message) == ([], 0, 0, "")
