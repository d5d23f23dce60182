"""Where a byte of JSON text stands: the keys that lead to it, as OTLP names them.

Off the usual way, by a second walk: one, however deep the place is and whatever stands before it.
Keys that OTLP does not know are never named: they are the sender's own text.
"""

from contextlib import suppress
from typing import Final

from otlp2parquet.core.pure.fields import DESCRIPTORS, Descriptor
from otlp2parquet.core.pure.otlp_json.fault import JsonMalformedError
from otlp2parquet.core.pure.otlp_json.reader import (
    COMMA,
    END_LIST,
    END_OBJECT,
    LIST,
    OBJECT,
    QUOTE,
    Reader,
)

Kind = tuple[str, str]
"""How a value is written, and of which message."""

_MOST_FRAMES: Final = 512
"""Deeper than this the walk passes over values: what OTLP allows ends long before."""

_ITEMS: Final = ("Texts", "Doubles", "Uint64s", "Fixed64s")


class _Frame:
    """An object or list that the walk is inside of."""

    def __init__(self, message: Descriptor | None, items: Kind | None) -> None:
        self.message = message
        """Of an object."""
        self.items = items
        """What the items of a list are."""
        self.name: str | None = None
        """The member at hand of an object."""
        self.index = 0
        """The item at hand of a list."""


def locate(message: Descriptor, text: bytes, start: int, at: int) -> str:
    """The path of the innermost known field whose value holds ``at``; ``start`` begins it all."""
    frames: list[_Frame] = []
    # Where the text breaks off, what the place is inside of is known so far.
    with suppress(JsonMalformedError):
        _walk(Reader(text, start), message, at, frames)
    path = ""
    for frame in frames:
        if frame.message is None:
            path += f"[{frame.index}]"
        elif frame.name is not None:
            path += f".{frame.name}" if path else frame.name
    return path


def _walk(reader: Reader, message: Descriptor, at: int, frames: list[_Frame]) -> None:
    """Walk to the place; what it is inside of then is in ``frames``."""
    kind: Kind | None = ("Message", message.name)
    while True:
        # A value is at hand. Those that begin at the place or behind it are not gone into.
        reader.peek()
        is_entered = reader.at < at and len(frames) < _MOST_FRAMES
        frame = _frame_of(kind, reader.byte()) if kind and is_entered else None
        if frame is not None:
            reader.at += 1
            if reader.peek() not in (END_OBJECT, END_LIST):
                frames.append(frame)
                begun = _begin(reader, frames, at)
                if begun is None:
                    return
                kind = begun[0]
                continue
            reader.at += 1
        else:
            reader.skip_value()
        # A value ended: the place was in it, or the walk goes on behind it.
        while True:
            if reader.at > at:
                return
            byte = reader.peek()
            if not frames:
                return
            if byte == COMMA:
                if frames[-1].message is None:
                    frames[-1].index += 1
                break
            if byte not in (END_OBJECT, END_LIST):
                _step_out(frames)
                return
            reader.at += 1
            if reader.at > at:
                _step_out(frames)
                return
            frames.pop()
        reader.at += 1
        begun = _begin(reader, frames, at)
        if begun is None:
            return
        kind = begun[0]


def _step_out(frames: list[_Frame]) -> None:
    """The place is behind the member or item at hand, in what holds it."""
    if frames and frames[-1].message is not None:
        frames[-1].name = None
    elif frames:
        frames.pop()


def _begin(reader: Reader, frames: list[_Frame], at: int) -> tuple[Kind | None] | None:
    """Go up to the next value of the innermost frame; gives its kind, if it has a name."""
    frame = frames[-1]
    if frame.message is None:
        return (frame.items,)
    frame.name = None
    reader.peek()
    if reader.at > at or reader.byte() != QUOTE:
        return None
    key = reader.read_string()
    reader.read_colon()
    reader.peek()
    field = frame.message.by_key.get(key)
    # A place in the key is the object's.
    frame.name = field.name if field is not None and reader.at <= at else None
    return ((field.kind, field.of) if field is not None else None,)


def _frame_of(kind: Kind, first: int) -> _Frame | None:
    """What a value of a kind is gone into as, if it begins as such a value does."""
    how, of = kind
    if how in ("Message", "Old") and first == OBJECT:
        return _Frame(DESCRIPTORS[of], None)
    if how in ("Messages", "Records", "Groups") and first == LIST:
        return _Frame(None, ("Message", of))
    if how in _ITEMS and first == LIST:
        return _Frame(None, ("Text", ""))
    return None
