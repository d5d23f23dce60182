"""Protobuf written front to back: a length is set aside before a message and filled in after it."""

from otlp2parquet.core.pure.wire import varint


def push_len(out: bytearray, tag: bytes, raw: bytes) -> None:
    """Append a tag and a length-delimited value."""
    out += tag
    out += varint(len(raw))
    out += raw


def begin(out: bytearray, tag: bytes, length_bytes: int) -> int:
    """Set ``length_bytes`` aside for the length of a message that follows; gives its begin."""
    out += tag
    out += bytes(length_bytes)
    return len(out)


def end(out: bytearray, start: int, length_bytes: int) -> None:
    """Fill in the length of the message that ends here.

    In the bytes set aside, even where fewer would do: readers take lengths of up to five bytes. A
    message too long for them is moved.
    """
    length = len(out) - start
    needed = max(length_bytes, (length.bit_length() + 6) // 7)
    out[start - length_bytes : start] = bytes(
        length >> 7 * at & 0x7F | (0x80 if at < needed - 1 else 0) for at in range(needed)
    )
