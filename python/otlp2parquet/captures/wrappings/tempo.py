"""Tempo's answers to a query for a trace: ``batches``, and ``trace`` around it since version 2.

Knows those two members. Its batches are the resources of a request by another name.
"""

from collections.abc import Sequence
from typing import Final

from otlp2parquet.captures.wrappings.members import Member, members
from otlp2parquet.captures.wrappings.unwrapped import Unwrapped

_RESOURCES: Final = (b"resourceSpans", b"resource_spans")


def unwrap(text: bytes, found: Sequence[Member]) -> Unwrapped | None:
    """The request in such an answer."""
    for name, begin, end in found:
        value = text[begin:end]
        if name == b"batches" and value.startswith(b"["):
            return Unwrapped(b'{"resourceSpans":%b}' % value)
        if name == b"trace" and value.startswith(b"{"):
            inner = members(value)
            if any(member.name in _RESOURCES for member in inner):
                return Unwrapped(value, begin)
            return unwrap(value, [member for member in inner if member.name == b"batches"])
    return None
