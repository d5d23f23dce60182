"""Nothing that OTLP says is lost: OTLP -> tables -> OTLP is the same message.

The promise, its canonical form and its exceptions are in ``canonical``; the reverse is in
``rebuild``. Each property is held by the oracle's rows too, which proves the two witnesses
against each other: a loss would need the same mistake in three places.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import assume, given, reject

from otlp2parquet import process_otlp
from otlp2parquet.core.signals import SIGNALS
from tests.support import oracle, strategies
from tests.support.canonical import NOT_STORED, canonical, exact_rows, groups_of
from tests.support.rebuild import rebuild
from tests.support.shapes import VECTORS, every_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otlp2parquet import Signal


def official(signal: str, payload: bytes) -> Any:
    """The request as the official parser reads it."""
    with oracle.unlimited_depth():
        return oracle.REQUESTS[signal].FromString(payload)


def table_rows(payload: bytes, signal: Signal) -> list[tuple[str, list[oracle.Row]]]:
    """The native decoder's rows, by table."""
    result = process_otlp(payload, signal)
    return [(key[0], rows) for key, rows in groups_of(result.batches).items()]


@strategies.examples(500)
@given(strategies.valid_payloads)
def test_oracle_rows_give_the_message_back(signal_payload: tuple[Signal, bytes]) -> None:
    """The two witnesses agree: what the oracle puts into rows, the reverse takes out."""
    signal, payload = signal_payload
    try:
        want = official(signal, payload)
    except DecodeError:  # the official classes refuse invalid UTF-8
        reject()
    decoded = oracle.decode(payload, signal)
    assume(not decoded.rejected)
    rebuilt = rebuild(signal, ((key[0], rows) for key, rows in decoded.groups.items()))
    assert canonical(rebuilt) == canonical(want)


@strategies.examples(800)
@given(strategies.valid_payloads)
def test_table_rows_give_the_message_back(signal_payload: tuple[Signal, bytes]) -> None:
    """A whole export request can be rebuilt from the tables alone."""
    signal, payload = signal_payload
    try:
        want = official(signal, payload)
    except DecodeError:
        reject()
    result = process_otlp(payload, signal)
    assume(not result.rejected)
    assert canonical(rebuild(signal, table_rows(payload, signal))) == canonical(want)


def messages_in(message: Message) -> Iterator[Message]:
    """The message and all below it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type:
            for inner in value if field.is_repeated else [value]:
                yield from messages_in(inner)


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_full_messages_set_every_field_of_otlp(signal: Signal) -> None:
    """The vectors are complete: a field that a newer OTLP brings makes this test fail."""
    met: dict[str, set[str]] = {}
    for message in messages_in(every_field(signal)):
        descriptor = message.DESCRIPTOR
        names = {field.name for field, _ in message.ListFields()}
        met.setdefault(descriptor.full_name, set()).update(names)
        if descriptor.name in ("KeyValue", "AnyValue"):
            continue  # one value cannot be of every kind: these are complete together
        single = {
            f.name
            for f in descriptor.fields
            if f.containing_oneof is None or len(f.containing_oneof.fields) == 1
        }
        assert single <= names, f"{descriptor.name} lacks {single - names}"
    values = "opentelemetry.proto.common.v1.AnyValue"
    if signal != "logs":  # where the kinds of value are complete
        del met[values], met["opentelemetry.proto.common.v1.KeyValue"]
    pool = oracle.REQUESTS[signal].DESCRIPTOR.file.pool
    for name, names in met.items():
        missing = set(pool.FindMessageTypeByName(name).fields_by_name) - names
        assert not missing, f"{name} lacks {missing}"


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_fact_of_the_full_messages_is_in_the_row(signal: Signal) -> None:
    """Each column holds what was sent: the rows are those that were written down by hand."""
    want = json.loads((VECTORS / f"every_field.{signal}.json").read_text(encoding="utf-8"))
    payload = every_field(signal).SerializeToString()
    got = dict(table_rows(payload, signal))
    assert sorted(got) == sorted(want)
    for table, rows in want.items():
        assert exact_rows(got[table]) == exact_rows(rows)


def other(field: FieldDescriptor, value: Any) -> Any:
    """Another value than the given one for the same scalar field."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        return not value
    if field.type == FieldDescriptor.TYPE_STRING:
        return value + "~"
    if field.type == FieldDescriptor.TYPE_BYTES:
        return value + b"~"
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return math.nextafter(value, math.inf)
    return value - 1 if field.name == "end_time_unix_nano" else value + 1


def changes(request: Message) -> Iterator[str]:
    """Change one scalar of the request at a time, and put it back."""
    for message in list(messages_in(request)):
        for field, value in message.ListFields():
            where = field.full_name
            if field.message_type or where in NOT_STORED or "EntityRef" in where:
                continue
            if field.is_repeated:
                items, kept = getattr(message, field.name), value[0]
                items[0] = other(field, kept)
                yield where
                items[0] = kept
            else:
                setattr(message, field.name, other(field, value))
                yield where
                setattr(message, field.name, value)


@pytest.mark.parametrize("signal", SIGNALS)
def test_no_fact_of_the_full_messages_can_change_unseen(signal: Signal) -> None:
    """Change any one scalar of the full message and some row is another row."""
    request = every_field(signal)
    before = request.SerializeToString()
    rows = table_rows(before, signal)
    changed = 0
    for where in changes(request):
        assert table_rows(request.SerializeToString(), signal) != rows, where
        changed += 1
    assert request.SerializeToString() == before
    assert changed > 20
