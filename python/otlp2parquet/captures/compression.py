"""gzip and zstd undone, block by block; everything before a break is given.

Knows the two formats by their first bytes. Must not know what is compressed. What is held at a
time is a block, and zstd's window: 128 MiB at most, frames that want more are refused.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from io import RawIOBase
from typing import Final, cast

import pyarrow as pa

from otlp2parquet.captures.source import BLOCK_BYTES, Source, TornError

_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# pzstd and others put a frame that decoders skip before the first; its magic has 16 forms.
_ZSTD_SKIPPABLE: Final = tuple(bytes([form, 0x2A, 0x4D, 0x18]) for form in range(0x50, 0x60))
MAGIC_BYTES: Final = 4

_SLICE_BYTES: Final = 1 << 16
_GZIP: Final = 31  # zlib's word for a window of 32 KiB and a gzip header
_TRUNCATED: Final = "Truncated compressed stream"
_UNTOUCHED: Final = b"\xff" * BLOCK_BYTES


def compression_of(head: bytes) -> str | None:
    """The compression of what begins with ``head``, by its magic number."""
    if head.startswith(_GZIP_MAGIC):
        return "gzip"
    magic = head[:MAGIC_BYTES]
    return "zstd" if magic == _ZSTD_MAGIC or magic in _ZSTD_SKIPPABLE else None


def inflated_gzip(source: Source) -> Iterator[bytes]:
    """What gzip members one behind another hold, also with zeros between them.

    Zeros behind the last are told: they stand where a system that fell lost what was written.
    """
    while True:
        yield from _member(source)
        end, zeros = source.offset, 0
        while (block := source.some()) and not block.strip(b"\0"):
            zeros += len(block)
        if not block:
            if zeros:
                raise TornError(f"{zeros} zeros follow byte {end} of the compressed file")
            return
        source.back(len(block.lstrip(b"\0")))
        if source.peek(len(_GZIP_MAGIC))[: len(_GZIP_MAGIC)] != _GZIP_MAGIC:
            raise TornError(
                f"what follows byte {source.offset} of the compressed file is not gzip (unknown "
                "compression method or no header)"
            )


def _member(source: Source) -> Iterator[bytes]:
    inflater = zlib.decompressobj(_GZIP)
    while True:
        block = source.some()
        if not block:
            raise TornError(_TRUNCATED)
        for begin in range(0, len(block), _SLICE_BYTES):
            given = block[begin : begin + _SLICE_BYTES]
            while True:
                before = inflater.copy()
                try:
                    data = inflater.decompress(given, BLOCK_BYTES)
                except zlib.error as error:
                    yield from _bytewise(before, given)
                    raise TornError(str(error)) from error
                if data:
                    yield data
                given = inflater.unconsumed_tail
                if inflater.eof or (not given and len(data) < BLOCK_BYTES):
                    break
            if inflater.eof:
                source.back(len(inflater.unused_data) + max(0, len(block) - begin - _SLICE_BYTES))
                return


def _bytewise(inflater: "zlib._Decompress", given: bytes) -> Iterator[bytes]:
    """What comes before the break: the call that met it gave nothing."""
    for place in range(len(given)):
        try:
            data = inflater.decompress(given[place : place + 1])
        except zlib.error:
            return
        if data:
            yield data


class _Raw(RawIOBase):
    """A source as the file that pyarrow reads; ``torn`` is how the source itself ended."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.torn: TornError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            block = self._source.some()
        except TornError as error:
            self.torn = error
            return b""
        if 0 <= size < len(block):
            self._source.back(len(block) - size)
            block = block[:size]
        return block


def inflated_zstd(source: Source) -> Iterator[bytes]:
    """What zstd frames one behind another hold; skippable ones hold nothing."""
    raw = _Raw(source)
    target = bytearray(_UNTOUCHED)
    with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd") as stream:
        while True:
            target[:] = _UNTOUCHED
            try:
                size = stream.readinto(target)
            except (OSError, pa.ArrowException) as error:
                # The call says no number, but what came before the break is in the buffer.
                if part := bytes(target).rstrip(_UNTOUCHED[:1]):
                    yield part
                raise raw.torn or TornError(str(error)) from error
            if not size:
                if raw.torn is not None:
                    raise raw.torn
                return
            yield bytes(memoryview(target)[:size])


INFLATERS: Final[Mapping[str, Callable[[Source], Iterator[bytes]]]] = {
    "gzip": inflated_gzip,
    "zstd": inflated_zstd,
}
"""Each compression and what undoes it."""


def inflated(packed: bytes, most: int) -> bytes:
    """Up to ``most`` bytes of what compressed bytes hold; ``TornError`` where they break."""
    codec = cast("str", compression_of(packed))
    return Source(INFLATERS[codec](Source(iter((packed,))))).read(most)
