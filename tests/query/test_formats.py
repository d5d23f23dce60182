"""CSV, JSON, Markdown and tables: every value comes back, and none does anything to a terminal."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from otlp2parquet.query.formats import FORMATS, as_csv, as_json, as_markdown, as_ndjson
from otlp2parquet.query.grid import as_grid
from otlp2parquet.query.values import harmless, json_text, plain
from otlp2parquet.stores import LocalStore
from tests.support.questions import ask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]")
HOSTILE = [
    "\x1b]0;owned\x07",
    "\x9b31m",
    "a\nb\r\nc\td",
    "\x00",
    "\u202egnp.exe",
    '"quoted", with, commas',
    "a|b||c",
    "<script>alert(1)</script> & [link](http://x) ![img](y) *b* _i_ `c` ~s~ # h",
    "",
    " padded ",
    "=1+1",
    "back\\slash \\x1b",
    "日本語 ✓ 👩‍👩‍👧",
    "NULL",
]
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))


def table(**columns: Any) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """An answer with these columns."""
    made = pa.table(columns)
    return made.schema, made.to_batches(max_chunksize=2)


@given(st.lists(TEXTS | st.none(), min_size=1, max_size=5), TEXTS)
def test_csv_comes_back(values: list[str | None], name: str) -> None:
    """Byte for byte; null and the empty text are told apart."""
    made = table(**{name: pa.array(values, pa.string()), "n": list(range(len(values)))})
    text = "".join(as_csv(*made))
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read[0] == [name, "n"]
    assert [row[0] for row in read[1:]] == [value or "" for value in values]
    if values == [None]:
        assert text.endswith("\n,0\n")
    if values == [""]:
        assert text.endswith('\n"",0\n')


@given(st.lists(TEXTS | st.none(), max_size=5), TEXTS)
def test_json_comes_back(values: list[str | None], name: str) -> None:
    """As an array and in lines, always without a control character in it."""
    made = table(**{name: pa.array(values, pa.string()), "n": list(range(len(values)))})
    expected = [{name: value, "n": number} for number, value in enumerate(values)]
    text = "".join(as_json(*made))
    lines = "".join(as_ndjson(*made))
    assert json.loads(text) == expected
    assert [json.loads(line) for line in lines.split("\n")[:-1]] == expected
    for shown in (text, lines):
        assert not HARMFUL.search(shown.replace("\n", ""))


@given(st.lists(TEXTS, min_size=1, max_size=5), TEXTS)
def test_nothing_harmful_reaches_a_terminal(values: list[str], name: str) -> None:
    """In any format, in names and in values, at any width."""
    made = table(**{name: values, "other": values})
    for form in FORMATS.values():
        assert not HARMFUL.search("".join(form(*made, to_terminal=True)).replace("\n", ""))
    for width in (None, 20, 80):
        for line in as_grid(*made, width=width, limit=0):
            assert not HARMFUL.search(line)


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_markdown_has_a_line_a_row_and_a_cell_a_value(values: list[str]) -> None:
    """Whatever a value holds, and none of it is markup."""
    lines = "".join(as_markdown(*table(a=values, b=values))).splitlines()
    assert len(lines) == 2 + len(values)
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3
    for line in lines[2:]:
        bare = re.sub(r"\\.", "", line.replace("<br>", ""))
        assert not re.search(r"[<>`*\[\]~&#]", bare)


def test_markdown_as_it_stands() -> None:
    """Names of attributes stay readable; a line that ends is a <br>."""
    text = "".join(as_markdown(*table(a=["http_method|x", "one\ntwo", None], n=[1, 2, 3])))
    assert (
        text == "| a | n |\n| --- | --: |\n| http_method\\|x | 1 |\n| one<br>two | 2 |\n|  | 3 |\n"
    )


@pytest.mark.parametrize(
    ("sql", "text", "as_value"),
    [
        ("NULL", None, "null"),
        ("true", "true", "true"),
        ("9223372036854775807", "9223372036854775807", "9223372036854775807"),
        ("sum(9223372036854775807::BIGINT)", "9223372036854775807", "9223372036854775807"),
        ("1.50::DECIMAL(9, 2)", "1.50", "1.50"),
        ("1e300::DOUBLE", "1e+300", "1e+300"),
        ("'NaN'::DOUBLE", "NaN", '"NaN"'),
        ("'-Infinity'::DOUBLE", "-Infinity", '"-Infinity"'),
        ("'2026-07-01 09:00:00.000001+00'::TIMESTAMPTZ", "2026-07-01T09:00:00.000001Z", None),
        ("'2026-07-01 09:00:00'::TIMESTAMP", "2026-07-01T09:00:00", None),
        ("'2026-07-01 09:00:00.123456789'::TIMESTAMP_NS", "2026-07-01 09:00:00.123456789", None),
        ("'2026-07-01'::DATE", "2026-07-01", None),
        ("'09:00:00.5'::TIME", "09:00:00.500000", None),
        ("INTERVAL '1 month 2 days 3.5 seconds'", "P1M2DT3.5S", None),
        ("INTERVAL 0 SECONDS", "PT0S", None),
        ("[1, NULL]", "[1,null]", "[1,null]"),
        ("['a\"b']", '["a\\"b"]', '["a\\"b"]'),
        ("{'a': 1, 'b': [true]}", '{"a":1,"b":[true]}', '{"a":1,"b":[true]}'),
        ("MAP {'k': 1.5::DOUBLE}", '{"k":1.5}', '{"k":1.5}'),
        ("'\\x00\\xFF'::BLOB", "00ff", None),
        ("'{\"a\":1}'::JSON", '{"a":1}', '"{\\"a\\":1}"'),
    ],
)
def test_values_of_every_type(
    sql: str, text: str | None, as_value: str | None, tmp_path: Path
) -> None:
    """In cells and in JSON, exactly."""
    ((value,),) = (row.values() for row in ask(LocalStore(tmp_path), f"SELECT {sql} AS x"))
    assert (None if value is None else plain(value)) == text
    assert json_text(value) == (as_value or json.dumps(text))


def test_times_beyond_python(tmp_path: Path) -> None:
    """Infinity and far years are shown as they are, and stop nothing."""
    rows = ask(LocalStore(tmp_path), "SELECT 'infinity'::TIMESTAMP AS x")
    assert len(rows) == 1
    (row,) = ask(LocalStore(tmp_path), "SELECT '12026-07-01'::DATE AS x")
    assert "12026-07-01" in str(row["x"])


def grid(*, width: int | None = None, limit: int = 0, **columns: Any) -> list[str]:
    """The lines of a table."""
    return list(as_grid(*table(**columns), width=width, limit=limit))


def test_a_table_as_it_stands() -> None:
    """Numbers stand to the right, null is named, rows are counted."""
    assert grid(name=["a", None], n=[1, 100]) == [
        "name    n",
        "----  ---",
        "a       1",
        "NULL  100",
        "(2 rows)",
    ]
    assert grid(name=["a"])[-1] == "(1 row)"
    assert grid(name=pa.array([], pa.string())) == ["name", "----", "(0 rows)"]


def test_a_table_into_a_pipe_is_not_cut() -> None:
    """However long a value is."""
    assert "x" * 5000 in grid(name=["x" * 5000], other=["y"])[2]


@given(
    st.lists(st.lists(TEXTS, min_size=2, max_size=2), min_size=1, max_size=5),
    st.integers(1, 6),
    st.integers(20, 200),
)
def test_a_table_fits_the_terminal(rows: list[list[str]], count: int, width: int) -> None:
    """Rows are lines that fit, or each value has a line of its own and is whole."""
    cells = [cell for row in rows for cell in row]
    made = table(**{f"column{number}": cells for number in range(count)})
    lines = list(as_grid(*made, width=width, limit=0))
    if lines[0].startswith("row 1"):
        assert sum(line.startswith("  column") for line in lines) == count * len(cells)
        for cell in cells:
            assert any(line.endswith(harmless(cell)) for line in lines)
    else:
        assert max(map(cell_len, lines[:-1])) <= width


def test_long_values_give_way_to_short_ones() -> None:
    """A body is cut, what is beside it is not."""
    lines = grid(width=60, time=[datetime(2026, 7, 1, tzinfo=UTC)], body=["x" * 100])
    assert lines[2] == "2026-07-01T00:00:00Z  " + "x" * 37 + "…"


def test_a_table_ends_somewhere() -> None:
    """And says that there is more, without taking the rest."""

    def endless() -> Iterable[pa.RecordBatch]:
        while True:
            yield pa.record_batch({"n": [1, 2]})

    lines = list(as_grid(pa.schema({"n": pa.int64()}), endless(), width=None, limit=3))
    assert lines[2:] == ["1", "2", "1", "(the first 3 rows; there are more)"]
