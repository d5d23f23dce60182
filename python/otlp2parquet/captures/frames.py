"""A file as export requests, one after another, whatever its encoding and framing.

Knows what the first bytes of a file tell, and the framings of binary content: one request a file;
the Collector file exporter's stream, in which each request follows its length in 4 big-endian
bytes and, with the exporter's ``compression: zstd``, is a zstd frame of its own; and protobuf's
usual stream, in which the length is a varint. Must not know what a request holds. Never allocates
what a length merely claims.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

from otlp2parquet.captures.inputs import InputFile
from otlp2parquet.captures.json_lines import read_json, requests_of_json
from otlp2parquet.captures.problems import Problem
from otlp2parquet.captures.reading import Input, Request, TornError, inflated_zstd, is_zstd
from otlp2parquet.core import SIGNALS, Signal
from otlp2parquet.durable import reason_of

# The first byte of protobuf is a field's tag; below 8 the field number would be 0, which no
# message has. The length of a request of less than 128 MiB begins with such a byte.
_FIRST_TAG: Final = 8
_LENGTH_BYTES: Final = 4
_MAX_VARINT_BYTES: Final = 5
# Field 1 of every export request, with its length: all that senders write at the top.
_RESOURCE_TAG: Final = 0x0A

_ZSTD_FIRST: Final = b"\x28"

_LOOKED_AT: Final = 1024
_BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"[\0", b"\0{", b"\0[")
_BLANK: Final = b" \t\r\n\0"
# Text has none of these; protobuf has a 0x12 or a 0 soon, as every message in a message does.
_CONTROL: Final = frozenset(range(32)) - frozenset(b"\t\n\r\x1b\x1e")


def read_requests(file: InputFile, max_payload_bytes: int) -> Iterator[Request | Problem]:
    """Every request of ``file`` in order, and a ``Problem`` where one cannot be had.

    A request over ``max_payload_bytes`` is a problem and skipped; a torn frame or broken
    compression is a problem and the end of the file. An empty file whose name promises protobuf is
    an empty request; any other is none.
    """
    with ExitStack() as closing:
        try:
            stream = Input(file, closing)
        except (OSError, ValueError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            yield Problem(str(file.path), None, f"cannot be read: {reason}")
            return
        reader = _Binary(file, stream, max_payload_bytes)
        try:
            head = stream.peek()
            if head.startswith(_UTF_16) and not head.startswith(bytes(_LENGTH_BYTES)):
                yield Problem(str(file.path), 0, "is UTF-16 text: expected UTF-8")
            elif _is_text(head, file):
                if head.startswith(_BOM):
                    stream.skip(len(_BOM))
                yield from read_json(file, stream, max_payload_bytes)
            else:
                yield from reader.requests(head)
        except TornError as error:
            reason = f"the {stream.compression or 'file'} data breaks in the frame here: {error}"
            yield Problem(str(file.path), reader.start, reason)


def _is_text(head: bytes, file: InputFile) -> bool:
    """Whether a file that begins with ``head`` is read as JSON.

    NULs at the front, which a rotation that truncates leaves, belong to text if text follows.
    """
    nuls = len(head) - len(head.lstrip(b"\0"))
    if 0 < nuls < _LENGTH_BYTES:
        return False  # the length of the first request in a stream
    # In a stream of protobuf, many NULs are the lengths of empty requests.
    blank = _BLANK if file.is_json or nuls > _LOOKED_AT else b"\r\n"
    text = head.removeprefix(_BOM).lstrip(blank)[:_LOOKED_AT]
    if not text:
        return file.is_json
    is_text = not any(byte in _CONTROL for byte in text)
    if file.is_json:
        return is_text or not (text[0] < _FIRST_TAG or text[0] == _RESOURCE_TAG)
    # What no name promises to be JSON is taken for it if it can be nothing else.
    return is_text


class _Binary:
    """The requests of a binary file; ``start`` is where the one begins that is being read."""

    def __init__(self, file: InputFile, stream: Input, limit: int) -> None:
        self.start = 0
        self._file = file
        self._stream = stream
        self._limit = limit

    def requests(self, head: bytes) -> Iterator[Request | Problem]:
        signal = self._file.signal or (self._file.named[0] if len(self._file.named) == 1 else None)
        if not head:
            if signal is not None:
                yield self._protobuf(signal, 0, b"")
        elif head[0] < _FIRST_TAG:
            yield from self._frames(signal, self._fixed_length)
        elif signal is None:
            yield self._untold()
        elif _is_delimited(head):
            yield from self._frames(signal, self._varint_length)
        else:
            payload = self._stream.read(self._limit + 1)
            if len(payload) > self._limit:
                reason = f"request over {self._limit} bytes, the most that is taken: skipped"
                yield Problem(str(self._file.path), 0, reason)
            else:
                yield self._protobuf(signal, 0, payload)

    def _frames(
        self, signal: Signal | None, read_length: Callable[[], int | str | None]
    ) -> Iterator[Request | Problem]:
        """Requests that follow their lengths; ``read_length`` gives a length or what is wrong."""
        file, stream, limit = self._file, self._stream, self._limit
        while True:
            length = read_length()
            if length is None:
                return
            if isinstance(length, str):
                yield Problem(str(file.path), self.start, length)
                return
            begin = stream.offset
            reason = ""
            if length > limit:
                there, payload = stream.skip(length), b""
                reason = f"frame of {length} bytes, expected at most {limit}: skipped"
            else:
                payload = stream.read(length)
                there = len(payload)
            if there < length:
                reason = reason or f"frame of {length} bytes"
                reason += f"; the file ends after {there} of them"
                yield Problem(str(file.path), self.start, reason)
                return
            first = payload[:1]
            if first == _ZSTD_FIRST and is_zstd(payload):
                payload, reason = self._inflated(payload)
                first = payload[:1]
            if reason:
                yield Problem(str(file.path), self.start, reason)
            elif first == b"{":
                yield from requests_of_json(file, begin, payload, stream.position)
            elif signal is not None:
                yield self._protobuf(signal, begin, payload)
            else:
                yield self._untold()
                return
            self.start = begin + length

    def _fixed_length(self) -> int | str | None:
        prefix = self._stream.read(_LENGTH_BYTES)
        if len(prefix) == _LENGTH_BYTES:
            return int.from_bytes(prefix, "big")
        return f"the file ends after {len(prefix)} of 4 length bytes" if prefix else None

    def _varint_length(self) -> int | str | None:
        length = 0
        for place in range(_MAX_VARINT_BYTES):
            byte = self._stream.read(1)
            if not byte:
                return f"the file ends after {place} bytes of a length" if place else None
            length |= (byte[0] & 0x7F) << (7 * place)
            if byte[0] < 0x80:  # noqa: PLR2004 - the bit that says that more follows
                return length
        return f"a length of more than {_MAX_VARINT_BYTES} bytes, expected a varint of 32 bits"

    def _inflated(self, packed: bytes) -> tuple[bytes, str]:
        """What a frame holds, or why it cannot be had."""
        try:
            payload = inflated_zstd(packed, self._limit + 1)
        except TornError as error:
            return b"", f"the zstd data of this frame breaks: {error}"
        if len(payload) > self._limit:
            return b"", f"frame of more than {self._limit} bytes when decompressed: skipped"
        return payload, ""

    def _protobuf(self, signal: Signal, offset: int, payload: bytes) -> Request:
        position = self._stream.position
        return Request(self._file, signal, "application/x-protobuf", offset, payload, position)

    def _untold(self) -> Problem:
        found = " and ".join(self._file.named) or "none"
        reason = (
            f"does not tell its signal: found {found} in its name, expected exactly one of "
            f"{', '.join(SIGNALS)}; or say --signal"
        )
        return Problem(str(self._file.path), None, reason)


def _is_delimited(head: bytes) -> bool:
    """Whether a file begins with a varint and a request behind it, not with a request."""
    if head[0] == _RESOURCE_TAG:
        return False
    for place in range(min(_MAX_VARINT_BYTES, len(head) - 1)):
        if head[place] < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return head[place + 1] == _RESOURCE_TAG
    return False
