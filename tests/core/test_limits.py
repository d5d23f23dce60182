"""What does not fit: single records are left out and explained, whole requests refused.

A limit is tested on both of its sides, so that one that is off by one cannot pass.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from otlp2parquet import BatchBuilder, DecodeError, TooLargeError, process_otlp
from otlp2parquet._native import process_otlp as native_process_otlp
from tests.support.canonical import groups_of
from tests.support.peak import MILLION, peak_mib
from tests.support.shapes import METRIC, SPAN, assert_same, at, attribute, deep, log, string_value
from tests.support.strategies import (
    FIXED64,
    HOUR,
    LENGTH,
    NOW,
    VARINT,
    delimited,
    nested,
    tag,
    varint,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from otlp2parquet import Signal

MANY = 10_000
"""Attributes that one list may have, and groups that one request may have."""


# Records that are left out: place, payload with a list of attributes, what they are called


def beside(record: bytes, number: int = 2) -> bytes:
    """The record that is tried, between two good ones."""
    return delimited(number, b"") + delimited(number, record) + delimited(number, b"")


def point(inner: bytes, kind: int = 5) -> bytes:
    """A metric whose middle data point is tried."""
    return nested(METRIC, delimited(kind, beside(inner, 1)))


def below(above: bytes) -> bytes:
    """A resource's fields with three records below it, and a good resource after it."""
    return delimited(1, above + nested((2,), beside(b""))) + nested((1, 2, 2), b"")


def renumber(attributes: list[bytes], number: int) -> bytes:
    """Attributes as the repeated field of that number."""
    return b"".join(delimited(number, pair) for pair in attributes)


def below_scope(scope: bytes) -> bytes:
    """Three records below a scope, and one below another."""
    tried = delimited(2, delimited(1, scope) + beside(b""))
    return delimited(1, tried + nested((2, 2), b""))


PLACES: dict[str, tuple[Signal, Callable[[list[bytes]], bytes], int, int]] = {
    # signal, attributes -> payload, how many are rejected, how many are not
    "log record": ("logs", lambda a: nested((1, 2), beside(renumber(a, 6))), 1, 2),
    "span": ("traces", lambda a: nested((1, 2), beside(renumber(a, 9))), 1, 2),
    "event": ("traces", lambda a: nested((1, 2), beside(delimited(11, renumber(a, 3)))), 1, 2),
    "link": ("traces", lambda a: nested((1, 2), beside(delimited(13, renumber(a, 4)))), 1, 2),
    "gauge point": ("metrics", lambda a: point(renumber(a, 7), 5), 1, 2),
    "sum point": ("metrics", lambda a: point(renumber(a, 7), 7), 1, 2),
    "histogram point": ("metrics", lambda a: point(renumber(a, 9), 9), 1, 2),
    "exponential point": ("metrics", lambda a: point(renumber(a, 1), 10), 1, 2),
    "summary point": ("metrics", lambda a: point(renumber(a, 7), 11), 1, 2),
    "gauge exemplar": ("metrics", lambda a: point(delimited(5, renumber(a, 7)), 5), 1, 2),
    "histogram exemplar": ("metrics", lambda a: point(delimited(8, renumber(a, 7)), 9), 1, 2),
    "exponential exemplar": ("metrics", lambda a: point(delimited(11, renumber(a, 7)), 10), 1, 2),
    "metric metadata": (
        "metrics",
        lambda a: nested((1, 2), beside(renumber(a, 12) + delimited(7, beside(b"", 1)))),
        3,
        0,
    ),
    "log scope": ("logs", lambda a: below_scope(renumber(a, 3)), 3, 1),
    "span scope": ("traces", lambda a: below_scope(renumber(a, 3)), 3, 1),
    "log resource": ("logs", lambda a: below(delimited(1, renumber(a, 1))), 3, 1),
    "span resource": ("traces", lambda a: below(delimited(1, renumber(a, 1))), 3, 1),
    "metric resource": (
        "metrics",
        lambda a: delimited(1, delimited(1, renumber(a, 1)) + nested((2, 2, 5), beside(b"", 1))),
        3,
        0,
    ),
}


REASONS = {
    "attributes": ([b""] * (MANY + 1), [b""] * MANY, "attributes"),
    "depth": ([attribute(b"k", deep(65))], [attribute(b"k", deep(64))], "64"),
}


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("place", PLACES)
def test_records_that_do_not_fit_are_left_out(place: str, reason: str) -> None:
    """Too many attributes or too deep a value reject what they belong to and nothing else."""
    signal, make, bad, good = PLACES[place]
    too_much, just_right, word = REASONS[reason]
    payload = make(too_much)
    assert_same(payload, signal)
    result = process_otlp(payload, signal)
    assert (result.accepted, result.rejected) == (good, bad)
    assert word in result.message
    assert str(bad) in result.message
    payload = make(just_right)
    assert_same(payload, signal)
    result = process_otlp(payload, signal)
    assert (result.accepted, result.rejected, result.message) == (good + bad, 0, "")


def test_nesting_is_counted_in_bodies() -> None:
    """A body may be 64 levels deep as an attribute may, of arrays and of kvlists alike."""
    for inner in ((5, 1), (6, 1, 2)):
        for levels, accepted in ((64, 1), (65, 0), (66, 0), (5000, 0)):
            payload = log(delimited(5, nested(inner * levels, string_value(b"x"))))
            assert process_otlp(payload, "logs").accepted == accepted
            assert process_otlp(payload, "logs").rejected == 1 - accepted
            if levels < 100:
                assert_same(payload, "logs")


@pytest.mark.parametrize("content", [b"", b"\xff\xff", b"\x0a\x7f", b"\x00"])
def test_below_the_deepest_level_nothing_is_looked_at(content: bytes) -> None:
    """What level 65 holds is not read, so garbage in it rejects the record, not the request."""
    for number in (5, 6):
        payload = log(b"", delimited(5, nested((5, 1) * 64, delimited(number, content))))
        assert_same(payload, "logs")
        result = process_otlp(payload, "logs")
        assert (result.accepted, result.rejected) == (1, 1)


def test_garbage_above_the_deepest_level_is_an_error() -> None:
    """Down to level 64 everything is read, as the official parser would."""
    payload = log(b"", delimited(5, nested((5, 1) * 64, tag(1, LENGTH) + b"\x05")))
    assert_same(payload, "logs")
    with pytest.raises(DecodeError):
        process_otlp(payload, "logs")


@pytest.mark.parametrize("levels", [65, 70])
def test_a_deep_value_that_is_overwritten_does_not_count(levels: int) -> None:
    """The message is what is left after merging: a replaced value is not a part of it."""
    too_deep = nested((5, 1) * levels, b"")
    for record in (
        delimited(5, too_deep + string_value(b"x")),
        delimited(5, too_deep) + delimited(5, string_value(b"x")),
    ):
        assert_same(log(record), "logs")
        (rows,) = groups_of(process_otlp(log(record), "logs").batches).values()
        assert rows[0]["Body"] == "x"


def test_entries_of_a_kvlist_are_not_attributes() -> None:
    """The limit is on attribute lists; a kvlist or an array may be longer."""
    for value in (
        delimited(6, delimited(1, b"") * 10_001),
        delimited(5, delimited(1, b"") * 10_001),
    ):
        payload = log(delimited(5, value) + delimited(6, attribute(b"k", value)))
        assert_same(payload, "logs")
        assert process_otlp(payload, "logs").accepted == 1


def test_attribute_lists_are_counted_each() -> None:
    """Full lists beside one another are no list that is too long; merged ones are one list."""
    full = delimited(9, b"") * MANY
    event = delimited(11, delimited(3, b"") * MANY)
    payload = nested(SPAN, full + event + event)
    assert process_otlp(payload, "traces").accepted == 1
    half = delimited(1, delimited(1, b"") * (MANY // 2))
    records = nested((2, 2), b"")
    assert process_otlp(delimited(1, half + half + records), "logs").accepted == 1
    merged = delimited(1, half + half + delimited(1, delimited(1, b"")) + records)
    assert_same(merged, "logs")
    assert process_otlp(merged, "logs").rejected == 1


# Numbers that do not fit -------------------------------------------------------------------

OVER = {True: at(2**63), False: at(2**63 - 1)}
VARINTS = {True: varint(2**63), False: varint(2**63 - 1)}
COUNTS: dict[str, tuple[int, Callable[[bool], bytes]]] = {
    "histogram count": (9, lambda over: tag(4, FIXED64) + OVER[over]),
    "histogram bucket, packed": (9, lambda over: delimited(6, at(1) + OVER[over])),
    "histogram bucket, unpacked": (9, lambda over: tag(6, FIXED64) + OVER[over]),
    "exponential count": (10, lambda over: tag(4, FIXED64) + OVER[over]),
    "exponential zero count": (10, lambda over: tag(7, FIXED64) + OVER[over]),
    "positive bucket": (10, lambda over: delimited(8, delimited(2, b"\x01" + VARINTS[over]))),
    "negative bucket": (10, lambda over: delimited(9, tag(2, VARINT) + VARINTS[over])),
    "summary count": (11, lambda over: tag(4, FIXED64) + OVER[over]),
}


@pytest.mark.parametrize("case", COUNTS)
def test_counts_beyond_int64(case: str) -> None:
    """A count above 2^63-1 rejects its point; one of 2^63-1 is stored."""
    kind, make = COUNTS[case]
    payload = point(make(True), kind)  # noqa: FBT003 - the key of OVER
    assert_same(payload, "metrics")
    result = process_otlp(payload, "metrics")
    assert (result.accepted, result.rejected) == (2, 1)
    assert "count" in result.message
    assert "9223372036854775808" in result.message
    payload = point(make(False), kind)  # noqa: FBT003 - as above
    assert_same(payload, "metrics")
    assert process_otlp(payload, "metrics").accepted == 3


def test_a_count_that_is_given_again_does_not_count() -> None:
    """The last of a scalar is the message's: an earlier one that does not fit is nothing."""
    payload = point(tag(4, FIXED64) + OVER[True] + tag(4, FIXED64) + at(7), 9)
    assert_same(payload, "metrics")
    assert process_otlp(payload, "metrics").accepted == 3


@pytest.mark.parametrize(
    ("start", "end", "fits"),
    [
        (0, 2**63, False),
        (0, 2**63 - 1, True),
        (2**63, 0, True),
        (2**63 + 1, 0, False),
        (0, 2**64 - 1, False),
        (2**64 - 1, 0, False),
        (2**64 - 1, 2**63, True),
        (1, 2**63, True),
    ],
)
def test_durations_beyond_int64(start: int, end: int, *, fits: bool) -> None:
    """A span whose end minus start is no int64 is rejected, and no other."""
    span = tag(7, FIXED64) + at(start) + tag(8, FIXED64) + at(end)
    payload = nested((1, 2), beside(span))
    assert_same(payload, "traces")
    result = process_otlp(payload, "traces")
    assert (result.accepted, result.rejected) == (2 + fits, 1 - fits)
    assert ("duration" in result.message.lower()) is not fits


def test_one_message_names_every_kind_of_reason() -> None:
    """Counts, reasons and places of rejected records, and a warning, are in one message."""
    payload = log(
        delimited(5, deep(65)), delimited(6, b"") * (MANY + 1), delimited(3, b"\xff"), b""
    )
    result = process_otlp(payload, "logs")
    assert (result.accepted, result.rejected) == (2, 2)
    for part in ("2 ", "log_records[0]", "64", "log_records[1]", "10001", "utf-8"):
        assert part in result.message.lower()


def test_messages_stay_small() -> None:
    """However many records are bad, the message fits into a response of 4 KiB."""
    bad = log(*[delimited(6, attribute(b"k" * 1000, deep(65)))] * 500)
    assert len(process_otlp(bad, "logs").message) < 4000


# Requests that are refused -----------------------------------------------------------------


def refused(payload: bytes, signal: Signal, most: int = 2**26, **options: Any) -> str:
    """The message of the TooLargeError, after which a builder is as if nothing had been."""
    builder = BatchBuilder(max_payload_bytes=most)
    builder.append(log(b""), "logs")
    with pytest.raises(TooLargeError) as caught:
        builder.append(payload, signal, **options)
    assert (builder.num_rows, builder.num_groups) == (1, 1)
    return str(caught.value)


def test_payload_bytes() -> None:
    """64 MiB by default, or what the caller says, are read; one byte more is not."""
    assert "67108864" in refused(bytes(64 * 2**20 + 1), "logs")
    fits = delimited(99, bytes(100 - 3))
    assert len(fits) == 100
    assert native_process_otlp(fits, "logs", max_payload_bytes=100).accepted == 0
    with pytest.raises(TooLargeError, match="at most 99"):
        native_process_otlp(fits, "logs", max_payload_bytes=99)
    assert "101" in refused(fits + b"\x0a\x00", "logs", most=101)


def test_inflated_bytes() -> None:
    """The bound is on what a gzip body inflates to, whatever it claims, over all members."""
    fits = delimited(99, bytes(1000 - 4))
    assert len(fits) == 1000
    body = gzip.compress(fits[:500]) + gzip.compress(fits[500:])
    read = native_process_otlp(body, "logs", content_encoding="gzip", max_payload_bytes=1000)
    assert read.accepted == 0
    assert "999" in refused(body, "logs", content_encoding="gzip", most=999)
    liar = body[:-4] + bytes(4)  # says that the last member is empty
    with pytest.raises((TooLargeError, DecodeError)):
        native_process_otlp(liar, "logs", content_encoding="gzip", max_payload_bytes=999)


def test_a_bomb() -> None:
    """A small body that inflates to a gigabyte is refused at the bound."""
    member = gzip.compress(bytes(2**26))
    assert "67108864" in refused(member * 16, "logs", content_encoding="gzip")


RECORDS: dict[str, tuple[Signal, Callable[[int], bytes]]] = {
    "log records": ("logs", lambda n: nested((1, 2), delimited(2, b"") * n)),
    "spans": ("traces", lambda n: nested((1, 2), delimited(2, b"") * n)),
    "points": ("metrics", lambda n: nested((*METRIC, 5), delimited(1, b"") * n)),
    "summary points": ("metrics", lambda n: nested((*METRIC, 11), delimited(1, b"") * n)),
    "records of two resources": (
        "logs",
        lambda n: (
            nested((1, 2), delimited(2, b"") * (n // 2)) * 2 + nested((1, 2, 2), b"") * (n % 2)
        ),
    ),
    "events": ("traces", lambda n: nested(SPAN, delimited(11, b"") * n)),
    "links": ("traces", lambda n: nested(SPAN, delimited(13, b"") * n)),
    "events and links of two spans": (
        "traces",
        lambda n: nested(
            (1, 2),
            delimited(2, delimited(11, b"") * (n - 7)) + delimited(2, delimited(13, b"") * 7),
        ),
    ),
    "exemplars": ("metrics", lambda n: nested((*METRIC, 7, 1), delimited(5, b"") * n)),
    "histogram exemplars": ("metrics", lambda n: nested((*METRIC, 9, 1), delimited(8, b"") * n)),
}


@pytest.mark.parametrize("case", RECORDS)
def test_records_of_one_request(case: str) -> None:
    """A million records, and a million events, links and exemplars; one more is refused."""
    signal, make = RECORDS[case]
    result = process_otlp(make(MILLION), signal)
    assert result.rejected == 0
    assert str(MILLION) in refused(make(MILLION + 1), signal)


def hours(n: int, first: int = 0) -> bytes:
    """A log record in each of n hours."""
    return log(*(tag(1, FIXED64) + at(NOW + i * HOUR) for i in range(first, first + n)))


def test_groups_of_one_request() -> None:
    """10,000 groups of table, service and hour; one more is refused."""
    assert len(process_otlp(hours(MANY), "logs").batches) == MANY
    assert "10000" in refused(hours(MANY + 1), "logs")


def test_a_builder_counts_groups_of_the_request_only() -> None:
    """The limit is the request's: an open builder may hold more."""
    builder = BatchBuilder()
    builder.append(hours(6000), "logs")
    builder.append(hours(6000, first=6000), "logs")
    assert builder.num_groups == 12_000


@pytest.mark.parametrize("level", ["resource", "scope", "metric"])
def test_shared_values_times_rows(level: str) -> None:
    """A megabyte of shared text in 5,000 rows would be 4.9 GiB: refused before it is made."""
    big = b"x" * 2**20
    records = delimited(2, b"") * 5000
    cases: dict[str, tuple[bytes, Signal]] = {
        "resource": (delimited(1, delimited(3, big) + delimited(2, records)), "logs"),
        "scope": (nested((1, 2), delimited(1, delimited(1, big)) + records), "traces"),
        "metric": (
            nested(METRIC, delimited(1, big) + delimited(5, delimited(1, b"") * 5000)),
            "metrics",
        ),
    }
    assert "4294967296" in refused(*cases[level])


def test_shared_values_that_fit() -> None:
    """The bound is on the product: a large value in few rows is stored."""
    payload = delimited(1, delimited(3, b"x" * 2**20) + delimited(2, delimited(2, b"") * 50))
    (rows,) = groups_of(process_otlp(payload, "logs").batches).values()
    assert {len(row["ResourceSchemaUrl"]) for row in rows} == {2**20}
    assert len(rows) == 50


# Memory ----------------------------------------------------------------------------------


def most_mib(decoded: int) -> float:
    """What a request of that many bytes may take: six times its size, and 128 MiB."""
    return 6 * decoded / 2**20 + 128


def resource(name: bytes, records: bytes) -> bytes:
    """The records of a resource whose service has that name."""
    attributes = delimited(1, attribute(b"service.name", string_value(name)))
    return delimited(1, delimited(1, attributes) + delimited(2, records))


def at_hours(n: int) -> bytes:
    """Log records of a scope, in n hours."""
    return b"".join(delimited(2, tag(1, FIXED64) + at(NOW + i * HOUR)) for i in range(n))


def exemplar_value(levels: int) -> bytes:
    """An exemplar's attributes, kvlists in kvlists."""
    return delimited(7, attribute(b"", nested((6, 1, 2) * levels, b"")))


BIG = 2**20
EIGHT = 8 * BIG
HOSTILE: dict[str, tuple[Signal, Callable[[], bytes]]] = {
    # what it is: signal, payload
    "nothing": ("logs", lambda: b""),
    "groups to the limit": ("logs", lambda: hours(MANY)),
    "groups over the limit": ("logs", lambda: hours(MANY + 1)),
    "records to the limit": ("logs", lambda: nested((1, 2), delimited(2, b"") * MILLION)),
    "spans to the limit": ("traces", lambda: nested((1, 2), delimited(2, b"") * MILLION)),
    "points to the limit": ("metrics", lambda: nested((*METRIC, 7), delimited(1, b"") * MILLION)),
    "histogram points to the limit": (
        "metrics",
        lambda: nested((*METRIC, 9), delimited(1, b"") * MILLION),
    ),
    "exponential points to the limit": (
        "metrics",
        lambda: nested((*METRIC, 10), delimited(1, b"") * MILLION),
    ),
    "events to the limit": ("traces", lambda: nested(SPAN, delimited(11, b"") * MILLION)),
    "records over the limit": (
        "traces",
        lambda: nested((1, 2), delimited(2, b"") * (30 * MILLION)),
    ),
    "every column of a million records, by the last one": (
        "logs",
        lambda: nested(
            (1, 2),
            delimited(2, b"") * (MILLION - 1)
            + delimited(
                2,
                tag(1, FIXED64)
                + at(1)
                + tag(2, VARINT)
                + b"\x01"
                + delimited(3, b"x")
                + delimited(5, string_value(b"x"))
                + tag(7, VARINT)
                + b"\x01"
                + tag(8, 5)
                + bytes([1, 0, 0, 0])
                + delimited(9, b"x")
                + delimited(10, b"x")
                + tag(11, FIXED64)
                + at(1)
                + delimited(12, b"x"),
            ),
        ),
    ),
    "shared values over the limit": (
        "logs",
        lambda: delimited(1, delimited(3, b"x" * BIG) + delimited(2, delimited(2, b"") * 5000)),
    ),
    "shared values in many records": (
        "logs",
        lambda: delimited(1, delimited(3, b"x" * BIG) + delimited(2, delimited(2, b"") * 4095)),
    ),
    "a large resource in many hours": ("logs", lambda: resource(b"x" * BIG, at_hours(3900))),
    "a large metric in many hours": (
        "metrics",
        lambda: nested(
            METRIC,
            delimited(1, b"x" * BIG)
            + delimited(
                5,
                b"".join(delimited(1, tag(3, FIXED64) + at(NOW + i * HOUR)) for i in range(3900)),
            ),
        ),
    ),
    "many services": (
        "logs",
        lambda: b"".join(resource(b"%d" % i * 50, delimited(2, b"") * 9) for i in range(9999)),
    ),
    "many records announced in many hours": (
        "logs",
        lambda: b"".join(
            nested(
                (1, 2),
                delimited(2, tag(1, FIXED64) + at(NOW + i * HOUR)) + delimited(2, b"") * 4095,
            )
            for i in range(244)
        ),
    ),
    "many scopes": (
        "logs",
        lambda: delimited(
            1,
            b"".join(
                delimited(2, delimited(1, delimited(1, b"%d" % i)) + delimited(2, b""))
                for i in range(500_000)
            ),
        ),
    ),
    "attributes by the million": ("logs", lambda: log(delimited(6, b"") * (10 * MILLION))),
    "resource attributes by the million": (
        "logs",
        lambda: delimited(
            1, delimited(1, delimited(1, b"") * (10 * MILLION)) + nested((2, 2), b"")
        ),
    ),
    "attributes of an event by the million": (
        "traces",
        lambda: nested(SPAN, delimited(11, delimited(3, b"") * (10 * MILLION))),
    ),
    "attributes of an exemplar by the million": (
        "metrics",
        lambda: nested((*METRIC, 7, 1), delimited(5, delimited(7, b"") * (10 * MILLION))),
    ),
    "events by the million": ("traces", lambda: nested(SPAN, delimited(11, b"") * (10 * MILLION))),
    "exemplars by the million": (
        "metrics",
        lambda: nested((*METRIC, 7, 1), delimited(5, b"") * (10 * MILLION)),
    ),
    "bodies by the million": ("logs", lambda: log(delimited(5, b"") * (10 * MILLION))),
    "parts of a value by the million": (
        "logs",
        lambda: log(delimited(5, delimited(6, b"") * (10 * MILLION))),
    ),
    "values of a pair by the million": (
        "logs",
        lambda: log(delimited(6, delimited(2, b"") * (10 * MILLION))),
    ),
    "sides of a histogram by the million": (
        "metrics",
        lambda: nested((*METRIC, 10, 1), delimited(8, b"") * (10 * MILLION)),
    ),
    "resources by the million": (
        "logs",
        lambda: delimited(1, delimited(1, b"") * (10 * MILLION) + nested((2, 2), b"")),
    ),
    "data of a metric by the million": (
        "metrics",
        lambda: nested(METRIC, delimited(5, b"") * (10 * MILLION)),
    ),
    "array items by the million": (
        "logs",
        lambda: log(delimited(5, delimited(5, delimited(1, b"") * (10 * MILLION)))),
    ),
    "pairs by the million": (
        "logs",
        lambda: log(delimited(5, delimited(6, delimited(1, b"") * (10 * MILLION)))),
    ),
    "bytes by the million": (
        "logs",
        lambda: log(delimited(5, delimited(5, delimited(1, delimited(7, b"")) * (5 * MILLION)))),
    ),
    "bucket counts by the million": (
        "metrics",
        lambda: nested((*METRIC, 10, 1, 8, 2), bytes(10 * MILLION)),
    ),
    "bucket counts, 60 million": (
        "metrics",
        lambda: nested((*METRIC, 10, 1, 8, 2), bytes(60 * MILLION)),
    ),
    "quantiles by the million": (
        "metrics",
        lambda: nested((*METRIC, 11, 1), delimited(6, b"") * (10 * MILLION)),
    ),
    "a service name that is not UTF-8": (
        "logs",
        lambda: resource(b"\xff" * EIGHT, delimited(2, b"")),
    ),
    "a service name of 60 MiB that is not UTF-8": (
        "logs",
        lambda: resource(b"\xff" * (60 * BIG), delimited(2, b"")),
    ),
    "control characters": (
        "logs",
        lambda: log(delimited(6, attribute(b"k", string_value(b"\1" * EIGHT)))),
    ),
    "control characters, 60 MiB": (
        "logs",
        lambda: log(delimited(6, attribute(b"k", string_value(b"\1" * (60 * BIG))))),
    ),
    "texts of control characters, 60 MiB": (
        "logs",
        lambda: log(*[delimited(6, attribute(b"k", string_value(b"\1" * 1000)))] * 60_000),
    ),
    "a body of 60 MiB": ("logs", lambda: log(delimited(5, string_value(b"x" * (60 * BIG))))),
    "usual records, 60 MiB": (
        "logs",
        lambda: log(*[delimited(6, attribute(b"key", string_value(b"value"))) * 10] * 300_000),
    ),
    "exemplars 30 deep": (
        "metrics",
        lambda: nested((*METRIC, 7, 1), delimited(5, exemplar_value(30)) * 20_000),
    ),
    "names by the hundred thousand": (
        "traces",
        lambda: nested(
            (1, 2), b"".join(delimited(2, delimited(5, b"%d" % i)) for i in range(500_000))
        ),
    ),
}


@pytest.mark.parametrize("way", ["process_otlp", "builder"])
@pytest.mark.parametrize("case", HOSTILE)
def test_memory_is_bounded_by_the_size(case: str, way: str) -> None:
    """No request takes more than six times its bytes and 128 MiB, whatever becomes of it."""
    signal, make = HOSTILE[case]
    payload = make()
    assert len(payload) <= 2**26
    assert peak_mib(payload, signal, way=way) < most_mib(len(payload))


AFTER_REFUSALS = """
import re, sys
from pathlib import Path
from otlp2parquet import BatchBuilder, OtlpError

def resident():
    return int(re.search("VmRSS:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

payload = sys.stdin.buffer.read()
builders = [BatchBuilder() for _ in range(10)]
for builder in builders:
    builder.append(bytes([10, 4, 18, 2, 18, 0]), "logs")
before = resident()
for builder in builders:
    for _ in range(2):
        try:
            builder.append(payload, "logs")
        except OtlpError:
            continue
        raise SystemExit("expected a refusal")
    assert builder.num_rows == builder.num_groups == 1
    assert builder.num_memory_bytes < 2**20, builder.num_memory_bytes
print(resident() - before)
"""


def test_refused_requests_leave_nothing_behind() -> None:
    """Builders that have refused large requests hold as much as before, and say so."""
    texts = log(
        *[delimited(6, attribute(b"%d" % i, string_value(b"x" * 1000))) for i in range(20_000)]
    )
    payload = texts + b"\x0a\x05"  # cut in the middle of a field, behind 20 MB that fit
    command = [sys.executable, "-c", AFTER_REFUSALS]
    done = subprocess.run(command, input=payload, capture_output=True, check=True)
    # One of them at a time takes some 60 MiB, which the allocator may keep for the next one.
    assert int(done.stdout) / 1024 < 100


@pytest.mark.parametrize("record", [delimited(5, deep(65)), delimited(6, b"") * (MANY + 1)])
def test_a_rejected_record_uses_up_no_group(record: bytes) -> None:
    """It touches no group: a builder that holds its hour takes what a fresh one takes."""
    elsewhere = tag(1, FIXED64) + at(NOW + (MANY + 5) * HOUR)
    payload = log(elsewhere + record) + hours(MANY)
    for builder in (BatchBuilder(), BatchBuilder()):
        if builder.num_rows == 0:
            builder.append(log(elsewhere), "logs")
        appended = builder.append(payload, "logs")
        assert (appended.accepted, appended.rejected) == (MANY, 1)


def test_columns_of_several_chunks_are_whole() -> None:
    """Text beyond a chunk of 4 MiB, of services in turn, comes together in each one's batch."""
    texts = {service: [f"{service} {i} ".encode() * 20_000 for i in range(20)] for service in "ab"}
    builder = BatchBuilder()
    for i in range(20):
        for service, bodies in texts.items():
            body = delimited(2, delimited(5, string_value(bodies[i])))
            builder.append(resource(service.encode(), body), "logs")
    for (_, name, _), rows in groups_of(builder.finish(dictionaries=True)).items():
        assert [row["Body"].encode() for row in rows] == texts[str(name)]


def test_a_dictionary_holds_nothing_of_other_groups() -> None:
    """A file of one service must not name another: each batch has the texts of its rows alone."""
    builder = BatchBuilder()
    for i in range(3):
        for service in (b"one", b"two", b"three"):
            text = service * 500_000 if i == 0 else service
            record = delimited(3, text) + delimited(12, service + b" event")
            builder.append(resource(service, delimited(2, record)), "logs")
    batches = builder.finish(dictionaries=True)
    assert len(batches) == 3
    for batch in batches:
        for column in pa.record_batch(batch).columns:
            if pa.types.is_dictionary(column.type):
                assert sorted(column.dictionary.to_pylist()) == sorted(
                    column.dictionary_decode().drop_null().unique().to_pylist()
                )


def test_memory_of_a_bomb() -> None:
    """A gigabyte in a megabyte of gzip is never held: the bound is met while inflating."""
    assert peak_mib(gzip.compress(bytes(2**26)) * 16, "logs", "gzip") < 512
