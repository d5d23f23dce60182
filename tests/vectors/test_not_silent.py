"""A 200 must not hide data: what nobody understood is read as what it became, or told.

Old names, the metrics of OTLP 0.8, another signal's request, unknown members and fields.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet import DecodeError, process_otlp
from tests.support import equivalence_json
from tests.support.canonical import groups_of
from tests.support.shapes import METRIC, SPAN, assert_same, at, attribute, log
from tests.support.strategies import FIXED64, VARINT, delimited, nested, tag

if TYPE_CHECKING:
    from otlp2parquet import Result, Signal

JSON, LINES = "application/json", "application/x-ndjson"
SIGNAL_NAMES: dict[Signal, tuple[str, str]] = {
    # signal: how its lists are called, and its records
    "logs": ("Logs", "logRecords"),
    "traces": ("Spans", "spans"),
    "metrics": ("Metrics", "metrics"),
}


def read(text: object, signal: Signal = "logs", content_type: str = JSON) -> Result:
    """A text's tables, about which both witnesses agree."""
    body = text if isinstance(text, bytes) else json.dumps(text).encode()
    equivalence_json.assert_same(body, signal, content_type)
    return process_otlp(body, signal, content_type=content_type)


def rows_of(result: Result) -> list[dict[str, Any]]:
    """All rows."""
    return [row for rows in groups_of(result.batches).values() for row in rows]


# Another signal ------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", SIGNAL_NAMES)
def test_another_signals_request_is_refused(signal: Signal) -> None:
    """Traces posted as logs are a 400 that says so, not an empty success."""
    expected = f"resource{SIGNAL_NAMES[signal][0]}"
    for other, (name, _) in SIGNAL_NAMES.items():
        if other != signal:
            text = json.dumps({f"resource{name}": []}).encode()
            with pytest.raises(DecodeError, match=f"found resource{name}, expected {expected}"):
                process_otlp(text, signal, content_type=JSON)
            equivalence_json.assert_same(text, signal, JSON)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"x":1}', "found x,"),
        (b'{"ResourceLogs":[]}', "found ResourceLogs,"),
        (b'{"a b":1}', "found a key of 3 bytes,"),
        (b'{"%s":1}' % (b"x" * 500), "found a key of 500 bytes,"),
        (b'{"y":null,"x":{}}', "found x,"),
        (b'{"resourceLogs":null,"x":{}}', "found x,"),
    ],
)
def test_no_known_member_at_the_top(text: bytes, found: str) -> None:
    """An object with members, none of them the signal's, is no request of it."""
    equivalence_json.assert_same(text, "logs", JSON)
    with pytest.raises(DecodeError, match="expected resourceLogs") as caught:
        process_otlp(text, "logs", content_type=JSON)
    assert found in str(caught.value)
    lines = b'{"resourceLogs":[]}\n\n' + text
    equivalence_json.assert_same(lines, "logs", LINES)
    with pytest.raises(DecodeError, match="in line 3"):
        process_otlp(lines, "logs", content_type=LINES)


@pytest.mark.parametrize(
    "text", [b"{}", b'{"x":null}', b'{"resourceLogs":[]}', b'{"resource_logs":[]}']
)
def test_empty_requests_are_none_of_that(text: bytes) -> None:
    """`{}` is an empty request, and a null member is as if it were not written."""
    result = read(text)
    assert (result.accepted, result.rejected, result.message) == (0, 0, "")


# Names of before 2022 ------------------------------------------------------------------------

RECORD: dict[Signal, dict[str, Any]] = {
    "logs": {"severityText": "INFO"},
    "traces": {"name": "a"},
    "metrics": {"name": "a", "gauge": {"dataPoints": [{"asInt": "1"}]}},
}


@pytest.mark.parametrize("snake", [False, True])
@pytest.mark.parametrize("signal", SIGNAL_NAMES)
def test_instrumentation_libraries_are_scopes(signal: Signal, *, snake: bool) -> None:
    """`instrumentationLibrary…` is read as what it became, behind the scopes of today."""
    name, records = SIGNAL_NAMES[signal]
    if snake:
        library, old = "instrumentation_library", f"instrumentation_library_{name.lower()}"
    else:
        library, old = "instrumentationLibrary", f"instrumentationLibrary{name}"
    entry = {
        old: [{library: {"name": "old"}, records: [RECORD[signal]]}],
        f"scope{name}": [{"scope": {"name": "new"}, records: [RECORD[signal]]}],
    }
    result = read({f"resource{name}": [entry]}, signal)
    assert (result.accepted, result.message) == (2, "")
    assert [row["ScopeName"] for row in rows_of(result)] == ["new", "old"]
    assert result.unstored["unknown_fields"] == 0


@pytest.mark.parametrize("scopes", ["instrumentationLibraryLogs", "scopeLogs"])
def test_logs_of_libraries_are_log_records(scopes: str) -> None:
    """`logs` is what `logRecords` was called when scopes were instrumentation libraries."""
    result = read({"resourceLogs": [{scopes: [{"logs": [{"severityText": "INFO"}]}]}]})
    assert (result.accepted, result.message) == (1, "")
    assert result.unstored["unknown_fields"] == 0


@pytest.mark.parametrize("signal", SIGNAL_NAMES)
def test_field_1000(signal: Signal) -> None:
    """The same in protobuf, where those lists are field 1000."""
    record = nested((5, 1), b"") if signal == "metrics" else b""
    scope = delimited(1, delimited(1, b"old")) + delimited(2, record)
    payload = delimited(1, delimited(1000, scope) + delimited(2, delimited(2, record)))
    assert_same(payload, signal)
    result = process_otlp(payload, signal)
    assert [row["ScopeName"] for row in rows_of(result)] == [None, "old"]


def test_bad_records_of_libraries_are_placed() -> None:
    """Their path is the one that they were sent by."""
    scopes = [{"logRecords": [{}, {"attributes": [{"value": {"boolValue": 1}}]}]}]
    result = read({"resourceLogs": [{"instrumentationLibraryLogs": scopes}]})
    place = "resourceLogs[0].instrumentationLibraryLogs[0].logRecords[1].attributes[0]"
    assert (result.accepted, result.rejected) == (1, 1)
    assert place in result.message


# Metrics of OTLP 0.8 -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [4, 6, 8])
def test_old_metric_kinds_are_rejected(number: int) -> None:
    """Their points are counted as rejected records, with that reason."""
    good = delimited(5, delimited(1, b""))
    for data, rejected in ((delimited(1, b"anything") * 3, 3), (b"", 0), (b"\x0a\x7f", 1)):
        metrics = delimited(2, delimited(number, data)) + delimited(2, good)
        payload = nested((1, 2), metrics)
        assert_same(payload, "metrics")
        result = process_otlp(payload, "metrics")
        assert (result.accepted, result.rejected) == (1, rejected)
        assert ("OTLP 0.8" in result.message) == (rejected > 0)
    # Of a oneof's members the last one counts.
    payload = nested(METRIC, delimited(number, delimited(1, b"")) + good)
    assert_same(payload, "metrics")
    assert process_otlp(payload, "metrics").accepted == 1


@pytest.mark.parametrize(
    "kind",
    [
        "intGauge",
        "intSum",
        "intHistogram",
        "int_gauge",
        "doubleGauge",
        "doubleSum",
        "doubleSummary",
    ],
)
def test_old_metric_kinds_of_json_are_rejected(kind: str) -> None:
    """By their names, also where their numbers are those of today's kinds."""
    metrics = [{"name": "a", kind: {"dataPoints": [{"value": "1"}, {}, 7]}}, RECORD["metrics"]]
    result = read({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}, "metrics")
    assert (result.accepted, result.rejected) == (1, 3)
    assert "OTLP 0.8" in result.message
    assert "resourceMetrics[0].scopeMetrics[0].metrics[0]" in result.message


@pytest.mark.parametrize(
    ("kind", "name"), [(5, "gauge"), (7, "sum"), (9, "histogram"), (11, "summary")]
)
def test_labels_are_rejected(kind: int, name: str) -> None:
    """A point with labels would be stored without them."""
    payload = nested(METRIC, delimited(kind, delimited(1, delimited(1, b"x")) + delimited(1, b"")))
    assert_same(payload, "metrics")
    result = process_otlp(payload, "metrics")
    assert (result.accepted, result.rejected) == (1, 1)
    assert "labels of OTLP 0.8, expected attributes" in result.message
    points = [{"labels": [{"key": "k", "value": "v"}]}, {"labels": []}]
    metrics = [{"name": "a", name: {"dataPoints": points}}]
    result = read({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}, "metrics")
    assert (result.accepted, result.rejected) == (1, 1)
    assert f"{name}.dataPoints[0]: found the labels" in result.message


# Unknown members and fields ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"resourceLogs": [], "x": 1}, "found the unknown member x, and no log records"),
        (
            {"resourceLogs": [{"scopeLog": []}]},
            "resourceLogs[0]: found the unknown member scopeLog, and no log records",
        ),
        (
            {"resourceLogs": [{"scopeLogs": [{"records": [{}]}]}]},
            "resourceLogs[0].scopeLogs[0]: found the unknown member records, and no log records",
        ),
        ({"resourceLogs": [{"": 1}]}, "a key of 0 bytes"),
        ({"resourceLogs": [{"x": None}]}, ""),
        ({"resourceLogs": [{"resource": {}, "scopeLogs": [{}]}]}, ""),
        ({"resourceLogs": [{"x": 1, "scopeLogs": [{"logRecords": [{}]}]}]}, ""),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"x": 1}]}]}]}, ""),
    ],
)
def test_unknown_members_instead_of_records(request_: object, told: str) -> None:
    """A request that yields no record says which of its members nobody understood."""
    result = read(request_)
    assert result.rejected == 0
    assert told in result.message
    assert bool(result.message) == bool(told)


def test_each_line_is_asked_for_its_records() -> None:
    """In JSON lines a line without records is told, whatever the others hold."""
    good = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}'
    lines = b"\n".join([good, b"{}", b'{"resourceLogs":[{"Scope":1}]}', good])
    result = read(lines, content_type=LINES)
    assert result.accepted == 2
    assert result.message == (
        "line 3: resourceLogs[0]: found the unknown member Scope, and no log records"
    )


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (delimited(99, b"x"), "found the unknown field 99, and no spans"),
        (delimited(1, b"") + tag(7, VARINT) + b"\0", "found the unknown field 7, and no spans"),
        (nested((1, 2, 9), b""), "resource_spans[0].scope_spans[0]: found the unknown field 9"),
        (nested((1, 1, 1), attribute(b"k", tag(99, VARINT) + b"\1")), "unknown field 99"),
        (nested((1, 2), b""), ""),
        (delimited(99, b"x") + nested(SPAN, b""), ""),
    ],
)
def test_unknown_fields_instead_of_records(payload: bytes, told: str) -> None:
    """The same in protobuf, with the number of the field."""
    assert_same(payload, "traces")
    result = process_otlp(payload, "traces")
    assert result.rejected == 0
    assert told in result.message
    assert bool(result.message) == bool(told)


@pytest.mark.parametrize("value", [{"StringValue": "x"}, {"Value": {"StringValue": "x"}}, {"x": 1}])
def test_values_of_which_no_member_is_known(value: object) -> None:
    """They are null, and that is told; an empty value or a null member is nothing to tell."""
    record = {
        "body": value,
        "attributes": [
            {"key": "a", "value": value},
            {"key": "b", "value": {}},
            {"key": "c", "value": {"x": None}},
            {"key": "d", "value": {"intValue": 1, "x": 1}},
            {"key": "e", "value": {"arrayValue": {"values": [value, {}]}}},
        ],
    }
    result = read({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    (row,) = rows_of(result)
    assert row["LogAttributes"] == '{"a":null,"b":null,"c":null,"d":1,"e":[null,null]}'
    assert (row["Body"], row["BodyType"]) == ("null", "empty")
    assert "read 3 values without a known member as null" in result.message


# Ids of zeros --------------------------------------------------------------------------------


def test_ids_of_zeros_are_null() -> None:
    """OTLP calls them invalid: a parent of zeros would hide a root, in columns and in lists."""
    zero16, zero8, real = bytes(16), bytes(8), bytes(7) + b"\1"
    link = delimited(1, zero16) + delimited(2, zero8)
    span = (
        delimited(1, zero16)
        + delimited(2, real)
        + delimited(4, zero8)
        + delimited(13, link)
        + delimited(13, delimited(1, bytes(15) + b"\1") + delimited(2, real))
    )
    payload = nested(SPAN, span)
    assert_same(payload, "traces")
    (row,) = rows_of(process_otlp(payload, "traces"))
    assert (row["TraceId"], row["SpanId"], row["ParentSpanId"]) == (None, "00" * 7 + "01", None)
    assert row["LinksTraceId"] == [None, "00" * 15 + "01"]
    assert row["LinksSpanId"] == [None, "00" * 7 + "01"]
    payload = log(delimited(9, zero16) + delimited(10, bytes(3)))
    assert_same(payload, "logs")
    (row,) = rows_of(process_otlp(payload, "logs"))
    assert (row["TraceId"], row["SpanId"]) == (None, None)
    exemplar = delimited(4, zero8) + delimited(5, zero16) + tag(2, FIXED64) + at(5)
    payload = nested((*METRIC, 5, 1, 5), exemplar)
    assert_same(payload, "metrics")
    (row,) = rows_of(process_otlp(payload, "metrics"))
    assert row["Exemplars"] == '[{"timeUnixNano":"5"}]'
