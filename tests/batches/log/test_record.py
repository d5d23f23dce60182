"""The bytes of a segment: what is written is read, and damage costs what is damaged."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.batches.log import record as form
from otlp2parquet.batches.log.record import (
    HEADER_BYTES,
    Damage,
    Header,
    Record,
    UnknownRecordError,
    VersionError,
    scan,
)
from otlp2parquet.batches.request import Request
from otlp2parquet.core.decoder import crc32

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = UUID("01a217a0-85a5-7ef0-a067-d1b0521fab5c")
OTHER = UUID("01a217a0-85a5-7ef0-a067-d1b0521fab5d")
BODIES = (b"first body", b"", b"the third, which is longer than the others" * 3)


def packed(bodies: Sequence[bytes], batch: UUID = BATCH) -> tuple[bytes, list[tuple[int, int]]]:
    """A segment with one request for each body, and where their records lie."""
    data = form.pack_header(Header(uuid4(), batch, 7))
    places = []
    for number, body in enumerate(bodies):
        head = form.request_head(number, Request(body, "traces", "application/json", "gzip", 99))
        begin = len(data)
        data += form.pack_prefix(form.seed_of(batch), begin, head, body) + head + body
        places.append((begin, len(data)))
    return data, places


class Reads:
    """A ``ReadAt`` over bytes that counts what it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.count = 0

    def __call__(self, offset: int, count: int) -> bytes:
        """Up to so many bytes from an offset on."""
        part = self._data[offset : offset + count]
        self.count += len(part)
        return part


def found(data: bytes, batch: UUID = BATCH) -> list[Record | Damage]:
    """What is read."""
    return list(scan(Reads(data), len(data), batch))


def bodies(items: Sequence[Record | Damage]) -> list[bytes]:
    """The bodies of the records that were read."""
    return [item.body for item in items if isinstance(item, Record)]


def damages(items: Sequence[Record | Damage]) -> list[Damage]:
    """The damage that was met."""
    return [item for item in items if isinstance(item, Damage)]


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=300),
            st.integers(0, 65_535),
            st.sampled_from(["logs", "traces", "metrics"]),
            st.text("abc/+-", max_size=40),
            st.sampled_from([None, "gzip", "zstd"]),
            st.integers(0, 2**64 - 1),
        ),
        max_size=6,
    )
)
def test_what_is_written_is_read(
    requests: list[tuple[bytes, int, str, str, str | None, int]],
) -> None:
    """Every field of every request comes back, in order, and the places join without a gap."""
    data = form.pack_header(Header(uuid4(), BATCH, 1))
    for body, shard, signal, kind, encoding, when in requests:
        head = form.request_head(shard, Request(body, signal, kind, encoding, when))  # type: ignore[arg-type]
        size = form.record_size(head, body)
        before = len(data)
        data += form.pack_prefix(form.seed_of(BATCH), before, head, body) + head + body
        assert len(data) - before == size
    read = found(data)
    assert damages(read) == []
    seen = []
    end = HEADER_BYTES
    for item in read:
        assert isinstance(item, Record)
        assert (item.kind, item.offset) == (form.REQUEST, end)
        end = item.end
        seen.append(
            (item.body, item.shard, item.request.signal, item.request.content_type,
             item.request.content_encoding, item.request.received_at)
        )  # fmt: skip
    assert seen == requests
    assert end == len(data)


def test_the_header_comes_back() -> None:
    """Node, batch and time are where a reader needs them."""
    header = Header(uuid4(), BATCH, 2**63)
    data = form.pack_header(header)
    assert len(data) == HEADER_BYTES
    assert form.read_header(data + b"more") == header


def test_every_damaged_header_is_known_as_one() -> None:
    """Each bit flipped, each byte cut: damage, never another version and never a header."""
    data = form.pack_header(Header(uuid4(), BATCH, 5))
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert form.read_header(bytes(flipped)) is None
    for length in range(len(data)):
        assert form.read_header(data[:length]) is None


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 3000]))
def test_the_checksum_is_that_of_zlib(data: bytes, value: int, times: int) -> None:
    """Of any length, from any value on, with the GIL kept and without: segments stay readable."""
    assert crc32(data * times, value) == zlib.crc32(data * times, value)


def test_another_version_under_a_right_crc_is_told() -> None:
    """It is no damage: a later or earlier version of the program wrote it."""
    data = bytearray(form.pack_header(Header(uuid4(), BATCH, 5)))
    data[8:10] = (form.FORMAT_VERSION + 1).to_bytes(2, "big")
    data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "big")
    with pytest.raises(VersionError, match=f"found log format {form.FORMAT_VERSION + 1}"):
        form.read_header(bytes(data))


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_byte_flipped_costs_the_record_it_is_in(mask: int) -> None:
    """Of three records at most the one that was hit is lost, and the damage is seen."""
    data, places = packed(BODIES)
    for place in range(HEADER_BYTES, len(data)):
        flipped = bytearray(data)
        flipped[place] ^= mask
        read = found(bytes(flipped))
        (hit,) = (n for n, (begin, end) in enumerate(places) if begin <= place < end)
        assert bodies(read) == [body for number, body in enumerate(BODIES) if number != hit]
        (damage,) = damages(read)
        assert (damage.offset, damage.end) == places[hit]
        # Only the last one may look like a write that a crash has cut.
        assert not damage.torn or hit == len(places) - 1


def test_every_cut_costs_the_records_behind_it() -> None:
    """A file that ends early gives all records before, and says that its end is torn."""
    data, places = packed(BODIES)
    for length in range(len(data) + 1):
        read = found(data[:length])
        whole = [body for body, (_, end) in zip(BODIES, places, strict=True) if end <= length]
        assert bodies(read) == whole
        ends = {HEADER_BYTES, *(end for _, end in places)}
        is_torn = length > HEADER_BYTES and length not in ends
        assert [damage.torn for damage in damages(read)] == ([True] if is_torn else [])


def test_zeros_behind_the_last_record_are_torn() -> None:
    """File systems may have given the size and not the bytes."""
    data, places = packed(BODIES)
    for zeros in (1, 11, 12, 13, 4096, 3 << 20):
        (damage,) = damages(found(data + bytes(zeros)))
        assert (damage.offset, damage.torn) == (places[-1][1], True)
    assert not damages(found(data + bytes(100) + b"x"))[0].torn


def test_bytes_that_look_like_a_record_are_none() -> None:
    """A sender may send a segment, and a segment may be copied: only its own place counts."""
    inner, _ = packed(BODIES)
    # The body is a whole segment of this very batch, at other offsets, and of another batch.
    strange, _ = packed(BODIES, OTHER)
    data, places = packed([inner + strange, b"behind"])
    assert bodies(found(data)) == [inner + strange, b"behind"]
    broken = bytearray(data)
    broken[places[0][0]] ^= 0xFF
    read = found(bytes(broken))
    assert bodies(read) == [b"behind"]
    assert [(d.offset, d.end) for d in damages(read)] == [places[0]]


def test_the_search_crosses_its_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A marker that lies across two reads is found."""
    data, places = packed([b"a" * 50, b"b" * 50])
    for window in range(16, 80):
        monkeypatch.setattr(form, "_SEARCH_BYTES", window)
        broken = bytearray(data)
        broken[places[0][0]] ^= 1
        assert bodies(found(bytes(broken))) == [b"b" * 50]


def test_the_search_reads_each_byte_a_bounded_number_of_times() -> None:
    """Whatever a sender puts into a body: markers, whole prefixes, or lengths that span it all."""
    marker = form._MARKER  # noqa: SLF001 - what a sender may have seen in a log of his own
    size = 1 << 20
    prefix = marker + (size // 2).to_bytes(4, "big") + bytes(8)
    for filling in (marker, prefix, marker[:3], b"\0"):
        body = filling * (size // len(filling))
        data, places = packed([body, b"behind"])
        broken = bytearray(data)
        broken[places[0][0] + 9] ^= 1  # the prefix is none any more: its length is not believed
        reads = Reads(bytes(broken))
        items = list(scan(reads, len(data), BATCH))
        assert bodies(items) == [b"behind"]
        assert [(d.offset, d.end) for d in damages(items)] == [places[0]]
        assert reads.count < 3 * len(data)


def with_record(kind: int, body: bytes = b"", signal: int = 0) -> tuple[bytes, int]:
    """A segment whose last record has a right CRC and this head, and where that record begins."""
    data, places = packed(BODIES)
    head = form._HEAD.pack(kind, 0, 0, signal, 0, 0)  # noqa: SLF001 - as another version packs it
    begin = places[-1][1]
    return data + form.pack_prefix(form.seed_of(BATCH), begin, head, body) + head + body, begin


@pytest.mark.parametrize(("kind", "signal"), [(5, 0), (0, 0), (255, 0), (form.REQUEST, 3)])
def test_a_kind_that_is_not_known_is_no_damage(kind: int, signal: int) -> None:
    """Under a right CRC it is what another version has written: nothing may be read behind it."""
    data, begin = with_record(kind, b"something new", signal)
    items = scan(Reads(data), len(data), BATCH)
    assert [next(items) for _ in BODIES] == found(data[:begin])
    with pytest.raises(UnknownRecordError, match=f"kind {kind} at byte {begin}"):
        next(items)


def test_records_of_all_our_kinds_are_read() -> None:
    """A plan, a note and a destination are a body behind an empty head."""
    for kind in (form.PLAN, form.STORED, form.DESTINATION):
        data, begin = with_record(kind, b"a body")
        last = found(data)[-1]
        assert isinstance(last, Record)
        assert (last.kind, last.offset, last.body) == (kind, begin, b"a body")
