"""JSON in any arrangement, as export requests.

A capture in JSON is a text: a request a line, over many lines, joined, in an array; with other
output before, behind and between; in the lines of a container's log. Each request tells its own
signal. Whatever holds no request is named with its place; lines of other output in a row once.
"""

import re
from collections.abc import Iterator
from typing import Final

from otlp2parquet.captures import foreign
from otlp2parquet.captures.framings.documents import Document, Documents, Other, Recognized
from otlp2parquet.captures.framings.lines import BLANK, Piece, lines
from otlp2parquet.captures.problems import Problem
from otlp2parquet.captures.request import Capture, Found
from otlp2parquet.captures.source import TornError
from otlp2parquet.captures.text_encoding import BOM
from otlp2parquet.captures.wrappings import LogLine, Unwrapped, unwrapped
from otlp2parquet.captures.wrappings.line_prefix import line_behind_prefix
from otlp2parquet.core import SIGNALS, Signal, recognize_json

# Text has none of these; protobuf has a 0x12 or a 0 soon, as every message in a message does.
_CONTROL: Final = frozenset(range(32)) - frozenset(b"\t\n\r\x1b\x1e")
_LOOKED_AT: Final = 1024
_NULS_BEFORE_LINES: Final = re.compile(rb"\n\0{4,}")
_ODD_SHARE: Final = 4
_HINTS: Final = re.compile(
    rb'\{\s*\\*"(?:resource(?:Logs|Spans|Metrics|_logs|_spans|_metrics)|batches|scope(?:Logs|Spans'
    rb'|Metrics))\\*"\s*:|\{\s*"resource"\s*:\s*\{'
)


def begins(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is text, behind NULs that may stand before it."""
    text = head.lstrip(b"\0").removeprefix(BOM)[:_LOOKED_AT]
    text = _NULS_BEFORE_LINES.sub(b"\n", text)
    if any(byte in _CONTROL for byte in text):
        return False
    # What is no UTF-8 may be text in another encoding, of which most letters are ASCII.
    odd = text.decode(errors="replace").count("\ufffd")
    return len(text) > _ODD_SHARE * odd


def holds_request(head: bytes) -> bool:
    """Whether a request, or what is usually around one, begins in the first bytes of a text."""
    return _HINTS.search(head) is not None


def read(capture: Capture) -> Found:
    """Every request of a text in order, and a ``Problem`` where one cannot be had.

    A request over the limit is a problem and skipped; broken compression is a problem and the end.
    """
    capture.place = "line"
    yield from _Text(capture).read()


def requests_in(capture: Capture, offset: int, text: bytes) -> Found:
    """The requests in text that is all there."""
    reader = _Text(capture)
    yield from reader.main(Piece(offset, text))
    yield from reader.end()


class _Text:
    """The documents of a text, those within the lines of logs, and what is told together."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._documents = Documents(capture.limit)
        self._logs: dict[str, _Log] = {}
        self._other_lines = 0
        self._other: Problem | None = None

    def read(self) -> Found:
        """All of the capture."""
        capture = self._capture
        place = 0
        try:
            for piece in lines(capture.source, capture.limit):
                place = piece.offset
                if piece.starts and piece.text.startswith(BOM):  # files that were joined have it
                    rest = piece.text[len(BOM) :]
                    piece = Piece(place + len(BOM), rest, ends=piece.ends)  # noqa: PLW2901
                log_line = line_behind_prefix(piece.text) if piece.starts and piece.ends else None
                if log_line is None:
                    yield from self.main(piece)
                elif log_line.stream:
                    yield from self._of_log(piece.offset + log_line.at, log_line)
                else:
                    at = log_line.at
                    yield from self.main(Piece(piece.offset + at, piece.text[at:]))
                if piece.ends:
                    place = piece.offset + len(piece.text) + 1
        except TornError as error:
            begin = self._documents.begin
            yield from self.end(is_torn=True)
            capture.start = place if begin is None else begin
            yield capture.torn(error)
        else:
            yield from self.end()

    def main(self, piece: Piece) -> Found:
        """A piece of the text itself."""
        for one in self._documents.feed(piece):
            yield from self._told(one)

    def end(self, *, is_torn: bool = False) -> Found:
        """What is left open when no more comes."""
        for log in self._logs.values():
            for one in log.end():
                yield from self._told(one)
        for one in self._documents.end(is_torn=is_torn):
            yield from self._told(one)
        yield from self._other_told()

    def _of_log(self, offset: int, line: LogLine) -> Found:
        """A line that a container wrote, or a part of one."""
        log = self._logs.setdefault(line.stream, _Log(self._capture.limit))
        for one in log.feed(offset, line):
            yield from self._told(one)

    def _told(self, one: Document | Other) -> Found:
        capture = self._capture
        if isinstance(one, Document):
            yield from self._other_told()
            yield from self._requests(one.offset, one.text, one.recognized)
        elif one.kind == "text":
            self._other_lines += 1
            if self._other is None:
                reason = f"found {foreign.text(one.text)}, expected an export request in JSON"
                self._other = capture.problem(one.offset, reason)
        else:
            reason = _REASONS[one.kind].format(limit=capture.limit)
            if one.kind == "before":
                if one.text[-1:].isspace() and not foreign.is_key(one.text):
                    return  # what a logger writes before its message
                reason = foreign.before(one.text)
            yield from self._other_told()
            yield capture.problem(one.offset, reason)

    def _other_told(self) -> Iterator[Problem]:
        """Lines in a row that hold no request, told once."""
        problem, count = self._other, self._other_lines
        self._other, self._other_lines = None, 0
        if problem is not None:
            more = f" ({count:,} such lines here)" if count > 1 else ""
            yield Problem(problem.path, problem.offset, problem.reason + more)

    def _requests(self, offset: int, text: bytes, recognized: Recognized | None) -> Found:
        """The requests in one document: one for each signal that it holds, or what is wrong."""
        capture = self._capture
        end, found = recognized or recognize_json(text)
        if end == "whole" and not found:
            inner = unwrapped(text)
            if isinstance(inner, LogLine):
                yield from self._of_log(offset, inner)
                return
            if isinstance(inner, Unwrapped):
                text, offset = inner.text, offset + inner.at
                end, found = recognize_json(text)
        said = capture.file.signal
        expected: tuple[Signal, ...] = SIGNALS if said is None else (said,)
        if end != "whole":
            # The decode says what is wrong; for that any signal will do.
            found = (found or [*expected])[:1]
        elif not found and text[1:-1].strip() == b"":
            found = [expected[0]]  # the empty request, of whatever signal
        elif not found or not set(found) <= set(expected):
            names = " or ".join(expected)
            if found:
                others = ", ".join(signal for signal in found if signal not in expected)
                reason = f"found {others} in the request here, expected {names}"
            else:
                reason = f"found no signal in the request here, expected {names}"
                if told := foreign.json(text):
                    reason += f": {told}"
            yield capture.problem(offset, reason)
            found = [signal for signal in found if signal in expected]
        for signal in found:
            yield capture.json(signal, offset, text)


class _Log:
    """The text that a container wrote, from lines of its log; parts of a line are put together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._documents = Documents(limit)
        self._parts: list[bytes] = []
        self._size = 0
        self._begin = 0
        self._starts = True

    def feed(self, offset: int, line: LogLine) -> Iterator[Document | Other]:
        """What ends in a line of the log."""
        if line.begins_anew and self._parts:
            yield from self._flush(ends=True)
        if not self._parts:
            self._begin = offset
        self._parts.append(line.text)
        self._size += len(line.text)
        if line.ends or self._size > self._limit:
            yield from self._flush(ends=line.ends)

    def _flush(self, *, ends: bool) -> Iterator[Document | Other]:
        text, self._parts, self._size = b"".join(self._parts), [], 0
        starts, self._starts = self._starts, ends
        yield from self._documents.feed(Piece(self._begin, text.rstrip(BLANK), starts, ends))

    def end(self) -> Iterator[Document | Other]:
        """What is left open."""
        if self._parts:
            yield from self._flush(ends=True)
        yield from self._documents.end()


_REASONS: Final = {
    "before": "",
    "comma": "found a comma behind the request, expected a line break",
    "too long": "request over {limit} bytes, the most that is taken: skipped",
    "empty": "found no signal in the request here: it is an array without any",
    "array": "the array that begins here is not closed: the file ends within it",
}
