"""Repetition and definition levels: where a value is null, and where a list begins and ends.

Knows how the columns of the tables are nested: not at all, or a required list of optional items.
"""

from collections.abc import Callable, Sequence

from otlp2parquet.writers.hybrid import hybrid, repeated

Given = Callable[[], bytes]
"""Makes a byte for each value or item: 0 for a null, 1 for any other."""


def with_length(written: bytes) -> bytes:
    """Levels in a data page of version 1: "length of encoded-data in bytes", 4 bytes, before."""
    return len(written).to_bytes(4, "little") + written


def optional_levels(count: int, nulls: int, given: Given) -> bytes:
    """Levels of ``count`` values that may be null."""
    if nulls in (0, count):
        return with_length(repeated(0 if nulls else 1, count))
    return with_length(hybrid(given(), 1))


def list_levels(lengths: Sequence[int], nulls: int, given: Given) -> tuple[int, bytes]:
    """How many levels rows with lists of these lengths have, and the levels.

    Definition: 0 for an empty list, 1 for a null item, 2 for any other. Repetition: 0 where a row
    begins, 1 for any item but the first.
    """
    different = set(lengths)
    if different == {0}:
        nothing = with_length(repeated(0, len(lengths)))
        return len(lengths), nothing + nothing
    begins = {length: b"\0" + b"\1" * (length - 1) for length in different}
    repetition = b"".join(map(begins.__getitem__, lengths))
    filled = {length: b"\2" * length or b"\0" for length in different}
    definition = b"".join(map(filled.__getitem__, lengths))
    if nulls:
        items = iter(given())
        definition = bytes([level and 1 + next(items) for level in definition])
    return len(repetition), with_length(hybrid(repetition, 1)) + with_length(hybrid(definition, 2))
