"""What senders wrote, on its way to a terminal: it shows itself and does nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from otlp2parquet.cli.terminal.text import Part, cut, finish, safe, width, wrap
from tests.cli.terminal.harmless import is_harmless

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=200)
"""Also lone surrogates, controls, marks and what Unicode has not assigned."""

OUR_CODES = re.compile("\x1b\\[[0-9;]*m")

STYLES = st.sampled_from(["", "dim", "red", "bold red"])


@given(ANYTHING)
@example("\x1b]0;title\x07\x1b[2J\x9b31m")
@example("right \u202eleft \u2066\u061c\u200f")
@example("line\r\nline\u2028line\u2029\x0b\x0c\x85")
@example("\ud800\U000e0041\ufeff\u00ad\u200b")
def test_a_safe_text_has_nothing_that_acts(text: str) -> None:
    """No control character, no direction, no line end, nothing invisible; and it stays so."""
    made = safe(text)
    assert is_harmless(made)
    assert safe(made) == made


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=80))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    """Every letter, number and sign of every script."""
    zero = "".join(one for one in text if cell_len(one) == 0)
    if not zero:
        assert safe(text) == text


def test_what_acts_is_shown_by_its_code() -> None:
    """So that people see that it was there."""
    assert safe("a\nb\tc\x1b[0m\u202e\U000e0041") == r"a\nb\tc\x1b[0m\u202e\U000e0041"
    assert safe("no\u00a0break\u3000wide") == "no break wide"
    assert safe("e\u0301") == "e\u0301"
    assert safe("z" + "\u0301" * 50) == "z\u0301\u0301"


@given(ANYTHING, st.integers(0, 120))
def test_a_cut_text_fits(text: str, columns: int) -> None:
    """Whatever its characters take, two columns each for many of the world's."""
    whole = safe(text)
    shown = cut(whole, columns)
    assert cell_len(shown) == width(shown) <= columns
    assert shown == whole or not columns or shown.endswith("…")
    assert whole.startswith(shown.removesuffix("…") if shown != whole else shown)


@given(
    st.lists(st.builds(Part, ANYTHING, STYLES), max_size=6),
    st.one_of(st.none(), st.integers(1, 120)),
    st.booleans(),
)
def test_a_line_fits_and_has_no_codes_but_ours(
    parts: list[Part],
    columns: int | None,
    is_coloured: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """For any parts and columns; each colour is ended where its part ends."""
    line = finish(parts, columns, is_coloured=is_coloured)
    plain = OUR_CODES.sub("", line)
    assert is_harmless(plain)
    assert columns is None or cell_len(plain) <= columns
    codes = OUR_CODES.findall(line)
    assert is_coloured or not codes
    assert all(code == "\x1b[0m" for code in codes[1::2])
    assert len(codes) % 2 == 0


def test_a_line_that_is_cut_says_so() -> None:
    """Also where what is behind the cut is never looked at."""
    assert finish([Part("ab"), Part("cdef")], 5, is_coloured=False) == "abcd…"
    assert finish([Part("日本語テキスト")], 5, is_coloured=False) == "日本…"
    long = finish([Part("a" + "\u0301" * 100_000 + "z")], 40, is_coloured=False)
    assert long == "a\u0301\u0301…"


@given(ANYTHING, st.integers(2, 60), st.integers(1, 60))
def test_wrapped_lines_fit_and_lose_nothing(text: str, columns: int, first: int) -> None:
    """But the space at which a line ends."""
    whole = safe(text)
    first = max(2, first)
    lines = wrap(whole, columns, first)
    assert all(
        width(line) <= (first if place == 0 else columns) for place, line in enumerate(lines)
    )
    assert "".join(lines).replace(" ", "") == whole.replace(" ", "")


@pytest.mark.parametrize("columns", [1, 2, 80])
def test_an_empty_line(columns: int) -> None:
    """Is one."""
    assert finish([], columns, is_coloured=True) == ""
    assert wrap("", columns, columns) == [""]
