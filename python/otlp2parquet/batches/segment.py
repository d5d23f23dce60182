"""The bytes of a log segment: one header, then records, and what is found when they are read.

Knows the format and nothing of who writes it: no descriptor is opened, no sync made, no batch
decoded here. Numbers are big-endian.

Header (64 bytes): magic, format version, 6 zero bytes, node id, batch id, time of opening (ns),
4 zero bytes, CRC-32 of what precedes it.

Record: marker, length of what follows the CRC, CRC-32, head, body. The CRC covers length, head
and body, and is seeded with the batch id and the record's own offset: bytes that merely look
like a record (a body may hold anything, also a copy of a segment) never pass for one.
Head: kind, shard, receive time (ns), signal, and the content type and encoding, each behind its
length. Only a request has all of these; a plan and a note are a body behind an empty head.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final
from uuid import UUID

from otlp2parquet.core import SIGNALS, Signal
from otlp2parquet.core.decoder import crc32

FORMAT_VERSION: Final = 1

_MAGIC: Final = b"O2PLOG\r\n"  # changed by whatever takes the file for text
_HEADER: Final = struct.Struct(">8sH6x16s16sQ4x")
_CRC: Final = struct.Struct(">I")
HEADER_BYTES: Final = _HEADER.size + _CRC.size

_MARKER: Final = b"\xc3\x0dR\x1a"
_PREFIX: Final = struct.Struct(">4sII")
_HEAD: Final = struct.Struct(">BHQBBB")
_PLACE: Final = struct.Struct(">QI")

REQUEST: Final = 1
PLAN: Final = 2
STORED: Final = 3

_SEARCH_BYTES: Final = 1 << 20


class VersionError(Exception):
    """A header that is whole and of a format that this version does not know."""

    def __init__(self, version: int) -> None:
        super().__init__(f"found log format {version}, expected {FORMAT_VERSION}")
        self.version = version


@dataclass(frozen=True, slots=True)
class Header:
    """Who wrote the segment, for which batch, and when it was opened (ns since the epoch)."""

    node: UUID
    batch: UUID
    opened_at: int


@dataclass(frozen=True, slots=True)
class Record:
    """One whole record, from ``offset`` to ``end``."""

    offset: int
    end: int
    kind: int
    shard: int
    signal: Signal
    content_type: str
    content_encoding: str | None
    received_at: int
    body: bytes


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


def request_head(
    shard: int,
    signal: Signal,
    content_type: str,
    content_encoding: str | None,
    received_at: int,
) -> bytes:
    """The head of a request's record. Content type and encoding have at most 255 bytes."""
    kind_of_body = content_type.encode()
    encoding = (content_encoding or "").encode()
    number = SIGNALS.index(signal)
    lengths = (len(kind_of_body), len(encoding))
    return _HEAD.pack(REQUEST, shard, received_at, number, *lengths) + kind_of_body + encoding


def other_head(kind: int) -> bytes:
    """The head of a plan or a note."""
    return _HEAD.pack(kind, 0, 0, 0, 0, 0)


def record_size(head: bytes, body: bytes) -> int:
    """Bytes of a record in the file."""
    return _PREFIX.size + len(head) + len(body)


def pack_prefix(seed: int, offset: int, head: bytes, body: bytes) -> bytes:
    """What stands before the head of the record at ``offset``."""
    length = len(head) + len(body)
    crc = crc32(body, crc32(head, _crc(seed, offset, length)))
    return _PREFIX.pack(_MARKER, length, crc)


def _crc(seed: int, offset: int, length: int) -> int:
    return crc32(_PLACE.pack(offset, length), seed)


def scan(file: BinaryIO, end: int, batch: UUID) -> Iterator[Record | Damage]:
    """The records from the header to ``end``, in order, and the damage between and behind them.

    Holds one record at a time. Raises ``OSError`` when the file cannot be read.
    """
    seed = seed_of(batch)
    offset = HEADER_BYTES
    while offset < end:
        record = _read(file, offset, end, seed)
        if record is not None:
            yield record
            offset = record.end
            continue
        following = _search(file, offset + 1, end, seed)
        if following is None:
            yield Damage(offset, end, _is_torn(file, offset, end))
            return
        yield Damage(offset, following, torn=False)
        offset = following


def _read(file: BinaryIO, offset: int, end: int, seed: int) -> Record | None:
    """The record at ``offset``, None if there is no whole one."""
    least = _PREFIX.size + _HEAD.size
    if end - offset < least:
        return None
    file.seek(offset)
    start = file.read(least)
    if len(start) < least:
        return None
    marker, length, crc = _PREFIX.unpack_from(start)
    stop = offset + _PREFIX.size + length
    if marker != _MARKER or length < _HEAD.size or stop > end:
        return None
    kind, shard, received_at, signal, *lengths = _HEAD.unpack_from(start, _PREFIX.size)
    names = sum(lengths)
    if kind not in (REQUEST, PLAN, STORED) or signal >= len(SIGNALS):
        return None
    body_bytes = length - _HEAD.size - names
    if body_bytes < 0:
        return None
    texts, body = file.read(names), file.read(body_bytes)
    if len(texts) < names or len(body) < body_bytes:
        return None
    found = crc32(texts, crc32(start[_PREFIX.size :], _crc(seed, offset, length)))
    if crc32(body, found) != crc:
        return None
    content_type = texts[: lengths[0]].decode(errors="replace")
    encoding = texts[lengths[0] :].decode(errors="replace") or None
    return Record(
        offset, stop, kind, shard, SIGNALS[signal], content_type, encoding, received_at, body
    )


def _search(file: BinaryIO, start: int, end: int, seed: int) -> int | None:
    """Where the next whole record begins."""
    overlap = len(_MARKER) - 1
    while start < end:
        file.seek(start)
        window = file.read(min(_SEARCH_BYTES, end - start))
        if len(window) <= overlap:
            return None
        place = window.find(_MARKER)
        while place >= 0:
            if _read(file, start + place, end, seed) is not None:
                return start + place
            place = window.find(_MARKER, place + 1)
        start += len(window) - overlap
    return None


def _is_torn(file: BinaryIO, offset: int, end: int) -> bool:
    """Whether the last bytes are the beginning of a record, or zeros that were never written."""
    file.seek(offset)
    start = file.read(min(_PREFIX.size, end - offset))
    if len(start) < _PREFIX.size:
        return _MARKER.startswith(start[: len(_MARKER)]) or not any(start)
    marker, length, _ = _PREFIX.unpack(start)
    if marker == _MARKER:
        return bool(offset + _PREFIX.size + length > end)
    if any(start):
        return False
    while window := file.read(_SEARCH_BYTES):
        if any(window):
            return False
    return True
