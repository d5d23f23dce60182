"""Content encodings: whole streams are read, everything else is refused, and nothing is half read.

Every rule that the encodings share is tested on each of them.
"""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet import DecodeError, TooLargeError, UnsupportedError, process_otlp
from otlp2parquet._native import process_otlp as native_process_otlp
from otlp2parquet.core import inflates_within
from tests.support import encoded
from tests.support.encoded import ENCODERS
from tests.support.peak import MILLION, peak_mib
from tests.support.shapes import log
from tests.support.strategies import delimited, examples, nested

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = log(delimited(3, b"INFO"))
TWO = log(delimited(3, b"WARN")) + log(delimited(3, b"ERROR"))
COMPRESSED = ("gzip", "zstd", "deflate")
MIB = 1 << 20


def accepted(body: bytes, encoding: str, **options: Any) -> int:
    """Records taken from a body of log records."""
    return native_process_otlp(body, "logs", content_encoding=encoding, **options).accepted


def refusal(body: bytes, encoding: str) -> str:
    """What a body is refused with; the trouble is not at a place in the payload."""
    with pytest.raises(DecodeError, match=encoding) as caught:
        process_otlp(body, "logs", content_encoding=encoding)
    assert (caught.value.offset, caught.value.path) == (None, "")
    return str(caught.value)


@pytest.mark.parametrize("spelled", ["", "GZIP", "x-gzip", "X-Gzip", "Deflate", "Zstd", "Identity"])
def test_names_are_read_in_any_case(spelled: str) -> None:
    """RFC 9110, 8.4.1: "all content codings are case-insensitive"; x-gzip is gzip."""
    encoder = ENCODERS[spelled.lower().removeprefix("x-") or "identity"]
    assert accepted(encoder(ONE), spelled) == 1


@pytest.mark.parametrize(
    ("spelled", "encoding"),
    [
        ("none", "identity"), ("None, identity", "identity"), (",", "identity"),
        ("zlib", "deflate"), ("ZLIB", "deflate"), ("identity, gzip", "gzip"),
        ("gzip ,identity", "gzip"), ("x-gzip,none", "gzip"), ("identity,zstd,", "zstd"),
    ],
)  # fmt: skip
def test_identity_in_a_list_counts_for_nothing(spelled: str, encoding: str) -> None:
    """RFC 9110, 8.4: the value is a list; `none` and `zlib` are what some senders write."""
    assert accepted(ENCODERS[encoding](ONE), spelled) == 1


@pytest.mark.parametrize(
    "spelled", ["gzip,gzip", "gzip, identity, zstd", "br", "gzip;q=1", "gz ip"]
)
def test_stacked_and_unknown_encodings_are_refused(spelled: str) -> None:
    """One coding is undone, and no other than those that are named."""
    with pytest.raises(UnsupportedError, match="content encoding"):
        process_otlp(ONE, "logs", content_encoding=spelled)


@pytest.mark.parametrize(
    "content_type",
    ["application/protobuf", "application/vnd.google.protobuf", "APPLICATION/Protobuf; a=b"],
)
def test_names_of_protobuf(content_type: str) -> None:
    """What senders call protobuf beside the name that OTLP gives it."""
    assert accepted(ONE, "identity", content_type=content_type) == 1


@examples(200)
@given(st.binary(max_size=3000), st.sampled_from(sorted(ENCODERS)))
def test_what_is_inside_is_what_counts(payload: bytes, encoding: str) -> None:
    """An encoded payload gives the rows, or the refusal, of the payload itself."""
    assert outcome(ENCODERS[encoding](payload), encoding) == outcome(payload, "identity")


def outcome(body: bytes, encoding: str) -> tuple[int, int | None, str]:
    """Records taken, or the place that a refusal names."""
    try:
        return process_otlp(body, "traces", content_encoding=encoding).accepted, None, ""
    except DecodeError as error:
        return 0, error.offset, error.path


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_nothing_and_what_inflates_to_nothing_are_empty_requests(encoding: str) -> None:
    """A body of 0 bytes is empty whatever its encoding, and so is nothing, encoded."""
    assert accepted(b"", encoding) == 0
    assert accepted(ENCODERS[encoding](b""), encoding) == 0


SERIES: dict[str, tuple[str, list[bytes], int]] = {
    # what it is: encoding, its streams, records
    "gzip members": ("gzip", [gzip.compress(ONE), gzip.compress(TWO)], 3),
    "a message over gzip members": ("gzip", [gzip.compress(ONE[:5]), gzip.compress(ONE[5:])], 1),
    "empty gzip members": ("gzip", [gzip.compress(b"")] * 3 + [gzip.compress(ONE)], 1),
    "a large member before a small one": (
        "gzip",
        [gzip.compress(ONE * 9000), gzip.compress(ONE)],
        9001,
    ),
    "zstd frames": ("zstd", [encoded.zstd(ONE), encoded.zstd(TWO)], 3),
    "a message over zstd frames": ("zstd", [encoded.zstd(ONE[:5]), encoded.zstd(ONE[5:])], 1),
    "zstd frames without a size": ("zstd", [encoded.zstd_stream(ONE), encoded.zstd_stream(TWO)], 3),
    "skippable zstd frames": (
        "zstd",
        [encoded.zstd_skippable(b"skip me"), encoded.zstd(ONE), encoded.zstd_skippable(b"")],
        1,
    ),
    "only a skippable zstd frame": ("zstd", [encoded.zstd_skippable(b"skip me")], 0),
}


@pytest.mark.parametrize("case", SERIES)
def test_streams_one_after_another_are_one_body(case: str) -> None:
    """RFC 1952 and RFC 8878: decompressed, they are the concatenation of their contents."""
    encoding, streams, records = SERIES[case]
    assert accepted(b"".join(streams), encoding) == records


@pytest.mark.parametrize("encoding", COMPRESSED)
@pytest.mark.parametrize("several", [False, True])
def test_every_cut_is_an_error(encoding: str, *, several: bool) -> None:
    """A cut body is never a success, for an empty request would be one."""
    first = ENCODERS[encoding](ONE)
    second = ENCODERS[encoding](TWO) if several and encoding != "deflate" else b""
    whole = first + second
    assert accepted(whole, encoding) in (1, 3)
    for end in range(1, len(whole)):
        if end != len(first):
            refusal(whole[:end], encoding)


GZIP, ZLIB, ZSTD = gzip.compress(ONE), zlib.compress(ONE), encoded.zstd(ONE)
RAW = ZLIB[2:-4]
BROKEN: dict[str, tuple[str, bytes]] = {
    "gzip: wrong crc": ("gzip", GZIP[:-8] + bytes(4) + GZIP[-4:]),
    "gzip: wrong size": ("gzip", GZIP[:-4] + bytes(4)),
    "gzip: wrong crc in the second member": ("gzip", GZIP + GZIP[:-8] + bytes(8)),
    "gzip: bytes behind it": ("gzip", GZIP + b"junk"),
    "gzip: zeros behind it": ("gzip", GZIP + bytes(512)),
    "gzip: one byte behind it": ("gzip", GZIP + b"\x1f"),
    "gzip: zlib": ("gzip", ZLIB),
    "gzip: zstd": ("gzip", ZSTD),
    "gzip: protobuf": ("gzip", ONE),
    "gzip: unknown method": ("gzip", GZIP[:2] + b"\x07" + GZIP[3:]),
    "gzip: reserved flag": ("gzip", GZIP[:3] + b"\xe0" + GZIP[4:]),
    "gzip: broken inside": ("gzip", GZIP[:10] + b"\xff" * 12 + GZIP[-8:]),
    "deflate: wrong adler": ("deflate", ZLIB[:-4] + bytes(4)),
    "deflate: bytes behind it": ("deflate", ZLIB + b"junk"),
    "deflate: a second stream": ("deflate", ZLIB + ZLIB),
    "deflate: gzip": ("deflate", GZIP),
    "deflate: raw, without zlib": ("deflate", RAW),
    "deflate: protobuf": ("deflate", ONE),
    "deflate: a preset dictionary": ("deflate", b"\x78\xbb" + bytes(4) + RAW + ZLIB[-4:]),
    "zstd: bytes behind it": ("zstd", ZSTD + b"junk"),
    "zstd: one byte behind it": ("zstd", ZSTD + b"\x28"),
    "zstd: gzip": ("zstd", GZIP),
    "zstd: protobuf": ("zstd", ONE),
    "zstd: less than it states": ("zstd", encoded.zstd_zeros(1, content_size=1 << 18)),
    "zstd: more than it states": ("zstd", encoded.zstd_zeros(2, content_size=1 << 17)),
    "zstd: a reserved block type": ("zstd", ZSTD[:6] + b"\x07" + ZSTD[7:]),
    "zstd: an unknown dictionary": ("zstd", ZSTD[:4] + b"\x23\x01\x02\x03\x04" + ZSTD[5:]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_whole_streams_is_refused(case: str) -> None:
    """Wrong checksums, bytes that belong to nothing, another format: the sender's error."""
    encoding, body = BROKEN[case]
    message = refusal(body, encoding)
    assert message.startswith("found ")
    assert "expected" in message


def test_a_broken_member_is_named_by_its_place() -> None:
    """The second of two members, at the byte where the first one ends."""
    assert f"the member at byte {len(GZIP)} " in refusal(GZIP + GZIP[:-8] + bytes(8), "gzip")


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_the_bound_is_exact(encoding: str) -> None:
    """An output of exactly the limit is read, one byte more is not; over all streams."""
    payload = delimited(99, bytes(1000 - 4))
    assert len(payload) == 1000
    body = ENCODERS[encoding](payload)
    if encoding != "deflate":
        body = ENCODERS[encoding](payload[:600]) + ENCODERS[encoding](payload[600:])
    bodies = [body, encoded.zstd_stream(payload)] if encoding == "zstd" else [body]
    for one in bodies:
        assert accepted(one, encoding, max_payload_bytes=1000) == 0
        for most in (999, 600, 599, 1):
            with pytest.raises(TooLargeError, match=f"more than {most} bytes"):
                accepted(one, encoding, max_payload_bytes=most)


LIARS: dict[str, tuple[str, bytes, bool]] = {
    # what it is: encoding, body, whether it is too large (else it is broken)
    "gzip: a member that says it is huge": ("gzip", GZIP[:-4] + b"\xff" * 4, False),
    "gzip: a bomb that says it is empty": (
        "gzip",
        encoded.gzip_zeros(65 * MIB)[:-4] + bytes(4),
        True,
    ),
    "gzip: a bomb with a small last member": ("gzip", encoded.gzip_zeros(65 * MIB) + GZIP, True),
    "zstd: a frame that says it is huge": (
        "zstd",
        encoded.zstd_zeros(1, content_size=1 << 60),
        False,
    ),
    "zstd: a bomb that says it is small": (
        "zstd",
        encoded.zstd_zeros(600, content_size=1 << 17),
        False,
    ),
    "zstd: a window of 2 GiB": ("zstd", encoded.zstd_zeros(600, window_log=31), True),
}


@pytest.mark.parametrize("case", LIARS)
def test_what_a_body_says_of_itself_is_not_believed(case: str) -> None:
    """Stated sizes decide nothing: not what is allocated, not what is read."""
    encoding, body, too_large = LIARS[case]
    with pytest.raises(TooLargeError if too_large else DecodeError):
        process_otlp(body, "logs", content_encoding=encoding)
    assert peak_mib(body, "logs", encoding) < 64 + 24


GIB = 1 << 30
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "gzip, one member of 1 GiB": ("gzip", lambda: encoded.gzip_zeros(GIB)),
    "gzip, 16 members": ("gzip", lambda: encoded.gzip_zeros(64 * MIB) * 16),
    "deflate, 1 GiB": ("deflate", lambda: encoded.zlib_zeros(GIB)),
    "zstd, 1 GiB without a size": ("zstd", lambda: encoded.zstd_zeros(8192)),
    "zstd, 1 GiB with its size": ("zstd", lambda: encoded.zstd_zeros(8192, content_size=GIB)),
    "zstd, 1 TiB": ("zstd", lambda: encoded.zstd_zeros(8192) * 1024),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_costs_at_most_the_limit(case: str) -> None:
    """64 MiB of output, and never a window or a second copy beside it."""
    encoding, make = BOMBS[case]
    body = make()
    with pytest.raises(TooLargeError, match="67108864"):
        process_otlp(body, "logs", content_encoding=encoding)
    assert peak_mib(body, "logs", encoding) < 64 + 24


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_the_room_may_have_to_be_extended(encoding: str) -> None:
    """More than any first guess, and still within the limit: read, whole."""
    payload = delimited(99, bytes(40 * MIB)) + ONE
    bodies = [ENCODERS[encoding](payload)]
    if encoding == "gzip":
        bodies.append(bodies[0] + gzip.compress(ONE))
        bodies.append(gzip.compress(ONE) + bodies[0])
    for number, body in enumerate(bodies):
        assert accepted(body, encoding) == min(number, 1) + 1


def test_amplified_records_are_bounded_in_memory() -> None:
    """19 MiB of empty records in 20 KB of gzip: refused for their number, at a bounded cost."""
    payload = nested((1, 2), delimited(2, b"") * (10 * MILLION))
    body = gzip.compress(payload, 9)
    assert len(body) < 30_000
    with pytest.raises(TooLargeError, match="records"):
        process_otlp(body, "logs", content_encoding="gzip")
    assert peak_mib(body, "logs", "gzip") < 512


def test_the_rows_are_those_of_the_payload() -> None:
    """Not only their number: the tables are the same."""
    plain = [pa.table(batch) for batch in process_otlp(TWO, "logs", received_at=7).batches]
    for encoding in COMPRESSED:
        result = process_otlp(
            ENCODERS[encoding](TWO), "logs", content_encoding=encoding, received_at=7
        )
        assert [pa.table(batch) for batch in result.batches] == plain


@pytest.mark.parametrize("encoding", sorted(ENCODERS))
def test_whether_a_body_inflates_within_a_limit(encoding: str) -> None:
    """Exactly; and what cannot be inflated does not."""
    body = ENCODERS[encoding](bytes(5000))
    assert inflates_within(body, encoding, 5000)
    assert not inflates_within(body, encoding, 4999)
    if encoding != "identity":
        assert not inflates_within(body[:-1], encoding, 5000)
    with pytest.raises(UnsupportedError):
        inflates_within(body, "br", 5000)


@pytest.mark.parametrize("encoding", ["identity", *COMPRESSED])
@pytest.mark.parametrize("limit", [2**32, 2**48, 2**63 - 1, 2**64 - 1])
def test_a_limit_of_any_size_asks_for_no_memory(encoding: str, limit: int) -> None:
    """Room is made for what a body can hold at most, not for what it is allowed to hold."""
    assert inflates_within(ENCODERS[encoding](ONE), encoding, limit)
    assert not inflates_within(b"\x1f\x8b garbage", "gzip", limit)
    liar = gzip.compress(ONE)[:-4] + b"\xff" * 4
    assert not inflates_within(liar, "gzip", limit)
    assert not inflates_within(encoded.zstd_zeros(1, content_size=1 << 60), "zstd", limit)
