"""The names of converted requests, sorted in files that are searched where they lie.

Names are hashes, so their numbers are spread evenly: a few guesses find one among millions, and a
file of millions takes no memory but the pages that were looked at. Knows the form of these files,
and no request.
"""

import mmap
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from otlp2parquet.convert.naming import MARK, NAME, Name

# In the byte order of this machine, as the names: another machine's file is not taken for ours.
_MAGIC: Final = 0x6F32702D6B657931
_WORDS: Final = 2
"""Numbers of a name, and of the header."""
_SORTED_AT_ONCE: Final = 1 << 20


class KeyFile:
    """Sorted names, each with its mark; ``buffer`` is the file's content, mapped or read."""

    def __init__(self, buffer: mmap.mmap | bytes) -> None:
        self._buffer = buffer
        self._whole = whole = memoryview(buffer)
        if len(whole) < NAME.size or len(whole) % NAME.size:
            raise ValueError(f"{len(whole)} bytes, expected a multiple of {NAME.size}")
        self._words = whole.cast("Q")
        if self._words[0] != _MAGIC:
            raise ValueError("another form or byte order than this version's here")
        self.count = len(self._words) // _WORDS - 1

    def mark_of(self, name: Name) -> int | None:
        """The mark of a name that is here, 0 or 1; ``None`` if it is not."""
        first, second = name
        words = self._words
        low, high = 0, self.count
        low_value, high_value = 0, 1 << 64
        while low < high:
            middle = low + (first - low_value) * (high - low) // (high_value - low_value)
            value = words[_WORDS + _WORDS * middle]
            if value < first:
                low, low_value = middle + 1, value
            elif value > first:
                high, high_value = middle, value
            else:
                return self._mark_near(middle, first, second)
        return None

    def _mark_near(self, place: int, first: int, second: int) -> int | None:
        """The mark, where several names agree in their first number."""
        words = self._words
        while place > 0 and words[_WORDS * place] == first:
            place -= 1
        marks = None
        while place < self.count and words[_WORDS + _WORDS * place] <= first:
            if words[_WORDS + _WORDS * place] == first:
                other = words[_WORDS + _WORDS * place + 1]
                if other & ~MARK == second:
                    marks = (marks or 0) | (other & MARK)
            place += 1
        return marks

    def entries(self, begin: int, end: int) -> bytes:
        """The names from the number ``begin`` on, below ``end``."""
        words, places = self._words, range(self.count)
        start, stop = (
            bisect_left(places, value, key=lambda place: words[_WORDS + _WORDS * place])
            for value in (begin, end)
        )
        found = words[_WORDS + _WORDS * start : _WORDS + _WORDS * stop].tobytes()
        if isinstance(self._buffer, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self._buffer.madvise(mmap.MADV_DONTNEED)  # read once, and not to be counted as ours
        return found

    def close(self) -> None:
        """Let go of the file."""
        self._words.release()
        self._whole.release()
        if isinstance(self._buffer, mmap.mmap):
            self._buffer.close()


def write_keys(entries: bytes, sink: BinaryIO) -> None:
    """Write a file of names in any order."""
    sink.write(_header())
    sink.write(_sorted(entries))


def write_merged(files: Sequence[KeyFile], sink: BinaryIO) -> None:
    """Write the names of several files as one, piece by piece."""
    sink.write(_header())
    pieces = sum(file.count for file in files) // _SORTED_AT_ONCE + 1
    for piece in range(pieces):
        begin, end = (piece << 64) // pieces, (piece + 1 << 64) // pieces
        sink.write(_sorted(b"".join(file.entries(begin, end) for file in files)))


def mergeable(files: Sequence[KeyFile]) -> list[KeyFile]:
    """The small files that are worth to be one: each name is then rewritten a few times at most."""
    chosen: list[KeyFile] = []
    total = 0
    for file in sorted(files, key=lambda one: one.count):
        if chosen and file.count > 2 * total:
            break
        chosen.append(file)
        total += file.count
    return chosen if len(chosen) > 1 else []


def content_of(file: BinaryIO) -> mmap.mmap | bytes:
    """What an open file holds: mapped where it is a file of the system, else read; it is closed."""
    with file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return file.read()


def _header() -> bytes:
    return NAME.pack(_MAGIC, 0)


def _sorted(entries: bytes) -> bytes:
    """Names sorted by their first numbers."""
    words = array("Q")
    words.frombytes(entries)
    count = len(words) // _WORDS
    firsts = pa.Array.from_buffers(pa.uint64(), count, [None, pa.py_buffer(words[::_WORDS])])
    whole = pa.Array.from_buffers(pa.binary(NAME.size), count, [None, pa.py_buffer(entries)])
    ordered = whole.take(pc.sort_indices(firsts))
    data: bytes = ordered.buffers()[1].to_pybytes()
    return data[: len(entries)]
