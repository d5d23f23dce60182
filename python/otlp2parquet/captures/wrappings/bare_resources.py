"""A ResourceLogs, ResourceSpans or ResourceMetrics that stands for itself, without its request.

Programs that split requests, or print what a pipeline hands them, write such lines. Knows the
members that tell of which signal it is.
"""

from collections.abc import Sequence
from typing import Final

from otlp2parquet.captures.wrappings.members import Member
from otlp2parquet.captures.wrappings.unwrapped import Unwrapped

_REQUESTS: Final = {
    name: b'{"resource%b":[%%b]}' % signal
    for signal in (b"Logs", b"Spans", b"Metrics")
    for name in (
        b"scope" + signal,
        b"scope_" + signal.lower(),
        b"instrumentationLibrary" + signal,
        b"instrumentation_library_" + signal.lower(),
    )
}


def unwrap(text: bytes, found: Sequence[Member]) -> Unwrapped | None:
    """The request whose only resource this is."""
    requests = {_REQUESTS[member.name] for member in found if member.name in _REQUESTS}
    return Unwrapped(requests.pop() % text) if len(requests) == 1 else None
