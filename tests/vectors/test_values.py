"""One value, one text: AnyValue, doubles, escapes, invalid UTF-8 and exemplars."""

from __future__ import annotations

import re

import pytest

from otlp2parquet import process_otlp
from tests.support import oracle
from tests.support.shapes import (
    METRIC,
    assert_same,
    at,
    attribute,
    double_value,
    log,
    resource,
    string_value,
    the_row,
)
from tests.support.strategies import FIXED64, VARINT, delimited, nested, tag, varint

DOUBLES = {
    1.0: "1.0",
    -0.0: "-0.0",
    0.1: "0.1",
    1e300: "1e300",
    1e-7: "1e-7",
    1e-5: "0.00001",
    1.234e-5: "0.00001234",
    9.99e-6: "9.99e-6",
    1e15: "1000000000000000.0",
    9999999999999998.0: "9999999999999998.0",
    1e16: "1e16",
    1.5e16: "1.5e16",
    -123456.789: "-123456.789",
    5e-324: "5e-324",
    1.7976931348623157e308: "1.7976931348623157e308",
    2.0**-44: "5.684341886080802e-14",
    2.0**89: "6.189700196426902e26",
    9007199254740993.0: "9007199254740992.0",
    float("nan"): '{"doubleValue":"NaN"}',
    float("inf"): '{"doubleValue":"Infinity"}',
    float("-inf"): '{"doubleValue":"-Infinity"}',
}


@pytest.mark.parametrize(("value", "text"), DOUBLES.items(), ids=DOUBLES.values())
def test_doubles_are_spelled_as_ryu_does(value: float, text: str) -> None:
    """One double has one spelling: shortest, with a point or an exponent."""
    assert the_row(log(delimited(5, double_value(value))), "logs")["Body"] == text


KVLIST_BYTES = delimited(6, delimited(1, attribute(b"bytesValue", string_value(b"AA=="))))
VALUES: dict[str, tuple[bytes, str, str]] = {
    "string": (string_value(b'say "hi"'), "string", 'say "hi"'),
    "empty string": (string_value(b""), "string", ""),
    "bool": (tag(2, VARINT) + b"\x00", "bool", "false"),
    "int": (tag(3, VARINT) + varint(-1), "int", "-1"),
    "zero": (tag(3, VARINT) + b"\x00", "int", "0"),
    "bytes": (delimited(7, b"\x00\xff\xfe"), "bytes", '{"bytesValue":"AP/+"}'),
    "no bytes": (delimited(7, b""), "bytes", '{"bytesValue":""}'),
    "empty array": (delimited(5, b""), "array", "[]"),
    "empty kvlist": (delimited(6, b""), "kvlist", "{}"),
    "nothing": (b"", "empty", "null"),
    "an index of a profile": (tag(8, VARINT) + b"\x07", "empty", "null"),
    "array": (
        delimited(5, delimited(1, string_value(b"a\nb")) + delimited(1, b"")),
        "array",
        '["a\\nb",null]',
    ),
    "repeated keys": (
        delimited(
            6,
            delimited(1, attribute(b"k", string_value(b"1")))
            + delimited(1, b"")
            + delimited(1, attribute(b"k", string_value(b"2"))),
        ),
        "kvlist",
        '{"k":"1","":null,"k":"2"}',
    ),
    "a kvlist that looks like bytes": (
        KVLIST_BYTES,
        "kvlist",
        '{"kvlistValue":{"bytesValue":"AA=="}}',
    ),
    "one inside of an array": (
        nested((5, 1), KVLIST_BYTES),
        "array",
        '[{"kvlistValue":{"bytesValue":"AA=="}}]',
    ),
    "a kvlist that looks wrapped": (
        delimited(6, delimited(1, attribute(b"kvlistValue", b""))),
        "kvlist",
        '{"kvlistValue":{"kvlistValue":null}}',
    ),
    "two such keys need no wrapping": (
        delimited(6, delimited(1, attribute(b"doubleValue", string_value(b"NaN"))) * 2),
        "kvlist",
        '{"doubleValue":"NaN","doubleValue":"NaN"}',
    ),
    "other marks of OTLP/JSON are keys like any": (
        delimited(6, delimited(1, attribute(b"stringValue", b""))),
        "kvlist",
        '{"stringValue":null}',
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_values(case: str) -> None:
    """Each kind of AnyValue has one text, as a body and as an attribute."""
    value, kind, text = VALUES[case]
    row = the_row(log(delimited(5, value) + delimited(6, attribute(b"a", value))), "logs")
    assert (row["BodyType"], row["Body"]) == (kind, text)
    inner = oracle.quote(text) if kind == "string" else text
    assert row["LogAttributes"] == f'{{"a":{inner}}}'


def test_attribute_columns_are_never_wrapped() -> None:
    """The wrapping is for values: a lone attribute with such a key stays as it is."""
    row = the_row(log(delimited(6, attribute(b"bytesValue", string_value(b"AA==")))), "logs")
    assert row["LogAttributes"] == '{"bytesValue":"AA=="}'


def test_escapes() -> None:
    """JSON text: short escapes, other control characters by number, all else raw."""
    text = "".join(map(chr, range(0x20))) + '"\\/\x7f\x80\u2028é𝄞'
    row = the_row(log(delimited(6, attribute(text.encode(), string_value(text.encode())))), "logs")
    quoted = (
        '"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e'
        "\\u000f\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b"
        '\\u001c\\u001d\\u001e\\u001f\\"\\\\/\x7f\x80\u2028é𝄞"'
    )
    assert row["LogAttributes"] == f"{{{quoted}:{quoted}}}"


BROKEN_TEXT = {
    b"\xff": "\ufffd",
    b"a\xc3": "a\ufffd",
    b"\xc3(": "\ufffd(",
    b"\xe2\x82": "\ufffd",
    b"\xe2\x82z": "\ufffdz",
    b"\xf0\x90\x80": "\ufffd",
    b"\xed\xa0\x80": "\ufffd" * 3,
    b"\xc0\xaf": "\ufffd" * 2,
    b"\xf4\x90\x80\x80": "\ufffd" * 4,
    b"\x80\x80": "\ufffd" * 2,
    b"\xf0\x90\xff\xf0\x90": "\ufffd" * 3,
}


@pytest.mark.parametrize("raw", BROKEN_TEXT, ids=repr)
def test_invalid_utf8_is_replaced_and_said(raw: bytes) -> None:
    """Each maximal invalid part becomes one U+FFFD, with a warning and nothing rejected."""
    text = BROKEN_TEXT[raw]
    record = delimited(3, raw) + delimited(5, string_value(raw)) + delimited(6, attribute(raw, b""))
    payload = log(record)
    row = the_row(payload, "logs")
    assert (row["SeverityText"], row["Body"], row["LogAttributes"]) == (
        text,
        text,
        f'{{"{text}":null}}',
    )
    result = process_otlp(payload, "logs")
    assert (result.accepted, result.rejected) == (1, 0)
    assert "utf-8" in result.message.lower()


def test_each_invalid_part_is_counted() -> None:
    """The warning says how many parts were replaced, over all records of the request."""
    payload = log(delimited(3, b"\xff"), delimited(12, b"a\xe2\x82b\xff"), b"")
    assert re.search(r"\b3\b", process_otlp(payload, "logs").message)
    assert oracle.decode(payload, "logs").replaced == 3


UNSTORED_TEXT = {
    "a resource without records": delimited(1, delimited(3, b"\xff")),
    "a scope without records": nested((1, 2, 1, 1), b"\xff"),
    "a string that is given again": log(delimited(3, b"\xff") + delimited(3, b"INFO")),
    "a value that is overwritten": log(
        delimited(5, string_value(b"\xff") + tag(2, VARINT) + b"\x01")
    ),
    "entity_refs": delimited(1, nested((1, 3, 1), b"\xff") + nested((2, 2), b"")),
    "an unknown field": log(delimited(99, b"\xff")),
}


@pytest.mark.parametrize("case", UNSTORED_TEXT)
def test_text_that_is_not_stored_is_no_warning(case: str) -> None:
    """Nothing was replaced where nothing is stored: there is nothing to say."""
    assert_same(UNSTORED_TEXT[case], "logs")
    assert process_otlp(UNSTORED_TEXT[case], "logs").message == ""


def test_invalid_utf8_in_every_string_field() -> None:
    """No string column escapes the replacement; names and services are made of it too."""
    bad, text = b"x\xff", "x\ufffd"
    scope = delimited(1, delimited(1, bad) + delimited(2, bad)) + delimited(3, bad)
    start = resource(attribute(b"service.name", string_value(bad))) + delimited(3, bad)
    span = delimited(3, bad) + delimited(5, bad) + delimited(15, delimited(2, bad))
    span += delimited(11, delimited(2, bad)) + delimited(13, delimited(3, bad))
    row = the_row(delimited(1, start + delimited(2, scope + delimited(2, span))), "traces")
    single = {"ServiceName", "ResourceSchemaUrl", "ScopeName", "ScopeVersion", "ScopeSchemaUrl"}
    single |= {"TraceState", "SpanName", "StatusMessage"}
    assert {row[name] for name in single} == {text}
    assert row["EventsName"] == row["LinksTraceState"] == [text]
    metric = delimited(1, bad) + delimited(2, bad) + delimited(3, bad) + nested((5, 1), b"")
    row = the_row(delimited(1, start + delimited(2, scope + delimited(2, metric))), "metrics")
    assert {row[n] for n in ("MetricName", "MetricDescription", "MetricUnit")} == {text}


EXEMPLARS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "{}"),
    "zero double": (tag(3, FIXED64) + bytes(8), '{"asDouble":0.0}'),
    "zero int": (tag(6, FIXED64) + bytes(8), '{"asInt":"0"}'),
    "NaN": (tag(3, FIXED64) + double_value(float("nan"))[1:], '{"asDouble":"NaN"}'),
    "all": (
        delimited(7, attribute(b"k", string_value(b"v")))
        + tag(6, FIXED64)
        + at(2**64 - 1)
        + delimited(5, b"\xaa")
        + delimited(4, b"\xbb")
        + tag(2, FIXED64)
        + at(2**64 - 1),
        (
            '{"timeUnixNano":"18446744073709551615","spanId":"bb","traceId":"aa","asInt":"-1",'
            '"filteredAttributes":[{"key":"k","value":{"stringValue":"v"}}]}'
        ),
    ),
    "attributes without key, value or kind": (
        delimited(7, b"") + delimited(7, attribute(b"", b"")) + delimited(7, delimited(1, b"k")),
        '{"filteredAttributes":[{},{},{"key":"k"}]}',
    ),
    "empty values": (
        delimited(7, attribute(b"s", string_value(b"")))
        + delimited(7, attribute(b"b", delimited(7, b"")))
        + delimited(7, attribute(b"f", tag(2, VARINT) + b"\x00"))
        + delimited(7, attribute(b"i", tag(3, VARINT) + b"\x00"))
        + delimited(7, attribute(b"a", delimited(5, b"")))
        + delimited(7, attribute(b"l", delimited(6, b""))),
        (
            '{"filteredAttributes":[{"key":"s","value":{"stringValue":""}},'
            '{"key":"b","value":{"bytesValue":""}},{"key":"f","value":{"boolValue":false}},'
            '{"key":"i","value":{"intValue":"0"}},{"key":"a","value":{"arrayValue":{}}},'
            '{"key":"l","value":{"kvlistValue":{}}}]}'
        ),
    ),
    "nested values": (
        delimited(7, attribute(b"a", delimited(5, delimited(1, b"") + delimited(1, KVLIST_BYTES)))),
        (
            '{"filteredAttributes":[{"key":"a","value":{"arrayValue":{"values":[{},{"kvlistValue":'
            '{"values":[{"key":"bytesValue","value":{"stringValue":"AA=="}}]}}]}}}]}'
        ),
    ),
    "special doubles as values": (
        delimited(7, attribute(b"d", double_value(float("-inf"))))
        + delimited(7, attribute(b"d", double_value(1e16))),
        (
            '{"filteredAttributes":[{"key":"d","value":{"doubleValue":"-Infinity"}},'
            '{"key":"d","value":{"doubleValue":1e16}}]}'
        ),
    ),
}


@pytest.mark.parametrize("case", EXEMPLARS)
def test_exemplars(case: str) -> None:
    """Exemplars are OTLP/JSON with ids in hex, members by field number, defaults left out."""
    exemplar, text = EXEMPLARS[case]
    row = the_row(nested((*METRIC, 5, 1), delimited(5, exemplar) * 2), "metrics")
    assert row["Exemplars"] == f"[{text},{text}]"
