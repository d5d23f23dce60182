"""Text as export requests: one a line, over many lines, one behind another, or in an array.

The Collector's file exporter writes a request a line. People print requests prettily, join them
without a line break and put them into arrays; programs mix them with other output. So a line that
is a whole request is taken as it is, and only another is looked at bracket by bracket. Must not
know what a request holds.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal

from otlp2parquet.captures.inputs import InputFile
from otlp2parquet.captures.problems import Problem
from otlp2parquet.captures.reading import Input, Request, TornError
from otlp2parquet.captures.wrappings import unwrapped
from otlp2parquet.core import SIGNALS, Signal, recognize_json

_BLANK: Final = b" \t\r\n\0\x1e"
"""What may stand before and behind a request: white space, what a rotation that truncates leaves,
and the separator of RFC 7464."""

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]"]')
_BETWEEN: Final = re.compile(rb"[\s\0\x1e]*")
_BETWEEN_ITEMS: Final = re.compile(rb"[\s,\0\x1e]*")
_OUTPUT_BEFORE: Final = re.compile(rb"[^{]* (?=\{\s*\"resource)")
"""What loggers and container runtimes write before a request on its line."""


_Recognized = tuple[Literal["whole", "cut", "broken"], list[Signal]]


def read_json(file: InputFile, stream: Input, limit: int) -> Iterator[Request | Problem]:
    """Every request of ``file`` in order, and a ``Problem`` where one cannot be had.

    A request over ``limit`` bytes is a problem and skipped; broken compression is a problem and
    the end of the file.
    """
    lines = _Lines(stream, limit)
    documents = _Documents(file, lines, limit)
    path = str(file.path)
    try:
        for offset, line in lines:
            if line is None:
                reason = f"line of more than {limit} bytes, the most that is taken: skipped"
                yield Problem(path, offset, reason)
                continue
            text = line.strip(_BLANK)
            if text:
                begin = offset + len(line) - len(line.lstrip(_BLANK))
                yield from documents.requests(begin, text, indented=begin > offset)
        yield from documents.end()
    except TornError as error:
        yield from documents.end()
        reason = f"the {stream.compression or 'file'} data breaks in the line here: {error}"
        yield Problem(path, lines.offset, reason)


def requests_of_json(
    file: InputFile, offset: int, text: bytes, position: int, recognized: _Recognized | None = None
) -> Iterator[Request | Problem]:
    """The requests in one document: one for each signal that it holds, or what is wrong.

    ``recognized`` is what ``recognize_json`` says of ``text``, if the caller has asked already.
    """
    end, found = recognized or recognize_json(text)
    if end == "whole" and not found and (inner := unwrapped(text)) is not None:
        text = inner
        end, found = recognize_json(text)
    expected = SIGNALS if file.signal is None else (file.signal,)
    if end != "whole":
        # The decode says what is wrong; for that any signal will do.
        found = (found or [*expected])[:1]
    elif not found and text[1:-1].strip() == b"" and text[:1] == b"{":
        found = [expected[0]]  # the empty request, of whatever signal
    elif not found or not set(found) <= set(expected):
        what = ", ".join(signal for signal in found if signal not in expected) or "no signal"
        reason = f"found {what} in the request here, expected {' or '.join(expected)}"
        yield Problem(str(file.path), offset, reason)
        found = [signal for signal in found if signal in expected]
    for signal in found:
        yield Request(file, signal, "application/json", offset, text, position)


class _Documents:
    """Lines put together to documents, and documents taken out of lines."""

    def __init__(self, file: InputFile, lines: "_Lines", limit: int) -> None:
        self._file = file
        self._lines = lines
        self._limit = limit
        self._in_array = False
        """Whether the documents are the items of an array."""
        self._parts: list[bytes] = []
        self._begin = 0
        self._bytes = 0
        self._depth = 0
        """How many brackets are open in the document whose beginning is in ``_parts``."""

    def requests(self, begin: int, text: bytes, *, indented: bool) -> Iterator[Request | Problem]:
        """The requests that end in a line; ``text`` is the line without blanks around it."""
        recognized: _Recognized | None = None
        if text.startswith(b"{") and not (self._depth and indented):
            recognized = recognize_json(text)
        if recognized is not None and recognized[0] == "whole":
            # At the begin of a line: what was open above has been torn off.
            yield from self.end()
            yield from self._document(begin, text, recognized)
        elif self._depth:
            yield from self._go_on(begin, text)
        else:
            yield from self._take_apart(begin, text)

    def end(self) -> Iterator[Request | Problem]:
        """What is left open when no more comes."""
        if self._depth:
            self._depth = 0
            yield from self._complete()

    def _document(
        self, begin: int, text: bytes, recognized: _Recognized | None = None
    ) -> Iterator[Request | Problem]:
        return requests_of_json(self._file, begin, text, self._lines.position, recognized)

    def _complete(self) -> Iterator[Request | Problem]:
        parts, size, begin = self._parts, self._bytes, self._begin
        self._parts = []
        if size > self._limit:
            reason = f"request over {self._limit} bytes, the most that is taken: skipped"
            yield Problem(str(self._file.path), begin, reason)
        else:
            yield from self._document(begin, b"\n".join(parts))

    def _keep(self, begin: int, text: bytes, depth: int) -> None:
        if not self._depth:
            self._begin, self._bytes, self._parts = begin, -1, []
        self._depth = depth
        self._bytes += 1 + len(text)
        if self._bytes <= self._limit:
            self._parts.append(text)
        else:
            self._parts.clear()

    def _go_on(self, begin: int, text: bytes) -> Iterator[Request | Problem]:
        """A line within a document that began on a line above."""
        depth = self._depth
        for token in _TOKEN.finditer(text):
            match token[0]:
                case b"{" | b"[":
                    depth += 1
                case b"}" | b"]":
                    depth -= 1
                case b'"':  # of a text that does not end on its line: torn off here
                    self._keep(begin, text, depth)
                    yield from self.end()
                    return
            if not depth:
                self._keep(begin, text[: token.end()], 0)
                yield from self._complete()
                rest = text[token.end() :]
                if rest:
                    yield from self._take_apart(begin + token.end(), rest)
                return
        self._keep(begin, text, depth)

    def _take_apart(self, begin: int, text: bytes) -> Iterator[Request | Problem]:
        """A line that is not one whole document."""
        found: list[tuple[int, int]] = []
        clean_until, start, depth, in_array = 0, 0, 0, self._in_array
        commas: list[int] = []
        for token in _TOKEN.finditer(text):
            bracket = token[0]
            if not depth:
                between = (_BETWEEN_ITEMS if in_array or found else _BETWEEN).match(
                    text, clean_until
                )
                if between is None or between.end() != token.start():
                    break
                if not in_array and b"," in between[0]:
                    commas.append(clean_until + between[0].index(b","))
                clean_until = token.end()
                if bracket == b"[" and not in_array:
                    in_array = True
                elif bracket == b"]" and in_array:
                    in_array = False
                elif bracket == b"{":
                    start, depth = token.start(), 1
                else:
                    clean_until = token.start()
                    break
            elif bracket in {b"{", b"["}:
                depth += 1
            elif bracket in {b"}", b"]"}:
                depth -= 1
                if not depth:
                    found.append((start, token.end()))
                    clean_until = token.end()
            elif bracket == b'"':
                depth = 0
                clean_until = start
                break
        rest = text[start if depth else clean_until :]
        if not depth:
            between = (_BETWEEN_ITEMS if in_array or found else _BETWEEN).fullmatch(rest)
            if between is None:
                yield from self._mixed(begin, text)
                return
            if not in_array and b"," in rest:
                commas.append(clean_until + rest.index(b","))
        if not found and not depth and in_array == self._in_array and text not in {b"]", b","}:
            yield from self._document(begin, text)
            return
        self._in_array = in_array
        for start_of_one, end_of_one in found:
            yield from self._document(begin + start_of_one, text[start_of_one:end_of_one])
        for comma in commas:
            reason = "found a comma behind the request, expected a line break"
            yield Problem(str(self._file.path), begin + comma, reason)
        if depth:
            self._keep(begin + start, rest, depth)

    def _mixed(self, begin: int, text: bytes) -> Iterator[Request | Problem]:
        """A line of something else, perhaps with a request behind it."""
        before = _OUTPUT_BEFORE.match(text)
        if before is not None and recognize_json(text[before.end() :])[0] == "whole":
            begin, text = begin + before.end(), text[before.end() :]
        yield from self._document(begin, text)


_Line = tuple[int, bytes | None]
"""Where a line begins, and its bytes without the newline; None if they are too many."""


class _Lines:
    """The lines of a stream; holds no more of one than ``limit`` bytes and a block."""

    def __init__(self, stream: Input, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.offset = stream.offset
        """Where the line that comes next begins."""
        self._lines = self._read()

    def __iter__(self) -> Iterator[_Line]:
        return self._lines

    @property
    def position(self) -> int:
        """Bytes of the file itself that have been read."""
        return self._stream.position

    def _read(self) -> Iterator[_Line]:
        kept: list[bytes] = []
        size = 0
        while block := self._stream.some():
            begin = 0
            while (end := block.find(b"\n", begin)) >= 0:
                kept.append(block[begin:end])
                size += end - begin
                line = b"".join(kept) if size <= self._limit else None
                offset, self.offset = self.offset, self.offset + size + 1
                yield offset, line
                kept.clear()
                size, begin = 0, end + 1
            size += len(block) - begin
            kept.append(block[begin:])
            if size > self._limit:
                kept.clear()
        if size:
            yield self.offset, b"".join(kept) if size <= self._limit else None
