"""What the ``json`` module reads is what the transcoder reads, to the byte; the rest is left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

import otlp2parquet
from benchmarks.payloads import Payloads, Shape, as_json
from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.builder import process_otlp
from otlp2parquet.core.pure.fields import REQUESTS
from otlp2parquet.core.pure.otlp_json import plain_text
from otlp2parquet.core.pure.otlp_json.plain_text import MOST_BYTES, transcode_plain
from otlp2parquet.core.pure.otlp_json.tally import RECORDS
from otlp2parquet.core.pure.otlp_json.transcoder import Transcoder
from tests.support import json_edits, strategies, strategies_json

if TYPE_CHECKING:
    from otlp2parquet import Signal

SIGNALS: tuple[Signal, ...] = ("logs", "traces", "metrics")


def assert_same_or_left(text: bytes, signal: Signal) -> bool:
    """The bytes of the transcoder, which found nothing to be said; or nothing at all."""
    plain = transcode_plain(text, REQUESTS[signal])
    if plain is None:
        return False
    transcoder = Transcoder(text, 1 << 30)
    transcoder.read_request(REQUESTS[signal])
    assert transcoder.peek() == 0
    assert transcoder.at == len(text)
    assert plain == transcoder.out
    assert not transcoder.explained
    assert not transcoder.unknown
    assert sum(transcoder.tally) == transcoder.tally[RECORDS]
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
    signal = "metrics" if case == "old kinds" else "logs"
    assert transcode_plain(LEFT[case], REQUESTS[signal]) is None


TAKEN: dict[str, set[type]] = {
    "Text": {str},
    "Bytes": {str},
    "Id": {str},
    "Bool": {bool},
    "Double": {int, float, str},
}
"""The types that a scalar may be given in; all others are integers, as numbers or in text."""
VALUES = [
    "", "a", "a" * 32, 0, 1, 32, 1.5, True, False,
    *([None] * count for count in range(34)),
    *((("a", None),) * count for count in range(34)),
]  # fmt: skip


@pytest.mark.parametrize("kind", plain_text._SCALARS)  # noqa: SLF001 - each of them
def test_scalars_of_another_type_are_left(kind: str) -> None:
    """Whatever its length: the transcoder says what was found."""
    for value in VALUES:
        if type(value) not in TAKEN.get(kind, {int, str}):
            with pytest.raises(plain_text.UnusualError):
                plain_text._SCALARS[kind](value)  # noqa: SLF001


def test_what_is_remembered_of_attributes_is_bounded() -> None:
    """A sender of ever new values fills no memory that outlives its requests."""
    remembered = plain_text._remembered  # noqa: SLF001
    for first in range(0, 9000, 3000):
        values = [{"stringValue": str(number)} for number in range(first, first + 3000)]
        text = record(attributes=[{"key": "k", "value": value} for value in values])
        assert transcode_plain(text, REQUESTS["logs"]) is not None
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
    assert transcode_plain(DEEP[case], REQUESTS["logs"]) is None


@pytest.mark.parametrize("text", [b'\\"', b'"\\"', b'"\\\\', b'"', b"\\", b'"a"'])
@pytest.mark.parametrize("before", [b"", b'"'])
def test_quotes_and_backslashes_take_time_by_their_bytes(before: bytes, text: bytes) -> None:
    """Whether they are JSON or not: a search for strings from each quote on would take hours."""
    assert transcode_plain(before + text * (MOST_BYTES // 4), REQUESTS["logs"]) is None


def test_deep_values_are_left() -> None:
    """And usual ones are not, brackets in their text or none."""
    deep: dict[str, Any] = {"stringValue": "a]][[{"}
    for _ in range(3):
        deep = {"arrayValue": {"values": [deep]}}
    assert assert_same_or_left(body(**deep), "logs")
    for _ in range(40):
        deep = {"arrayValue": {"values": [deep]}}
    assert transcode_plain(body(**deep), REQUESTS["logs"]) is None


def test_a_record_that_is_left_out_later_is_named_by_its_place() -> None:
    """Only the readers of protobuf refuse it; the place in the text is found afterwards."""
    many = [{"key": "k", "value": {"intValue": 1}}] * (limits.ATTRIBUTES + 1)
    text = record(attributes=many)
    assert transcode_plain(text, REQUESTS["logs"]) is not None
    found = process_otlp(text, "logs", content_type="application/json")
    assert (found.accepted, found.rejected) == (0, 1)
    native = otlp2parquet.process_otlp(text, "logs", content_type="application/json")
    assert "resourceLogs[0].scopeLogs[0].logRecords[0]" in found.message
    assert found.message == native.message
