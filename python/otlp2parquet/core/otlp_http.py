"""OTLP/HTTP without a socket: a request's head gives a decision, an outcome gives a response.

Knows the specification's paths, media types, encodings, status codes and bodies. It must not
know who carries the bytes: no I/O, no clock, no configuration. Platforms translate their events
into ``decide`` and their results into ``success`` or ``failure``, and send what comes back.
Nothing that a sender wrote in a body is ever repeated in a response.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from otlp2parquet.core import status
from otlp2parquet.core.signals import Signal
from otlp2parquet.errors import (
    DecodeError,
    OtlpError,
    TooLargeError,
    UnsupportedError,
)

Format = Literal["protobuf", "json"]

PATHS: Final[dict[str, Signal]] = {
    "/v1/logs": "logs",
    "/v1/traces": "traces",
    "/v1/metrics": "metrics",
}
"""Path to signal; each is also taken with a trailing slash."""

MEDIA_TYPES: Final[dict[str, Format]] = {
    "application/x-protobuf": "protobuf",
    "application/json": "json",
    "application/x-ndjson": "json",
    "application/jsonl": "json",
}
"""Media type of a request to the format of its response."""

ENCODINGS: Final = frozenset({"gzip", "zstd", "deflate"})

_CONTENT_TYPE: Final[dict[Format, bytes]] = {
    "protobuf": b"application/x-protobuf",
    "json": b"application/json",
}

# HTTP status to google.rpc.Code. OTLP/HTTP clients "are not expected to alter their behavior
# based on Status.code", people reading logs do look at it.
_RPC_CODE: Final = {
    400: 3,  # INVALID_ARGUMENT
    401: 16,  # UNAUTHENTICATED
    404: 5,  # NOT_FOUND
    405: 12,  # UNIMPLEMENTED
    413: 8,  # RESOURCE_EXHAUSTED
    415: 3,  # INVALID_ARGUMENT
    429: 8,  # RESOURCE_EXHAUSTED
    500: 13,  # INTERNAL
    503: 14,  # UNAVAILABLE
}


@dataclass(frozen=True, slots=True)
class Response:
    """What to send: a status, header fields (lower-case names), a body of at most 4 KiB."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request whose body is to be read and decoded."""

    signal: Signal
    media_type: str
    """Lower case, without parameters: what ``process_otlp`` calls ``content_type``."""
    encoding: str | None
    """``gzip``, ``zstd``, ``deflate`` or None: what it calls ``content_encoding``."""
    content_length: int | None
    """Bytes announced; None for a chunked body."""
    format: Format
    """The format of the response."""


def _respond(code: int, format_: Format, body: bytes, *extra: tuple[bytes, bytes]) -> Response:
    length = (b"content-length", b"%d" % len(body))
    return Response(code, ((b"content-type", _CONTENT_TYPE[format_]), length, *extra), body)


def refuse(
    code: int, message: str, format_: Format = "json", *extra: tuple[bytes, bytes]
) -> Response:
    """A 4xx or 5xx with a google.rpc.Status body."""
    encode = status.status_protobuf if format_ == "protobuf" else status.status_json
    return _respond(code, format_, encode(_RPC_CODE[code], message), *extra)


def unavailable(message: str, format_: Format = "json", *, retry_after_secs: int = 1) -> Response:
    """A 503 with Retry-After: what every trouble is that the same request may outlive."""
    return refuse(503, message, format_, (b"retry-after", b"%d" % retry_after_secs))


def too_large(limit: int, format_: Format = "json") -> Response:
    """A 413 for a body beyond ``limit`` bytes."""
    return refuse(413, f"the body is larger than {limit} bytes, the most taken here", format_)


def unauthorized(format_: Format = "json") -> Response:
    """A 401 for who shows no secret, or a wrong one; it does not say which."""
    message = "expected a known token, as authorization: bearer or as x-api-key"
    return refuse(401, message, format_, (b"www-authenticate", b"Bearer"))


def format_of(headers: Iterable[tuple[bytes, bytes]]) -> Format:
    """The format in which a request with these header fields is answered."""
    for name, value in headers:
        if name == b"content-type":
            return MEDIA_TYPES.get(_media_type(value), "json")
    return "json"


def _media_type(value: bytes) -> str:
    """RFC 9110, 8.3.1: case-insensitive, and parameters may follow."""
    return value.decode("latin-1").partition(";")[0].strip().lower()


def decide(
    method: str,
    path: str,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    max_payload_bytes: int,
) -> Accepted | Response:
    """Whether the body is worth reading; if not, the response.

    ``headers`` have lower-case names, as ASGI gives them; ``path`` is without the query.
    """
    content_type = encoding = ""
    length: int | None = None
    for name, value in headers:
        if name == b"content-type":
            content_type = _media_type(value)
        elif name == b"content-encoding":
            # Several fields are one list: stacked encodings are refused below.
            encoding += ("," if encoding else "") + value.decode("latin-1").strip().lower()
        elif name == b"content-length" and value.isdigit():
            length = int(value)
    format_ = MEDIA_TYPES.get(content_type, "json")

    signal = PATHS.get(path.removesuffix("/"))
    if signal is None:
        return refuse(404, "no such path, expected " + ", ".join(PATHS), format_)
    if method != "POST":
        return refuse(405, "expected the method POST", format_, (b"allow", b"POST"))
    if content_type not in MEDIA_TYPES:
        known = ", ".join(MEDIA_TYPES)
        return refuse(415, f"unknown or missing content-type, expected one of {known}", format_)
    if encoding == "x-gzip":  # RFC 9110, 8.4.1.3: "equivalent to gzip"
        encoding = "gzip"
    if encoding not in ENCODINGS and encoding not in ("", "identity"):
        known = ", ".join(sorted(ENCODINGS))
        return refuse(415, f"unknown content-encoding, expected one of {known}, identity", format_)
    if length is not None and length > max_payload_bytes:
        return too_large(max_payload_bytes, format_)
    return Accepted(
        signal, content_type, encoding if encoding in ENCODINGS else None, length, format_
    )


def success(accepted: Accepted, rejected: int = 0, message: str = "") -> Response:
    """A 200: everything that could be taken is kept.

    ``rejected`` counts records that are bad for good, ``message`` says why; a message with none
    rejected is a warning. Raises nothing.
    """
    if accepted.format == "protobuf":
        body = status.export_response_protobuf(rejected, message)
    else:
        body = status.export_response_json(accepted.signal, rejected, message)
    return _respond(200, accepted.format, body)


def failure(accepted: Accepted, error: Exception) -> Response:
    """The response to an error: 400, 413 or 415 where it is the sender's, else a 503.

    A 500 makes clients throw their data away, so an unforeseen error is a 503 as well: the data
    stays with the client, and the operator finds the cause in the log.
    """
    format_ = accepted.format
    if isinstance(error, DecodeError):
        return refuse(400, describe(error), format_)
    if isinstance(error, UnsupportedError):
        return refuse(415, str(error), format_)
    if isinstance(error, TooLargeError):
        return refuse(413, str(error), format_)
    if isinstance(error, OtlpError):
        return unavailable(str(error), format_)
    return unavailable("internal trouble, see the server's log", format_)


def describe(error: DecodeError) -> str:
    """The error's text, with the offset and the field path unless it names them itself."""
    text = str(error)
    place = []
    if error.offset is not None and str(error.offset) not in text:
        place.append(f"at byte {error.offset}")
    if error.path and error.path not in text:
        place.append(f"in {error.path}")
    return " ".join([text, *place])


def empty(accepted: Accepted) -> Response:
    """The response to a body of no bytes, whatever its content-encoding.

    Zero bytes are a valid empty protobuf message and an empty sequence of JSON lines, but they
    are not a JSON document.
    """
    if accepted.media_type == "application/json":
        return refuse(400, "the body is empty, expected a JSON object", accepted.format)
    return success(accepted)
