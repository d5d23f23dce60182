"""Bounds of the decoder in plain Python that the extension has in another measure, or not."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet import DecodeError, TooLargeError, UnsupportedError
from otlp2parquet.core.pure import inflate, limits
from otlp2parquet.core.pure.builder import BatchBuilder, process_otlp
from otlp2parquet.core.pure.request import OBJECT_FACTOR
from otlp2parquet.core.pure.usual import remembered
from tests.support.shapes import METRIC, SPAN, attribute, log, string_value
from tests.support.strategies import delimited, nested, varint
from tests.support.twins import assert_twins

if TYPE_CHECKING:
    from otlp2parquet import Signal

ATTRIBUTE = delimited(6, attribute(b"k", string_value(b"v" * 40)))
SHAPES: dict[str, tuple[Signal, bytes]] = {
    "records without a field": ("logs", nested((1, 2), delimited(2, b"") * 20_000)),
    "records of one attribute": ("logs", nested((1, 2), delimited(2, ATTRIBUTE) * 10_000)),
    "events": ("traces", nested(SPAN, delimited(11, b"") * 20_000)),
    "points": ("metrics", nested((*METRIC, 5), delimited(1, b"") * 20_000)),
    "buckets": (
        "metrics",
        nested((*METRIC, 10, 1, 8), delimited(2, varint(1 << 40) * 20_000)),
    ),
    "quantiles": ("metrics", nested((*METRIC, 11, 1), delimited(6, b"") * 20_000)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_is_a_multiple_of_what_a_request_is_charged_with(shape: str) -> None:
    """So the extension's bounds, which count its own bytes, bound this one's objects too."""
    signal, payload = SHAPES[shape]
    open_builder = BatchBuilder()
    tracemalloc.start()
    try:
        open_builder.append(payload, signal)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= OBJECT_FACTOR * open_builder.num_bytes + 2 * len(payload) + (1 << 20)
    assert open_builder.num_memory_bytes >= open_builder.num_bytes > 0


def test_a_bound_of_memory_that_a_caller_gives_is_of_objects() -> None:
    """It is the process that has so much, whatever the extension would take."""
    payload = log(*[ATTRIBUTE] * 1000)
    charged = BatchBuilder()
    charged.append(payload, "logs")
    enough = len(payload) + 2 * OBJECT_FACTOR * charged.num_bytes
    assert process_otlp(payload, "logs", max_memory_bytes=enough).accepted == 1000
    little = len(payload) + OBJECT_FACTOR * charged.num_bytes // 2
    with pytest.raises(TooLargeError, match=f"more than {little} bytes of memory"):
        process_otlp(payload, "logs", max_memory_bytes=little)


def test_what_is_remembered_of_attributes_is_bounded() -> None:
    """A sender of ever new values fills no memory that outlives its requests."""
    for first in range(0, 60_000, 10_000):
        pairs = (attribute(b"k", string_value(b"%d" % n)) for n in range(first, first + 10_000))
        process_otlp(log(*(delimited(6, pair) for pair in pairs)), "logs")
        assert len(remembered) <= 20_000


def test_gzip_members_take_time_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands behind a member is copied by the decompressor: never much of it."""
    copied = []

    class Counted:
        def __init__(self, wbits: int) -> None:
            self.inner = zlib.decompressobj(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            return self.inner.decompress(data, most)

        @property
        def eof(self) -> bool:
            return self.inner.eof

        @property
        def unused_data(self) -> bytes:
            copied.append(len(self.inner.unused_data))
            return self.inner.unused_data

    monkeypatch.setattr(inflate, "zlib", SimpleNamespace(decompressobj=Counted, error=zlib.error))
    body = gzip.compress(b"") * 1000
    assert process_otlp(body, "logs", content_encoding="gzip").accepted == 0
    assert len(copied) == 1000
    assert max(copied) < 512


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bodies_that_inflate_beyond_the_bound(encoding: str) -> None:
    """A bomb is refused as the extension refuses it, and so is what is not whole."""
    bomb = gzip.compress(bytes(10_000)) if encoding == "gzip" else zlib.compress(bytes(10_000))
    said: list[Any] = []
    for body in (bomb, bomb[:-1], b"junk", bomb + b"junk"):
        with pytest.raises((TooLargeError, DecodeError)) as caught:
            process_otlp(body, "logs", content_encoding=encoding, max_payload_bytes=100)
        said.append(type(caught.value))
        assert_twins(body, "logs", content_encoding=encoding)
    assert said == [TooLargeError, TooLargeError, DecodeError, TooLargeError]


def test_zstd_is_refused_in_words() -> None:
    """The standard library has none; an empty body has no encoding."""
    with pytest.raises(UnsupportedError, match="the decoder in plain Python does not read"):
        process_otlp(b"x", "logs", content_encoding="zstd")
    assert process_otlp(b"", "logs", content_encoding="zstd").accepted == 0


def test_full_builders_take_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """They say so, and take again after a finish."""
    open_builder = BatchBuilder()
    open_builder.append(log(b""), "logs")
    monkeypatch.setattr(limits, "FULL_BYTES", 1)
    with pytest.raises(TooLargeError, match="found full builders"):
        open_builder.append(log(b""), "logs")
    assert len(open_builder.finish()) == 1
    assert open_builder.append(log(b""), "logs").accepted == 1
