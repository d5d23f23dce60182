"""Parquet's RLE/bit-packing hybrid, which levels and places in dictionaries are written with.

Knows small numbers and how many bits each takes, nothing of columns. The whole sequence is one
run: repeated if all numbers are the same, bit-packed otherwise. What shorter runs would save is
saved by the compression, and to look for them in Python would cost more than to pack.
"""

import sys
from array import array
from collections.abc import Sequence
from typing import Final

from otlp2parquet.writers.thrift import varint

_DIGITS: Final = bytes.maketrans(bytes(range(16)), b"0123456789abcdef")
_BYTE_BITS: Final = 8
_TYPE_CODES: Final = {16: "H", 32: "I"}


def bit_width(largest: int) -> int:
    """The width for numbers up to ``largest``: one that Python packs at once.

    That is a power of two: digits of a number in such a base are read in time linear in their
    count. The width is a choice of the writer, not the least that would do.
    """
    return next(width for width in (1, 2, 4, 8, 16, 32) if largest < 1 << width)


def hybrid(numbers: Sequence[int], width: int) -> bytes:
    """The numbers in ``width`` bits each; up to 8 bits they are given as ``bytes``."""
    count = len(numbers)
    if not count:
        return b""
    if isinstance(numbers, bytes) and numbers.count(numbers[0]) == count:
        # "rle-header := varint-encode( (rle-run-len) << 1)", then the value in whole bytes
        return varint(count << 1) + numbers[:1]
    # "bit-pack-scaled-run-len := (bit-packed-run-len) / 8": the last group is filled with zeros.
    groups = -(-count // 8)
    return varint(groups << 1 | 1) + _packed(numbers, width, groups)


def repeated(number: int, count: int) -> bytes:
    """One number of at most 8 bits, ``count`` times."""
    return varint(count << 1) + number.to_bytes(1, "little")


def _packed(numbers: Sequence[int], width: int, groups: int) -> bytes:
    """``groups`` times 8 numbers, the first one in the lowest bits."""
    if width > _BYTE_BITS:
        wide = array(_TYPE_CODES[width], numbers)
        if sys.byteorder == "big":
            wide.byteswap()
        packed = wide.tobytes()
    elif width == _BYTE_BITS:
        packed = bytes(numbers)
    else:
        # The numbers, read from behind, are the digits of one large number.
        digits = bytes(numbers).translate(_DIGITS)[::-1]
        return int(digits, 1 << width).to_bytes(groups * width, "little")
    return packed.ljust(groups * width, b"\0")
