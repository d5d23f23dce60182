"""Text as JSON writes it -> text as it was meant, for the tables to make valid.

"A lone surrogate escape or invalid UTF-8 becomes U+FFFD, with a warning." The tables do that for
invalid UTF-8 of any sender; so a lone surrogate leaves here as one byte that is invalid wherever it
stands, and both are mended, counted and told in one place.
"""

import re
from typing import Final

_ESCAPE: Final = re.compile(
    rb"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u([0-9a-fA-F]{4})|\\([^u])"
)
_SHORT: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_LONE_SURROGATE: Final = b"\xff"
"""Part of no UTF-8 sequence, so it is one maximal invalid part for itself."""


def unescaped(raw: bytes) -> bytes:
    """Text with its escapes undone, all of which are well-formed."""
    return _ESCAPE.sub(_character, raw) if b"\\" in raw else raw


def _character(escape: re.Match[bytes]) -> bytes:
    high, low, unit, short = escape.groups()
    if short is not None:
        return _SHORT.get(short, short)
    if high is not None:
        code = 0x1_0000 + ((int(high, 16) - 0xD800) << 10 | (int(low, 16) - 0xDC00))
    else:
        code = int(unit, 16)
        if 0xD800 <= code < 0xE000:
            return _LONE_SURROGATE
    return chr(code).encode()
