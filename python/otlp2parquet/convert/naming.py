"""What a request is called: by its content, and by how many equal ones came before it.

The k-th of equal requests (same signal, same payload) is a request of its own. So the same inputs
give the same names, whatever their files are called, in which order they come and when they were
last touched; and of inputs that grew only the new requests have new names. Knows bytes and no
file.
"""

from array import array
from collections.abc import Iterable
from hashlib import sha256
from struct import Struct
from typing import Final

from otlp2parquet.batch_id import uuid_text
from otlp2parquet.captures import Request
from otlp2parquet.core import SIGNALS

Name = tuple[int, int]
"""127 bits of a hash; the lowest bit of the second number is free for a mark."""

NAME: Final = Struct("=QQ")
MARK: Final = 1
_UNMARKED: Final = (1 << 64) - 2

_SEEDS: Final = {signal: sha256(f"otlp2parquet request: {signal}\n".encode()) for signal in SIGNALS}
_OCCURRENCE: Final = sha256(b"otlp2parquet occurrence\n")
_BATCH: Final = sha256(b"otlp2parquet conversion\n")

_FIRST: Final = Struct("=Q")
_SHARDS: Final = 64
_SHARD_BITS: Final = 58
_IN_SHARD: Final = (1 << _SHARD_BITS) - 1
_FIRST_SLOTS: Final = 64
_MOST_FULL: Final = 0.7
_GROWTH: Final = 1.5
_COUNT_LIMIT: Final = 255


def digest(request: Request) -> bytes:
    """32 bytes that stand for the signal and the payload of a request."""
    whole = _SEEDS[request.signal].copy()
    whole.update(request.payload)
    return whole.digest()


def name_of(content: bytes, occurrence: int, again: bytes = b"") -> Name:
    """The name of the ``occurrence``-th request whose ``digest`` is ``content``, from 1 on.

    ``again`` is empty, or tells apart the names in a conversion that was asked for once more.
    """
    if occurrence > 1 or again:
        whole = _OCCURRENCE.copy()
        whole.update(b"%b %d %b" % (content, occurrence, again))
        content = whole.digest()
    first, second = NAME.unpack_from(content)
    return first, second & _UNMARKED


def unmarked(name: Name) -> Name:
    """The name alone."""
    return name[0], name[1] & _UNMARKED


def batch_id_of(names: Iterable[Name]) -> str:
    """The id of the batch that is made of these requests, in this order.

    A UUIDv8 (RFC 9562, section 5.8: the layout is the application's own). As it depends on
    nothing else, a file that was written without its plan being known any more is still found.
    """
    whole = _BATCH.copy()
    for name in names:
        whole.update(NAME.pack(*unmarked(name)))
    return uuid_text(whole.digest()[:16], version=8)


class Occurrences:
    """How often each request was met so far, in 13 to 20 bytes for each different one.

    Tables of open addressing, because a ``dict`` takes eight times as much for the millions of
    small requests that a capture may hold. Requests are told apart by 64 bits: two different ones
    that agree in them (one run in a million with millions of requests) are numbered together,
    which makes no row go missing.
    """

    def __init__(self) -> None:
        self._hashes = [array("Q", bytes(8 * _FIRST_SLOTS)) for _ in range(_SHARDS)]
        self._counts = [bytearray(_FIRST_SLOTS) for _ in range(_SHARDS)]
        self._room = [int(_FIRST_SLOTS * _MOST_FULL)] * _SHARDS
        self._large: dict[int, int] = {}

    def count(self, content: bytes) -> int:
        """Note a request by its ``digest``; the how many-th of its kind it is, from 1 on."""
        value = _FIRST.unpack_from(content)[0] or 1  # 0 stands for an empty slot
        shard = value >> _SHARD_BITS
        hashes = self._hashes[shard]
        slots = len(hashes)
        slot = ((value & _IN_SHARD) * slots) >> _SHARD_BITS
        while found := hashes[slot]:
            if found == value:
                return self._one_more(shard, slot, value)
            slot += 1
            if slot == slots:
                slot = 0
        hashes[slot] = value
        self._counts[shard][slot] = 1
        self._room[shard] -= 1
        if not self._room[shard]:
            self._grow(shard)
        return 1

    def _one_more(self, shard: int, slot: int, value: int) -> int:
        counts = self._counts[shard]
        if counts[slot] < _COUNT_LIMIT:
            counts[slot] += 1
            return counts[slot]
        number = self._large.get(value, _COUNT_LIMIT) + 1
        self._large[value] = number
        return number

    def _grow(self, shard: int) -> None:
        before = self._hashes[shard]
        slots = int(len(before) * _GROWTH)
        hashes, counts = array("Q", bytes(8 * slots)), bytearray(slots)
        self._room[shard] = int(slots * _MOST_FULL) - int(len(before) * _MOST_FULL)
        for value, count in zip(before, self._counts[shard], strict=True):
            if value:
                slot = ((value & _IN_SHARD) * slots) >> _SHARD_BITS
                while hashes[slot]:
                    slot += 1
                    if slot == slots:
                        slot = 0
                hashes[slot], counts[slot] = value, count
        self._hashes[shard], self._counts[shard] = hashes, counts
