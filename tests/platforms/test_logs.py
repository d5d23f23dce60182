"""Log lines: their two forms, and that nothing in them can do anything to a terminal."""

from __future__ import annotations

import io
import json
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.platforms import logs
from otlp2parquet.printable import printable

HOSTILE = "\x1b[2J\x9b1m\x7f\b\r\n\u2028\u202e\u2066\u200f\ufeff\ud800\U000e0041"

TEXTS = st.text(st.characters(exclude_categories=()) | st.sampled_from(HOSTILE))
"""Any text, also what cannot be encoded; hostile characters are frequent."""


def record_of(message: str, **fields: object) -> logging.LogRecord:
    """A log record made at a known time."""
    record = logging.LogRecord("otlp2parquet.x", logging.INFO, "", 0, message, (), None)
    record.created, record.msecs = 1767225600.25, 250.0
    record.fields = fields
    return record


def harmless(line: str) -> bool:
    """Whether every character is shown as itself; UTF-8 has them all."""
    line.encode()
    return all(unicodedata.category(one)[0] != "C" or _is_nobodys(one) for one in line) and not (
        set(line) & {"\u2028", "\u2029"}
    )


def _is_nobodys(one: str) -> bool:
    return unicodedata.category(one) in ("Cn", "Co")


def test_text_lines() -> None:
    """Time in UTC, level, message, fields; values with blanks are quoted."""
    line = logs.TextFormatter().format(record_of("batch stored", rows=3, why="a b", none=""))
    assert line == '2026-01-01T00:00:00.250Z INFO batch stored rows=3 why="a b" none=""'


def test_json_lines() -> None:
    """One object a line, whatever is in it."""
    line = logs.JsonFormatter().format(record_of('two\nlines "é"', rows=3))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "otlp2parquet.x",
        "message": 'two\nlines "é"',
        "rows": 3,
    }


def test_letters_of_all_scripts_are_shown() -> None:
    """Only what is not to be seen is escaped: people read names in their own script."""
    shown = "caf\u00e9 \u65e5\u672c\u3000\u8a9e \u05e9 \U0001f600 a\u00a0b"
    assert printable(shown) == shown
    line = logs.TextFormatter().format(record_of(shown, quoted=shown, plain="caf\u00e9"))
    assert line.endswith(f'INFO {shown} quoted="{shown}" plain=caf\u00e9')


def test_what_is_not_shown_is_escaped() -> None:
    """A lone ESC, C1, overrides of direction, separators, halves of pairs and what hides."""
    assert printable(HOSTILE) == (
        r"\x1b[2J\x9b1m\x7f\x08\r\n\u2028\u202e\u2066\u200f\ufeff\ud800\U000e0041"
    )


@pytest.mark.parametrize("form", [logs.TextFormatter, logs.JsonFormatter])
@given(message=TEXTS, key=TEXTS, value=TEXTS, text=TEXTS)
def test_no_text_does_anything_but_be_shown(
    form: type[logging.Formatter], message: str, key: str, value: str, text: str
) -> None:
    """Neither message, field, name of a field nor an error's text moves a cursor or forges a line.

    In JSON all of it is there to be read again.
    """
    record = record_of("%s", **{f"_{key}": value})
    record.args = (message,)
    try:
        raise ValueError(text)  # noqa: TRY301 - with a traceback
    except ValueError:
        record.exc_info = sys.exc_info()
    first, *others = form().format(record).split("\n")
    assert harmless(first)
    for other in others:
        assert harmless(other)
        assert other.startswith("  ")
    if form is logs.JsonFormatter:
        assert not others
        read = json.loads(first)
        whole = [message, value]
        assert [read["message"], read[f"_{key}"]] == [
            one.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for one in whole
        ]


def test_a_stream_of_any_encoding_takes_every_line() -> None:
    """What the log writes to may know less than UTF-8; a line is never lost for that."""
    sink = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", newline="")
    handler = logging.StreamHandler(sink)
    handler.setFormatter(logs.TextFormatter())
    handler.handle(record_of(HOSTILE, field=HOSTILE))
    sink.flush()
    assert isinstance(sink.buffer, io.BytesIO)
    assert sink.buffer.getvalue().count(b"\n") == 1


@pytest.mark.parametrize("form", [logs.TextFormatter, logs.JsonFormatter])
def test_tracebacks_are_kept(form: type[logging.Formatter]) -> None:
    """In JSON as a member, so that the line stays one."""
    record = record_of("trouble")
    error = ValueError("cause")
    record.exc_info = (ValueError, error, None)
    line = form().format(record)
    assert "ValueError: cause" in line
    if form is logs.JsonFormatter:
        assert "ValueError: cause" in json.loads(line)["exception"]
