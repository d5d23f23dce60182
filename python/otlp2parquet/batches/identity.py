"""The batch id: what every file of a batch is named by, and what makes a second try harmless.

A batch that comes from a live stream draws a new id (UUID version 7: time and randomness).
A batch that is converted from files derives its id from what was read (UUID version 8: ours),
so that the same input finds its own files again. Knows no files: callers bring the bytes.
"""

import struct
from collections.abc import Iterable, Mapping
from hashlib import sha256

from otlp2parquet.batch_id import new_batch_id, uuid_text

__all__ = ["ContentHash", "content_batch_id", "new_batch_id"]


class ContentHash:
    """A running hash over all requests read so far, in order, and the options in force.

    A chunk's identity is the state of this hash at its end. So it depends on every byte
    before it too: two equal chunks at different places of one input are different batches.
    """

    def __init__(self, options: Mapping[str, object]) -> None:
        self._hash = sha256(repr(sorted(options.items())).encode())

    def add(self, signal: str, payload: bytes) -> None:
        """Take in one request; its length goes first, so that no two sequences look alike."""
        self._hash.update(struct.pack(">7sQ", signal.encode(), len(payload)))
        self._hash.update(payload)

    def digest(self) -> bytes:
        """32 bytes that stand for everything added until now."""
        return self._hash.copy().digest()


def content_batch_id(content: bytes, part: int, undated: Iterable[tuple[int, int]]) -> str:
    """The id of part ``part`` of the chunk whose ``ContentHash.digest()`` is ``content``.

    ``undated`` holds (place in the chunk, receive time in ns) of just those requests whose
    rows took the receive time as their Timestamp: only there does it change what is stored.
    UUIDv8 (RFC 9562, section 5.8: the layout is the application's own).
    """
    whole = sha256(content)
    whole.update(struct.pack(">Q", part))
    for place, received_at in undated:
        whole.update(struct.pack(">QQ", place, received_at))
    return uuid_text(whole.digest()[:16], version=8)
