"""The bytes of a log segment: one header, then records, and what is found when they are read.

Knows the format and nothing of who writes it: no file is opened, no sync made, no batch decoded
here. Numbers are big-endian.

Header (64 bytes): magic, format version, 6 zero bytes, node id, batch id, time of opening (ns),
4 zero bytes, CRC-32 of what precedes it.

Record: prefix, head, body. The prefix is a marker, the length of head and body, a CRC-32 of the
record's own offset and length, and a CRC-32 of all. Both are seeded with the batch id: bytes that
merely look like a record (a body may hold anything, also a copy of a segment) never pass for one,
and because the prefix has a CRC of its own, a reader that looks for the next record after damage
reads no byte twice, whatever the bytes are.
Head: kind, shard, receive time (ns), signal, and the content type and encoding, each behind its
length. Only a request has all of these; the others are a body behind an empty head.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from otlp2parquet.batches.request import Request
from otlp2parquet.core import SIGNALS
from otlp2parquet.core.decoder import crc32

FORMAT_VERSION: Final = 2

_MAGIC: Final = b"O2PLOG\r\n"  # changed by whatever takes the file for text
_HEADER: Final = struct.Struct(">8sH6x16s16sQ4x")
_CRC: Final = struct.Struct(">I")
HEADER_BYTES: Final = _HEADER.size + _CRC.size

_MARKER: Final = b"\xc3\x0dR\x1a"
_PREFIX: Final = struct.Struct(">4sIII")
_HEAD: Final = struct.Struct(">BHQBBB")
_PLACE: Final = struct.Struct(">QI")

REQUEST: Final = 1
PLAN: Final = 2
STORED: Final = 3
DESTINATION: Final = 4
_KINDS: Final = frozenset({REQUEST, PLAN, STORED, DESTINATION})

_SEARCH_BYTES: Final = 1 << 20

ReadAt = Callable[[int, int], bytes]
"""Up to so many bytes from an offset on, fewer only at the end; raises ``OSError``."""


class VersionError(Exception):
    """A header that is whole and of a format that this version does not know."""

    def __init__(self, version: int) -> None:
        super().__init__(f"found log format {version}, expected {FORMAT_VERSION}")
        self.version = version


class UnknownRecordError(Exception):
    """A record that is whole and of a kind that this version does not know: no damage."""

    def __init__(self, kind: int, offset: int) -> None:
        super().__init__(
            f"found a whole record of kind {kind} at byte {offset}, expected one of "
            f"{', '.join(map(str, sorted(_KINDS)))}: another version of otlp2parquet wrote it"
        )


@dataclass(frozen=True, slots=True)
class Header:
    """Who wrote the segment, for which batch, and when it was opened (ns since the epoch)."""

    node: UUID
    batch: UUID
    opened_at: int


@dataclass(frozen=True, slots=True)
class Record:
    """One whole record, from ``offset`` to ``end``: a request, or a ``body`` of another kind."""

    offset: int
    end: int
    kind: int
    shard: int
    request: Request

    @property
    def body(self) -> bytes:
        """What a record that is no request holds."""
        return self.request.payload


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no record.

    ``torn``: the file ends before the record does, as after a crash in the middle of a write;
    otherwise what was written whole is no longer what it was.
    """

    offset: int
    end: int
    torn: bool


def pack_header(header: Header) -> bytes:
    """The first bytes of a segment."""
    fields = (header.node.bytes, header.batch.bytes, header.opened_at)
    packed = _HEADER.pack(_MAGIC, FORMAT_VERSION, *fields)
    return packed + _CRC.pack(crc32(packed))


def read_header(packed: bytes) -> Header | None:
    """The header, None if it is damaged. Raises ``VersionError`` for a format of another time."""
    if len(packed) < HEADER_BYTES:
        return None
    (crc,) = _CRC.unpack_from(packed, _HEADER.size)
    if crc32(packed[: _HEADER.size]) != crc:
        return None
    magic, version, node, batch, opened_at = _HEADER.unpack_from(packed)
    if magic != _MAGIC:
        return None
    if version != FORMAT_VERSION:
        raise VersionError(version)
    return Header(UUID(bytes=node), UUID(bytes=batch), opened_at)


def seed_of(batch: UUID) -> int:
    """What the CRCs of a batch's records begin with."""
    return crc32(batch.bytes)


def request_head(shard: int, request: Request) -> bytes:
    """The head of a request's record. Content type and encoding have at most 255 bytes."""
    content_type = request.content_type.encode()
    encoding = (request.content_encoding or "").encode()
    number = SIGNALS.index(request.signal)
    lengths = (len(content_type), len(encoding))
    head = _HEAD.pack(REQUEST, shard, request.received_at, number, *lengths)
    return head + content_type + encoding


def other_head(kind: int) -> bytes:
    """The head of a record that is no request."""
    return _HEAD.pack(kind, 0, 0, 0, 0, 0)


def record_size(head: bytes, body: bytes) -> int:
    """Bytes of a record in the file."""
    return _PREFIX.size + len(head) + len(body)


def pack_prefix(seed: int, offset: int, head: bytes, body: bytes) -> bytes:
    """What stands before the head of the record at ``offset``."""
    length = len(head) + len(body)
    place = _place_crc(seed, offset, length)
    return _PREFIX.pack(_MARKER, length, place, crc32(body, crc32(head, place)))


def _place_crc(seed: int, offset: int, length: int) -> int:
    return crc32(_PLACE.pack(offset, length), seed)


def scan(read: ReadAt, end: int, batch: UUID) -> Iterator[Record | Damage]:
    """The records from the header to ``end``, in order, and the damage between and behind them.

    Holds one record at a time, and reads each byte a bounded number of times. Raises ``OSError``
    when the file cannot be read, and ``UnknownRecordError``.
    """
    seed = seed_of(batch)
    offset = HEADER_BYTES
    while offset < end:
        stop = _stop_of(read(offset, min(_PREFIX.size, end - offset)), offset, seed)
        if stop is None:
            stop = _search(read, offset + 1, end, seed)
            torn = stop is None and _is_torn(read, offset, end)
            stop = end if stop is None else stop
            yield Damage(offset, stop, torn)
        elif stop > end:
            yield Damage(offset, end, torn=True)
        else:
            yield _read_record(read, offset, stop) or Damage(offset, stop, torn=False)
        offset = stop


def _stop_of(prefix: bytes, offset: int, seed: int) -> int | None:
    """Where the record ends whose prefix this is, None if it is none."""
    if len(prefix) < _PREFIX.size:
        return None
    marker, length, place, _ = _PREFIX.unpack_from(prefix)
    if marker != _MARKER or length < _HEAD.size or place != _place_crc(seed, offset, length):
        return None
    return int(offset + _PREFIX.size + length)


def _read_record(read: ReadAt, offset: int, stop: int) -> Record | None:
    """The record between the two, None if what it holds is not what was written."""
    data = read(offset, stop - offset)
    if len(data) < stop - offset:
        return None
    _, _, place, crc = _PREFIX.unpack_from(data)
    content = data[_PREFIX.size :]
    if crc32(content, place) != crc:
        return None
    kind, shard, received_at, signal, *lengths = _HEAD.unpack_from(content)
    names = _HEAD.size + sum(lengths)
    if kind not in _KINDS or signal >= len(SIGNALS) or names > len(content):
        raise UnknownRecordError(kind, offset)
    content_type = content[_HEAD.size : _HEAD.size + lengths[0]].decode(errors="replace")
    encoding = content[_HEAD.size + lengths[0] : names].decode(errors="replace") or None
    request = Request(content[names:], SIGNALS[signal], content_type, encoding, received_at)
    return Record(offset, stop, kind, shard, request)


def _search(read: ReadAt, start: int, end: int, seed: int) -> int | None:
    """Where the next record begins."""
    while start < end:
        window = read(start, min(_SEARCH_BYTES, end - start))
        if len(window) < _PREFIX.size:
            return None
        place = window.find(_MARKER)
        while 0 <= place <= len(window) - _PREFIX.size:
            prefix = window[place : place + _PREFIX.size]
            if _stop_of(prefix, start + place, seed) is not None:
                return start + place
            place = window.find(_MARKER, place + 1)
        start += len(window) - _PREFIX.size + 1
    return None


def _is_torn(read: ReadAt, offset: int, end: int) -> bool:
    """Whether the last bytes are the beginning of a prefix, or zeros that were never written."""
    start = read(offset, min(_PREFIX.size, end - offset))
    if any(start) and not _MARKER.startswith(start[: len(_MARKER)].rstrip(b"\0")):
        return False
    if any(start) and len(start) == _PREFIX.size and start[-len(_MARKER) :].strip(b"\0"):
        return False  # a whole prefix, which is not what was written
    offset += len(start)
    while offset < end and (window := read(offset, min(_SEARCH_BYTES, end - offset))):
        if any(window):
            return False
        offset += len(window)
    return True
