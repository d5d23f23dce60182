"""The few messages an OTLP server sends, encoded by hand: google.rpc.Status and Export*Response.

Knows their protobuf and JSON forms and keeps each within 4 KiB. It must not know HTTP, and no
protobuf runtime is needed: the messages have two fields each.
"""

import json
from typing import Final

MAX_BODY_BYTES: Final = 4096
"""OTLP: a server's answers must stay small. No message encoded here is longer."""

# Room for the tags, lengths, code and count around a text.
_OVERHEAD: Final = 128
_ELLIPSIS: Final = "…"
_LOW_BITS: Final = 0x7F

_REJECTED: Final = {
    "logs": "rejectedLogRecords",
    "traces": "rejectedSpans",
    "metrics": "rejectedDataPoints",
}


def _varint(value: int) -> bytes:
    """Base-128 with the continuation bit in every byte but the last; ``value`` >= 0."""
    out = bytearray()
    while value > _LOW_BITS:
        out.append(value & _LOW_BITS | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    """An int32 or int64 field; proto3 does not write zero."""
    return _varint(number << 3) + _varint(value) if value else b""


def _bytes_field(number: int, value: bytes) -> bytes:
    """A string or submessage field, written also when empty."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _fit_utf8(text: str) -> bytes:
    """``text`` as UTF-8, cut between two characters where it would be too long."""
    room = MAX_BODY_BYTES - _OVERHEAD
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= room:
        return encoded
    cut = encoded[: room - len(_ELLIPSIS.encode())].decode("utf-8", "ignore")
    return (cut + _ELLIPSIS).encode()


def _fit_json(text: str) -> str:
    """``text`` cut so that its JSON spelling, in ASCII escapes, is not too long."""
    room = MAX_BODY_BYTES - _OVERHEAD
    if len(json.dumps(text)) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(json.dumps(text[:middle] + _ELLIPSIS)) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low] + _ELLIPSIS


def _as_json(data: dict[str, object]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode("ascii")


def status_protobuf(code: int, message: str) -> bytes:
    """google.rpc.Status: ``int32 code = 1; string message = 2``."""
    return _varint_field(1, code) + _bytes_field(2, _fit_utf8(message))


def status_with_retry_info(code: int, message: str, secs: int) -> bytes:
    """google.rpc.Status with one of its ``details = 3``: RetryInfo, that says after how long.

    An Any is ``string type_url = 1; bytes value = 2``, RetryInfo ``Duration retry_delay = 1``, and
    a Duration ``int64 seconds = 1``.
    """
    info = _bytes_field(1, _varint_field(1, secs))
    details = _bytes_field(1, b"type.googleapis.com/google.rpc.RetryInfo") + _bytes_field(2, info)
    return status_protobuf(code, message) + _bytes_field(3, details)


def status_json(code: int, message: str) -> bytes:
    """google.rpc.Status in the JSON mapping of protobuf."""
    return _as_json({"code": code, "message": _fit_json(message)})


def export_response_protobuf(rejected: int, message: str) -> bytes:
    """Export{Logs,Trace,Metrics}ServiceResponse; its numbers are the same for all three.

    ``partial_success = 1`` with ``int64 rejected_* = 1; string error_message = 2``. OTLP: on full
    success "the server MUST leave the partial_success field unset": zero bytes.
    """
    if not rejected and not message:
        return b""
    text = _bytes_field(2, _fit_utf8(message)) if message else b""
    return _bytes_field(1, _varint_field(1, rejected) + text)


def export_response_json(signal: str, rejected: int, message: str) -> bytes:
    """The same in OTLP/JSON: lowerCamelCase keys, 64-bit integers as strings."""
    if not rejected and not message:
        return b"{}"
    partial: dict[str, object] = {}
    if rejected:
        partial[_REJECTED[signal]] = str(rejected)
    if message:
        partial["errorMessage"] = _fit_json(message)
    return _as_json({"partialSuccess": partial})
