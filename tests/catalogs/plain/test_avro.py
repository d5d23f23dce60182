"""Avro: what is written is read, by us and by pyiceberg; what is cut or foreign is an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otlp2parquet.catalogs.plain.avro import (
    AvroError,
    Cursor,
    read_file,
    write_file,
    write_long,
)

SYNC = bytes(range(16))
LONGS = st.integers(-(1 << 63), (1 << 63) - 1)
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "r",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "number", "type": ["null", "long"]},
        {"name": "ratio", "type": ["double", "null"]},
        {"name": "text", "type": "string"},
        {
            "name": "counts",
            "type": [
                "null",
                {
                    "type": "array",
                    "logicalType": "map",
                    "items": {
                        "type": "record",
                        "name": "pair",
                        "fields": [
                            {"name": "key", "type": "int"},
                            {"name": "value", "type": "bytes"},
                        ],
                    },
                },
            ],
        },
        {"name": "list", "type": {"type": "array", "items": "float"}},
    ],
}
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "flag": st.booleans(),
            "number": st.none() | LONGS,
            "ratio": st.none() | st.floats(allow_nan=False),
            "text": st.text(),
            "counts": st.none() | st.dictionaries(st.integers(0, 1 << 30), st.binary()),
            "list": st.lists(st.floats(width=32, allow_nan=False)),
        }
    )
)


@given(LONGS)
def test_whole_numbers_come_back(number: int) -> None:
    """All that 64 bits hold."""
    out = bytearray()
    write_long(number, out)
    assert Cursor(bytes(out)).long() == number
    assert len(out) <= 10


@pytest.mark.parametrize(("number", "packed"), [(0, "00"), (-1, "01"), (1, "02"), (64, "8001")])
def test_whole_numbers_are_avros(number: int, packed: str) -> None:
    """The examples of the specification."""
    out = bytearray()
    write_long(number, out)
    assert out.hex() == packed


@settings(max_examples=40)
@given(ROWS, ROWS)
def test_rows_come_back(rows: list[Any], others: list[Any]) -> None:
    """With the blocks of another file behind them, which are taken over as they are."""
    first = read_file(write_file(SCHEMA, others, {"whose": "others"}, SYNC))
    assert list(first.rows()) == others
    assert first.metadata["whose"] == b"others"
    both = read_file(write_file(SCHEMA, rows, {}, SYNC[::-1], first.blocks))
    assert list(both.rows()) == rows + others


def test_what_is_cut_is_an_error() -> None:
    """At every byte but the ends of blocks."""
    rows: list[Any] = [
        {"flag": True, "number": 1, "ratio": None, "text": "a", "counts": {1: b"x"}, "list": []}
    ]
    whole = write_file(SCHEMA, rows, {}, SYNC)
    ends = {len(write_file(SCHEMA, [], {}, SYNC)), len(whole)}
    for end in range(len(whole)):
        if end not in ends:
            with pytest.raises(AvroError):
                list(read_file(whole[:end]).rows())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"Obj\x01", b"PAR1", "found no Avro file"),
        (b"deflate", b"snappy!", "found the codec snappy!"),
        (b"avro.schema", b"avro.scheme", "without a schema"),
    ],
)
def test_what_is_foreign_is_an_error(old: bytes, new: bytes, words: str) -> None:
    """It says what was found."""
    rows = [{"flag": 0, "number": 1, "ratio": 0.5, "text": "", "counts": None, "list": []}]
    whole = write_file(SCHEMA, rows, {}, SYNC)
    with pytest.raises(AvroError, match=words):
        list(read_file(whole.replace(old, new)).rows())
