"""The whole requests in text that is damaged: what was written before and behind a tear.

A writer that is killed leaves a request half written, and the next one goes on behind it, perhaps
on the same line. Only what begins as a request does and ends as one is taken for one; what lies
between is not. Time is linear in the text, whatever it is: behind a dead end the search goes on
from the last beginning before it, and never looks at a place more than three times.
"""

import re
from array import array
from collections.abc import Iterator
from typing import Final

OPENING: Final = re.compile(
    rb'\{\s*"resource(?:Logs|Spans|Metrics|_logs|_spans|_metrics)"\s*:', re.ASCII
)
"""How a request begins."""

_TOKENS: Final = re.compile(
    rb'(?:[\s,:0-9.eE+\-\0]++|"[^"\\\n\r]*+(?:\\[^\n\r][^"\\\n\r]*+)*+"|true|false|null)*+'
)
_OPEN, _CLOSED = b"{[", b"}]"
_OPENING_BYTES: Final = 256
_MOST_OPEN: Final = 1000
"""Beginnings of requests within one another that are followed."""


def whole_requests(text: bytes, at: int = 0) -> Iterator[tuple[int, int]]:
    """Where in ``text`` whole requests lie, from ``at`` on; the outermost where they are nested."""
    while opening := OPENING.search(text, at):
        start = opening.start()
        end, found = _closed_from(text, start)
        yield from zip(found[::2], found[1::2], strict=True)
        at = max(start + 1, found[-1] if found else 0)
        last = None
        for one in OPENING.finditer(text, at, end + _OPENING_BYTES):
            if one.start() <= end:
                last = one
        at = last.start() if last is not None else max(end, at)


def _closed_from(text: bytes, start: int) -> tuple[int, "array[int]"]:
    """Follow the brackets from the beginning of a request.

    Gives where that ends (the request's end, or a dead end), and the places of what was closed.
    """
    found: array[int] = array("Q")
    open_ones: list[tuple[int, int]] = []
    depth, at, end = 0, start, len(text)
    while True:
        found_tokens = _TOKENS.match(text, at)
        at = found_tokens.end() if found_tokens else at
        if at >= end or text[at] not in _OPEN + _CLOSED:
            return at, found
        if text[at] in _OPEN:
            if len(open_ones) < _MOST_OPEN and OPENING.match(text, at):
                open_ones.append((depth, at))
            depth += 1
        else:
            depth -= 1
            if open_ones and open_ones[-1][0] == depth:
                _, begin = open_ones.pop()
                while found and found[-2] > begin:
                    del found[-2:]
                found.extend((begin, at + 1))
                if not open_ones:
                    return at + 1, found
        at += 1
