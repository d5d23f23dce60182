"""Bodies in each content encoding, honest and hostile, made by libraries other than ours.

gzip and zlib are Python's, zstd is pyarrow's; what no library writes is put together by hand.
Must not know what is done with them.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

ZSTD_BLOCK_BYTES = 128 << 10
"""RFC 8878, 3.1.1.2.4: no block holds more."""

_ZSTD_MAGIC = bytes.fromhex("28b52ffd")
_RLE = 1


def zstd(payload: bytes) -> bytes:
    """One frame that states the size of its content."""
    return bytes(pa.compress(payload, codec="zstd", asbytes=True))


def zstd_stream(payload: bytes) -> bytes:
    """One frame that does not: what a streaming compressor writes."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(payload)
    return bytes(sink.getvalue().to_pybytes())


def zstd_skippable(content: bytes) -> bytes:
    """A skippable frame (RFC 8878, 3.1.2)."""
    return struct.pack("<II", 0x184D2A50, len(content)) + content


def zstd_zeros(blocks: int, *, window_log: int = 21, content_size: int | None = None) -> bytes:
    """A frame of ``blocks`` blocks of 128 KiB of zeros, 4 bytes each: 32,768 to 1."""
    if content_size is None:
        head = bytes([0x00, (window_log - 10) << 3])
    else:
        head = bytes([0xC0, (window_log - 10) << 3]) + struct.pack("<Q", content_size)
    block = (ZSTD_BLOCK_BYTES << 3 | _RLE << 1).to_bytes(3, "little") + b"\0"
    last = (ZSTD_BLOCK_BYTES << 3 | _RLE << 1 | 1).to_bytes(3, "little") + b"\0"
    return _ZSTD_MAGIC + head + block * (blocks - 1) + last


def gzip_zeros(size: int) -> bytes:
    """One member with ``size`` zeros, about 1,030 to 1; much faster than to compress them all.

    After a full flush a deflate stream can be repeated: one piece of 16 MiB, many times.
    """
    return _deflate_zeros(size, 31, lambda crc: struct.pack("<II", crc, size & 0xFFFFFFFF))


def zlib_zeros(size: int) -> bytes:
    """One zlib stream with ``size`` zeros."""
    return _deflate_zeros(size, 15, lambda adler: struct.pack(">I", adler))


def _deflate_zeros(size: int, wbits: int, trailer: Callable[[int], bytes]) -> bytes:
    unit = 16 << 20
    compressor = zlib.compressobj(9, wbits=-15)
    piece = compressor.compress(bytes(unit)) + compressor.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, wbits=-15)
    tail = rest.compress(bytes(size % unit)) + rest.flush()
    check = zlib.crc32 if wbits > 15 else zlib.adler32
    summed = check(b"")
    for start in range(0, size, unit):
        summed = check(bytes(min(unit, size - start)), summed)
    head = gzip.compress(b"", mtime=0)[:10] if wbits > 15 else b"\x78\xda"
    return head + piece * (size // unit) + tail + trailer(summed)


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda payload: payload,
    "gzip": lambda payload: gzip.compress(payload, mtime=0),
    "zstd": zstd,
    "deflate": zlib.compress,
}
"""Each content encoding that is read, by its name in ``Content-Encoding``."""


def decoded_bytes(body: bytes, encoding: str, most: int) -> int:
    """How large a body is once decompressed, counted up to ``most``; as sent if it is broken."""
    try:
        if encoding == "gzip":
            return len(gzip.GzipFile(fileobj=io.BytesIO(body)).read(most))
        if encoding == "deflate":
            return len(zlib.decompressobj().decompress(body, most))
        if encoding == "zstd":
            return len(pa.CompressedInputStream(pa.BufferReader(body), "zstd").read(most))
    except (OSError, EOFError, zlib.error):
        pass
    return len(body)
