"""The hostile inputs to the port of OTLP/gRPC: what is sent, what may come back, what it may cost.

Knows HTTP/2 and gRPC well enough to break both. Must not know a server. Every input is one
connection. A server may answer with one of ``statuses`` or hang up, as ``SILENCE`` says; whatever
the answer is but OK, nothing of the input may be stored.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.hostile.grpc_wire import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    HELLO,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    call,
    call_fields,
    data,
    frame,
    message,
    open_call,
)
from tests.support.shapes import log, string_value
from tests.support.strategies import delimited

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
SILENCE = -1
"""Stands for a connection that is closed, or left alone, without a status."""
OK, UNKNOWN, INVALID, EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 2, 3, 8, 12, 13, 14

HOSTILE = log(delimited(5, string_value(b"hostile")))
"""A request that is good in itself; it is what is around it that is not."""


@dataclass(frozen=True, slots=True)
class GrpcInput:
    """One hostile input."""

    family: str
    name: str
    make: Callable[[], bytes]
    statuses: frozenset[int]
    most_mib: int = 32
    """How much more memory than before it may cost."""
    heavy: bool = False
    """Whether it takes seconds: then it is not tried in the normal test run."""

    @property
    def is_empty(self) -> bool:
        """Whether OK means that it was taken for an empty request."""
        return self.name in EMPTY


EMPTY = {
    "a call before the settings",
    # grpcio gives it as a message of no bytes, and nothing tells it from a client's own.
    "an unknown flag, read as an empty message",
}

GRPC_INPUTS: list[GrpcInput] = []


def add(
    family: str,
    name: str,
    make: Callable[[], bytes],
    *statuses: int,
    most_mib: int = 32,
    heavy: bool = False,
) -> None:
    """Put an input on the list."""
    GRPC_INPUTS.append(GrpcInput(family, name, make, frozenset(statuses), most_mib, heavy))


# Beginnings -------------------------------------------------------------------------------------

BEGINNING = "beginnings"
POST = b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
for name, sent in (
    ("a GET of HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (
        "an export over HTTP/1.1",
        POST + b"Content-Length: %d\r\n\r\n" % len(HOSTILE) + HOSTILE,
    ),
    ("a TLS handshake", bytes.fromhex("1603010200010001fc0303") + bytes(500)),
    ("random bytes", bytes(range(256)) * 64),
    ("nothing", b""),
    ("half of the preface", PREFACE[:12]),
    ("the preface and noise", PREFACE + b"\xff" * 100_000),
    ("a call before the settings", PREFACE + open_call() + data(message(b""))),
):
    add(BEGINNING, name, partial(bytes, sent), SILENCE, OK if "before" in name else SILENCE)


# Messages ---------------------------------------------------------------------------------------

MESSAGE = "messages"
SIZE = len(HOSTILE)
for name, make, statuses in (
    ("none", lambda: HELLO + open_call() + data(b""), (EXHAUSTED, INTERNAL, UNIMPLEMENTED)),
    ("a length that is cut", lambda: HELLO + open_call() + data(b"\0\0"), (EXHAUSTED, INTERNAL)),
    ("one byte too short", lambda: call(HOSTILE[:-1], length=SIZE), (EXHAUSTED, INTERNAL)),
    ("one that says 1 byte less", lambda: call(HOSTILE, length=SIZE - 1), (INVALID, INTERNAL)),
    (
        "4 GiB said, nothing sent",
        lambda: call(b"", length=2**32 - 1),
        # grpcio may look at its window first, which such a message is beyond, and hang up.
        (EXHAUSTED, UNAVAILABLE, SILENCE),
    ),
    (
        "4 GiB said, 1 MiB sent beyond the window",
        lambda: call(bytes(MIB), length=2**32 - 1),
        (EXHAUSTED, UNAVAILABLE, SILENCE),
    ),
    ("64 MiB and 1 byte said", lambda: call(b"", length=(64 << 20) + 1), (EXHAUSTED,)),
    (
        "an unknown flag, read as an empty message",
        lambda: call(HOSTILE, flag=254),
        (OK, EXHAUSTED, INTERNAL),
    ),
    (
        "compressed, without a word how",
        lambda: call(gzip.compress(HOSTILE)[:-9], flag=1),
        (INVALID, INTERNAL, EXHAUSTED),
    ),
    (
        "an unknown compression",
        lambda: call(HOSTILE, flag=1, encoding="brotli"),
        (EXHAUSTED, UNIMPLEMENTED, INTERNAL),
    ),
    (
        "gzip that is cut",
        lambda: call(gzip.compress(HOSTILE)[:-5], flag=1, encoding="gzip"),
        (INVALID,),
    ),
    (
        "gzip with a wrong sum",
        lambda: call(gzip.compress(HOSTILE)[:-8] + bytes(8), flag=1, encoding="gzip"),
        (INVALID,),
    ),
    ("no OTLP", lambda: call(b"\x0a\x7f"), (INVALID,)),
    (
        "half of one, then a reset",
        lambda: (
            HELLO
            + open_call()
            + data(message(HOSTILE[:-3], length=SIZE), end=False)
            + frame(RST_STREAM, (8).to_bytes(4), stream=1)
        ),
        (SILENCE,),
    ),
    (
        "half of one, then the end of the connection",
        lambda: HELLO + open_call() + data(message(HOSTILE[:-3], length=SIZE), end=False),
        (SILENCE, UNAVAILABLE),  # a slow server has not seen the end when it gives up waiting
    ),
):
    add(MESSAGE, name, make, *statuses)


def bomb(compress: Callable[[bytes], bytes], count: int, name: str) -> bytes:
    """A message of so many MiB of zeros, compressed."""
    return call(compress(bytes(count * MIB)), flag=1, encoding=name)


def many_records(count: int) -> bytes:
    """Empty log records, which gzip makes nothing of and a decoder much."""
    return delimited(1, delimited(2, delimited(2, b"") * count))


for name, make, most in (
    ("gzip, 65 MiB", lambda: bomb(gzip.compress, 65, "gzip"), 96),
    ("gzip, 1 GiB", lambda: bomb(lambda body: gzip.compress(body * 16), 64, "gzip"), 96),
    ("deflate, 65 MiB", lambda: bomb(zlib.compress, 65, "deflate"), 96),
    (
        "ten million empty records (19 MiB), gzip",
        lambda: call(gzip.compress(many_records(10**7)), flag=1, encoding="gzip"),
        768,
    ),
):
    heavy = "GiB" in name or "million" in name
    add("bombs", name, make, EXHAUSTED, most_mib=most, heavy=heavy)


# Calls ------------------------------------------------------------------------------------------

CALL = "calls"
WHOLE = data(message(HOSTILE))
CHANGES: dict[str, dict[str, str | None]] = {
    "an unknown method": {":path": "/opentelemetry.Old/Export"},
    "an empty path": {":path": ""},
    "a path of 8 KiB": {":path": "/" + "x" * 8192},
    "a path with control characters": {":path": "/\x1b[2J/x"},
    "no path": {":path": None},
    "a GET": {":method": "GET"},
    "no method": {":method": None},
    "content type JSON": {"content-type": "application/json"},
    "no content type": {"content-type": None},
    "a field of 64 KiB": {"x-large": "x" * 65_536},
    "a field with control characters": {"x-bad": "a\r\nb\0"},
    "upper case in a name": {"X-Bad": "a"},
    "a deadline that is over": {"grpc-timeout": "0n"},
    "a deadline that is none": {"grpc-timeout": "soon"},
}
ODD = ("type", "deadline that is none", "field with", "upper case")
"""What is only odd may be taken."""


def changed_call(changed: dict[str, str | None]) -> bytes:
    """A good message under a head that is not."""
    return HELLO + open_call(changed=changed) + WHOLE


for name, changed in CHANGES.items():
    add(
        CALL,
        name,
        partial(changed_call, changed),
        *(SILENCE, UNKNOWN, INVALID, 4, EXHAUSTED, UNIMPLEMENTED, INTERNAL),
        *([OK] if any(odd in name for odd in ODD) else []),
    )


# Frames -----------------------------------------------------------------------------------------

FRAME = "frames"
HEAD = block(call_fields())


def resets(count: int) -> bytes:
    """So many calls, each reset at once: CVE-2023-44487."""
    return HELLO + b"".join(
        open_call(stream) + frame(RST_STREAM, (8).to_bytes(4), stream=stream)
        for stream in range(1, 2 * count, 2)
    )


def streams(count: int) -> bytes:
    """So many calls that are begun, and nothing else."""
    return HELLO + b"".join(open_call(stream) for stream in range(1, 2 * count, 2))


for name, make in (
    ("a frame that says 16 MiB", lambda: HELLO + b"\xff\xff\xff\0\0\0\0\0\x01" + bytes(MIB)),
    ("data on no stream", lambda: HELLO + data(message(HOSTILE), 0)),
    ("data on a stream that is not open", lambda: HELLO + data(message(HOSTILE), 7)),
    ("a stream of the server's", lambda: HELLO + open_call(2) + data(message(HOSTILE), 2)),
    ("a stream twice", lambda: HELLO + open_call() * 2),
    ("an unknown frame", lambda: HELLO + frame(200, bytes(1000)) * 100),
    ("settings of 7 bytes", lambda: HELLO + frame(SETTINGS, bytes(7))),
    ("ten thousand settings", lambda: HELLO + frame(SETTINGS) * 10_000),
    ("a hundred thousand pings", lambda: HELLO + frame(PING, bytes(8)) * 100_000),
    ("a window beyond 2^31", lambda: HELLO + frame(WINDOW_UPDATE, b"\x7f\xff\xff\xff") * 2),
    ("a window of nothing", lambda: HELLO + frame(WINDOW_UPDATE, bytes(4))),
    ("a header block of noise", lambda: HELLO + frame(HEADERS, b"\xff" * 99, flags=4, stream=1)),
    (
        "ten thousand continuations",
        lambda: (
            HELLO
            + frame(HEADERS, HEAD, stream=1)
            + frame(CONTINUATION, block({"x-a": "b" * 1000}), stream=1) * 10_000
        ),
    ),
    (
        "a continuation that is none",
        lambda: HELLO + frame(CONTINUATION, HEAD, flags=END_HEADERS, stream=1),
    ),
    ("a header block that is not ended", lambda: HELLO + frame(HEADERS, HEAD, stream=1)),
    ("the server's good-bye", lambda: HELLO + frame(GOAWAY, bytes(8))),
    (
        "a million empty frames",
        lambda: HELLO + open_call() + data(b"", end=False) * 1_000_000,
    ),
    ("a hundred calls without an end", lambda: streams(100)),
    ("a thousand calls without an end", lambda: streams(1000)),
    ("ten thousand calls, each reset", lambda: resets(10_000)),
    (
        "a call that ends with its head",
        lambda: HELLO + frame(HEADERS, HEAD, flags=END_HEADERS | END_STREAM, stream=1),
    ),
):
    add(
        FRAME,
        name,
        make,
        *(SILENCE, EXHAUSTED, INTERNAL, UNAVAILABLE, UNIMPLEMENTED),
        most_mib=64,
        heavy="million" in name,
    )
