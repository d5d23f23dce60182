"""What callers give, checked: a body, a signal, a content type, bounds.

Messages are those of the extension. Knows neither OTLP nor tables.
"""

from typing import Final

from otlp2parquet.core.pure.inflate import IDENTITY, in_quotes, lower_ascii
from otlp2parquet.core.pure.limits import MAX_PAYLOAD_BYTES
from otlp2parquet.errors import UnsupportedError

Payload = bytes | bytearray | memoryview | str

_PROTOBUF: Final = (
    "application/x-protobuf",
    "application/protobuf",
    "application/vnd.google.protobuf",
)
_JSON: Final = {
    "application/json": "json",
    "application/x-ndjson": "lines",
    "application/jsonl": "lines",
}


def format_of(content_type: str) -> str:
    """``protobuf``, ``json`` or ``lines``: parameters are ignored, case does not matter."""
    media_type = lower_ascii(content_type.split(";", 1)[0].strip())
    if media_type in _PROTOBUF:
        return "protobuf"
    if media_type not in _JSON:
        raise UnsupportedError(
            f"found content type {in_quotes(media_type[:64])}, expected application/x-protobuf, "
            "application/json, application/x-ndjson or application/jsonl"
        )
    return _JSON[media_type]


def check_signal(signal: str) -> None:
    """A signal that does not exist is the caller's mistake."""
    if signal not in ("logs", "traces", "metrics"):
        raise ValueError(f"found signal {in_quotes(signal[:64])}, expected logs, traces or metrics")


def check_bounds(max_payload_bytes: int, received_at: int | None) -> None:
    """A bound within the decoder's own, and a time that fits 64 bits."""
    if max_payload_bytes > MAX_PAYLOAD_BYTES:
        raise ValueError(
            f"found max_payload_bytes {max_payload_bytes}, expected at most {MAX_PAYLOAD_BYTES}"
        )
    if max_payload_bytes < 0 or (received_at is not None and not 0 <= received_at < 1 << 64):
        raise OverflowError("found a number of bytes or a time that does not fit 64 bits")


def bytes_of(payload: Payload, form: str, encoding: str) -> bytes:
    """The bytes of a body; text is taken for JSON that is not compressed."""
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, bytearray | memoryview):
        return bytes(payload)
    if not isinstance(payload, str):
        raise TypeError(
            f"found a payload of type {type(payload).__name__}, expected bytes, bytearray, "
            "memoryview, or str for JSON"
        )
    if form == "protobuf" or encoding != IDENTITY:
        raise TypeError(
            "found a payload of type str, expected bytes: only JSON that is not compressed is text"
        )
    return payload.encode()
