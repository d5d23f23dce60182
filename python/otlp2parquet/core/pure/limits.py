"""The bounds that hold before any byte is believed: the extension's, to the number."""

from typing import Final

PAYLOAD_BYTES: Final = 64 << 20
"""Bytes of the decompressed payload, unless the caller says otherwise."""
MAX_PAYLOAD_BYTES: Final = 192 << 20
"""The largest request, decompressed, that a decoder takes whatever its caller allows. A column then
stays within Arrow's 32-bit offsets, because rendering grows a request at most eightfold."""
RECORDS: Final = 1_000_000
"""Log records, spans or data points of one request."""
NESTED: Final = 1_000_000
"""Span events, span links and exemplars of one request together."""
GROUPS: Final = 10_000
"""Distinct (table, service, hour) groups of one request."""
ATTRIBUTES: Final = 10_000
"""Entries of one attribute list; past it the record is rejected, not the request."""
DEPTH: Final = 64
"""Arrays and key-value lists inside one another; past it the record is rejected."""
PARTS: Final = 1_000_000
"""Parts of messages that are given more than once, in one request."""
REPEATED_BYTES: Final = 4 << 30
"""Bytes that resource, scope and metric values take when written into every row."""
FULL_BYTES: Final = 384 << 20
"""A builder that holds this many bytes takes no more until a finish."""


def memory(payload_bytes: int) -> int:
    """Bytes that a request of so many bytes may take, unless the caller says otherwise."""
    return payload_bytes * 6 + (128 << 20)
