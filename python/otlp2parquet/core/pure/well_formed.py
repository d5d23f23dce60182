"""Whether bytes are a well-formed message, and where they are not, by a walk along descriptors.

The readers of records notice that something is wrong and not where; and what they have no use for
(a rejected record, the loser of a ``oneof``) must be well-formed all the same. Both ask here, once
a request. They accept exactly what ``check`` accepts; tests compare both with the official parser.
"""

from otlp2parquet.core.pure import error
from otlp2parquet.core.pure.error import MalformedError
from otlp2parquet.core.pure.fields import Descriptor
from otlp2parquet.core.pure.wire import read_len, read_tag, read_varint, skip


def check(message: Descriptor, data: bytes, at: int, stop: int, depth: int) -> None:
    """Raise ``MalformedError`` with its path; deeper than ``depth`` nothing is looked into."""
    start = at
    by_tag = message.by_tag
    while at < stop:
        tag, at = read_tag(data, at, stop)
        field = by_tag.get(tag) if tag & 7 == 2 else None
        if field is None:
            at = skip(data, tag, at, stop)
            continue
        value, at = read_len(data, at, stop)
        inner = field.message
        try:
            if inner is not None:
                left = depth - inner[0].nests
                if left >= 0:
                    check(inner[0], data, value, at, left)
            elif field.kind in ("Fixed64s", "Doubles"):
                if (at - value) % 8:
                    raise MalformedError(value, error.PACKED_LENGTH)  # noqa: TRY301 - placed below
            elif field.kind == "Uint64s":
                packed = value
                while packed < at:
                    packed = read_varint(data, packed, at)[1]
        except MalformedError as broken:
            step = field.snake
            if inner is not None and inner[1]:
                step = f"{step}[{count_before(data, start, value, tag)}]"
            broken.path = f"{step}.{broken.path}" if broken.path else step
            raise


def count_before(data: bytes, at: int, value: int, tag: int) -> int:
    """How many fields with this tag stand in a message before the one whose value begins there."""
    count = 0
    while True:
        found, at = read_tag(data, at, value)
        if found != tag:
            at = skip(data, found, at, value)
            continue
        # The value's own length ends where the value begins, so no end is known for it here.
        start, end = read_len(data, at, len(data))
        if start == value:
            return count
        count, at = count + 1, end
