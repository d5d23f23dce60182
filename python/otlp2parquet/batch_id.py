"""A fresh batch id: what every file of a batch is named by.

Knows the clock and randomness, and no file. What an id looks like is checked in ``core.files``.
"""

import secrets
import time
import uuid


def new_batch_id() -> str:
    """A fresh id: UUIDv7 (RFC 9562, section 5.7), milliseconds since the epoch, then random."""
    milliseconds = time.time_ns() // 1_000_000
    return uuid_text(milliseconds.to_bytes(6, "big") + secrets.token_bytes(10), version=7)


def uuid_text(sixteen: bytes, version: int) -> str:
    """The 16 bytes with version and variant bits set, in the usual text form.

    ``uuid.UUID(version=…)`` knows version 8 only from Python 3.14 on.
    """
    octets = bytearray(sixteen)
    octets[6] = (octets[6] & 0x0F) | (version << 4)
    octets[8] = (octets[8] & 0x3F) | 0x80
    return str(uuid.UUID(bytes=bytes(octets)))
