"""The batch id: what every file of a batch is named by, and what makes a second try harmless.

A batch that comes from a live stream draws a new id (UUID version 7: time and randomness).
A batch that is converted from files derives its id from what was read (UUID version 8: ours),
so that the same input finds its own files again. Knows no files: callers bring the bytes.
"""

import secrets
import struct
import time
import uuid
from collections.abc import Iterable, Mapping
from hashlib import sha256


def new_batch_id() -> str:
    """A fresh id: UUIDv7 (RFC 9562, section 5.7), milliseconds since the epoch, then random."""
    milliseconds = time.time_ns() // 1_000_000
    return _uuid_text(milliseconds.to_bytes(6, "big") + secrets.token_bytes(10), version=7)


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
    return _uuid_text(whole.digest()[:16], version=8)


def _uuid_text(sixteen: bytes, version: int) -> str:
    """The 16 bytes with version and variant bits set, in the usual text form.

    ``uuid.UUID(version=…)`` knows version 8 only from Python 3.14 on.
    """
    octets = bytearray(sixteen)
    octets[6] = (octets[6] & 0x0F) | (version << 4)
    octets[8] = (octets[8] & 0x3F) | 0x80
    return str(uuid.UUID(bytes=bytes(octets)))
