"""The hostile inputs: what is sent, which answers are allowed, and what it may cost.

Knows OTLP's wire format and HTTP's framing well enough to break both. Must not know a server.
Every input is one connection; a server may answer it with any of ``answers``, or close without
a word where that is allowed, and must live on. (It is one list, and so long for a file of ours.)
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.hostile.wire import chunked, head, request
from tests.support import encoded
from tests.support.shapes import METRIC, SPAN, attribute, deep, log, string_value
from tests.support.strategies import (
    END_GROUP,
    FIXED64,
    HOUR,
    LENGTH,
    NOW,
    START_GROUP,
    VARINT,
    delimited,
    nested,
    tag,
    varint,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MILLION = 1_000_000
MIB = 1 << 20
GIB = 1 << 30
SILENCE = 0
"""Stands for a connection that is closed without an answer."""


@dataclass(frozen=True, slots=True)
class Input:
    """One hostile input."""

    family: str
    name: str
    make: Callable[[], bytes]
    answers: frozenset[int]
    most_mib: int = 32
    """How much more memory than before it may cost."""
    heavy: bool = False
    """Whether it takes seconds: then it is not tried in the normal test run."""
    many_files: bool = False
    """Whether it makes more files than a stop waits for (each is synced, and disks differ)."""


INPUTS: list[Input] = []


def add(
    family: str,
    name: str,
    make: Callable[[], bytes],
    *answers: int,
    most_mib: int = 32,
    heavy: bool = False,
    many_files: bool = False,
) -> None:
    """Put an input on the list."""
    INPUTS.append(Input(family, name, make, frozenset(answers), most_mib, heavy, many_files))


def logs_of(make: Callable[..., bytes], *given: int, encoding: str = "identity") -> bytes:
    """A whole request for logs, whose body is what ``make`` gives."""
    return request("logs", make(*given), encoding)


ONE = log(delimited(5, string_value(b"one")))


# Depth: the record is rejected, or the unknown field skipped; the stack does not grow ----------

DEPTH = "depth"


def deep_body(levels: int) -> bytes:
    """A log record whose body is so many levels deep."""
    return log(delimited(5, deep(levels)))


for levels, what in ((64, "deepest"), (65, "too deep"), (10_000, "ten thousand levels")):
    add(DEPTH, f"value, {what}", partial(logs_of, deep_body, levels), 200)
add(
    DEPTH,
    "value, a million levels",
    lambda: request("logs", log(delimited(5, chain(MILLION)))),
    200,
    400,
    most_mib=64,
    heavy=True,
)
add(
    DEPTH,
    "groups, a hundred thousand, closed",
    lambda: request("logs", tag(99, START_GROUP) * 100_000 + tag(99, END_GROUP) * 100_000),
    400,
    200,
)


def chain(levels: int) -> bytes:
    """An AnyValue of ``levels`` arrays of one element, built in linear time from within."""
    parts: list[bytes] = [string_value(b"x")]
    size = len(parts[0])
    for _ in range(levels):
        for number in (1, 5):
            prefix = tag(number, LENGTH) + varint(size)
            parts.append(prefix)
            size += len(prefix)
    return b"".join(reversed(parts))


# Amplification: small on the wire, large when decoded --------------------------------------------

AMPLIFICATION = "amplification"
MANY: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "empty log records": ("logs", lambda n: nested((1, 2), delimited(2, b"") * n)),
    "empty spans": ("traces", lambda n: nested((1, 2), delimited(2, b"") * n)),
    "empty points": ("metrics", lambda n: nested((*METRIC, 5), delimited(1, b"") * n)),
    "empty histogram points": ("metrics", lambda n: nested((*METRIC, 9), delimited(1, b"") * n)),
    "empty events": ("traces", lambda n: nested(SPAN, delimited(11, b"") * n)),
    "empty links": ("traces", lambda n: nested(SPAN, delimited(13, b"") * n)),
    "empty exemplars": ("metrics", lambda n: nested((*METRIC, 7, 1), delimited(5, b"") * n)),
}


def packed(signal: str, make: Callable[[int], bytes], count: int) -> bytes:
    """A whole request whose body is so many of something, small in gzip."""
    return request(signal, gzip.compress(make(count), 9), "gzip")


for name, (signal, many) in MANY.items():
    add(
        AMPLIFICATION,
        f"a million {name}, gzip",
        partial(packed, signal, many, MILLION),
        200,
        most_mib=768,
        heavy=True,
    )
    add(
        AMPLIFICATION,
        f"ten million {name} (19 MiB), gzip",
        partial(packed, signal, many, 10 * MILLION),
        413,
        most_mib=768,
        heavy=name != "empty log records",
    )
add(
    AMPLIFICATION,
    "thirty million empty resources, gzip",
    lambda: request("logs", gzip.compress(delimited(1, b"") * (30 * MILLION), 9), "gzip"),
    200,
    413,
    most_mib=256,
    heavy=True,
)
add(
    AMPLIFICATION,
    "ten million attributes of a record, gzip",
    lambda: request("logs", gzip.compress(log(delimited(6, b"") * (10 * MILLION)), 9), "gzip"),
    200,
    most_mib=768,
    heavy=True,
)
add(
    AMPLIFICATION,
    "ten million array items, gzip",
    lambda: request(
        "logs",
        gzip.compress(log(delimited(5, delimited(5, delimited(1, b"") * (10 * MILLION)))), 9),
        "gzip",
    ),
    200,
    413,
    most_mib=768,
    heavy=True,
)
add(
    AMPLIFICATION,
    "ten million bucket counts, gzip",
    lambda: request(
        "metrics",
        gzip.compress(nested((*METRIC, 10, 1, 8, 2), bytes(10 * MILLION)), 9),
        "gzip",
    ),
    200,
    413,
    most_mib=768,
    heavy=True,
)
add(
    AMPLIFICATION,
    "a resource of 1 MiB over 5,000 records",
    lambda: request(
        "logs", delimited(1, delimited(3, b"x" * MIB) + delimited(2, delimited(2, b"") * 5000))
    ),
    200,
    413,
    most_mib=256,
)


def hours(count: int) -> bytes:
    """Log records of ``count`` hours: each a group, and one day a file."""
    record = b"".join(
        delimited(2, tag(1, FIXED64) + struct.pack("<Q", NOW - n * HOUR)) for n in range(count)
    )
    return nested((1, 2), record)


def services(count: int) -> bytes:
    """A log record each of ``count`` services."""
    return b"".join(
        delimited(
            1,
            delimited(1, delimited(1, attribute(b"service.name", string_value(b"%d" % n))))
            + nested((2, 2), b""),
        )
        for n in range(count)
    )


for groups, answer in ((10_000, 200), (10_001, 413)):
    for kind, make in (("hours", hours), ("services", services)):
        add(
            AMPLIFICATION,
            f"{groups:,} {kind} in one request",
            partial(logs_of, make, groups),
            answer,
            most_mib=512,
            heavy=answer == 200,
            many_files=answer == 200,
        )


def service(name: bytes, records: bytes) -> bytes:
    """The records of a resource whose service has that name."""
    named = delimited(1, attribute(b"service.name", string_value(name)))
    return delimited(1, delimited(1, named) + delimited(2, records))


def in_hours(count: int, record: bytes = b"") -> bytes:
    """A log record for each of ``count`` hours."""
    times = (tag(1, FIXED64) + struct.pack("<Q", NOW + n * HOUR) for n in range(count))
    return b"".join(delimited(2, time + record) for time in times)


# What is above records, times the places where it would have to be copied; and what is rejected.
REFUSED = delimited(5, deep(65))
for name, signal, big in (
    ("a service name of 1 MiB in 3,900 hours", "logs", lambda: service(b"x" * MIB, in_hours(3900))),
    (
        "a service name of 1 MiB above 3,900 records rejected in their hours",
        "logs",
        lambda: service(b"x" * MIB, in_hours(3900, REFUSED)),
    ),
    (
        "a service name of 16 MiB above 4,000 records rejected",
        "logs",
        lambda: service(b"x" * (16 * MIB), delimited(2, REFUSED) * 4000),
    ),
    (
        "a service name of 8 MiB that is not UTF-8",
        "logs",
        lambda: service(b"\xff" * (8 * MIB), delimited(2, b"")),
    ),
    (
        "ten million attributes of a resource",
        "logs",
        lambda: delimited(
            1, delimited(1, delimited(1, b"") * (10 * MILLION)) + nested((2, 2), b"")
        ),
    ),
    ("ten million bodies of a record", "logs", lambda: log(delimited(5, b"") * (10 * MILLION))),
    (
        "texts of control characters, 58 MiB",
        "logs",
        lambda: log(*[delimited(6, attribute(b"k", string_value(b"\1" * 1000)))] * 60_000),
    ),
    (
        "exemplars 30 deep",
        "metrics",
        lambda: nested(
            (*METRIC, 7, 1),
            delimited(5, delimited(7, attribute(b"", nested((6, 1, 2) * 30, b"")))) * 20_000,
        ),
    ),
):
    add(
        AMPLIFICATION,
        f"{name}, gzip",
        lambda s=signal, b=big: request(s, gzip.compress(b(), 9), "gzip"),  # type: ignore[misc]
        200,
        413,
        most_mib=512,
        heavy=True,
    )


# Bombs: at most the limit, 64 MiB, and once ------------------------------------------------------

BOMBS = "bombs"
for name, encoding, bomb in (
    ("gzip, 1 GiB in one member", "gzip", lambda: encoded.gzip_zeros(GIB)),
    ("gzip, 1 GiB in 16 members", "gzip", lambda: encoded.gzip_zeros(64 * MIB) * 16),
    ("gzip, says that it is empty", "gzip", lambda: encoded.gzip_zeros(65 * MIB)[:-4] + bytes(4)),
    ("deflate, 1 GiB", "deflate", lambda: encoded.zlib_zeros(GIB)),
    ("zstd, 1 GiB", "zstd", lambda: encoded.zstd_zeros(8192)),
    ("zstd, 64 GiB in frames", "zstd", lambda: encoded.zstd_zeros(8192) * 64),
    ("zstd, a window of 2 GiB", "zstd", lambda: encoded.zstd_zeros(600, window_log=31)),
):
    add(BOMBS, name, partial(logs_of, bomb, encoding=encoding), 413, most_mib=64 + 32)
for name, encoding, lie in (
    ("gzip, says 4 GiB", "gzip", lambda: gzip.compress(ONE)[:-4] + b"\xff" * 4),
    ("zstd, says 1 EiB", "zstd", lambda: encoded.zstd_zeros(1, content_size=1 << 60)),
    ("zstd, more than it says", "zstd", lambda: encoded.zstd_zeros(600, content_size=1 << 17)),
):
    add(BOMBS, name, partial(logs_of, lie, encoding=encoding), 400, most_mib=64 + 32)
add(
    BOMBS,
    "gzip, half a million empty members",
    lambda: request("logs", gzip.compress(b"", mtime=0) * 500_000, "gzip"),
    200,
    most_mib=64,
)
add(
    BOMBS,
    "zstd, a million skippable frames",
    lambda: request("logs", encoded.zstd_skippable(b"") * MILLION, "zstd"),
    200,
    most_mib=64,
)


# Varints, lengths, groups: errors, never allocations --------------------------------------------

WIRE = "varints, lengths and groups"
for name, body, answer in (
    ("a length of 2^31", tag(1, LENGTH) + varint(1 << 31), 400),
    ("a length of 2^63", tag(1, LENGTH) + varint(1 << 63), 400),
    ("a length of 2^64 - 1", tag(1, LENGTH) + varint(-1), 400),
    ("a varint of 11 bytes", tag(99, VARINT) + b"\xff" * 10 + b"\x01", 400),
    ("a varint without an end", tag(99, VARINT) + b"\xff" * 1000, 400),
    ("a tag of 10 bytes", varint(99 << 3, pad=8) + b"\x00", 400),
    ("field number 0", b"\x02\x00", 400),
    ("wire types 6 and 7", b"\x0e\x0f", 400),
    ("an end of a group that never began", tag(99, END_GROUP), 400),
    ("a group without an end", tag(99, START_GROUP), 400),
    ("a group with another's end", tag(99, START_GROUP) + tag(98, END_GROUP), 400),
    ("a million groups without an end", tag(99, START_GROUP) * MILLION, 400),
    ("4 MiB of 0xff", b"\xff" * (4 * MIB), 400),
    ("4 MiB of zeros", bytes(4 * MIB), 400),
    ("the largest field number, 4 MiB long", delimited((1 << 29) - 1, bytes(4 * MIB)), 200),
    ("a packed field cut in an element", nested((*METRIC, 9, 1, 6), bytes(7)), 400),
    ("a million unknown fields", (tag(99, VARINT) + b"\x00") * MILLION, 200),
):
    # Field 9 of a metric is a histogram, so the packed one is among the metrics.
    where = "metrics" if "packed" in name else "logs"
    add(WIRE, name, partial(request, where, body), answer)


# JSON: the same troubles, spelled out -----------------------------------------------------------

JSON, NDJSON = "application/json", "application/x-ndjson"


def in_json(record: bytes) -> bytes:
    """Log records, a list's content, in a request."""
    return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + record + b"]}]}]}"


def body_of(value: bytes) -> bytes:
    """A log record with a body."""
    return in_json(b'{"body":' + value + b"}")


def values(first: bytes, count: int, last: bytes) -> bytes:
    """A log record whose body is a list of values."""
    return body_of(b'{"arrayValue":{"values":[' + first * count + last + b"]}}")


FORM = "JSON"
for name, text, answers in (
    ("a million brackets", b"[" * MILLION, (400,)),
    ("an unknown key, a million brackets", b'{"x":' + b"[" * MILLION, (400,)),
    (
        "an unknown key, a million closed brackets",
        b'{"x":' + b"[" * MILLION + b"]" * MILLION + b"}",
        (200, 400),
    ),
    (
        "a value of ten thousand levels",
        body_of(b'{"arrayValue":{"values":[' * 10_000 + b'{"stringValue":"x"}' + b"]}}" * 10_000),
        (200, 400),
    ),
    ("a million duplicate keys", b"{" + b'"x":1,' * MILLION + b'"x":1}', (400,)),
    ("an unknown text of 4 MiB", b'{"x":"' + b"\\u0000" * (MIB // 2) + b'"}', (400,)),
    ("a number of a million digits", body_of(b'{"intValue":' + b"9" * MILLION + b"}"), (200, 400)),
    ("an exponent of a million", body_of(b'{"doubleValue":1e1000000}'), (200, 400)),
    ("an integer as a vast exponent", body_of(b'{"intValue":"1e999999999"}'), (200, 400)),
    ("lone surrogates", body_of(b'{"stringValue":"' + b"\\ud800" * 1000 + b'"}'), (200,)),
    ("bytes that are not UTF-8", body_of(b'{"stringValue":"' + b"\xff" * 1000 + b'"}'), (200, 400)),
    ("a text without an end", body_of(b'{"stringValue":"')[:-6] + b"x" * MIB, (400,)),
    ("UTF-16", "{}".encode("utf-16"), (400,)),
    ("NULs", bytes(1000), (400,)),
    ("nothing but spaces, 4 MiB", b" " * (4 * MIB), (400,)),
    ("two documents", b"{}{}", (400,)),
    ("a text where a list is expected", b'{"resourceLogs":"x"}', (400,)),
):
    add(FORM, name, partial(request, "logs", text, content_type=JSON), *answers, most_mib=64)
for name, text, answers in (
    ("a million empty lines", b"\n" * MILLION, (200,)),
    ("a million empty requests", b"{}\n" * MILLION, (200, 413)),
    ("a bad line among good ones", b"{}\n" * 1000 + b"{\n" + b"{}\n", (400,)),
):
    add(FORM, name, partial(request, "logs", text, content_type=NDJSON), *answers, most_mib=64)
add(
    FORM,
    "a million empty records, gzip",
    lambda: request("logs", gzip.compress(in_json(b"{}," * MILLION + b"{}"), 9), "gzip", JSON),
    413,
    most_mib=768,
    heavy=True,
)
add(
    FORM,
    "twenty million empty records (57 MiB), gzip",
    lambda: request("logs", gzip.compress(in_json(b"{}," * (20 * MILLION)), 9), "gzip", JSON),
    400,
    413,
    most_mib=768,
    heavy=True,
)


# Text that would be read again and again, or kept for each thing that is wrong in it.
def _zipped(make: Callable[[], bytes]) -> bytes:
    """A JSON request of logs, compressed."""
    return request("logs", gzip.compress(make(), 9), "gzip", JSON)


HALFWAY = b'{"doubleValue":1.7000000000000002379e300}'
for name, made in (
    ("a million doubles half-way between two", lambda: values(HALFWAY + b",", MILLION, HALFWAY)),
    (
        "a misfit beside three million values, 60 arrays deep",
        lambda: body_of(
            b'{"arrayValue":{"values":[' * 60
            + b'{"stringValue":"x"},' * (3 * MILLION)
            + b"1"
            + b"]}}" * 60
        ),
    ),
    (
        "a misfit behind a value of 30 million levels",
        lambda: in_json(
            b'{"x":' + b"[" * (30 * MILLION) + b"]" * (30 * MILLION) + b',"flags":"x"}'
        ),
    ),
    (
        "32 million numbers where objects belong",
        lambda: b'{"resourceLogs":[' + b"1," * (32 * MILLION) + b"1]}",
    ),
):
    add(
        FORM,
        f"{name}, gzip",
        partial(_zipped, made),
        200,
        most_mib=512,
        heavy=True,
    )


# Framing: a body that is not whole is never a 200 -----------------------------------------------

FRAMING = "framing"
TE = head("/v1/logs", "Transfer-Encoding: chunked")
ENDED = chunked(ONE) + b"0\r\n\r\n"
BAD = frozenset(range(400, 600)) | {SILENCE}
for name, sent in (
    ("no chunk", TE),
    ("a chunk and no last one", TE + chunked(ONE)),
    ("half of the last chunk", TE + ENDED[:-2]),
    ("a chunk cut", TE + chunked(ONE)[:-5]),
    ("a chunk longer than its size", TE + b"3\r\n" + ONE + b"\r\n0\r\n\r\n"),
    ("a size that is no number", TE + chunked(ONE) + b"zz\r\n\r\n"),
    ("a negative size", TE + chunked(ONE) + b"-1\r\n\r\n"),
    ("a size beyond 64 bits", TE + chunked(ONE) + b"fffffffffffffffff\r\n"),
    ("a size of 2^64 - 1", TE + b"ffffffffffffffff\r\n" + ONE),
    ("an empty size", TE + b"\r\n" + ONE + b"\r\n0\r\n\r\n"),
    ("sizes with spaces", TE + b" 5 5 \r\n" + ONE + b"\r\n0\r\n\r\n"),
    ("a size of 64 KiB of zeros", TE + b"0" * 65_536 + b"5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk extension of 1 MiB", TE + b"5;" + b"x" * MIB + b"\r\nhello\r\n0\r\n\r\n"),
    ("bare line feeds", TE + ENDED.replace(b"\r\n", b"\n")),
    ("length one too long", head("/v1/logs", f"Content-Length: {len(ONE) + 1}") + ONE),
    ("length of 2^64", head("/v1/logs", f"Content-Length: {1 << 64}") + ONE),
    ("negative length", head("/v1/logs", "Content-Length: -1") + ONE),
    ("length with a sign", head("/v1/logs", f"Content-Length: +{len(ONE)}") + ONE),
    ("length in hexadecimal", head("/v1/logs", f"Content-Length: 0x{len(ONE):x}") + ONE),
    ("two lengths", head("/v1/logs", f"Content-Length: {len(ONE)}", "Content-Length: 1") + ONE),
    ("a list of lengths", head("/v1/logs", f"Content-Length: {len(ONE)}, 1") + ONE),
    ("an unknown transfer coding", head("/v1/logs", "Transfer-Encoding: zip") + ONE),
    ("chunked twice", head("/v1/logs", "Transfer-Encoding: chunked, chunked") + ENDED[:-5]),
):
    add(FRAMING, name, partial(bytes, sent), *BAD)


# Heads ------------------------------------------------------------------------------------------

HEADS = "heads"
for name, sent in (
    ("a TLS handshake", bytes.fromhex("1603010200010001fc0303") + bytes(500)),
    ("a request line of 1 MiB", b"POST /" + b"x" * MIB + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a field of 1 MiB", head("/v1/logs", "X-A: " + "x" * MIB, "Content-Length: 0")),
    ("ten thousand fields", head("/v1/logs", *["X-A: 1"] * 10_000, "Content-Length: 0")),
    ("a NUL in a field", head("/v1/logs", "X-A: a\0b", "Content-Length: 0")),
    ("a folded field", head("/v1/logs", "X-A: a\r\n b", "Content-Length: 0")),
    ("a space before a colon", head("/v1/logs", "Content-Length : 0")),
    ("no method", b" /v1/logs HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("HTTP/9.9", b"POST /v1/logs HTTP/9.9\r\nHost: x\r\n\r\n"),
    ("random bytes", bytes(range(256)) * 64),
    ("an HTTP/2 preface and noise", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100_000),
    (
        "a path of dots",
        head("/v1/logs/../../../etc/passwd", "Content-Length: 0", method="GET"),
    ),
    ("a path with a NUL", head("/v1/logs%00", "Content-Length: 0")),
):
    add(HEADS, name, partial(bytes, sent), *BAD)
