"""OTLP/gRPC without a socket: which call is an export, and what an outcome is in gRPC's words.

Knows the specification's services, status codes and retry information. It must not know who
carries the bytes. Nothing that a sender wrote in a message is ever repeated in an answer.
"""

import zlib
from typing import Final, NamedTuple

from otlp2parquet.core import status
from otlp2parquet.core.outcome import RETRY_AFTER_SECS, Kind, Outcome
from otlp2parquet.core.signals import Signal

METHODS: Final[dict[str, Signal]] = {
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
}
"""Full name of a method to the signal that it takes."""

MEDIA_TYPE: Final = "application/x-protobuf"
"""What ``process_otlp`` calls what a gRPC message is written in."""

MAX_TEXT: Final = 1000
"""Characters of a message: it is sent twice, in header fields that clients bound to 8 KiB."""

GZIP_MAGIC: Final = b"\x1f\x8b"
"""No protobuf begins so: 0x1f would be a field of wire type 7, which there is not."""

ZLIB_MAGICS: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""RFC 1950: deflate, a window of 32 KiB, no dictionary, four levels."""

_OK: Final = "OK"
_RETRY: Final = "UNAVAILABLE"

CODES: Final[dict[str, int]] = {
    _OK: 0,
    "INVALID_ARGUMENT": 3,
    "RESOURCE_EXHAUSTED": 8,
    "UNIMPLEMENTED": 12,
    _RETRY: 14,
    "UNAUTHENTICATED": 16,
}
"""google.rpc.Code by name, those that are answered here."""

_CODE: Final[dict[Kind, str]] = {
    "kept": _OK,
    "partly kept": _OK,
    "bad data": "INVALID_ARGUMENT",
    "unsupported": "INVALID_ARGUMENT",
    # Without RetryInfo, which is what makes it final for clients.
    "too large": "RESOURCE_EXHAUSTED",
}
"""Outcome to status. What is not among them may be sent again: clients throw away what they get
INTERNAL or UNKNOWN for."""


class Answer(NamedTuple):
    """What a call is answered with."""

    code: str
    """Name of a google.rpc.Code."""
    body: bytes = b""
    """The response message of a call that is OK."""
    message: str = ""
    """Why it was refused, why records were left out, or a warning; what logs say, too."""
    reason: str = ""
    """What a refusal is called in logs and counters; empty for a success."""
    trailers: tuple[tuple[str, str | bytes], ...] = ()
    """Trailing metadata."""


def encoding_of(message: bytes) -> str | None:
    """What ``process_otlp`` calls the encoding of a message as it came; None: it is OTLP as it is.

    gRPC's own word for it is not known where messages are: its libraries keep it to themselves.
    The first bytes tell, because the export requests have one field, and 0x0a begins it.
    """
    if message[:1] == b"\x0a":
        return None
    if message[:2] == GZIP_MAGIC:
        return "gzip"
    if message[:2] in ZLIB_MAGICS and _is_zlib(message):
        return "deflate"
    return None


def _is_zlib(message: bytes) -> bool:
    """Unlike the others, its first bytes could be those of an unknown field."""
    try:
        zlib.decompressobj().decompress(message[:256], 1024)
    except zlib.error:
        return False
    return True


def refuse(code: str, reason: str, message: str) -> Answer:
    """An answer that is not OK; one that may be sent again says so, and after how long."""
    message = message if len(message) <= MAX_TEXT else f"{message[: MAX_TEXT - 1]}…"
    if code != _RETRY:
        return Answer(code, message=message, reason=reason)
    details = status.status_with_retry_info(CODES[code], message, RETRY_AFTER_SECS)
    trailers: tuple[tuple[str, str | bytes], ...] = (
        # What OTLP names, and what gRPC's own retries look at.
        ("grpc-status-details-bin", details),
        ("grpc-retry-pushback-ms", str(1000 * RETRY_AFTER_SECS)),
    )
    return Answer(code, message=message, reason=reason, trailers=trailers)


UNAUTHENTICATED: Final = refuse(
    "UNAUTHENTICATED",
    "unauthenticated",
    "expected a known token, in the metadata as authorization: bearer or as x-api-key",
)
"""For who shows no secret, or a wrong one; it does not say which."""


def render(outcome: Outcome) -> Answer:
    """The answer to a call, from what became of its request."""
    code = _CODE.get(outcome.kind, _RETRY)
    if code != _OK:
        return refuse(code, outcome.kind, outcome.text)
    body = status.export_response_protobuf(outcome.rejected, outcome.message)
    return Answer(code, body, outcome.message)
