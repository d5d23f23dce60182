"""What senders wrote as one safe line, cut to the columns of a screen.

Knows Unicode and the escape sequences of colours. It must not know what a line says. Only
``finish`` makes text for a terminal, and it trusts nothing but the styles.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from rich.cells import get_character_cell_size

Style = Literal["", "dim", "bold", "red", "bold red", "green", "yellow", "blue", "magenta", "cyan"]

_CODES: Final[dict[Style, str]] = {
    "dim": "2",
    "bold": "1",
    "red": "31",
    "bold red": "1;31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}

ELLIPSIS: Final = "…"

MAX_MARKS: Final = 2
"""Marks on top of one character that are kept: more would fill lines above and below."""

_JOINERS: Final = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
"""They change how wide neighbours are, each terminal in its own way."""


class Part(NamedTuple):
    """A piece of a line."""

    text: str
    style: Style = ""


def safe(text: str) -> str:
    r"""``text`` in one line, in which each character only shows itself.

    Control characters, those that turn the direction of writing, and all others that no font shows
    become ``\x1b`` and the like; spaces of all kinds become spaces.
    """
    if text.isascii() and text.isprintable():
        return text
    made = []
    marks = 0
    for character in _JOINERS.sub("", text):
        if not character.isprintable():
            made.append(_escaped(character))
            marks = 0
        elif get_character_cell_size(character):
            made.append(character)
            marks = 0
        elif marks < MAX_MARKS:
            made.append(character)
            marks += 1
    return "".join(made)


def _escaped(character: str) -> str:
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode()


def width(text: str) -> int:
    """Columns that a safe text takes."""
    if text.isascii():
        return len(text)
    return sum(map(get_character_cell_size, text))


def cut(text: str, columns: int) -> str:
    """A safe text in at most ``columns``; where something is left out it ends in ``…``."""
    if width(text) <= columns:
        return text
    if columns < 1:
        return ""
    return _fitting(text, columns - 1) + ELLIPSIS


def _fitting(text: str, columns: int) -> str:
    """The beginning of ``text`` that takes no more than ``columns``."""
    end = 0
    for character in text:
        columns -= get_character_cell_size(character)
        if columns < 0:
            break
        end += 1
    return text[:end]


def finish(parts: Iterable[Part], columns: int | None, *, is_coloured: bool) -> str:
    """One line for a terminal, without its end; ``columns`` None: as long as it is."""
    made = []
    left = columns
    for given, style in parts:
        text = str(given)  # what another server sends may be anything
        if left is not None:
            if left <= 0:
                break
            # What is cut anyway need not be looked at.
            most = 8 * left + 80
            text = text if len(text) <= most else text[:most] + ELLIPSIS
        shown = safe(text)
        if left is not None:
            shown = cut(shown, left)
            left -= width(shown)
        made.append(
            f"\x1b[{_CODES[style]}m{shown}\x1b[0m" if shown and style and is_coloured else shown
        )
        if shown.endswith(ELLIPSIS) and not left:
            break
    return "".join(made).rstrip(" ") if not is_coloured else "".join(made)


def wrap(text: str, columns: int, first: int) -> list[str]:
    """A safe text in lines of ``columns``, the first of which has room for ``first``."""
    lines: list[str] = []
    line, room = "", max(1, first)
    for word in text.split(" "):
        piece = word if not line else f" {word}"
        if width(line) + width(piece) <= room:
            line += piece
            continue
        if line:
            lines.append(line)
            room = columns
        line = word
        while width(line) > room:
            head = _fitting(line, room) or line[:1]
            lines.append(head)
            line, room = line[len(head) :], columns
    return [*lines, line]
