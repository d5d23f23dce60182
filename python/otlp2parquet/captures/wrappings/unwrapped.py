"""What a wrapping gives: a request, or a line of a log in which one may be.

Knows bytes and places.
"""

from typing import NamedTuple


class Unwrapped(NamedTuple):
    """The text of a request, and where in the outer text it begins."""

    text: bytes
    at: int = 0


class LogLine(NamedTuple):
    """Text that a program wrote, from a line of a log that begins ``at`` a place of that line.

    Parts of one line have the same ``stream`` (``stdout``, ``stderr``); an empty one says that
    the line stands for itself. ``ends`` tells whether the program's line ends here, and
    ``begins_anew`` that this is no part of a line before.
    """

    stream: str
    text: bytes
    ends: bool = True
    at: int = 0
    begins_anew: bool = False
