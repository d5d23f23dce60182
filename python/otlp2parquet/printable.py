"""Text of anybody, made safe to be shown: in a log, in a table, in a message.

Knows Unicode, and nothing of where the text is shown. What would move a terminal's cursor, turn the
direction of text, hide in it or begin another line is written out.
"""

import unicodedata
from collections.abc import Callable
from typing import Final

_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls (a lone ESC, C1, line ends), format characters (overrides of direction, what has no
width), halves of pairs, and separators of lines and paragraphs."""

JOINERS: Final = "\u200c\u200d"
"""Format characters that some scripts, and emoji, cannot be written without."""


def printable(text: str, but: str = "") -> str:
    r"""``text`` with everything escaped that is not shown as itself: ESC becomes ``\x1b``.

    ``but`` are characters that stay. One line stays one line, and every character can be encoded.
    Blanks of all sorts are shown.
    """
    return _escape(text, lambda unsafe: ascii(unsafe)[1:-1], but)


def printable_json(text: str, but: str = "") -> str:
    """JSON in which nothing is raw that ``printable`` would escape."""
    return _escape(text, _as_json, but)


def _escape(text: str, escaped: Callable[[str], str], but: str) -> str:
    if text.isprintable():  # which is stricter
        return text
    return "".join(
        escaped(one) if unicodedata.category(one) in _UNSAFE_CATEGORIES and one not in but else one
        for one in text
    )


def _as_json(unsafe: str) -> str:
    # UTF-16's units, which is what JSON's escapes are.
    units = unsafe.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
