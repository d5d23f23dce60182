"""The lines of a text, however long: what is over the limit comes in pieces.

Knows line breaks. Holds no more of a line than the limit and a block. Blocks of nothing but blanks
and NULs, which a rotation that truncates may leave before a line, are passed over.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from otlp2parquet.captures.source import Source, TornError

BLANK: Final = b" \t\r\n\0\x1e"
"""What may stand before and behind a request: white space, what a rotation that truncates leaves,
and the separator of RFC 7464."""


class Piece(NamedTuple):
    """A line or a part of one, without the line break; ``offset`` is where it begins."""

    offset: int
    text: bytes
    starts: bool = True
    """Whether the line begins here."""
    ends: bool = True
    """Whether the line ends here."""


def lines(source: Source, limit: int) -> Iterator[Piece]:
    """The lines of ``source``. A break in it is raised behind what came before it."""
    kept: list[bytes] = []
    size, starts = 0, True
    begin = source.offset
    while True:
        try:
            block = source.some()
        except TornError:
            if kept:
                yield Piece(begin, b"".join(kept), starts, ends=False)
            raise
        if not block:
            break
        at = 0
        while (end := block.find(b"\n", at)) >= 0:
            kept.append(block[at:end])
            size += end - at
            yield Piece(begin, b"".join(kept), starts)
            kept.clear()
            begin += size + 1
            size, starts, at = 0, True, end + 1
        rest = block[at:] if at else block
        if not size and not rest.strip(BLANK):
            begin += len(rest)
            continue
        kept.append(rest)
        size += len(rest)
        if size > limit:
            yield Piece(begin, b"".join(kept), starts, ends=False)
            kept.clear()
            begin += size
            size, starts = 0, False
    if kept or not starts:
        yield Piece(begin, b"".join(kept), starts)
