"""Each request after its length as a varint: what protobuf's own functions write.

CloudWatch's metric streams deliver so (OpenTelemetry format), one stream behind another where
Firehose joins them; mobile SDKs buffer so on the disk.
"""

from typing import Final

from otlp2parquet.captures.framings.length_prefixed import read_frame
from otlp2parquet.captures.request import Capture, Found
from otlp2parquet.captures.signals import is_request, looks_like_request

_MAX_BYTES: Final = 5
_MORE: Final = 0x80
"""The bit of a byte that says that more of the number follows."""


def begins(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is such a stream: a length, then a request."""
    length, at = 0, 0
    for at, byte in enumerate(head[:_MAX_BYTES]):
        length |= (byte & ~_MORE) << (7 * at)
        if byte < _MORE:
            break
    payload = head[at + 1 :]
    if not length:
        return at == 0 and len(head) > 1 and begins(head.lstrip(b"\0"))
    if len(payload) < length:
        return looks_like_request(payload)
    return is_request(payload[:length])


def read(capture: Capture) -> Found:
    """The requests, up to the first that is not all there."""
    while True:
        length = _length(capture)
        if length is None:
            return
        if isinstance(length, str):
            yield capture.problem(capture.start, length)
            return
        found = yield from read_frame(capture, length)
        if not found:
            return


def _length(capture: Capture) -> int | str | None:
    """The length that comes next, or what is wrong with it; None at the end."""
    length = 0
    for place in range(_MAX_BYTES):
        byte = capture.source.read(1)
        if not byte:
            return f"the file ends after {place} bytes of a length" if place else None
        length |= (byte[0] & ~_MORE) << (7 * place)
        if byte[0] < _MORE:
            return length
    return f"a length of more than {_MAX_BYTES} bytes, expected a varint of 32 bits"
