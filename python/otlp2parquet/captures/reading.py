"""The bytes of an input file, decompressed, as they are asked for; and what is cut from them.

Knows compressions and offsets. Must not know what the bytes are. Whether a file is compressed is
told by its first bytes, never by its name.
"""

from contextlib import ExitStack, suppress
from io import BufferedReader
from typing import BinaryIO, Final, Literal, NamedTuple, cast

import pyarrow as pa

from otlp2parquet.captures.inputs import InputFile
from otlp2parquet.core import Signal

_BLOCK_BYTES: Final = 1 << 20
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# pzstd and others put a frame that decoders skip before the first; its magic has 16 forms.
_ZSTD_SKIPPABLE: Final = tuple(bytes([form, 0x2A, 0x4D, 0x18]) for form in range(0x50, 0x60))
# As protobuf this would be field 3 with the wire type 7, which there is not.
_GZIP_MAGIC: Final = b"\x1f\x8b"


class Request(NamedTuple):
    """One export request as read.

    ``offset`` counts the bytes of the decompressed file before the payload, ``position`` those
    of the file itself that have been read by then.
    """

    file: InputFile
    signal: Signal
    content_type: Literal["application/x-protobuf", "application/json"]
    offset: int
    payload: bytes
    position: int


class TornError(Exception):
    """The data cannot be read or decompressed from here on."""


class Input:
    """Exact reads from a file, decompressed, with the offset at which we are.

    A read gives fewer bytes only at the end. Everything before a break in the compressed data is
    given; what would reach over it raises ``TornError``.
    """

    def __init__(self, file: InputFile, closing: ExitStack) -> None:
        self._file = file
        self._closing = closing
        self._torn: TornError | None = None
        self._begin = 0  # the offset of the block
        self._block = b""
        self._at = 0
        self.position = 0
        """Bytes of the file itself that have been read."""
        self.compression: Literal["gzip", "zstd"] | None = None
        self._open()

    def _open(self) -> None:
        enter = self._closing.enter_context
        self._raw = raw = enter(
            BufferedReader(self._file.path.open("rb", buffering=0), _BLOCK_BYTES)
        )
        self._stream: BinaryIO = raw
        magic = raw.peek(4)[:4]
        if magic.startswith(_GZIP_MAGIC):
            self.compression = "gzip"
        elif magic == _ZSTD_MAGIC or magic in _ZSTD_SKIPPABLE:
            self.compression = "zstd"
        if self.compression is not None:
            inflated = enter(pa.CompressedInputStream(raw, self.compression))
            self._stream = cast("BinaryIO", inflated)

    @property
    def offset(self) -> int:
        """Decompressed bytes before those that are read next."""
        return self._begin + self._at

    def peek(self) -> bytes:
        """The bytes that are read next, as many as there are in memory; none only at the end."""
        if self._at == len(self._block) and not self._fill():
            return b""
        return self._block[self._at :]

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        end = self._at + size
        if end <= len(self._block):
            data = self._block[self._at : end]
            self._at = end
            return data
        parts: list[bytes] = []
        while size > 0 and (self._at < len(self._block) or self._fill()):
            part = self._block[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def some(self) -> bytes:
        """The next bytes, as many as there are in memory; none only at the end."""
        data = self.peek()
        self._at = len(self._block)
        return data

    def skip(self, size: int) -> int:
        """Pass over up to ``size`` bytes; how many were there."""
        start = self.offset
        while (left := size - (self.offset - start)) > 0:
            if not self.read(min(left, _BLOCK_BYTES)):
                break
        return self.offset - start

    def _fill(self) -> bool:
        """Take the next block; whether there was one."""
        if self._torn is not None:
            raise self._torn
        self._begin += len(self._block)
        self._at, self._block = 0, b""
        try:
            self._block = self._stream.read(_BLOCK_BYTES)
        except (OSError, pa.ArrowException) as error:
            self._torn = TornError(str(error))
            self._block = self._salvaged()
            if not self._block:
                raise self._torn from error
        self.position = self._raw.tell()
        return bool(self._block)

    def _salvaged(self) -> bytes:
        """What comes before the break: the read that met it gave nothing."""
        found = bytearray()
        with suppress(OSError, pa.ArrowException):
            self._open()
            left = self._begin
            while left > 0 and (block := self._stream.read(min(left, _BLOCK_BYTES))):
                left -= len(block)
            while byte := self._stream.read(1):
                found += byte
        return bytes(found)


def inflated_zstd(packed: bytes, most: int) -> bytes:
    """Up to ``most`` bytes of what a zstd frame holds; ``TornError`` where it breaks."""
    parts: list[bytes] = []
    try:
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
            while most > 0 and (part := stream.read(min(most, _BLOCK_BYTES))):
                parts.append(part)
                most -= len(part)
    except (OSError, pa.ArrowException) as error:
        raise TornError(str(error)) from error
    return b"".join(parts)


def is_zstd(data: bytes) -> bool:
    """Whether some bytes begin a zstd frame."""
    return data.startswith(_ZSTD_MAGIC)
