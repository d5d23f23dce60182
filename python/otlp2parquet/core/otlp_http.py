"""OTLP/HTTP without a socket: a request's head is read, an outcome becomes a response.

Knows the specification's paths, media types, encodings, status codes and bodies. It must not
know who carries the bytes: no I/O, no clock, no configuration. Platforms translate their events
into ``read_head``, and send what ``render`` makes of the outcome. Nothing that a sender wrote in
a body is ever repeated in a response.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from otlp2parquet.core import status
from otlp2parquet.core.outcome import RETRY_AFTER_SECS, Kind, Outcome, too_large
from otlp2parquet.core.signals import Signal

Format = Literal["protobuf", "json"]

PATHS: Final[dict[str, Signal]] = {
    "/v1/logs": "logs",
    "/v1/traces": "traces",
    "/v1/metrics": "metrics",
}
"""Path to signal; slashes may be doubled, and one may trail."""

MEDIA_TYPES: Final[dict[str, Format]] = {
    "application/x-protobuf": "protobuf",
    "application/json": "json",
    "application/x-ndjson": "json",
    "application/jsonl": "json",
}
"""Media type of a request, as the decoder calls it, to the format of its response."""

OTHER_MEDIA_TYPES: Final[dict[str, str]] = {
    "application/protobuf": "application/x-protobuf",
    "application/vnd.google.protobuf": "application/x-protobuf",
}
"""What senders in the field call the same."""

ENCODINGS: Final[dict[str, str]] = {
    "gzip": "gzip",
    "x-gzip": "gzip",  # RFC 9110, 8.4.1.3: "equivalent to gzip"
    "zstd": "zstd",
    "deflate": "deflate",
    "zlib": "deflate",  # RFC 9110, 8.4.1.2: deflate is "a zlib data format"
}
"""Content encoding of a request to what the decoder calls it."""

NO_ENCODINGS: Final = frozenset({"", "identity", "none"})
"""Elements of the list of encodings that count as nothing."""

_CONTENT_TYPE: Final[dict[Format, bytes]] = {
    "protobuf": b"application/x-protobuf",
    "json": b"application/json",
}

_STATUS: Final[dict[Kind, int]] = {
    "kept": 200,
    "partly kept": 200,
    "bad data": 400,
    "unsupported": 415,
    "too large": 413,
}
"""Outcome to status. What is not among them may be sent again and is a 503: clients throw away
what they get a 500 for."""

# HTTP status to google.rpc.Code. OTLP/HTTP clients "are not expected to alter their behavior
# based on Status.code", people reading logs do look at it.
_RPC_CODE: Final = {
    400: 3,  # INVALID_ARGUMENT
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 5,  # NOT_FOUND
    405: 12,  # UNIMPLEMENTED
    413: 8,  # RESOURCE_EXHAUSTED
    415: 3,  # INVALID_ARGUMENT
    429: 8,  # RESOURCE_EXHAUSTED
    500: 13,  # INTERNAL
    503: 14,  # UNAVAILABLE
    504: 4,  # DEADLINE_EXCEEDED
}

_SLASHES: Final = re.compile("/{2,}")


class Response(NamedTuple):
    """What to send: a status, header fields (lower-case names), a body of at most 4 KiB."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    reason: str = ""
    """What a refusal is called in logs and counters; empty for a success."""
    message: str = ""
    """What the body says in words, for the server's own log."""


class ExportHead(NamedTuple):
    """The head of an export request whose body is to be read and decoded."""

    signal: Signal
    media_type: str
    """What ``process_otlp`` calls ``content_type``: lower case, without parameters."""
    encoding: str | None
    """``gzip``, ``zstd``, ``deflate`` or None: what it calls ``content_encoding``."""
    content_length: int | None
    """Bytes announced; None for a chunked body."""
    format: Format
    """The format of the response."""


def _respond(
    code: int,
    format_: Format,
    body: bytes,
    *extra: tuple[bytes, bytes],
    reason: str = "",
    message: str = "",
) -> Response:
    length = (b"content-length", b"%d" % len(body))
    head = ((b"content-type", _CONTENT_TYPE[format_]), length, *extra)
    return Response(code, head, body, reason, message)


def refuse(
    code: int, reason: str, message: str, format_: Format = "json", *extra: tuple[bytes, bytes]
) -> Response:
    """A 4xx or 5xx with a google.rpc.Status body; ``reason`` is its name in logs."""
    encode = status.status_protobuf if format_ == "protobuf" else status.status_json
    body = encode(_RPC_CODE[code], message)
    return _respond(code, format_, body, *extra, reason=reason, message=message)


def unavailable(message: str, format_: Format = "json", *, reason: str = "unavailable") -> Response:
    """A 503 with Retry-After: what every trouble is that the same request may outlive."""
    return refuse(503, reason, message, format_, (b"retry-after", b"%d" % RETRY_AFTER_SECS))


def unauthenticated(format_: Format = "json") -> Response:
    """A 401 for who shows no secret, or a wrong one; it does not say which."""
    message = "expected a known token, as authorization: bearer or as x-api-key"
    return refuse(401, "unauthenticated", message, format_, (b"www-authenticate", b"Bearer"))


def format_of(headers: Iterable[tuple[bytes, bytes]]) -> Format:
    """The format in which a request with these header fields is answered."""
    for name, value in headers:
        if name == b"content-type":
            return MEDIA_TYPES.get(_media_type(value), "json")
    return "json"


def _media_type(value: bytes) -> str:
    """RFC 9110, 8.3.1: case-insensitive, and parameters may follow."""
    name = value.decode("latin-1").partition(";")[0].strip().lower()
    return OTHER_MEDIA_TYPES.get(name, name)


def signal_at(path: str, prefix: str = "") -> Signal | None:
    """The signal that is taken at ``path``, also below ``prefix``; None where none is."""
    signal = PATHS.get(path)
    if signal is not None:
        return signal
    path = _SLASHES.sub("/", path).removesuffix("/")
    return PATHS.get(path) or PATHS.get(without_prefix(path, prefix))


def without_prefix(path: str, prefix: str) -> str:
    """A path as it is called below ``prefix``; itself where it does not lie there."""
    rest = path.removeprefix(prefix)
    if rest == path or (rest and not rest.startswith("/")):
        return path
    return rest or "/"


def read_head(
    method: str,
    path: str,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    max_payload_bytes: int,
    path_prefix: str = "",
) -> ExportHead | Response:
    """What an export request's head says; a response where its body is not worth reading.

    ``headers`` have lower-case names, as ASGI gives them; ``path`` is without the query. The
    three paths are also taken below ``path_prefix`` (``/otlp``), unless that is empty.
    """
    content_type = encodings = ""
    length: int | None = None
    for name, value in headers:
        if name == b"content-type":
            content_type = _media_type(value)
        elif name == b"content-encoding":
            # Several fields are one list: stacked encodings are refused below.
            encodings += "," + value.decode("latin-1")
        elif name == b"content-length" and value.isdigit():
            # Python makes no number of thousands of digits; twenty are beyond every limit.
            length = int(value.lstrip(b"0")[:20] or b"0")
    if content_type.startswith("application/grpc"):
        return _WRONG_PORT
    format_ = MEDIA_TYPES.get(content_type, "json")

    signal = signal_at(path, path_prefix)
    if signal is None:
        known = ", ".join([*PATHS, *(path_prefix + one for one in PATHS if path_prefix)])
        return refuse(404, "unknown path", f"no such path, expected {known}", format_)
    if method != "POST":
        allow = (b"allow", b"POST")
        return refuse(405, "not a POST", "expected the method POST", format_, allow)
    if content_type not in MEDIA_TYPES:
        known = ", ".join(MEDIA_TYPES)
        message = f"unknown or missing content-type, expected one of {known}"
        return refuse(415, "unsupported", message, format_)
    encoding = None
    if encodings:
        named = [one.strip().lower() for one in encodings.split(",")]
        stacked = [one for one in named if one not in NO_ENCODINGS]
        if stacked:
            encoding = ENCODINGS.get(stacked[0])
            if encoding is None or len(stacked) > 1:
                known = ", ".join(sorted(ENCODINGS))
                message = f"unknown or stacked content-encoding, expected one of {known}, identity"
                return refuse(415, "unsupported", message, format_)
    if length is not None and length > max_payload_bytes:
        return render_as(format_, signal, too_large(max_payload_bytes))
    return ExportHead(signal, content_type, encoding, length, format_)


_WRONG_PORT: Final = Response(
    # gRPC's form of an answer that has no message: the status in the head ("Trailers-Only").
    200,
    (
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"12"),  # UNIMPLEMENTED
        (b"grpc-message", b"this port takes OTLP/HTTP, OTLP/gRPC has another (4317 by default)"),
    ),
    b"",
    "wrong port",
    "this port takes OTLP/HTTP, OTLP/gRPC has another (4317 by default)",
)

_FULL_SUCCESS: Final[dict[Format, Response]] = {
    "protobuf": _respond(200, "protobuf", status.export_response_protobuf(0, "")),
    "json": _respond(200, "json", status.export_response_json("logs", 0, "")),
}


def render(head: ExportHead, outcome: Outcome) -> Response:
    """The response to a request, from what became of it. Raises nothing.

    A 200 says that everything that could be taken is kept: ``partial_success`` counts the records
    that are bad for good, and with none of them its message is a warning.
    """
    return render_as(head.format, head.signal, outcome)


def render_as(format_: Format, signal: Signal, outcome: Outcome) -> Response:
    """As ``render``, where there is no whole head."""
    if outcome.is_taken:
        rejected, message = outcome.rejected, outcome.message
        if not rejected and not message:
            return _FULL_SUCCESS[format_]
        if format_ == "protobuf":
            body = status.export_response_protobuf(rejected, message)
        else:
            body = status.export_response_json(signal, rejected, message)
        return _respond(200, format_, body, message=message)
    code = _STATUS.get(outcome.kind)
    if code is None:
        return unavailable(outcome.text, format_, reason=outcome.kind)
    return refuse(code, outcome.kind, outcome.text, format_)
