"""What of a text is a JSON object, and what is something else.

The Collector's file exporter writes a request a line. People print requests prettily, join them
without a line break and put them into arrays; programs mix them with other output; writers are
killed in the middle. So a line that is a whole document is taken as it is, and only in another
brackets are followed. A document is held until it ends, up to the limit. Must not know what a
document holds, except how a request begins.
"""

import re
from collections.abc import Generator, Iterator
from typing import Final, Literal, NamedTuple

from otlp2parquet.captures.framings.lines import BLANK, Piece
from otlp2parquet.captures.framings.torn import OPENING, whole_requests
from otlp2parquet.captures.text_encoding import BOM
from otlp2parquet.core import Signal, recognize_json

Recognized = tuple[Literal["whole", "cut", "broken"], list[Signal]]


class Document(NamedTuple):
    """One JSON object, or what is left of one; ``recognized`` is what was asked of it already."""

    offset: int
    text: bytes
    recognized: Recognized | None = None


class Other(NamedTuple):
    """What stands where a document was expected."""

    offset: int
    text: bytes
    kind: Literal["text", "before", "comma", "too long", "array", "empty"]
    """``before`` is text before a request on its line; ``array`` is one that is not closed."""


_SKIPPED: Final = re.compile(rb"(?:[\s\0\x1e]|\xef\xbb\xbf)*+")
_ITEMS: Final = re.compile(rb"\[\s*(?:[\[\]{]|\Z)")
"""An array of documents begins, and not the prefix of a logger."""
_BETWEEN: Final = re.compile(rb'\}(?=[\s,\0\x1e]*\{\s*"resource)')
"""The end of a document and the beginning of the next on the same line."""
_BRACKET: Final = re.compile(
    rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL
)
"""All before the next bracket that is not within quotes, or before quotes that are not closed."""
_QUOTED: Final = re.compile(rb"[^\"\\]*+(?:\\.[^\"\\]*+)*+", re.DOTALL)
_GOES_ON: Final = re.compile(
    rb'[\s\0]*+(?:["{}\[\],:]|\Z|(?:-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)\s*(?:[,}\]]|\Z))'
)
"""How a line within a document begins."""
_OPENING_BEHIND: Final = re.compile(rb'\{\s*"(?:resource|scope(?:Logs|Spans|Metrics)"|log")')
"""How what may hold a request begins, behind something else on its line."""
_EMPTY: Final = re.compile(rb"\{\s*\}\s*,?\s*")
_SEPARATORS: Final = BLANK + b","
_QUOTE, _OPEN = ord('"'), b"{["


class Documents:
    """Pieces of text put together to documents, and documents taken out of pieces."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._begin = 0
        self._depth = 0
        """How many brackets are open in the document whose beginning is in ``_parts``."""
        self._is_quoted = False
        self._is_escaped = False
        self._is_too_long = False
        self._arrays: list[int] = []
        """Where arrays begin whose items the documents are."""
        self._has_items = True
        """Whether the array that is open has any."""
        self._is_behind = False
        """Whether a document has ended on this line."""

    @property
    def begin(self) -> int | None:
        """Where the document begins that is open; None if none is."""
        return self._begin if self._depth else None

    def feed(self, piece: Piece) -> Iterator[Document | Other]:
        """What ends in a piece."""
        text, at = piece.text, 0
        if piece.starts:
            self._is_behind = False
            if self._depth and self._begins_anew(text):
                yield from self._give_up()
        if self._depth:
            at = yield from self._go_on(text, 0)
        if not self._depth:
            yield from self._fresh(piece, at)
        if piece.ends and self._depth:
            if self._is_quoted:  # no text of JSON goes over a line break: torn off here
                yield from self._give_up()
            else:
                yield from self._append(b"\n")

    def end(self, *, is_torn: bool = False) -> Iterator[Document | Other]:
        """What is left open when no more comes; ``is_torn``: who asks tells that it is torn."""
        if self._depth:
            yield from self._give_up(tells=not is_torn)
        if self._arrays and not is_torn:
            yield Other(self._arrays[0], b"[", "array")
        self._arrays.clear()

    # -- between documents -------------------------------------------------------------------

    def _fresh(self, piece: Piece, at: int) -> Iterator[Document | Other]:
        """The rest of a piece, where no document is open."""
        text, offset = piece.text, piece.offset
        boundary = at
        """Up to here it has been tried to take a document as it is."""
        while True:
            at = _end(_SKIPPED, text, at)
            if at >= len(text):
                return
            first = text[at : at + 1]
            if first == b"{":
                self._has_items = True
                if boundary <= at:
                    between = _BETWEEN.search(text, at)
                    boundary = between.end() if between else len(text)
                    if between or piece.ends:
                        one = text[at:boundary] if between else text[at:].rstrip(BLANK)
                        recognized = recognize_json(one)
                        if recognized[0] == "whole":
                            yield Document(offset + at, one, recognized)
                            at, self._is_behind = at + len(one), True
                            continue
                self._begin, self._size = offset + at, 0
                self._is_too_long = self._is_quoted = self._is_escaped = False
                at = yield from self._go_on(text, at)
                if self._depth:
                    return
            elif first == b"," and (self._arrays or self._is_behind):
                if not self._arrays:
                    yield Other(offset + at, b",", "comma")
                at += 1
            elif first == b"]" and self._arrays:
                begin = self._arrays.pop()
                if not self._has_items:
                    yield Other(begin, b"[]", "empty")
                self._has_items = True
                at += 1
            elif first == b"[" and _ITEMS.match(text, at):
                if len(self._arrays) < 100:  # noqa: PLR2004 - deeper ones tell nothing
                    self._arrays.append(offset + at)
                self._has_items = False
                at += 1
            elif opening := _OPENING_BEHIND.search(text, at):
                yield Other(offset + at, text[at : opening.start()], "before")
                at = opening.start()
            else:
                yield Other(offset + at, text[at:].rstrip(BLANK), "text")
                return

    # -- within a document -------------------------------------------------------------------

    def _begins_anew(self, text: bytes) -> bool:
        """Whether a line cannot belong to the document that is open."""
        if text.startswith(b"{"):
            if OPENING.match(text):
                return True
            return recognize_json(text)[0] == "whole" and not _EMPTY.fullmatch(text)
        return text.startswith(BOM) or not _GOES_ON.match(text)

    def _go_on(self, text: bytes, at: int) -> Generator[Document | Other, None, int]:
        """Take in the document that is open, or opens here; returns where it ends, or the text."""
        while True:
            end = self._follow(text, at)
            yield from self._append(text[at:end] if at or end < len(text) else text)
            at = end
            if not self._depth or at >= len(text):
                return at

    def _follow(self, text: bytes, at: int) -> int:
        """Follow the brackets from ``at`` on; where the document ends, or the text."""
        end = len(text)
        if self._is_quoted:
            at = _end(_QUOTED, text, min(at + self._is_escaped, end))
            self._is_escaped = at < end and text[at] != _QUOTE  # by a backslash at the very end
            if at >= end or self._is_escaped:
                return end
            self._is_quoted = False
            at += 1
        depth = self._depth
        while True:
            at = _end(_BRACKET, text, at)
            if at >= end:
                break
            byte = text[at]
            at += 1
            if byte in _OPEN:
                depth += 1
            elif byte != _QUOTE:
                depth -= 1
                if not depth:
                    break
            else:
                self._is_quoted = True
                self._is_escaped = _end(_QUOTED, text, at) < end
                at = end
                break
        self._depth = depth
        return at

    def _append(self, text: bytes) -> Iterator[Document | Other]:
        """Keep a part of the open document; the document, if it ends here."""
        self._size += len(text)
        if not self._is_too_long:
            self._parts.append(text)
            if self._size > self._limit:
                yield from self._cut_off()
        if not self._depth:
            self._is_behind = True
            if self._is_too_long:
                yield Other(self._begin, b"", "too long")
            elif self._parts:
                yield from self._closed()

    def _closed(self) -> Iterator[Document | Other]:
        """The open document has ended: unless it is torn, and quotes pair as was not meant.

        Then the last beginning of a request in it may be that of one which goes on.
        """
        text, begin = b"".join(self._parts), self._begin
        self._parts = []
        recognized = recognize_json(text)
        if recognized[0] == "whole" or OPENING.search(text, 1) is None:
            yield Document(begin, text, recognized)
            return
        rest = yield from _taken_apart(begin, text)
        last = None
        for last in OPENING.finditer(text, max(rest, 1)):  # noqa: B007 - the last one is wanted
            pass
        if last is not None:
            start = last.start()
            self._follow(text, start)
            if self._depth:
                yield from _gap(begin, text, rest, start)
                self._begin, self._size = begin + start, len(text) - start
                self._parts = [text[start:]]
                return
            self._is_quoted = self._is_escaped = False
        yield from _gap(begin, text, rest, len(text))

    def _cut_off(self) -> Iterator[Document | Other]:
        """The open document is over the limit: perhaps it is torn, and others lie within."""
        text, begin, is_open = b"".join(self._parts), self._begin, self._depth > 0
        self._parts = []
        rest = 0
        if is_open:
            rest = yield from _taken_apart(begin, text)
        last = None
        for last in OPENING.finditer(text, max(rest, 1)):  # noqa: B007 - the last one is wanted
            pass
        if not is_open or (not rest and last is None):
            self._is_too_long = True
            return
        # What is open now begins at the last beginning, which may be cut off itself.
        start = last.start() if last is not None else text.find(b"{", rest)
        if start < 0:
            start = len(text)
        yield from _gap(begin, text, rest, start)
        self._begin, self._size = begin + start, len(text) - start
        self._depth, self._is_quoted, self._is_escaped = 0, False, False
        if start < len(text):
            self._follow(text, start)
            self._parts = [text[start:]]

    def _give_up(self, *, tells: bool = True) -> Iterator[Document | Other]:
        """The open document ends in a tear: what is whole within, and what is not."""
        text, begin = b"".join(self._parts), self._begin
        self._parts, self._depth = [], 0
        self._is_quoted = self._is_escaped = False
        if self._is_too_long:
            self._is_too_long = False
            yield Other(begin, b"", "too long")
            return
        rest = yield from _taken_apart(begin, text)
        if tells:
            yield from _gap(begin, text, rest, len(text))


def _taken_apart(begin: int, text: bytes) -> Generator[Document | Other, None, int]:
    """The whole requests within a document that is torn; returns where the last one ends."""
    rest = 0
    for start, stop in whole_requests(text, 1):
        yield from _gap(begin, text, rest, start)
        yield Document(begin + start, text[start:stop])
        rest = stop
    return rest


def _gap(begin: int, text: bytes, start: int, stop: int) -> Iterator[Document]:
    """What lies between whole requests: the decode says what is wrong with it."""
    part = text[start:stop].lstrip(_SEPARATORS)
    if torn := part.rstrip(_SEPARATORS):
        yield Document(begin + stop - len(part), torn)


def _end(pattern: "re.Pattern[bytes]", text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
