"""The members of a JSON object, found without reading their values.

A value is passed over by its brackets and quotes, in time linear in its length and without
recursion. Knows JSON and no names.
"""

import json
import re
from typing import Final, NamedTuple


class Member(NamedTuple):
    """A member's name as written between its quotes, and where its value begins and ends."""

    name: bytes
    begin: int
    end: int


_MOST: Final = 64
_NAME: Final = re.compile(rb'[\s,]*"([^"\\]*+(?:\\.[^"\\]*+)*+)"\s*:\s*', re.DOTALL)
_SCALAR: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s,}\]"]++', re.DOTALL)
_BRACKET: Final = re.compile(
    rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL
)


def members(text: bytes) -> list[Member]:
    """The first members of the object that ``text`` is; none if it is no object."""
    found: list[Member] = []
    if not text.startswith(b"{"):
        return found
    at = 1
    while len(found) < _MOST and (name := _NAME.match(text, at)):
        begin = name.end()
        at = value_end(text, begin)
        if at <= begin:
            break
        found.append(Member(name[1], begin, at))
    return found


def value_end(text: bytes, begin: int) -> int:
    """Where the value that begins at a place ends; ``begin`` itself if there is none."""
    if text[begin : begin + 1] not in {b"{", b"["}:
        scalar = _SCALAR.match(text, begin)
        return scalar.end() if scalar else begin
    depth, at = 0, begin
    while (bracket := _BRACKET.match(text, at)) and bracket.end() < len(text):
        at = bracket.end() + 1
        byte = text[at - 1]
        if byte in b"{[":
            depth += 1
        elif byte == ord('"'):
            break
        else:
            depth -= 1
            if not depth:
                return at
    return begin


def text_of(value: bytes) -> bytes | None:
    """The text that a value is, in UTF-8; None if it is none."""
    try:
        text = json.loads(value) if value.startswith(b'"') else None
    except ValueError:
        return None
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else None
