"""The bytes of a capture as they are asked for, with the offset at which we are.

Knows blocks of bytes and nothing else: where they come from is an iterator, what they are is the
matter of whoever reads. Holds one block, and what a read asks for.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from otlp2parquet.durable import reason_of

BLOCK_BYTES: Final = 1 << 20


class TornError(Exception):
    """The data cannot be read or decompressed from here on."""


def blocks_of(raw: BinaryIO) -> Iterator[bytes]:
    """The bytes of an open file as they come: of a pipe without waiting for a whole block."""
    read = getattr(raw, "read1", raw.read)
    try:
        while block := read(BLOCK_BYTES):
            yield block
    except OSError as error:
        raise TornError(reason_of(error)) from error


class Source:
    """Exact reads from blocks.

    A read gives fewer bytes only at the end. Everything before a break is given; what would reach
    over it raises ``TornError``, also when it is asked for again.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._torn: TornError | None = None
        self._begin = 0  # the offset of the block
        self._block = b""
        self._at = 0

    @property
    def offset(self) -> int:
        """Bytes before those that are read next."""
        return self._begin + self._at

    def peek(self, size: int = 1) -> bytes:
        """The bytes that are read next: at least ``size``, fewer only before the end or a break."""
        while len(self._block) - self._at < size:
            try:
                more = self._next()
            except TornError:
                if self._at == len(self._block):
                    raise
                break
            if not more:
                break
            self._begin += self._at
            self._block, self._at = self._block[self._at :] + more, 0
        return self._block[self._at :] if self._at else self._block

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
        if self._at == len(self._block) and not self._fill():
            return b""
        data = self._block[self._at :] if self._at else self._block
        self._at = len(self._block)
        return data

    def back(self, size: int) -> None:
        """Take back the last bytes of what ``some`` gave."""
        self._at -= size

    def skip(self, size: int) -> int:
        """Pass over up to ``size`` bytes; how many were there."""
        start = self.offset
        while (left := size - (self.offset - start)) > 0:
            if not self.read(min(left, BLOCK_BYTES)):
                break
        return self.offset - start

    def _fill(self) -> bool:
        """Take the next block; whether there was one."""
        block = self._next()
        self._begin += len(self._block)
        self._at, self._block = 0, block
        return bool(block)

    def _next(self) -> bytes:
        if self._torn is not None:
            raise self._torn
        try:
            return next(self._blocks, b"")
        except TornError as error:
            self._torn = error
            raise
