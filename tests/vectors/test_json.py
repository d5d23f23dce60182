"""OTLP/JSON by hand: each rule with its outcome, for the native decoder and the oracle alike.

A record is written as the text between the braces of a LogRecord, Span or data point.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet import BatchBuilder, DecodeError, TooLargeError, process_otlp
from tests.support.canonical import groups_of
from tests.support.equivalence_json import JSON, NDJSON, assert_same

if TYPE_CHECKING:
    from otlp2parquet import Signal

TRACE, SPAN = "0102030405060708090a0b0c0d0e0f10", "0102030405060708"


def logs(*records: str) -> bytes:
    """A request with these log records."""
    found = ",".join(f"{{{record}}}" for record in records)
    return f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{found}]}}]}}]}}'.encode()


def spans(record: str) -> bytes:
    """A request with one span."""
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{record}}}]}}]}}]}}'.encode()


def points(kind: str, point: str, beside: str = "") -> bytes:
    """A request with one data point."""
    data = f'"{kind}":{{"dataPoints":[{{{point}}}]{beside}}}'
    metric = f'{{"name":"m",{data}}}'
    return f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}'.encode()


def row(text: bytes, signal: Signal = "logs") -> dict[str, Any]:
    """The only row of a text, about which both witnesses agree."""
    assert_same(text, signal)
    result = process_otlp(text, signal, content_type=JSON)
    assert result.rejected == 0, result.message
    (rows,) = groups_of(result.batches).values()
    (found,) = rows
    return found


def rejection(text: bytes, signal: Signal = "logs", accepted: int = 0) -> str:
    """Why the only bad record of a text is rejected, about which both witnesses agree."""
    assert_same(text, signal)
    result = process_otlp(text, signal, content_type=JSON)
    assert (result.accepted, result.rejected) == (accepted, 1)
    return result.message


def refusal(text: bytes, signal: Signal = "logs", content_type: str = JSON) -> DecodeError:
    """Why a whole text is refused, about which both witnesses agree."""
    assert_same(text, signal, content_type)
    with pytest.raises(DecodeError) as caught:
        process_otlp(text, signal, content_type=content_type)
    return caught.value


# Ids and bytes ---------------------------------------------------------------------------

IDS = {
    "lower case": (f'"traceId":"{TRACE}"', TRACE),
    "upper case": (f'"traceId":"{TRACE.upper()}"', TRACE),
    "mixed case": (f'"traceId":"{TRACE[:20].upper()}{TRACE[20:]}"', TRACE),
    "empty is absent": ('"traceId":""', None),
    "null is absent": ('"traceId":null', None),
    "another length": ('"traceId":"0aFF"', "0aff"),
    "escapes": ('"traceId":"\\u0030a"', "0a"),
    "base64 of 16 bytes": ('"traceId":"AQIDBAUGBwgJCgsMDQ4PEA=="', TRACE),
    "hex that could be base64": ('"traceId":"AAAA"', "aaaa"),
}


@pytest.mark.parametrize("case", IDS)
def test_ids_are_hex(case: str) -> None:
    """Hex of any case, whatever its length, as in protobuf."""
    text, expected = IDS[case]
    assert row(logs(text))["TraceId"] == expected


def test_ids_in_base64_are_told() -> None:
    """They are read where they are unmistakable, and the sender learns of it."""
    text = spans(f'"traceId":"{TRACE}","spanId":"AQIDBAUGBwg=","parentSpanId":"AQIDBAUGBwg="')
    assert row(text, "traces")["SpanId"] == row(text, "traces")["ParentSpanId"] == SPAN
    message = process_otlp(text, "traces", content_type=JSON).message
    assert message == "read 2 ids as base64, expected hex"


BAD_IDS = {
    "odd": ('"traceId":"123"', "an odd number of hex digits (3)"),
    "base64 of another length": ('"traceId":"AQIDBAUGBwg="', "looks like base64 of 8 bytes"),
    "unpadded": ('"traceId":"AQIDBAUGBwgJCgsMDQ4PEA"', "may be base64 of 16 bytes without"),
    "a uuid": ('"traceId":"01020304-0506-0708-090a-0b0c0d0e0f10"', "base64 of 27 bytes"),
    "a sentence": ('"traceId":"not an id"', "9 bytes of text that are neither hex nor base64"),
    "spaces": ('"spanId":" 0102030405060708"', "neither hex nor base64"),
    "a number": ('"traceId":1234', "found a number, expected hex text"),
    "a list": ('"spanId":[]', "found a list, expected hex text"),
}


@pytest.mark.parametrize("case", BAD_IDS)
def test_other_ids_reject_the_record(case: str) -> None:
    """The message says what it looks like, not what it is."""
    text, reason = BAD_IDS[case]
    message = rejection(logs(text))
    assert reason in message
    assert "expected" in message
    value = text.partition(":")[2].strip('"')
    assert value not in message or value.isdigit()


BYTES = {
    "standard": "+/8=",
    "URL-safe": "-_8=",
    "mixed": "-/8=",
    "without padding": "+/8",
    "bits too many": "+/9=",
}


@pytest.mark.parametrize("case", BYTES)
def test_bytes_are_base64(case: str) -> None:
    """Standard or URL-safe alphabet, padding optional."""
    body = row(logs(f'"body":{{"bytesValue":"{BYTES[case]}"}}'))["Body"]
    assert body == '{"bytesValue":"+/8="}'


@pytest.mark.parametrize("text", ["A", "AA=", "A===", "AA=A", "A A=", "AAAA=", "%%%%", "ÄÄÄÄ"])
def test_what_is_no_base64_rejects_the_record(text: str) -> None:
    """Nothing is guessed."""
    message = rejection(logs(f'"body":{{"bytesValue":"{text}"}}'))
    assert "body.bytesValue: found text that is not base64" in message


# Numbers ---------------------------------------------------------------------------------

INTS = {
    "7": 7, '"7"': 7, "-7": -7, "1.0": 1, "1e3": 1000, '"1e3"': 1000, '"-1.50E+1"': -15,
    "9223372036854775807": 2**63 - 1, '"-9223372036854775808"': -(2**63),
    "9007199254740993": 2**53 + 1, "0.0": 0, "-0": 0, "0e999999999": 0, "'\\u0037'": 7,
    "9223372036854775807.000": 2**63 - 1, "922337203685477580.7e1": 2**63 - 1,
}  # fmt: skip


@pytest.mark.parametrize("text", INTS)
def test_integers_are_exact(text: str) -> None:
    """Strings or numbers, in any spelling that is an integer."""
    spelled = text.replace("'", '"')
    assert row(logs(f'"body":{{"intValue":{spelled}}}'))["Body"] == str(INTS[text])


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775808", "-9223372036854775809", "1.5", "1e-1", "1e19", '""', '"7 "', '" 7"',
        '"+7"', '"07"', '"0x7"', '"1_000"', '"seven"', '"NaN"', "true", "{}", "[1]",
        "1e99999999999999999999", '"1e-99999999999999999999"', '"-"', '"1."', '"\u0667"',
    ],
)  # fmt: skip
def test_what_is_no_64_bit_integer_rejects_the_record(text: str) -> None:
    """Out of range, not an integer, or not a number."""
    assert "body.intValue: found " in rejection(logs(f'"body":{{"intValue":{text}}}'))


RANGES: list[tuple[Signal, str, str, int, int]] = [
    ("logs", "flags", "TraceFlags", 0, 2**32 - 1),
    ("logs", "droppedAttributesCount", "DroppedAttributesCount", 0, 2**32 - 1),
    ("logs", "severityNumber", "SeverityNumber", -(2**31), 2**31 - 1),
]


@pytest.mark.parametrize(("signal", "key", "column", "least", "most"), RANGES)
def test_32_bit_ranges(signal: Signal, key: str, column: str, least: int, most: int) -> None:
    """As the 64-bit ones, within their range."""
    for value in (least, most):
        for spelled in (f"{value}", f'"{value}"', f"{value}.0"):
            assert row(logs(f'"{key}":{spelled}'), signal)[column] == value
    for value in (least - 1, most + 1):
        message = rejection(logs(f'"{key}":{value}'), signal)
        assert f"{key}: found a number, expected an integer from {least} to {most}" in message


def test_times_are_unsigned() -> None:
    """The largest 64-bit time is one, and a negative one is none."""
    found = row(logs(f'"observedTimeUnixNano":"{2**64 - 1}"'))
    assert found["ObservedTimestampNanos"] == (2**64 - 1) % 1000
    rejection(logs('"timeUnixNano":-1'))
    rejection(logs(f'"timeUnixNano":"{2**64}"'))


DOUBLES = {
    "1": "1.0", "-0": "-0.0", "1e3": "1000.0", '"1e3"': "1000.0", '"0.1"': "0.1",
    "1e-400": "0.0", "1.7976931348623157e308": "1.7976931348623157e308",
    '"NaN"': '{"doubleValue":"NaN"}', '"Infinity"': '{"doubleValue":"Infinity"}',
    '"-Infinity"': '{"doubleValue":"-Infinity"}', "123456789012345678": "1.2345678901234568e17",
}  # fmt: skip


@pytest.mark.parametrize("text", DOUBLES)
def test_doubles(text: str) -> None:
    """Numbers, numeric strings, and three names."""
    assert row(logs(f'"body":{{"doubleValue":{text}}}'))["Body"] == DOUBLES[text]


@pytest.mark.parametrize(
    "text", ["1e309", "-1e309", '"1e309"', '"nan"', '"inf"', '"+Infinity"', '""', "true", '"1.e3"']
)  # fmt: skip
def test_what_is_no_double_rejects_the_record(text: str) -> None:
    """A number beyond double range rejects the record."""
    assert "body.doubleValue: found " in rejection(logs(f'"body":{{"doubleValue":{text}}}'))


# Enums, bools, text ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["2", '"2"', "2.0", '"SPAN_KIND_SERVER"', '"SPAN_KIND_SERV\\u0045R"']
)
def test_enums(text: str) -> None:
    """Integers; also integer strings and the known names."""
    assert row(spans(f'"kind":{text}'), "traces")["SpanKind"] == "SPAN_KIND_SERVER"


def test_enum_numbers_that_have_no_name() -> None:
    """They are kept, as in protobuf."""
    assert row(spans('"kind":99'), "traces")["SpanKind"] == "99"
    assert row(spans('"status":{"code":-1}'), "traces")["StatusCode"] == "-1"


@pytest.mark.parametrize(
    "text", ['"SERVER"', '"span_kind_server"', '""', "true", "2147483648", '"STATUS_CODE_OK"']
)
def test_unknown_enum_names_reject_the_record(text: str) -> None:
    """As do numbers that are none of 32 bits."""
    assert "spans[0].kind: found" in rejection(spans(f'"kind":{text}'), "traces")


def test_every_enum_name() -> None:
    """Each enum knows its own names."""
    severity = row(logs('"severityNumber":"SEVERITY_NUMBER_FATAL4"'))
    assert severity["SeverityNumber"] == 24
    status = row(spans('"status":{"code":"STATUS_CODE_ERROR"}'), "traces")
    assert status["StatusCode"] == "STATUS_CODE_ERROR"
    cumulative = "AGGREGATION_TEMPORALITY_CUMULATIVE"
    for kind in ("sum", "histogram", "exponentialHistogram"):
        text = points(kind, "", f',"aggregationTemporality":"{cumulative}"')
        assert row(text, "metrics")["AggregationTemporality"] == cumulative


@pytest.mark.parametrize("text", ['"true"', "1", "0", '""', "{}"])
def test_only_booleans_are_booleans(text: str) -> None:
    """Wrong type (string "true" for a bool, …) rejects the record."""
    message = rejection(logs(f'"body":{{"boolValue":{text}}}'))
    assert "body.boolValue: found" in message
    assert "expected true or false" in message


@pytest.mark.parametrize("text", ["1", "true", "{}", "[]"])
def test_only_text_is_text(text: str) -> None:
    """Nothing is turned into text."""
    assert "severityText: found" in rejection(logs(f'"severityText":{text}'))


TEXTS = {
    "\\ud83d\\ude00": ("😀", 0),
    "\\ud83d": ("\ufffd", 1),
    "a\\ude00\\ud83db": ("a\ufffd\ufffdb", 2),
    '\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000': ('"\\/\b\f\n\r\t\0', 0),
    "é😀\u2028": ("é😀\u2028", 0),
}


@pytest.mark.parametrize("text", TEXTS)
def test_text_and_its_escapes(text: str) -> None:
    """A lone surrogate escape becomes U+FFFD, with a warning."""
    expected, replaced = TEXTS[text]
    body = logs(f'"body":{{"stringValue":"{text}"}}')
    assert row(body)["Body"] == expected
    message = process_otlp(body, "logs", content_type=JSON).message
    assert (f"replaced {replaced} invalid UTF-8 sequences or lone" in message) == bool(replaced)


def test_invalid_utf8_is_mended_and_told() -> None:
    """Each maximal invalid part becomes one U+FFFD; the warning does not cost the record."""
    body = logs('"body":{"stringValue":"@"}').replace(b"@", b"a\xf0\x9f\x98\xffb\xed\xa0\x80")
    assert row(body)["Body"] == "a\ufffd\ufffdb\ufffd\ufffd\ufffd"
    message = process_otlp(body, "logs", content_type=JSON).message
    assert message.startswith("replaced 5 invalid UTF-8 sequences")


# Members ---------------------------------------------------------------------------------


def test_snake_case_keys() -> None:
    """They are accepted on input, also with escapes."""
    text = logs('"severity_text":"a","observed_time_unix_nano":"1","event\\u004eame":"e"')
    found = row(
        text.replace(b"resourceLogs", b"resource_logs").replace(b"scopeLogs", b"scope_logs")
    )
    assert (found["SeverityText"], found["EventName"]) == ("a", "e")
    assert found["ObservedTimestampNanos"] == 1


@pytest.mark.parametrize("key", ["SeverityText", "severitytext", "severityText ", "severity-text"])
def test_other_keys_are_unknown(key: str) -> None:
    """Keys are compared as they are; what is unknown is ignored and counted."""
    result = process_otlp(logs(f'"{key}":7'), "logs", content_type=JSON)
    assert (result.accepted, result.rejected, result.message) == (1, 0, "")
    assert result.unstored["unknown_fields"] == 1


def test_unknown_keys_of_any_depth_and_size() -> None:
    """Nothing below an unknown key matters, and none of it is held."""
    deep = "[" * 500_000 + "]" * 500_000
    wide = json.dumps({str(i): [i, {"a": None}] for i in range(10_000)})
    text = logs(f'"x":{deep},"severityText":"a","y":{wide},"z":"{"z" * 1_000_000}"')
    result = process_otlp(text, "logs", content_type=JSON)
    assert (result.accepted, result.unstored["unknown_fields"]) == (1, 3)


def test_null_members_are_not_written() -> None:
    """As if it were not written (also a oneof member after one that is set)."""
    found = row(logs('"body":null,"attributes":null,"flags":null,"x":null,"severityText":null'))
    assert (found["Body"], found["LogAttributes"], found["SeverityText"]) == (None, "{}", None)
    result = process_otlp(logs('"x":null'), "logs", content_type=JSON)
    assert result.unstored["unknown_fields"] == 0
    assert row(logs('"body":{"intValue":1,"stringValue":null}'))["Body"] == "1"
    assert row(logs('"severityText":"a","severityText":null'))["SeverityText"] == "a"
    assert row(spans('"status":null'), "traces")["StatusCode"] == "STATUS_CODE_UNSET"
    text = points("gauge", '"asInt":"5","asDouble":null,"exemplars":null')
    assert row(text, "metrics")["IntValue"] == 5
    for text in (b'{"resourceLogs":null}', b'{"resourceLogs":[{"scopeLogs":null}]}'):
        result = process_otlp(text, "logs", content_type=JSON)
        assert (result.accepted, result.rejected, result.message) == (0, 0, "")


def test_the_last_member_counts() -> None:
    """Of a key given twice, in whichever spelling, and of a oneof."""
    assert row(logs('"severityText":"a","severity_text":"b"'))["SeverityText"] == "b"
    assert row(logs('"body":{"stringValue":"a"},"body":{"intValue":2}'))["Body"] == "2"
    assert row(logs('"body":{"stringValue":"a","intValue":2}'))["Body"] == "2"
    assert row(logs('"body":{"intValue":2,"arrayValue":{},"stringValue":"a"}'))["Body"] == "a"
    first, last = ({"key": key, "value": {"intValue": 1}} for key in "ab")
    text = f'"attributes":{json.dumps([first])},"flags":3,"attributes":{json.dumps([last])}'
    assert row(logs(text))["LogAttributes"] == '{"b":1}'
    assert row(logs('"traceId":"0a","traceId":""'))["TraceId"] is None
    found = row(points("gauge", '"asDouble":1.5,"asInt":2'), "metrics")
    assert (found["Value"], found["IntValue"]) == (2.0, 2)


def test_a_member_that_does_not_count_costs_nothing() -> None:
    """It is not read, so it cannot be wrong."""
    assert row(logs('"severityText":7,"severityText":"b"'))["SeverityText"] == "b"
    assert row(logs('"body":{"boolValue":"x","intValue":2}'))["Body"] == "2"
    assert "severityText" in rejection(logs('"severityText":"b","severityText":7'))
    bad = '{"scope":7,"logRecords":[{},{}]}'
    text = f'{{"resourceLogs":[{{"scopeLogs":[{bad}],"scopeLogs":[{{"logRecords":[{{}}]}}]}}]}}'
    assert row(text.encode())["Body"] is None


def test_a_metric_of_two_kinds_is_of_the_last() -> None:
    """And the points of the other one never were, the bad ones neither."""
    gauge, total = '"gauge":{"dataPoints":[{},7,{}]}', '"sum":{"dataPoints":[{"asInt":3}]}'
    text = f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{gauge},{total}}}]}}]}}]}}'
    assert row(text.encode(), "metrics")["IntValue"] == 3


def test_parts_given_and_empty() -> None:
    """An empty object is given; the tables keep the difference where they have one."""
    assert row(logs('"body":{}'))["BodyType"] == "empty"
    assert row(logs('"body":{"arrayValue":{}}'))["Body"] == "[]"
    assert row(logs('"body":{"kvlistValue":{"values":null}}'))["Body"] == "{}"
    found = row(points("histogram", '"min":0,"sum":0'), "metrics")
    assert (found["Min"], found["Max"], found["Sum"]) == (0.0, None, 0.0)
    found = row(points("exponentialHistogram", '"positive":{}'), "metrics")
    assert (found["PositiveOffset"], found["NegativeOffset"]) == (0, None)


# What a misfit costs ---------------------------------------------------------------------


def test_one_bad_record_costs_itself() -> None:
    """Paths count what was sent, not what was kept."""
    good = '"body":{"stringValue":"kept"}'
    bad = '"attributes":[{"key":"k","value":{"arrayValue":{"values":[{},{"intValue":"x"}]}}}]'
    text = logs(good, bad, good, '"body":7', good)
    assert_same(text, "logs")
    result = process_otlp(text, "logs", content_type=JSON)
    assert (result.accepted, result.rejected) == (3, 2)
    records = "resourceLogs[0].scopeLogs[0].logRecords"
    assert result.message == (
        f"rejected 2 log records: {records}[1].attributes[0].value.arrayValue.values[1].intValue: "
        f"found text that is no number, expected an integer; "
        f"{records}[3].body: found a number, expected an object"
    )


@pytest.mark.parametrize("item", ["null", "7", '"x"', "[]", "true"])
def test_list_items_that_are_no_objects(item: str) -> None:
    """Null as a list item rejects the record it belongs to; so does any other stranger."""
    assert "attributes[0]: found" in rejection(logs(f'"attributes":[{item}]'))
    text = logs().replace(b"[]", f"[{{}},{item},{{}}]".encode())
    assert_same(text, "logs")
    result = process_otlp(text, "logs", content_type=JSON)
    assert (result.accepted, result.rejected) == (2, 1)
    assert "logRecords[1]: found" in result.message
    assert "bucketCounts[1]: found" in rejection(
        points("histogram", f'"bucketCounts":[1,{item if item != "7" else "-7"}]'), "metrics"
    )


GROUPS: dict[str, tuple[Signal, str, int, str]] = {
    "resource": (
        "logs",
        '{"resourceLogs":[{"resource":{"attributes":7},"scopeLogs":[{"logRecords":[{},7]},{}]}]}',
        2,
        "resourceLogs[0].resource.attributes: found a number, expected a list",
    ),
    "resource after its records": (
        "logs",
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{},7]}],"schemaUrl":7}]}',
        3,
        "resourceLogs[0].schemaUrl: found a number, expected text",
    ),
    "scope": (
        "traces",
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{},{}],"scope":{"name":[]}}]}]}',
        2,
        "resourceSpans[0].scopeSpans[0].scope.name: found a list, expected text",
    ),
    "metric": (
        "metrics",
        '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{},{}]},"unit":7}]}]}]}',
        2,
        "resourceMetrics[0].scopeMetrics[0].metrics[0].unit: found a number, expected text",
    ),
    "data": (
        "metrics",
        '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"dataPoints":[{}],"isMonotonic":1}}]}]}]}',
        1,
        "metrics[0].sum.isMonotonic: found a number, expected true or false",
    ),
    "nothing below": (
        "logs",
        '{"resourceLogs":[null]}',
        0,
        "rejected 0 log records and parts without any: resourceLogs[0]: found null",
    ),
    "records that are no list": (
        "logs",
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":{}}]}]}',
        0,
        "resourceLogs[0].scopeLogs[0].logRecords: found an object, expected a list",
    ),
}


@pytest.mark.parametrize("case", GROUPS)
def test_a_bad_resource_scope_or_metric_costs_the_records_below(case: str) -> None:
    """All of them are counted, and those beside it stay."""
    signal, text, below, reason = GROUPS[case]
    assert_same(text.encode(), signal)
    result = process_otlp(text.encode(), signal, content_type=JSON)
    assert (result.accepted, result.rejected) == (0, below)
    assert reason in result.message
    name = {"logs": "Logs", "traces": "Spans", "metrics": "Metrics"}[signal]
    good = {"logs": logs("", ""), "traces": spans(""), "metrics": points("sum", "")}[signal]
    beside = good.decode().removeprefix(f'{{"resource{name}":[').removesuffix("]}")
    both = text.removesuffix("]}") + f",{beside}]}}"
    assert_same(both.encode(), signal)
    result = process_otlp(both.encode(), signal, content_type=JSON)
    assert (result.accepted, result.rejected) == (2 if signal == "logs" else 1, below)


def test_misfits_of_the_tables_are_placed_in_the_text() -> None:
    """What only the tables refuse is told in the names and numbers of the request as sent."""
    huge = str(2**63)
    points_text = f'[7,{{}},{{"count":"{huge}"}}]'
    text = (
        '{"resourceMetrics":[null,{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[7]}},'
        f'{{"histogram":{{"dataPoints":{points_text}}}}}]}}]}}]}}'
    ).encode()
    assert_same(text, "metrics")
    result = process_otlp(text, "metrics", content_type=JSON)
    assert (result.accepted, result.rejected) == (1, 3)
    metric = "resourceMetrics[1].scopeMetrics[0].metrics[1]"
    places = result.message.split("; ")
    assert places[-1] == "…" or f"{metric}.histogram.dataPoints[2]: found a count" in result.message
    text = text.replace(b"null,", b"").replace(b"[7]", b"[]").replace(b"[7,", b"[")
    result = process_otlp(text, "metrics", content_type=JSON)
    assert "metrics[1].histogram.dataPoints[1]: found a count of" in result.message


def test_limits_hold_as_in_protobuf() -> None:
    """Depth 64 and 10,000 attributes cost the record."""

    def nested(depth: int) -> str:
        return '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth

    assert row(logs(f'"body":{nested(64)}'))["BodyType"] == "array"
    message = rejection(logs(f'"body":{nested(65)}'))
    assert "nested deeper than 64 arrays" in message
    pair = '{"key":"k","value":{"intValue":"1"}}'
    many = ",".join([pair] * 10_000)
    assert row(logs(f'"attributes":[{many}]'))["LogAttributes"].count("k") == 10_000
    message = rejection(logs(f'"attributes":[{many},{pair}]'))
    assert "logRecords[0]: found 10001 attributes" in message
    after_its_records = f',"resource":{{"attributes":[{many},{pair}]}}}}]}}'
    text = logs("", "").decode().removesuffix("}]}") + after_its_records
    result = process_otlp(text.encode(), "logs", content_type=JSON)
    assert result.rejected == 2
    assert "resourceLogs[0].resource: found 10001 attributes" in result.message


def test_records_are_counted_before_they_are_read() -> None:
    """Also those that are left out."""
    text = logs().replace(b"[]", b"[" + b"7," * 1_000_000 + b"7]")
    with pytest.raises(TooLargeError, match="more than 1000000 records"):
        process_otlp(text, "logs", content_type=JSON)
    some = logs().replace(b"[]", b"[" + b"7," * 999_999 + b"{}]")
    result = process_otlp(some, "logs", content_type=JSON)
    assert (result.accepted, result.rejected) == (1, 999_999)


@pytest.mark.parametrize("count", [7_000, 9_000])
def test_the_limit_on_bytes_holds_for_the_protobuf_too(count: int) -> None:
    """Buckets take two bytes of text and eight of protobuf: memory follows the limit."""
    builder = BatchBuilder(max_payload_bytes=65_536)
    text = points("histogram", f'"bucketCounts":[{",".join(["1"] * count)}]')
    assert len(text) < 20_000
    if count * 8 < 65_536:
        assert builder.append(text, "metrics", content_type=JSON).accepted == 1
        return
    with pytest.raises(TooLargeError, match="expected at most 65536"):
        builder.append(text, "metrics", content_type=JSON)
    assert builder.num_rows == builder.num_groups == 0


# What is no request ----------------------------------------------------------------------

REFUSALS = {
    "nothing": (b"", 0, "", "the end of the text"),
    "white space": (b" \n", 2, "", "the end of the text"),
    "a list": (b"[]", 0, "", "a list, expected an object"),
    "null": (b"null", 0, "", "null, expected an object"),
    "a word": (b"hello", 0, "", "a character that begins no JSON value"),
    "two documents": (b"{} {}", 3, "", "an object, expected the end of the text"),
    "a comma too many": (b'{"resourceLogs":[],}', 19, "", "expected a key in quotes"),
    "no list": (b'{"resourceLogs":{}}', 16, "resourceLogs", "an object, expected a list"),
    "cut": (logs()[:-3], 49, "resourceLogs[0]", "the end of the text"),
    "NaN": (
        logs('"body":{"doubleValue":NaN}'),
        69,
        "resourceLogs[0].scopeLogs[0].logRecords[0].body.doubleValue",
        "a character that begins no JSON value",
    ),
    "in an unknown key": (
        logs('"secret":{"deeper":[1,}'),
        69,
        "resourceLogs[0].scopeLogs[0].logRecords[0]",
        "a closing bracket, expected a value",
    ),
    "a control character": (
        logs('"severityText":"a\tb"'),
        64,
        "resourceLogs[0].scopeLogs[0].logRecords[0].severityText",
        "a control character inside text",
    ),
    "a bad escape": (logs('"severityText":"\\x"'), 63, "severityText", "a backslash"),
    "a leading zero": (logs('"flags":01'), 56, "logRecords[0]", "a number, expected a comma"),
    "a byte order mark": (b"\xef\xbb\xbf{}", 0, "", "a character that begins no JSON value"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_no_request_is_refused_at_its_place(case: str) -> None:
    """Byte offset, field path, what was found, what was expected; never the text."""
    text, offset, path, reason = REFUSALS[case]
    error = refusal(text)
    assert (error.offset, reason in str(error)) == (offset, True), str(error)
    assert (error.path or "").endswith(path)
    assert str(error).startswith(f"malformed json at byte {offset}")
    assert "secret" not in str(error)
    builder = BatchBuilder()
    with pytest.raises(DecodeError):
        builder.append(text, "logs", content_type=JSON)
    assert builder.num_rows == builder.num_groups == 0


# JSON lines ------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [NDJSON, "application/jsonl", "Application/JSONL; x=y"])
def test_lines_are_requests(content_type: str) -> None:
    """One export request a line; blank lines are skipped."""
    text = b"\n".join([logs("", ""), b"", logs("", "7:") + b"\r", b" \t", logs("")])
    text = text.replace(b"{7:}", b"7")
    result = process_otlp(text, "logs", content_type=content_type)
    assert (result.accepted, result.rejected) == (4, 1)
    assert "line 3: resourceLogs[0].scopeLogs[0].logRecords[1]: found a number" in result.message


@pytest.mark.parametrize("text", [b"", b"\n", b" \r\n\t\n"])
def test_no_lines_are_no_requests(text: bytes) -> None:
    """A 0-byte or blank NDJSON body is empty."""
    result = process_otlp(text, "logs", content_type=NDJSON)
    assert (result.accepted, result.rejected, result.message) == (0, 0, "")


def test_a_bad_line_is_an_error_of_the_whole() -> None:
    """And names the line and the place in it."""
    good = logs("")
    bad = logs('"body":x')
    error = refusal(b"\n".join([good, b"", bad, good]), content_type=NDJSON)
    offset = len(good) + 2 + 54
    path = "resourceLogs[0].scopeLogs[0].logRecords[0].body"
    assert (error.offset, error.path) == (offset, path)
    assert str(error).startswith(f"malformed json in line 3 at byte {offset}, in {path}: found")


def test_a_request_over_two_lines_is_none() -> None:
    """A line ends where it ends."""
    error = refusal(b'{"resourceLogs":\n[]}', content_type=NDJSON)
    assert "in line 1 at byte 16" in str(error)
    assert refusal(b"{}{}", content_type=NDJSON).offset == 2


# What would cost much, if it were done badly ---------------------------------------------

SIZE = 4_000_000
REPEATED = {
    "a key in one record": (logs(",".join(['"flags":1'] * (SIZE // 10))), 1, 0),
    "a bad value in one record": (logs(",".join(['"flags":"x","spanId":7'] * (SIZE // 24))), 0, 1),
    "keys in many records": (
        logs(*['"flags":1,"body":{"intValue":1,"intValue":2},"flags":2'] * (SIZE // 60)),
        SIZE // 60,
        0,
    ),
    "a key around a large value": (
        logs(f'"flags":1,"eventName":"{"x" * SIZE}",' + ",".join(['"spanId":"","flags":1'] * 1000)),
        1,
        0,
    ),
    "a oneof at every depth": (
        logs(
            '"body":'
            + '{"intValue":1,"arrayValue":{"values":[' * 60
            + f'{{"stringValue":"{"x" * SIZE}"}}'
            + "]}}" * 60
        ),
        1,
        0,
    ),
    "doubles half-way between two": (
        logs(
            '"body":{"arrayValue":{"values":['
            + ",".join(['{"doubleValue":1.7000000000000002379e300}'] * (SIZE // 43))
            + "]}}"
        ),
        1,
        0,
    ),
    "a double of many digits": (logs(f'"body":{{"doubleValue":1.{"3" * SIZE}}}'), 1, 0),
    "values that do not fit": (logs(f'"attributes":[{",".join(["1"] * (SIZE // 2))}]'), 0, 1),
    "values beside one that does not fit, 60 deep": (
        logs(
            '"body":'
            + '{"arrayValue":{"values":[' * 60
            + '{"stringValue":"x"},' * (SIZE // 20)
            + "1"
            + "]}}" * 60
        ),
        0,
        1,
    ),
    "a value of great depth before one that does not fit": (
        logs(f'"x":{"[" * (SIZE // 2)}{"]" * (SIZE // 2)},"flags":"x"'),
        0,
        1,
    ),
    "lists of records": (
        f'{{"resourceLogs":[{{"scopeLogs":[{{{",".join(["%s"] * (SIZE // 20))}}}]}}]}}'.replace(
            "%s", '"logRecords":[7,{}]'
        ).encode(),
        1,
        1,
    ),
}


def test_places_are_found_whatever_stands_before_them() -> None:
    """The path of a misfit is exact: behind deep values, unknown keys and members given twice."""
    deep = '{"arrayValue":{"values":[' * 60 + "{}" + "]}}" * 60
    for before in ("", f'"body":{deep},', '"x":[{"y":[1]}],', '"attributes":[],', '"flags":1,'):
        text = logs("", f'{before}"attributes":[{{}},{{"value":{{"boolValue":1}}}}]')
        assert "logRecords[1].attributes[1].value.boolValue: found " in rejection(text, accepted=1)


@pytest.mark.parametrize("case", REPEATED)
def test_repetition_costs_no_more_than_its_bytes(case: str) -> None:
    """What is given many times is taken back many times; anything quadratic would take hours."""
    text, accepted, rejected = REPEATED[case]
    result = process_otlp(text, "logs", content_type=JSON)
    assert (result.accepted, result.rejected) == (accepted, rejected)
