"""Each request after its length in 4 big-endian bytes: the Collector's file exporter.

It writes so with ``format: proto``, and with ``compression: zstd`` in either format: then each
request is a zstd frame of its own. Requests of both formats and compressed ones may be mixed. What
a length claims is never allocated.
"""

from collections.abc import Generator
from typing import Final

from otlp2parquet.captures.compression import compression_of, inflated
from otlp2parquet.captures.framings.text import requests_in
from otlp2parquet.captures.problems import Problem
from otlp2parquet.captures.request import Capture, Found, Request
from otlp2parquet.captures.signals import looks_like_request
from otlp2parquet.captures.source import TornError

_LENGTH_BYTES: Final = 4
_JSON_BEGINS: Final = (b"{", b"[")


def begins(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is such a stream: a length, then a request."""
    empty = len(head) - len(head.lstrip(b"\0"))
    head = head[empty - empty % _LENGTH_BYTES :]  # lengths of empty requests
    if len(head) < _LENGTH_BYTES:
        return empty >= _LENGTH_BYTES
    payload = head[_LENGTH_BYTES:]
    return bool(
        looks_like_request(payload)
        or payload.startswith(_JSON_BEGINS)
        or compression_of(payload) is not None
    )


def read(capture: Capture) -> Found:
    """The requests, up to the first that is not all there."""
    source = capture.source
    while True:
        prefix = source.read(_LENGTH_BYTES)
        if not prefix:
            return
        if len(prefix) < _LENGTH_BYTES:
            reason = f"the file ends after {len(prefix)} of {_LENGTH_BYTES} length bytes"
            yield capture.problem(capture.start, reason)
            return
        length = int.from_bytes(prefix, "big")
        found = yield from read_frame(capture, length)
        if not found:
            return


def read_frame(capture: Capture, length: int) -> Generator[Request | Problem, None, bool]:
    """The request of ``length`` bytes that comes next; returns whether it was all there."""
    source, limit, start = capture.source, capture.limit, capture.start
    begin = source.offset
    reason = ""
    if length > limit:
        there, payload = source.skip(length), b""
        reason = f"frame of {length} bytes, expected at most {limit}: skipped"
    else:
        payload = source.read(length)
        there = len(payload)
    if there < length:
        reason = reason or f"frame of {length} bytes"
        yield capture.problem(start, f"{reason}; the file ends after {there} of them")
        return False
    if not reason and compression_of(payload) is not None:
        payload, reason = _inflated(payload, limit)
    if reason:
        yield capture.problem(start, reason)
    elif payload.startswith(_JSON_BEGINS):
        yield from requests_in(capture, begin, payload)
    else:
        yield capture.protobuf(begin, payload)
    capture.start = begin + length
    return True


def _inflated(packed: bytes, limit: int) -> tuple[bytes, str]:
    """What a frame holds, or why it cannot be had."""
    codec = compression_of(packed)
    try:
        payload = inflated(packed, limit + 1)
    except TornError as error:
        return b"", f"the {codec} data of this frame breaks: {error}"
    if len(payload) > limit:
        return b"", f"frame of more than {limit} bytes when decompressed: skipped"
    return payload, ""
