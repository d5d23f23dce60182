"""OTLP/JSON and JSON lines: text -> protobuf bytes of the same request -> the readers of those.

A line of JSON lines is a request of its own; requests one after another are one request in
protobuf, so that is what several lines become.

``plain_text``   text -> objects -> the same readers, where nearly every sender writes it so
``transcoder``   the one pass from text to protobuf, for everything: objects
``lists``        lists, and entries that are left out
``scalars``      single values, in every spelling
``usual``        a KeyValue as nearly every sender spells it
``tally``        what is counted, and where what is kept begins
``reader``       tokens of JSON in place
``strings``      text with its escapes undone
``decimals``     integers and doubles, exact
``octets``       hex and base64
``output``       protobuf written front to back
``places``       where a byte of the text stands
``fault``        what can be wrong
``recognize``    whose request a document is
"""

from bisect import bisect_right
from typing import NoReturn

from otlp2parquet.core.pure.explain import malformed, shorten
from otlp2parquet.core.pure.fields import REQUESTS, Descriptor, Field
from otlp2parquet.core.pure.otlp_json import places
from otlp2parquet.core.pure.otlp_json.fault import (
    Finding,
    JsonMalformedError,
    JsonMisfitError,
)
from otlp2parquet.core.pure.otlp_json.tally import mark_out
from otlp2parquet.core.pure.otlp_json.transcoder import Transcoder, name_of
from otlp2parquet.errors import DecodeError

__all__ = ["Transcoded", "transcode"]


class Transcoded:
    """What became of JSON text whose requests are protobuf now."""

    def __init__(self, transcoder: Transcoder, signal: str, *, are_lines: bool) -> None:
        self.text = transcoder.text
        self.data = bytes(transcoder.out)
        """The protobuf."""
        _, self.rejected, self.empty_groups, self.base64_ids, self.unknown_values = transcoder.tally
        self._marks = transcoder.marks
        self._explained = transcoder.explained
        self._unknown_instead = transcoder.unknown_instead
        self._message = REQUESTS[signal]
        self._are_lines = are_lines

    def _request_of(self, at: int) -> tuple[int, int | None]:
        """Where the request that holds a byte begins, and its number if it is a line."""
        if not self._are_lines:
            return 0, None
        return self.text.rfind(b"\n", 0, at) + 1, self.text.count(b"\n", 0, at) + 1

    def _place(self, at: int) -> tuple[int | None, str]:
        """The path of a place in the text, behind the number of its line."""
        start, line = self._request_of(at)
        return line, places.locate(self._message, self.text, start, at)

    def error(self, finding: Finding) -> DecodeError:
        """The error of a text that is no export request."""
        line, path = self._place(finding.at)
        what = "json" if line is None else f"json in line {line}"
        return malformed(what, finding.message, finding.at, path)

    def reasons(self) -> list[str]:
        """Why things were left out on the way, with their places; the first few."""
        reasons = []
        for finding in self._explained:
            line, path = self._place(finding.at)
            reasons.append(_describe(line, shorten(path), finding.message))
        return reasons

    def unknown_instead(self) -> str | None:
        """The first unknown member of the first request without records, and its place."""
        at = self._unknown_instead
        if at is None:
            return None
        line, path = self._place(at)
        place = ("" if line is None else f"line {line}: ") + (f"{shorten(path)}: " if path else "")
        return f"{place}found the unknown member {name_of(self.text, at)}"

    def reason(self, offset: int, path: str, message: str) -> str:
        """Why a record was left out by the readers of protobuf: at ``offset`` of the bytes.

        ``path`` counts only what was kept; people look into what they sent.
        """
        steps = _steps(self._message, path)
        level = sum(field is not None and field.kind in ("Groups", "Records") for _, field in steps)
        before = bisect_right(self._marks, offset, key=mark_out)
        mark = next((m for m in reversed(self._marks[:before]) if m.level == level), None)
        line, sent = (None, "") if mark is None else self._place(mark.text)
        for step, field in steps[sent.count(".") + 1 if sent else 0 :]:
            name, bracket, index = step.partition("[")
            sent += f".{name if field is None else field.name}{bracket}{index}"
        return _describe(line, shorten(sent), message)


def _describe(line: int | None, path: str, message: str) -> str:
    return f"{path}: {message}" if line is None else f"line {line}: {path}: {message}"


def _steps(message: Descriptor, path: str) -> list[tuple[str, Field | None]]:
    """The steps of a path in protobuf's names, with the field that each leads into."""
    inside: Descriptor | None = message
    steps = []
    for step in path.split("."):
        name = step.partition("[")[0]
        fields = inside.fields if inside is not None else ()
        field = next((field for field in fields if field.snake == name), None)
        inner = field.message if field is not None else None
        inside = inner[0] if inner is not None else None
        steps.append((step, field))
    return steps


def transcode(text: bytes, signal: str, max_payload_bytes: int, *, are_lines: bool) -> Transcoded:
    """The protobuf bytes of the requests in ``text``: of all of them, or it is an error."""
    transcoder = Transcoder(text, max_payload_bytes)
    try:
        if are_lines:
            _read_lines(transcoder, REQUESTS[signal])
        else:
            _read_document(transcoder, REQUESTS[signal])
    except (JsonMalformedError, JsonMisfitError) as error:
        _refuse(Transcoded(transcoder, signal, are_lines=are_lines), error.finding)
    return Transcoded(transcoder, signal, are_lines=are_lines)


def _refuse(transcoded: Transcoded, finding: Finding) -> NoReturn:
    raise transcoded.error(finding) from None


def _read_document(transcoder: Transcoder, message: Descriptor) -> None:
    transcoder.read_request(message)
    transcoder.peek()
    if transcoder.at < transcoder.end:
        raise transcoder.unexpected("the end of the text")


def _read_lines(transcoder: Transcoder, message: Descriptor) -> None:
    """Read "one export request a line; blank lines are skipped"."""
    text = transcoder.text
    start = 0
    while start < len(text):
        newline = text.find(b"\n", start)
        end = len(text) if newline < 0 else newline
        # The reader sees no further than the line: a request over two lines is cut, not read.
        transcoder.end = end
        transcoder.at = start
        transcoder.peek()
        if transcoder.at < end:
            _read_document(transcoder, message)
        start = end + 1
    transcoder.end = len(text)
