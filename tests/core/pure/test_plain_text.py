"""What the ``json`` module reads is what the transcoder's bytes say; the rest is left to it."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

import otlp2parquet
from benchmarks.payloads import Payloads, Shape, as_json
from otlp2parquet.core.pure import builder as pure
from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.builder import BatchBuilder, process_otlp
from otlp2parquet.core.pure.fields import DESCRIPTORS, Field
from otlp2parquet.core.pure.otlp_json import plain_text, transcode
from otlp2parquet.core.pure.otlp_json.plain_text import (
    MOST_AT_ONCE,
    MOST_BYTES,
    OBJECT_BYTES,
    PROTOBUF_BYTES,
    parse,
)
from otlp2parquet.errors import OtlpError
from tests.support import json_edits, strategies, strategies_json
from tests.support.strategies import NOW
from tests.support.twins import said

if TYPE_CHECKING:
    from otlp2parquet import Signal

SIGNALS: tuple[Signal, ...] = ("logs", "traces", "metrics")
JSON = "application/json"


class TranscoderError(Exception):
    """The transcoder was asked."""


def refuse(*_arguments: object, **_options: object) -> object:
    """Stands for the transcoder where it must not be asked."""
    raise TranscoderError


def appended(text: bytes, signal: Signal, *, without: str) -> tuple[Any, ...]:
    """All that can be seen of a request, read without the scanner or without the transcoder."""
    builder = BatchBuilder()
    with pytest.MonkeyPatch.context() as patch:
        stub = refuse if without == "transcode" else (lambda _: None)
        patch.setattr(pure, without, stub)
        facts = said(lambda: builder.append(text, signal, content_type=JSON, received_at=NOW))
    size = builder.num_bytes, builder.num_rows
    batches = builder.finish()
    # As text, in which zeros have signs and true is not 1.
    rows = [
        (batch.table, batch.service, batch.hour, repr([list(column) for column in batch.columns]))
        for batch in batches
    ]
    return facts, size, rows


def is_left(text: bytes, signal: Signal) -> bool:
    """Whether a text is left to the transcoder."""
    try:
        appended(text, signal, without="transcode")
    except TranscoderError:
        return True
    return False


def assert_same_or_left(text: bytes, signal: Signal) -> bool:
    """What becomes of the transcoder's bytes, which found nothing to be said; or nothing at all."""
    if is_left(text, signal):
        return False
    found = appended(text, signal, without="transcode")
    assert found == appended(text, signal, without="parse")
    _, rejected, _, message, _ = found[0]
    assert (rejected, message) == (0, "")
    data = transcode(text, signal, 1 << 30, are_lines=False).data
    assert len(data) <= PROTOBUF_BYTES * len(text)
    return True


@strategies.examples(400)
@given(strategies_json.plain_texts)
def test_plain_texts(signal_text: tuple[Signal, bytes]) -> None:
    """Every spelling that OTLP/JSON allows."""
    assert_same_or_left(signal_text[1], signal_text[0])


@strategies.examples(800)
@given(strategies_json.odd_texts)
def test_odd_texts(signal_text: tuple[Signal, bytes]) -> None:
    """Members twice, nulls, wrong types, unknown keys."""
    assert_same_or_left(signal_text[1], signal_text[0])


@strategies.examples(400)
@given(strategies_json.mutated_texts())
def test_mutated_texts(signal_text: tuple[Signal, bytes]) -> None:
    """What is no JSON is never taken for some."""
    assert_same_or_left(signal_text[1], signal_text[0])


@strategies.examples(800)
@given(json_edits.edited_texts())
def test_edited_texts(signal_text: tuple[Signal, bytes]) -> None:
    """What Python would take and OTLP does not is left, and all that is nearly right."""
    assert_same_or_left(signal_text[1], signal_text[0])


@pytest.mark.parametrize("signal", SIGNALS)
def test_what_senders_write_is_plain(signal: Signal) -> None:
    """As a Collector spells it, and with white space."""
    (message,) = Payloads(signal, Shape(records=20)).messages(1)
    text = as_json(message)
    assert assert_same_or_left(text, signal)
    assert assert_same_or_left(json.dumps(json.loads(text), indent=2).encode(), signal)


def record(**members: Any) -> bytes:
    """A log record in a request."""
    logs = {"scopeLogs": [{"logRecords": [members]}]}
    return json.dumps({"resourceLogs": [logs]}, allow_nan=True).encode()


def body(**value: Any) -> bytes:
    """A log record with this body."""
    return record(body=value)


PLAIN = {
    "nothing": b"{}",
    "null": record(timeUnixNano=None, severityText="a"),
    "integer in text": record(timeUnixNano="18446744073709551615"),
    "integer": record(timeUnixNano=18446744073709551615),
    "negative": body(intValue="-9223372036854775808"),
    "double": body(doubleValue=0.1),
    "double of an integer": body(doubleValue=2**70),
    "double in words": body(doubleValue="-Infinity"),
    "enum by name": record(severityNumber="SEVERITY_NUMBER_INFO"),
    "escapes": body(stringValue='a"\\\n\u00e9\U0001f600'),
    "long text": body(stringValue="a" * 20_000),
    "list": body(arrayValue={"values": [{"intValue": 1}, {}, {"boolValue": True}]}),
    "map": body(kvlistValue={"values": [{"key": "a" * 200, "value": {"stringValue": "b"}}]}),
    "bytes": body(bytesValue="AQI"),
    "attributes that are remembered": record(
        attributes=[
            {"key": "k", "value": value}
            for value in 2 * [{"stringValue": "1"}, {"stringValue": ""}, {"intValue": "1"}]
        ]
    ),
    "zeros of both signs": record(
        attributes=[
            {"key": "k", "value": {"doubleValue": value}} for value in (0.0, -0.0, 1.5, 0.0, -0.0)
        ]
    ),
    "lengths of one and two bytes": record(
        attributes=[
            {"key": "k" * key, "value": {"stringValue": "v" * value}}
            for key, value in ((1, 117), (1, 118), (1, 119), (1, 126), (1, 128), (120, 1), (128, 1))
        ]
    ),
    "id": record(traceId="0AF7651916CD43DD8448EB211C80319C", spanId=""),
    "snake case": record(time_unix_nano="1"),
}
LEFT = {
    "no JSON": b'{"resourceLogs":[}',
    "another top": b"[]",
    "byte order mark": b"\xef\xbb\xbf{}",
    "invalid UTF-8": body(stringValue="@").replace(b"@", b"\xff"),
    "lone surrogate": body(stringValue="\ud800"),
    "unknown key": record(timeUnixNano="1", other=1),
    "key given twice": b'{"resourceLogs":[],"resourceLogs":[]}',
    "key in both spellings": record(timeUnixNano="1", time_unix_nano="2"),
    "two of a oneof": body(stringValue="a", intValue=1),
    "text for a number": record(timeUnixNano="soon"),
    "number with a point": record(timeUnixNano=1.0),
    "boolean for a number": record(timeUnixNano=True),
    "integer beyond 64 bits": record(timeUnixNano=2**64),
    "integer with many digits": record(timeUnixNano="1" * 5000),
    "leading zero": record(timeUnixNano="01"),
    "zero or minus zero": body(doubleValue=0),
    "beyond a double": body(doubleValue=10**400),
    "beyond a double, with exponent": body(doubleValue=1.5).replace(b"1.5", b"1e999"),
    "not a number": body(doubleValue=float("nan")),
    "id in base64": record(spanId="AQIDBAUGBwg="),
    "id with white space": record(spanId="01 02030405060708"),
    "null in a list": body(arrayValue={"values": [None]}),
    "object for a list": record(attributes={}),
    "list for an object": record(body=[]),
    "lists for objects": record(attributes=[[["key", "k"], ["value", [["stringValue", "a"]]]]]),
    "list for a value": record(attributes=[{"key": "k", "value": [["stringValue", "a"]]}]),
    "number for a key": record(attributes=[{"key": 1, "value": {"stringValue": "a"}}]),
    "true for one that was there": record(
        attributes=[{"key": "k", "value": {"intValue": one}} for one in (1, True)]
    ),
    "as Python spells numbers": record(timeUnixNano="1_000"),
    "old kinds": b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"intSum":{}}]}]}]}',
}


@pytest.mark.parametrize("case", PLAIN)
def test_plain_cases(case: str) -> None:
    """Are not left."""
    assert assert_same_or_left(PLAIN[case], "logs")


@pytest.mark.parametrize("case", LEFT)
def test_unusual_cases(case: str) -> None:
    """Are left, whatever the transcoder makes of them."""
    signal: Signal = "metrics" if case == "old kinds" else "logs"
    assert is_left(LEFT[case], signal)


FIELDS = {
    f"{field.kind} {field.of}": field
    for message in DESCRIPTORS.values()
    for field in message.fields
}
"""One of each kind."""
LISTS = {"Messages", "Texts", "Fixed64s", "Doubles", "Uint64s", "Records", "Groups", "Labels"}
VALUES = [
    "", "a", "a" * 32, 0, 1, 32, 1.5, True, False,
    *([None] * count for count in range(34)),
    *([("a", None)] * count for count in range(34)),
    {}, {"a": 1},
]  # fmt: skip


def takes(field: Field) -> set[type]:
    """The types that a field may be given in."""
    if field.kind in LISTS:
        return {list}
    if field.kind == "Message":
        return {dict, *map(type, VALUES)}  # asked when its members are read
    texts: dict[str, set[type]] = {
        "Text": {str}, "Bytes": {str}, "Id": {str}, "Bool": {bool}, "Double": {int, float, str},
    }  # fmt: skip
    return texts.get(field.kind, {int, str})


GOOD = {"Id": "01", "Bool": True, "Double": 1.5, "Text": "a", "Bytes": "AQI"}


@pytest.mark.parametrize("kind", FIELDS)
def test_values_of_another_type_are_left(kind: str) -> None:
    """Alone, and among others that fit: the transcoder says what was found."""
    field = FIELDS[kind]
    many = plain_text._many_of(field)  # noqa: SLF001 - each of them
    good = GOOD.get(field.kind, [] if field.kind in LISTS else 1)
    for value in VALUES:
        if type(value) not in takes(field):
            for values in ([value], [good, value], [value, good], [value, value]):
                with pytest.raises(plain_text.UNUSUAL):
                    many(values)


TWICE: dict[str, tuple[Signal, str]] = {
    "request": ("logs", '{@"resourceLogs":[]}'),
    "group": ("logs", '{"resourceLogs":[{@"schemaUrl":"a"}]}'),
    "resource": ("logs", '{"resourceLogs":[{"resource":{@"droppedAttributesCount":1}}]}'),
    "scope": ("traces", '{"resourceSpans":[{"scopeSpans":[{"scope":{@"name":"a"}}]}]}'),
    **{
        name: ("logs", '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{' + text + "}]}]}]}")
        for name, text in {
            "record": '@"flags":1',
            "body": '"body":{@"stringValue":"a"}',
            "pair": '"attributes":[{@"key":"a","value":{"stringValue":"b"}}]',
            "pair's value": '"attributes":[{"key":"a",@"value":{"stringValue":"b"}}]',
            "value": '"attributes":[{"key":"a","value":{@"stringValue":"b"}}]',
            "list": '"body":{"arrayValue":{@"values":[]}}',
            "null": '"flags":1,@"severityText":null',
        }.items()
    },
    **{
        name: ("traces", '{"resourceSpans":[{"scopeSpans":[{"spans":[{' + text + "}]}]}]}")
        for name, text in {
            "event": '"events":[{@"name":"a"}]',
            "link": '"links":[{},{@"flags":1}]',
            "status": '"status":{@"code":1}',
        }.items()
    },
    **{
        name: (
            "metrics", '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{' + text + "}]}]}]}",
        )
        for name, text in {
            "metric": '@"name":"a"',
            "metadata": '"metadata":[{@"key":"a"}]',
            "data": '"sum":{@"isMonotonic":true}',
            "point": '"gauge":{"dataPoints":[{@"asInt":1}]}',
            "exemplar": '"gauge":{"dataPoints":[{"exemplars":[{@"asInt":1}]}]}',
            "exemplar's pair": (
                '"gauge":{"dataPoints":[{"exemplars":[{"filteredAttributes":['
                '{"key":"a","value":{@"stringValue":"b"}}]}]}]}'
            ),
            "buckets": '"exponentialHistogram":{"dataPoints":[{"positive":{@"offset":1}}]}',
            "quantile": '"summary":{"dataPoints":[{"quantileValues":[{@"value":1.5}]}]}',
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("case", TWICE)
def test_keys_given_twice_are_left_wherever_they_are(case: str) -> None:
    """A dict keeps the last of them without a word; once, each is plain."""
    signal, text = TWICE[case]
    before, after = text.split("@")
    member = after[: after.index(":") + 1]
    depth = 0
    for at, letter in enumerate(after):
        depth += (letter in "[{") - (letter in "]}")
        if depth < 0 or (depth == 0 and letter == ","):
            member = after[:at]
            break
    assert assert_same_or_left((before + after).encode(), signal)
    assert is_left(f"{before}{member},{after}".encode(), signal)
    # Brackets, colons and quotes in text change nothing of what is counted.
    odd = after.replace('"a"', '"\\":[{\\\\"').replace('"b"', '"::\\"]"')
    assert assert_same_or_left((before + odd).encode(), signal)
    assert is_left(f"{before}{member},{odd}".encode(), signal)


def test_many_records_are_read_in_parts() -> None:
    """Values stay with their records, those that few have too."""
    records: list[dict[str, Any]] = [
        {"timeUnixNano": str(NOW + number), "attributes": [{"key": f"k{number}"}] * (number % 3)}
        for number in range(2 * MOST_AT_ONCE + 3)
    ]
    for number in range(0, len(records), 11):
        records[number] |= {"severityText": f"s{number}", "body": {"intValue": number or -1}}
    records[-1]["event_name"] = "by its other name"
    text = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()
    assert assert_same_or_left(text, "logs")


LARGE = {
    "objects": b"[" + b"{}," * 80_000 + b"{}]",
    "lists": b"[" + b"[]," * 80_000 + b"[]]",
    "lists of lists": b"[" + b"[[]]," * 50_000 + b"[]]",
    "members": b"[" + b'{"":0},' * 30_000 + b"{}]",
    "members in one another": b"[" + b'{"":{"":{"":[[]]}}},' * 12_000 + b"{}]",
    "members in many others": b"[" + (b'{"":' * 40 + b"[]" + b"}" * 40 + b",") * 1000 + b"{}]",
    "two members": b"[" + b'{"":0,"a":0},' * 20_000 + b"{}]",
    "six members": b"[" + b'{"":0,"a":0,"b":0,"c":0,"d":0,"e":0},' * 6_000 + b"{}]",
    "texts": b"[" + b'"\xc3\xa9a",' * 40_000 + b"0]",
    "wide texts": b"[" + b'"\xf0\x9f\x98\x80",' * 40_000 + b"0]",
    "numbers": b"[" + b"999," * 50_000 + b"0]",
    "long numbers": b"[" + b"1e9," * 50_000 + b"0]",
}


@pytest.mark.parametrize("shape", LARGE)
def test_memory_is_a_multiple_of_the_text(shape: str) -> None:
    """What is set aside for objects is enough for them."""
    text = LARGE[shape]
    tracemalloc.start()
    try:
        found = parse(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found is not None
    assert peak <= OBJECT_BYTES * len(text)


def test_a_bound_of_memory_counts_the_objects() -> None:
    """Where they may not fit they are not made: the transcoder is asked, which needs less."""
    text = PLAIN["long text"]
    asked = []

    def count(*arguments: Any, **options: Any) -> Any:
        asked.append(most)
        return transcode(*arguments, **options)

    for most in (OBJECT_BYTES * len(text), 100 * len(text)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pure, "transcode", count)
            if most == OBJECT_BYTES * len(text):
                patch.setattr(pure, "parse", refuse)
            found = process_otlp(text, "logs", content_type=JSON, max_memory_bytes=most)
        assert found.accepted == 1
    assert asked == [OBJECT_BYTES * len(text)]


def test_a_bound_of_bytes_holds_for_the_protobuf() -> None:
    """Where that could pass it the transcoder counts it."""
    text = json.dumps(
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"histogram": {"dataPoints": [
            {"explicitBounds": [1] * 1000}
        ]}}]}]}]},
        separators=(",", ":"),
    ).encode()  # fmt: skip
    assert assert_same_or_left(text, "metrics")
    builder = BatchBuilder(max_payload_bytes=len(text) + 1000)
    native = otlp2parquet.BatchBuilder(max_payload_bytes=len(text) + 1000)
    facts = said(lambda: builder.append(text, "metrics", content_type=JSON))
    assert facts == said(lambda: native.append(text, "metrics", content_type=JSON))
    assert issubclass(getattr(otlp2parquet, facts[0]), OtlpError)


def test_what_is_remembered_of_attributes_is_bounded() -> None:
    """A sender of ever new values fills no memory that outlives its requests."""
    remembered = plain_text._remembered  # noqa: SLF001
    for first in range(0, 9000, 3000):
        values = [{"stringValue": str(number)} for number in range(first, first + 3000)]
        text = record(attributes=[{"key": "k", "value": value} for value in values])
        assert not is_left(text, "logs")
        assert 0 < len(remembered) <= 4000


class Untouched:
    """A scanner that must not see a text."""

    def decode(self, text: str) -> object:
        """Never called."""
        raise AssertionError(text[:100])


DEEP = {
    "lists": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "both, with others beside": b'{"a":[[],' * 50_000,
    "brackets in text that seem to close": b'["]",' * 100_000,
    "behind an escaped quote": b'["\\"]",' * 100_000,
    "closed": b"[" * 200 + b"]" * 200,
    "text without an end": b"[" * 200 + b'"' + b"]" * 200,
    "large": b"{}" + b" " * MOST_BYTES,
}


@pytest.mark.parametrize("case", DEEP)
def test_depth_and_size_are_not_tried(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that overflows ends a Worker; many objects take its memory."""
    monkeypatch.setattr(plain_text, "_DECODER", Untouched())
    assert parse(DEEP[case]) is None


@pytest.mark.parametrize("text", [b'\\"', b'"\\"', b'"\\\\', b'"', b"\\", b'"a"'])
@pytest.mark.parametrize("before", [b"", b'"'])
def test_quotes_and_backslashes_take_time_by_their_bytes(before: bytes, text: bytes) -> None:
    """Whether they are JSON or not: a search for strings from each quote on would take hours."""
    assert parse(before + text * (MOST_BYTES // 4)) is None


def test_deep_values_are_left() -> None:
    """And usual ones are not, brackets in their text or none."""
    deep: dict[str, Any] = {"stringValue": "a]][[{"}
    for _ in range(3):
        deep = {"arrayValue": {"values": [deep]}}
    assert assert_same_or_left(body(**deep), "logs")
    for _ in range(40):
        deep = {"arrayValue": {"values": [deep]}}
    assert is_left(body(**deep), "logs")


def test_a_record_that_is_left_out_later_is_named_by_its_place() -> None:
    """Only the readers of records refuse it: the request is read again, and its place found."""
    many = [{"key": "k", "value": {"intValue": 1}}] * (limits.ATTRIBUTES + 1)
    text = record(attributes=many)
    assert is_left(text, "logs")
    found = process_otlp(text, "logs", content_type=JSON)
    assert (found.accepted, found.rejected) == (0, 1)
    native = otlp2parquet.process_otlp(text, "logs", content_type=JSON)
    assert "resourceLogs[0].scopeLogs[0].logRecords[0]" in found.message
    assert found.message == native.message
