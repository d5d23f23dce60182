"""Open batches that many requests append to: all or nothing, and exactly what was appended.

What "exactly" means is strict here: the same batches in the same order, with the same schemas
and values, whether strings are plain or dictionaries. A failed append and a rejected record
must not be visible in any of it, not even as a dictionary entry that no row uses.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp2parquet import BatchBuilder, DecodeError, TooLargeError, process_otlp
from otlp2parquet._native import table_schema
from otlp2parquet.core.signals import SIGNALS
from tests.support import oracle, strategies
from tests.support.canonical import arrow_facts, exact_rows, groups_of
from tests.support.shapes import METRIC, at, attribute, every_field, log, string_value
from tests.support.strategies import FIXED64, HOUR, NOW, VARINT, delimited, nested, tag

if TYPE_CHECKING:
    from otlp2parquet import Signal

Payload = tuple["Signal", bytes]
BOTH = pytest.mark.parametrize("dictionaries", [False, True], ids=["plain", "dictionaries"])


def built(payloads: list[Payload], *, dictionaries: bool) -> list[tuple[Any, ...]]:
    """What a fresh builder gives after these appends."""
    builder = BatchBuilder()
    for signal, payload in payloads:
        builder.append(payload, signal, received_at=NOW)
    return arrow_facts(builder.finish(dictionaries=dictionaries))


# Appends ---------------------------------------------------------------------------------


@strategies.examples(200)
@given(strategies.valid_payloads, strategies.RECEIVED_AT)
def test_one_append_and_finish_is_process_otlp(payload: Payload, received_at: int | None) -> None:
    """The two entrances are the same code: same batches, counts and message."""
    builder = BatchBuilder()
    try:
        appended = builder.append(payload[1], payload[0], received_at=received_at)
    except DecodeError as error:
        with pytest.raises(DecodeError) as caught:
            process_otlp(payload[1], payload[0], received_at=received_at)
        assert str(caught.value) == str(error)  # noqa: PT017 - the same error is the promise
        return
    result = process_otlp(payload[1], payload[0], received_at=received_at)
    assert arrow_facts(builder.finish()) == arrow_facts(result.batches)
    assert (appended.accepted, appended.rejected, appended.message) == (
        result.accepted,
        result.rejected,
        result.message,
    )


@strategies.examples(200)
@given(st.lists(strategies.plain_payloads, min_size=2, max_size=5), st.booleans())
def test_several_appends_are_their_rows_in_order(
    payloads: list[Payload],
    dictionaries: bool,  # noqa: FBT001
) -> None:
    """Each group holds the rows of every request that had some for it, in order of appends."""
    builder = BatchBuilder()
    want: dict[oracle.GroupKey, list[oracle.Row]] = {}
    accepted = 0
    for signal, payload in payloads:
        for key, rows in oracle.decode(payload, signal, NOW).groups.items():
            want.setdefault(key, []).extend(rows)
        accepted += builder.append(payload, signal, received_at=NOW).accepted
        assert builder.num_rows == accepted
        assert builder.num_groups == len(want)
    groups = groups_of(builder.finish(dictionaries=dictionaries))
    assert set(groups) == set(want)
    for key, rows in want.items():
        assert exact_rows(groups[key]) == exact_rows(rows)


@BOTH
def test_finish_empties(*, dictionaries: bool) -> None:
    """After finish a builder is as new: nothing is left of rows, groups or dictionaries."""
    builder = BatchBuilder()
    first: list[Payload] = [(s, every_field(s).SerializeToString()) for s in SIGNALS]
    for signal, payload in first:
        builder.append(payload, signal)
    assert (builder.num_rows, builder.num_groups) == (7, 7)
    assert builder.num_bytes > 0
    assert len(builder.finish(dictionaries=dictionaries)) == 7
    assert (builder.num_rows, builder.num_groups, builder.num_bytes) == (0, 0, 0)
    assert builder.finish(dictionaries=dictionaries) == []
    payload = log(delimited(3, b"WARN"))
    builder.append(payload, "logs", received_at=NOW)
    again = arrow_facts(builder.finish(dictionaries=dictionaries))
    assert again == built([("logs", payload)], dictionaries=dictionaries)


def test_num_memory_bytes_counts_the_room_that_buffers_have_made() -> None:
    """Buffers grow by doubling: what a server's budget counts is what the process has."""
    builder = BatchBuilder()
    assert builder.num_memory_bytes == 0
    spare = []
    for _ in range(200):
        builder.append(log(delimited(5, string_value(b"x" * 10_000))), "logs")
        spare.append(builder.num_memory_bytes - builder.num_bytes)
    assert min(spare) > 0
    # The body's buffer alone: within a doubling its spare room shrinks from the half of it.
    assert max(spare) > 900_000
    builder.finish()
    # What a resource and a scope are read into is kept, the columns' room is not.
    assert builder.num_memory_bytes < 2**16


def test_num_memory_bytes_counts_the_room_that_a_finish_keeps() -> None:
    """Small tables keep their columns' room for the next request, and it does not grow."""
    builder = BatchBuilder()
    kept = set()
    for _ in range(5):
        builder.append(log(delimited(3, b"WARN")), "logs")
        held = builder.num_memory_bytes
        builder.finish()
        kept.add(builder.num_memory_bytes)
        assert held >= max(kept)
    (room,) = kept
    assert 0 < room < 160 * 2**10


def test_num_memory_bytes_counts_what_a_group_costs() -> None:
    """A flood of service names fills the budget, however little each of them logs."""
    sizes = []
    for services in (1, 100):
        builder = BatchBuilder()
        for number in range(100):
            request = ExportLogsServiceRequest()
            resource_logs = request.resource_logs.add()
            name = resource_logs.resource.attributes.add(key="service.name")
            name.value.string_value = f"service {number % services:02}"
            resource_logs.scope_logs.add().log_records.add(time_unix_nano=1)
            builder.append(request.SerializeToString(), "logs")
        assert builder.num_groups == services
        sizes.append(builder.num_memory_bytes)
    one, many = sizes
    # Its name and place here and as a batch; rows are in columns that all groups share.
    assert many - one > 99 * 500


def test_num_bytes_grows_with_what_is_held() -> None:
    """The size that bounds a server's memory follows the rows."""
    builder = BatchBuilder()
    sizes = [builder.num_bytes]
    for _ in range(3):
        builder.append(log(delimited(5, string_value(b"x" * 10_000))), "logs")
        sizes.append(builder.num_bytes)
    assert sizes[0] == 0
    assert all(after - before >= 10_000 for before, after in pairwise(sizes))
    assert sizes[-1] < 100_000


@strategies.examples(150)
@given(st.lists(strategies.plain_payloads, min_size=1, max_size=3))
def test_dictionaries_hold_the_same_rows(payloads: list[Payload]) -> None:
    """With dictionaries a column is of its own type or a dictionary of it; values are the same."""
    builders = BatchBuilder(), BatchBuilder()
    for builder in builders:
        for signal, payload in payloads:
            builder.append(payload, signal)
    plain, encoded = builders[0].finish(), builders[1].finish(dictionaries=True)
    assert groups_of(encoded).keys() == groups_of(plain).keys()
    for batch, other in zip(plain, encoded, strict=True):
        assert exact_rows(groups_of([other]).popitem()[1]) == exact_rows(
            groups_of([batch]).popitem()[1]
        )
        for want, got in zip(pa.schema(table_schema(batch.table)), pa.schema(other), strict=True):
            if pa.types.is_dictionary(got.type):
                assert got.type == pa.dictionary(pa.int32(), pa.string())
                assert want.type == pa.string()
            else:
                assert got.type == want.type
            assert (got.name, got.nullable, got.metadata) == (
                want.name,
                want.nullable,
                want.metadata,
            )


def test_dictionaries_hold_each_value_once() -> None:
    """A service's thousand records hold its name, its resource and its scope once."""
    shared = nested((1, 1), attribute(b"service.name", string_value(b"shop")))
    payload = delimited(1, shared + delimited(2, delimited(2, delimited(3, b"INFO")) * 1000))
    builder = BatchBuilder()
    for _ in range(2):
        builder.append(payload, "logs")
    (batch,) = builder.finish(dictionaries=True)
    arrow = pa.record_batch(batch)
    assert arrow.num_rows == 2000
    for name, value in {
        "ServiceName": "shop",
        "ResourceAttributes": '{"service.name":"shop"}',
        "SeverityText": "INFO",
    }.items():
        assert arrow.column(name).dictionary.to_pylist() == [value]


# Failed appends --------------------------------------------------------------------------


def cut(payload: bytes) -> bytes:
    """All records of a payload, and then an error."""
    return payload + b"\x0a\x7f"


def broken_inside(payload: bytes) -> bytes:
    """All records, then one more resource that fails in its second record."""
    return payload + nested((1, 2), delimited(2, delimited(3, b"NEW")) + delimited(2, b"\x0f"))


failures = st.tuples(strategies.odd_payloads, st.sampled_from([cut, broken_inside])).map(
    lambda drawn: (drawn[0][0], drawn[1](drawn[0][1]))
)
"""Requests that fail when all or most of their rows have been seen."""


@strategies.examples(300)
@given(
    st.lists(strategies.odd_payloads, max_size=2),
    failures,
    st.lists(strategies.odd_payloads, max_size=2),
    st.booleans(),
)
def test_a_failed_append_leaves_no_trace(
    before: list[Payload],
    failure: Payload,
    after: list[Payload],
    dictionaries: bool,  # noqa: FBT001
) -> None:
    """Whatever a failed request touched or began, the batches are as if it had not been."""
    builder = BatchBuilder()
    good: list[Payload] = []

    def append(payloads: list[Payload]) -> None:
        for signal, payload in payloads:
            try:
                builder.append(payload, signal, received_at=NOW)
            except DecodeError:
                continue
            good.append((signal, payload))

    append(before)
    held = (builder.num_rows, builder.num_groups, builder.num_bytes)
    with pytest.raises(DecodeError):
        builder.append(failure[1], failure[0], received_at=NOW)
    assert (builder.num_rows, builder.num_groups, builder.num_bytes) == held
    append(after)
    got = arrow_facts(builder.finish(dictionaries=dictionaries))
    assert got == built(good, dictionaries=dictionaries)


@strategies.examples(150)
@given(strategies.odd_payloads, st.booleans())
def test_a_request_that_failed_can_be_sent_again(
    payload: Payload,
    dictionaries: bool,  # noqa: FBT001
) -> None:
    """The same rows, first in a request that fails and then in one that does not."""
    signal, good = payload
    builder = BatchBuilder()
    with pytest.raises(DecodeError):
        builder.append(cut(good), signal, received_at=NOW)
    try:
        builder.append(good, signal, received_at=NOW)
    except DecodeError:
        return
    got = arrow_facts(builder.finish(dictionaries=dictionaries))
    assert got == built([payload], dictionaries=dictionaries)


def rich_log(text: bytes, hour: int = 0, service: bytes = b"shop") -> bytes:
    """A log record with its own texts, on every level, in the given hour and service."""
    record = tag(1, FIXED64) + at(NOW + hour * HOUR) + delimited(3, text) + delimited(12, text)
    record += delimited(5, string_value(text)) + delimited(6, attribute(text, string_value(text)))
    scope = delimited(1, delimited(1, text)) + delimited(2, record) + delimited(3, text)
    shared = nested((1, 1), attribute(b"service.name", string_value(service))) + delimited(3, text)
    return delimited(1, shared + delimited(2, scope))


FAILED = {
    "existing group, known texts": rich_log(b"old"),
    "existing group, new texts": rich_log(b"new"),
    "a new hour": rich_log(b"new", hour=1),
    "a new service": rich_log(b"new", service=b"other"),
    "all of it": rich_log(b"new") + rich_log(b"new", hour=1) + rich_log(b"old", service=b"other"),
}


@BOTH
@pytest.mark.parametrize("case", FAILED)
def test_what_a_failed_append_began(case: str, *, dictionaries: bool) -> None:
    """Rows, groups and dictionary entries of a failed request are gone, old ones are kept."""
    builder = BatchBuilder()
    builder.append(rich_log(b"old"), "logs")
    with pytest.raises(DecodeError):
        builder.append(cut(FAILED[case]), "logs")
    assert (builder.num_rows, builder.num_groups) == (1, 1)
    builder.append(rich_log(b"later", hour=1), "logs")
    builder.append(rich_log(b"new"), "logs")
    good: list[Payload] = [
        ("logs", rich_log(b"old")),
        ("logs", rich_log(b"later", hour=1)),
        ("logs", rich_log(b"new")),
    ]
    got = arrow_facts(builder.finish(dictionaries=dictionaries))
    assert got == built(good, dictionaries=dictionaries)


@BOTH
@pytest.mark.parametrize(
    "failure",
    [
        log(*(tag(1, FIXED64) + at(NOW + i * HOUR) for i in range(10_001))),
        rich_log(b"new") + nested((1, 2), delimited(2, b"") * 1_000_001),
        rich_log(b"new")
        + delimited(1, delimited(3, b"x" * 2**20) + delimited(2, delimited(2, b"") * 5000)),
    ],
    ids=["groups", "records", "shared values"],
)
def test_an_append_over_a_limit_leaves_no_trace(failure: bytes, *, dictionaries: bool) -> None:
    """A request that is found too large half way is undone like any other."""
    builder = BatchBuilder()
    builder.append(rich_log(b"old"), "logs")
    with pytest.raises(TooLargeError):
        builder.append(failure, "logs")
    builder.append(rich_log(b"later"), "logs")
    good: list[Payload] = [("logs", rich_log(b"old")), ("logs", rich_log(b"later"))]
    got = arrow_facts(builder.finish(dictionaries=dictionaries))
    assert got == built(good, dictionaries=dictionaries)


# Rejected records ------------------------------------------------------------------------

TOO_DEEP = nested((5, 1) * 65, b"")
BAD_ATTRIBUTE = attribute(b"deep", TOO_DEEP)


def hour(n: int) -> bytes:
    """A log record's time, some hours on."""
    return tag(1, FIXED64) + at(NOW + n * HOUR)


def spans(*inner: bytes) -> bytes:
    """A request with one span per argument."""
    return nested((1, 2), b"".join(delimited(2, span) for span in inner))


def points(kind: int, *inner: bytes) -> bytes:
    """A request with one metric and one data point per argument."""
    return nested((*METRIC, kind), b"".join(delimited(1, point) for point in inner))


EVENT = delimited(11, delimited(2, b"event") + tag(1, FIXED64) + at(NOW))
LINK = delimited(13, delimited(1, b"\x01") + delimited(3, b"state"))
EXEMPLAR = tag(6, FIXED64) + at(1)
FULL_SPAN = delimited(5, b"name") + delimited(3, b"state") + tag(6, VARINT) + b"\x63" + EVENT + LINK
BUCKETS = delimited(6, at(1) + at(2)) + delimited(7, bytes(16))
REJECTED: dict[str, tuple[Signal, bytes, bytes]] = {
    "a log record's last attribute": (
        "logs",
        log(b"", delimited(3, b"NEW") + delimited(12, b"new") + delimited(6, BAD_ATTRIBUTE), b""),
        log(b"", b""),
    ),
    "a log body after its attributes": (
        "logs",
        log(b"", delimited(6, attribute(b"k", b"")) + delimited(5, TOO_DEEP), b""),
        log(b"", b""),
    ),
    "a span's last event": (
        "traces",
        spans(FULL_SPAN, FULL_SPAN + delimited(11, delimited(3, BAD_ATTRIBUTE)), FULL_SPAN),
        spans(FULL_SPAN, FULL_SPAN),
    ),
    "a span's last link": (
        "traces",
        spans(b"", FULL_SPAN + delimited(13, delimited(4, BAD_ATTRIBUTE)), FULL_SPAN),
        spans(b"", FULL_SPAN),
    ),
    "a span's duration, known at its end": (
        "traces",
        spans(b"", FULL_SPAN + tag(8, FIXED64) + at(2**64 - 1), FULL_SPAN),
        spans(b"", FULL_SPAN),
    ),
    "a histogram's last bucket": (
        "metrics",
        points(9, BUCKETS, BUCKETS + delimited(6, at(2**63)), BUCKETS),
        points(9, BUCKETS, BUCKETS),
    ),
    "an exemplar of a point": (
        "metrics",
        points(5, b"", delimited(5, EXEMPLAR) + delimited(5, delimited(7, BAD_ATTRIBUTE)), b""),
        points(5, b"", b""),
    ),
    "the first record of a new hour": (
        "logs",
        log(b"", tag(1, FIXED64) + at(1) + delimited(6, BAD_ATTRIBUTE), b""),
        log(b"", b""),
    ),
    "the first record of an hour that comes again": (
        "logs",
        log(hour(1) + delimited(6, BAD_ATTRIBUTE), hour(2), hour(1)),
        log(hour(2), hour(1)),
    ),
    "all records below a resource": (
        "logs",
        log(b"") + delimited(1, nested((1, 1), BAD_ATTRIBUTE) + nested((2, 2), b"")) + log(b""),
        log(b"") + log(b""),
    ),
}


@BOTH
@pytest.mark.parametrize("case", REJECTED)
def test_a_rejected_record_leaves_no_trace(case: str, *, dictionaries: bool) -> None:
    """The batches are those of the same request without the record, and so is the builder."""
    signal, with_it, without_it = REJECTED[case]
    builders = BatchBuilder(), BatchBuilder()
    assert builders[0].append(with_it, signal, received_at=NOW).rejected == 1
    assert builders[1].append(without_it, signal, received_at=NOW).rejected == 0
    assert builders[0].num_rows == builders[1].num_rows
    assert builders[0].num_groups == builders[1].num_groups
    got = built([(signal, with_it)], dictionaries=dictionaries)
    assert got == built([(signal, without_it)], dictionaries=dictionaries)


def test_a_span_of_its_own_is_unharmed() -> None:
    """The parts of a rejected span do not shift those of its neighbours."""
    bad = FULL_SPAN + delimited(11, delimited(3, BAD_ATTRIBUTE))
    (rows,) = groups_of(process_otlp(spans(FULL_SPAN, bad, EVENT * 2), "traces").batches).values()
    assert [row["EventsName"] for row in rows] == [["event"], ["event", "event"]]
    assert [row["LinksTraceState"] for row in rows] == [["state"], []]
