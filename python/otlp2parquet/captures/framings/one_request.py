"""Protobuf, one request a file: what SDKs send and people keep from a wire.

Nothing says how long such a request is, so a file that was cut may look whole; what is compressed
and breaks is left out.
"""

from otlp2parquet.captures.request import Capture, Found
from otlp2parquet.captures.signals import is_request, looks_like_request


def begins(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is one request."""
    return looks_like_request(head)


def is_whole(data: bytes) -> bool:
    """Whether all of a file is one request."""
    return is_request(data)


def read(capture: Capture) -> Found:
    """The request."""
    payload = capture.source.read(capture.limit + 1)
    if len(payload) > capture.limit:
        yield capture.problem(
            0, f"request over {capture.limit} bytes, the most that is taken: skipped"
        )
    else:
        yield capture.protobuf(0, payload)
