"""The values of a column chunk, of which pages take parts: plain, or as places in a dictionary.

Knows encodings and what nulls mean to them. It must not know rows, lists or pages: values are
those of the column, or the items of its lists, one after another.
"""

import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from otlp2parquet.core.pure.schema import Type
from otlp2parquet.writers import columns
from otlp2parquet.writers.hybrid import bit_width, hybrid
from otlp2parquet.writers.plain import plain

_NULL: Final = 255
"""Stands for a null among places in a dictionary of fewer entries."""
_IS_GIVEN: Final = bytes([*[1] * _NULL, 0])


class Part(NamedTuple):
    """Some of the values, encoded."""

    content: bytes
    num_given: int
    """Without nulls."""
    given: Callable[[], bytes]
    """A byte for each value: 0 for a null, 1 for any other."""
    distinct: Callable[[], Sequence[Any]]
    """All values but nulls; those that are there more than once may be there once."""


class Values(Protocol):
    """Values of one column, in one of the encodings."""

    dictionary: bytes | None
    """The entries of the dictionary, as its page has them."""
    num_entries: int

    def part(self, start: int, stop: int) -> Part:
        """The values from one place to another."""
        ...


class PlainValues:
    """Values that are written as they are."""

    dictionary: bytes | None = None
    num_entries = 0

    def __init__(self, kind: Type, values: Sequence[Any], *, is_nullable: bool) -> None:
        self._kind = kind
        self._values = values
        self._is_nullable = is_nullable

    def part(self, start: int, stop: int) -> Part:
        """See ``Values``. A null where there may be none is an error of ``plain``."""
        values = self._values[start:stop]
        given = [value for value in values if value is not None] if self._is_nullable else values
        return Part(
            plain(self._kind, given),
            len(given),
            lambda: bytes([value is not None for value in values]),
            lambda: given,
        )


class DictionaryValues:
    """Values that are written as places of the entries of a dictionary."""

    def __init__(self, dictionary: bytes, entries: Sequence[Any], places: Sequence[int]) -> None:
        """A null has the place ``_NULL`` where places are bytes, and -1 where they are not."""
        self.dictionary: bytes | None = dictionary
        self.num_entries = len(entries)
        self._entries = entries
        self._places = places
        self._width = bit_width(len(entries) - 1)

    def part(self, start: int, stop: int) -> Part:
        """See ``Values``."""
        places = self._places[start:stop]
        numbers: Sequence[int]
        if isinstance(places, bytes):
            numbers = places.translate(None, bytes((_NULL,)))
        else:
            numbers = [place for place in places if place >= 0]
        # "the bit width used to encode the entry ids stored as 1 byte", then the hybrid
        return Part(
            bytes((self._width,)) + hybrid(numbers, self._width),
            len(numbers),
            lambda: _given(places),
            lambda: [self._entries[place] for place in set(numbers)],
        )


def _given(places: Sequence[int]) -> bytes:
    if isinstance(places, bytes):
        return places.translate(_IS_GIVEN)
    return bytes([place >= 0 for place in places])


def with_dictionary(
    kind: Type, values: Sequence[Any], *, is_nullable: bool
) -> DictionaryValues | None:
    """The values with a dictionary if that pays: if entries are there twice, on the whole.

    Past ``DICTIONARY_BYTES`` there is none: readers keep all of it in memory.
    """
    # Zeros of both signs are equal, and no NaN is: of doubles the bits are told apart.
    keys: Sequence[Any] = _bits_of(values) if kind == "double" else values
    places = dict.fromkeys(keys, -1)
    if None in places:
        if not is_nullable:
            raise TypeError("a null where there may be none")
        del places[None]
    if not places or 2 * len(places) > len(values):
        return None
    entries: Sequence[Any] = list(places)
    dictionary = plain("int64" if kind == "double" else kind, entries)
    if len(dictionary) > columns.DICTIONARY_BYTES:
        return None
    places.update(zip(entries, range(len(entries)), strict=True))
    small = len(entries) <= _NULL
    places[None] = _NULL if small else -1
    numbers = map(places.__getitem__, keys)
    if kind == "double":
        entries = struct.unpack(f"<{len(entries)}d", dictionary)
    return DictionaryValues(dictionary, entries, bytes(numbers) if small else list(numbers))


def _bits_of(values: Sequence[float | None]) -> list[int | None]:
    """Doubles as the integers that have the same bits."""
    given = [value for value in values if value is not None]
    bits: list[int | None] = list(array("q", struct.pack(f"={len(given)}d", *given)))
    if len(given) == len(values):
        return bits
    rest = iter(bits)
    return [None if value is None else next(rest) for value in values]
