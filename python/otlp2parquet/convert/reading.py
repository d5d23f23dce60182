"""The bytes of an input file, decompressed, as they are asked for; and what is cut from them.

Knows compressions and offsets. Must not know what the bytes are.
"""

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import pyarrow as pa

from otlp2parquet.convert.inputs import InputFile

_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """One export request as read.

    ``offset`` counts the bytes of the decompressed file before the payload, ``position`` those
    of the file itself that have been read when it is complete.
    """

    file: InputFile
    offset: int
    payload: bytes
    position: int


class TornError(Exception):
    """The compressed data ends or breaks here."""


class Input:
    """Exact reads from a file, decompressed, with the offset at which we are.

    A read gives fewer bytes only at the end. Nothing is read ahead, so that a break in the
    compressed data costs the frame it lies in and none before.
    """

    def __init__(self, file: InputFile, closing: ExitStack) -> None:
        self.offset = 0
        self._file = file
        self._closing = closing
        self._torn: TornError | None = None
        self._open()

    def _open(self) -> None:
        enter, file = self._closing.enter_context, self._file
        self._raw = raw = enter(file.path.open("rb", buffering=_BLOCK_BYTES))
        self._stream: BinaryIO = raw
        if file.compression is not None:
            inflated = enter(pa.CompressedInputStream(raw, file.compression))
            self._stream = cast("BinaryIO", inflated)

    @property
    def position(self) -> int:
        """Bytes of the file itself that have been read."""
        return self._raw.tell()

    def read(self, size: int, head: bytes = b"") -> bytes:
        """``head`` and the next ``size`` bytes."""
        data = read_up_to(self._stream, size, head)
        self.offset += len(data) - len(head)
        return data

    def some(self) -> bytes:
        """The next bytes, as many as come at once; none only at the end."""
        if self._torn is not None:
            raise self._torn
        try:
            data = self._stream.read(_BLOCK_BYTES)
        except OSError as error:
            self._torn = TornError(str(error))
            data = self._salvaged()
            if not data:
                raise self._torn from error
        self.offset += len(data)
        return data

    def _salvaged(self) -> bytes:
        """What comes before the break: the read that met it gave nothing."""
        found = bytearray()
        with suppress(OSError):
            self._open()
            left = self.offset
            while left > 0 and (block := self._stream.read(min(left, _BLOCK_BYTES))):
                left -= len(block)
            while byte := self._stream.read(1):
                found += byte
        return bytes(found)

    def skip(self, size: int) -> int:
        """Pass over up to ``size`` bytes; how many were there."""
        start = self.offset
        while (left := size - (self.offset - start)) > 0:
            if not self.read(min(left, _BLOCK_BYTES)):
                break
        return self.offset - start


def read_up_to(stream: BinaryIO, size: int, head: bytes = b"") -> bytes:
    """``head`` and up to ``size`` bytes of ``stream``, taken as they come."""
    blocks = [head] if head else []
    while size > 0:
        try:
            block = stream.read(min(size, _BLOCK_BYTES))
        except OSError as error:
            raise TornError(str(error)) from error
        if not block:
            break
        blocks.append(block)
        size -= len(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)
