"""A file of JSON as export requests: one for the whole file, or one a line.

The Collector's file exporter writes a request a line and calls the file whatever it is told to,
often ``.json``; so such a file's first line decides. Lines of ``.jsonl`` and ``.ndjson`` are
requests whatever they look like. Blank lines are skipped. Must not know what a request holds.
"""

from collections.abc import Iterator

from otlp2parquet.convert.inputs import InputFile
from otlp2parquet.convert.problems import Problem
from otlp2parquet.convert.reading import Frame, Input, TornError
from otlp2parquet.core import recognize_json

_Line = tuple[int, bytes | None]
"""Where a line begins, and its bytes without the newline; None if they are too many."""


def read_json(file: InputFile, stream: Input, limit: int) -> Iterator[Frame | Problem]:
    """Every request of ``file`` in order, and a ``Problem`` where one cannot be had.

    A request over ``limit`` bytes is a problem and skipped; broken compression is a problem and
    the end of the file.
    """
    lines = _Lines(stream, limit)
    path = str(file.path)
    try:
        for offset, line in lines:
            if line is None:
                reason = f"line of more than {limit} bytes, the most that is taken: skipped"
                yield Problem(path, offset, reason)
            elif line.strip():
                if file.format == "json" and not lines.began and _goes_on(line):
                    yield _whole(file, lines, offset, line, limit)
                    return
                lines.began = True
                yield Frame(file, offset, line, lines.position)
    except TornError as error:
        reason = f"the {file.compression or 'file'} data breaks in the line here: {error}"
        yield Problem(path, lines.offset, reason)


class _Lines:
    """The lines of a stream; holds no more of one than ``limit`` bytes and a block."""

    def __init__(self, stream: Input, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.offset = 0
        """Where the line that comes next begins."""
        self.began = False
        """Whether a line was a request."""
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


def _goes_on(line: bytes) -> bool:
    """Whether a first line is the beginning of a document of several lines."""
    return recognize_json(line)[0] == "cut"


def _whole(file: InputFile, lines: _Lines, offset: int, line: bytes, limit: int) -> Frame | Problem:
    """All lines from the first on as one request."""
    parts, size = [line], len(line)
    for _, more in lines:
        size += 1 + (limit if more is None else len(more))
        if more is None or size > limit:
            reason = f"request over {limit} bytes, the most that is taken: skipped"
            return Problem(str(file.path), offset, reason)
        parts.append(more)
    return Frame(file, offset, b"\n".join(parts), lines.position)
