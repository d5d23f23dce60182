"""What is counted while a text is read, and where what is kept of it begins.

Knows neither JSON nor protobuf.
"""

from typing import NamedTuple

RECORDS, REJECTED, EMPTY_GROUPS, BASE64_IDS, UNKNOWN_VALUES = range(5)
Tally = tuple[int, ...]
"""Records, those left out included; records left out; resources, scopes and metrics left out that
had no records to count; ids given in base64; values that have members, of which none is known."""


class Mark(NamedTuple):
    """Where a kept resource, scope, metric or record begins, in the bytes and in the text."""

    out: int
    text: int
    level: int
    """How many lists of resources, scopes, metrics and records it stands in."""


def since(tally: list[int], before: Tally) -> Tally:
    """What was counted since ``before``."""
    return tuple(now - then for now, then in zip(tally, before, strict=True))


def mark_out(mark: Mark) -> int:
    """Where it is in the bytes."""
    return mark.out


def mark_text(mark: Mark) -> int:
    """Where it is in the text."""
    return mark.text
