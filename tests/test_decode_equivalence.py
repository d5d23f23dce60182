"""The native decoder gives what the oracle gives: same rows, same verdict, same counts.

The properties hold it on anything Hypothesis thinks of; the tables of cases name each rule of
the documents once, with the outcome written down, so that the two decoders cannot be wrong
together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given

from otlp2parquet import BatchBuilder, DecodeError, TooLargeError, process_otlp
from otlp2parquet._native import table_names, table_schema
from tests import oracle, strategies
from tests.canonical import arrow_bytes, exact, exact_rows, groups_of
from tests.strategies import (
    END_GROUP,
    FIXED32,
    FIXED64,
    LENGTH,
    NOW,
    START_GROUP,
    VARINT,
    delimited,
    nested,
    tag,
    varint,
)

if TYPE_CHECKING:
    from otlp2parquet import Signal

VECTORS = Path(__file__).parent / "vectors"
LOG = (1, 2, 2)  # resource_logs, scope_logs, log_records
SPAN = (1, 2, 2)
METRIC = (1, 2, 2)


def assert_same(payload: bytes, signal: Signal, received_at: int | None = None) -> None:
    """Hold the native decoder against the oracle on one payload."""
    builder = BatchBuilder()
    try:
        want = oracle.decode(payload, signal, received_at)
    except oracle.UndecodableError:
        with pytest.raises(DecodeError):
            builder.append(payload, signal, received_at=received_at)
        assert builder.finish() == []
        return
    except oracle.OverLimitError:
        with pytest.raises(TooLargeError):
            builder.append(payload, signal, received_at=received_at)
        return
    appended = builder.append(payload, signal, received_at=received_at)
    groups = groups_of(builder.finish())
    assert set(groups) == set(want.groups)
    for key, rows in want.groups.items():
        assert exact_rows(groups[key]) == exact_rows(rows), key
    counts = (appended.accepted, appended.rejected, appended.undated)
    assert counts == (want.accepted, want.rejected, want.undated)
    assert bool(appended.message) == bool(want.rejected or want.replaced), appended.message


# Properties ------------------------------------------------------------------------------


@strategies.examples(400)
@given(strategies.plain_payloads, strategies.RECEIVED_AT)
def test_plain_messages(signal_payload: tuple[Signal, bytes], received_at: int | None) -> None:
    """What any library writes is decoded as the tables say."""
    assert_same(signal_payload[1], signal_payload[0], received_at)


@strategies.examples(300)
@given(strategies.object_payloads, strategies.RECEIVED_AT)
def test_message_objects(signal_payload: tuple[Signal, bytes], received_at: int | None) -> None:
    """What the official classes write is decoded as the tables say."""
    assert_same(signal_payload[1], signal_payload[0], received_at)


@strategies.examples(600)
@given(strategies.odd_payloads, strategies.RECEIVED_AT)
def test_odd_messages(signal_payload: tuple[Signal, bytes], received_at: int | None) -> None:
    """Whatever the wire format allows means what protobuf says it means."""
    assert_same(signal_payload[1], signal_payload[0], received_at)


@strategies.examples(800)
@given(strategies.mutated_payloads())
def test_mutated_messages(signal_payload: tuple[Signal, bytes]) -> None:
    """Damaged messages are refused, or accepted, exactly where the official parser does."""
    assert_same(signal_payload[1], signal_payload[0])


@strategies.examples(500)
@given(strategies.arbitrary_payloads())
@example(("logs", b"")).via("the empty request")
def test_arbitrary_bytes(signal_payload: tuple[Signal, bytes]) -> None:
    """Any byte string gives tables or a DecodeError, never a panic."""
    assert_same(signal_payload[1], signal_payload[0])


@strategies.examples(60)
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


# The tables ------------------------------------------------------------------------------

TYPES: dict[str, pa.DataType] = {
    "ts": pa.timestamp("us", tz="UTC"),
    "string": pa.string(),
    "JSON": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
}


def written_tables() -> dict[str, list[tuple[str, str, bool]]]:
    """The tables as the document has them: (column, type, whether it may be null)."""
    tables: dict[str, list[tuple[str, str, bool]]] = {}
    current: list[tuple[str, str, bool]] = []
    for line in (VECTORS / "tables.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            name, _, base = line.removeprefix("[").partition("] ")
            current = list(tables.get(base, []))
            tables[name.rstrip("]")] = current
        else:
            column, kind, *required = line.split()
            current.append((column, kind, not required))
    return {name: columns for name, columns in tables.items() if name.startswith("otel_")}


def written_schema(columns: list[tuple[str, str, bool]]) -> list[tuple[Any, ...]]:
    """Arrow facts of each column; ids: the columns first, then the list elements."""
    facts: list[tuple[Any, ...]] = []
    next_element = len(columns) + 1
    for number, (name, kind, nullable) in enumerate(columns, start=1):
        item = None
        if kind.startswith("list<"):
            item = ("element", TYPES[kind[5:-1]], True, str(next_element))
            next_element += 1
        facts.append((name, item or TYPES[kind], nullable, str(number)))
    return facts


def arrow_schema(schema: pa.Schema) -> list[tuple[Any, ...]]:
    """The same facts of an Arrow schema."""

    def field_id(field: pa.Field) -> str:
        value: bytes = field.metadata[b"PARQUET:field_id"]
        return value.decode()

    facts: list[tuple[Any, ...]] = []
    for field in schema:
        kind: Any = field.type
        if pa.types.is_list(kind):
            item = kind.value_field
            kind = (item.name, item.type, item.nullable, field_id(item))
        facts.append((field.name, kind, field.nullable, field_id(field)))
    return facts


def test_there_are_seven_tables() -> None:
    """The tables are the seven of the document and no others."""
    assert sorted(table_names()) == sorted(written_tables())
    assert len(table_names()) == 7


@pytest.mark.parametrize("table", sorted(written_tables()))
def test_schemas_are_the_written_ones(table: str) -> None:
    """Names, order, types, nullability and field ids are the contract's."""
    want = written_schema(written_tables()[table])
    assert arrow_schema(pa.schema(table_schema(table))) == want


@strategies.examples(100)
@given(strategies.valid_payloads)
def test_batches_have_the_written_schemas(signal_payload: tuple[Signal, bytes]) -> None:
    """A batch has exactly its table's schema, whatever is in it, and names its own place."""
    signal, payload = signal_payload
    for batch in process_otlp(payload, signal).batches:
        schema = pa.record_batch(batch).schema
        assert schema.equals(pa.schema(table_schema(batch.table)), check_metadata=True)
        assert schema.equals(pa.schema(batch), check_metadata=True)
        for row in oracle.decode(payload, signal).groups[batch.table, batch.service, batch.hour]:
            assert list(row) == schema.names


def test_unknown_table_is_refused() -> None:
    """A table that does not exist is the caller's mistake."""
    with pytest.raises(ValueError, match="otel_profiles"):
        table_schema("otel_profiles")


# Capsules --------------------------------------------------------------------------------


def rich_result(signal: Signal) -> Any:
    """Batches of the message with every field set."""
    from google.protobuf import text_format  # noqa: PLC0415

    text = (VECTORS / f"every_field.{signal}.textproto").read_text(encoding="utf-8")
    request = text_format.Parse(text, oracle.REQUESTS[signal]())
    return process_otlp(request.SerializeToString(), signal)


@pytest.mark.parametrize("signal", strategies.SIGNALS)
def test_pyarrow_takes_batches(signal: Signal) -> None:
    """pyarrow reads the array, the stream and the schema, and sees the same rows in each."""
    for batch in rich_result(signal).batches:
        arrow = pa.record_batch(batch)
        arrow.validate(full=True)
        assert pa.table(batch).to_batches() == [arrow]
        reader = pa.RecordBatchReader.from_stream(batch)
        assert list(reader) == [arrow]
        assert pa.schema(batch) == arrow.schema


@pytest.mark.parametrize("signal", strategies.SIGNALS)
def test_arrow_outlives_its_batch(signal: Signal) -> None:
    """The consumer owns the buffers: they stay after batch and result are gone."""
    result = rich_result(signal)
    want = [pa.record_batch(batch).to_pylist() for batch in result.batches]
    arrays = [pa.record_batch(batch) for batch in result.batches]
    del result
    assert [array.to_pylist() for array in arrays] == want


@pytest.mark.parametrize("signal", strategies.SIGNALS)
def test_duckdb_takes_batches(signal: Signal) -> None:
    """DuckDB queries a batch by its capsule and sees the rows pyarrow sees."""
    for batch in rich_result(signal).batches:
        arrow = pa.record_batch(batch)
        names = ", ".join(f'"{name}"' for name in arrow.schema.names)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("batch", batch)
            rows = connection.sql(f"SELECT {names} FROM batch").to_arrow_table()  # noqa: S608
        assert rows.to_pylist() == arrow.to_pylist()


@pytest.mark.parametrize("signal", strategies.SIGNALS)
def test_polars_takes_batches(signal: Signal) -> None:
    """Polars makes a frame of a batch by its capsule and sees the rows pyarrow sees."""
    for batch in rich_result(signal).batches:
        assert pl.DataFrame(batch).to_dicts() == pa.record_batch(batch).to_pylist()


# Protobuf's traps, each with its outcome --------------------------------------------------


def string_value(text: bytes) -> bytes:
    """An AnyValue that is a string."""
    return delimited(1, text)


def attribute(key: bytes, value: bytes) -> bytes:
    """A KeyValue."""
    return delimited(1, key) + delimited(2, value)


def log(record: bytes, *more: bytes) -> bytes:
    """A request with one log record per argument."""
    return nested(LOG[:2], b"".join(delimited(2, r) for r in (record, *more)))


def resource(*pairs: bytes) -> bytes:
    """The resource field of a ResourceLogs (Spans, Metrics)."""
    return delimited(1, b"".join(delimited(1, pair) for pair in pairs))


def the_row(payload: bytes, signal: Signal, received_at: int | None = None) -> oracle.Row:
    """The only row of a payload, which the oracle sees too."""
    assert_same(payload, signal, received_at)
    result = process_otlp(payload, signal, received_at=received_at)
    (rows,) = groups_of(result.batches).values()
    (row,) = rows
    return row


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


# Values ----------------------------------------------------------------------------------


def double_value(x: float) -> bytes:
    """An AnyValue that is a double."""
    return tag(4, FIXED64) + pa.array([x], pa.float64()).buffers()[1].to_pybytes()[:8]


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


def test_invalid_utf8_in_every_string_field() -> None:
    """No string column escapes the replacement; names and services are made of it too."""
    bad, text = b"x\xff", "x\ufffd"
    scope = delimited(1, delimited(1, bad) + delimited(2, bad)) + delimited(3, bad)
    start = resource(attribute(b"service.name", string_value(bad))) + delimited(3, bad)
    span = delimited(3, bad) + delimited(5, bad) + delimited(15, delimited(2, bad))
    span += delimited(11, delimited(2, bad)) + delimited(13, delimited(3, bad))
    row = the_row(delimited(1, start + delimited(2, scope + delimited(2, span))), "traces")
    single = ("ServiceName", "ResourceSchemaUrl", "ScopeName", "ScopeVersion", "ScopeSchemaUrl")
    single += ("TraceState", "SpanName", "StatusMessage")
    assert {row[name] for name in single} == {text}
    assert row["EventsName"] == row["LinksTraceState"] == [text]
    metric = delimited(1, bad) + delimited(2, bad) + delimited(3, bad) + nested((5, 1), b"")
    row = the_row(delimited(1, start + delimited(2, scope + delimited(2, metric))), "metrics")
    assert {row[n] for n in ("MetricName", "MetricDescription", "MetricUnit")} == {text}


# Where rows belong -----------------------------------------------------------------------

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


def at(nanos: int) -> bytes:
    """The fixed64 that a time is."""
    return nanos.to_bytes(8, "little")


def test_one_batch_per_service_and_hour_in_wire_order() -> None:
    """Rows of one (table, service, hour) are one batch, in wire order, resources apart or not."""
    hour = strategies.HOUR
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
TIMES: dict[str, tuple[bytes, tuple[int, int | None, int | None, int | None], int]] = {
    "both": (TIME + at(NOW) + OBSERVED + at(SEEN), (NOW, 789, SEEN, 790), 0),
    "time alone": (TIME + at(NOW), (NOW, 789, None, None), 0),
    "observed alone": (OBSERVED + at(SEEN), (SEEN, None, SEEN, 790), 0),
    "neither": (b"", (SEEN + 5, None, None, None), 1),
    "zeros": (TIME + at(0) + OBSERVED + at(0), (SEEN + 5, None, None, None), 1),
    "the last of all": (TIME + at(2**64 - 1), (2**64 - 1, 615, None, None), 0),
    "the first of all": (TIME + at(1), (1, 1, None, None), 0),
}


@pytest.mark.parametrize("case", TIMES)
def test_log_times(case: str) -> None:
    """Timestamp is the record's time, else the observed, else the receive time; and the row
    says which: TimestampNanos is null unless the record's own time was given.
    """
    record, (stamp, nanos, observed, observed_nanos), undated = TIMES[case]
    payload = log(record)
    row = the_row(payload, "logs", received_at=SEEN + 5)
    assert row["Timestamp"] == stamp // 1000
    assert row["TimestampNanos"] == nanos
    assert row["ObservedTimestamp"] == (None if observed is None else observed // 1000)
    assert row["ObservedTimestampNanos"] == observed_nanos
    assert BatchBuilder().append(payload, "logs", received_at=SEEN + 5).undated == undated


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


# Spans and points ------------------------------------------------------------------------


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
        '{"timeUnixNano":"18446744073709551615","spanId":"bb","traceId":"aa","asInt":"-1",'
        '"filteredAttributes":[{"key":"k","value":{"stringValue":"v"}}]}',
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
        '{"filteredAttributes":[{"key":"s","value":{"stringValue":""}},'
        '{"key":"b","value":{"bytesValue":""}},{"key":"f","value":{"boolValue":false}},'
        '{"key":"i","value":{"intValue":"0"}},{"key":"a","value":{"arrayValue":{}}},'
        '{"key":"l","value":{"kvlistValue":{}}}]}',
    ),
    "nested values": (
        delimited(7, attribute(b"a", delimited(5, delimited(1, b"") + delimited(1, KVLIST_BYTES)))),
        '{"filteredAttributes":[{"key":"a","value":{"arrayValue":{"values":[{},{"kvlistValue":'
        '{"values":[{"key":"bytesValue","value":{"stringValue":"AA=="}}]}}]}}}]}',
    ),
    "special doubles as values": (
        delimited(7, attribute(b"d", double_value(float("-inf"))))
        + delimited(7, attribute(b"d", double_value(1e16))),
        '{"filteredAttributes":[{"key":"d","value":{"doubleValue":"-Infinity"}},'
        '{"key":"d","value":{"doubleValue":1e16}}]}',
    ),
}


@pytest.mark.parametrize("case", EXEMPLARS)
def test_exemplars(case: str) -> None:
    """Exemplars are OTLP/JSON with ids in hex, members by field number, defaults left out."""
    exemplar, text = EXEMPLARS[case]
    row = the_row(nested((*METRIC, 5, 1), delimited(5, exemplar) * 2), "metrics")
    assert row["Exemplars"] == f"[{text},{text}]"


def test_requests_without_records_give_no_batches() -> None:
    """Resources, scopes and metrics without a record leave nothing, also when they are bad."""
    for payload in (b"", delimited(1, b""), nested((1, 2), b""), nested((1, 2, 2, 5), b"")):
        assert_same(payload, "metrics")
        result = process_otlp(payload, "metrics")
        assert (result.batches, result.accepted, result.rejected, result.message) == ([], 0, 0, "")
