"""Bytes in text: hex for ids, base64 for everything else."""

import re
from binascii import a2b_base64
from typing import Final

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*")
_HEX: Final = re.compile(rb"[0-9a-fA-F]*")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


def from_base64(text: bytes) -> bytes | None:
    """The bytes of "base64, standard or URL-safe alphabet, padding optional"."""
    if len(text) % 4 == 0:
        text = text[:-2] if text.endswith(b"==") else text.removesuffix(b"=")
    text = text.translate(_URL_SAFE)
    if len(text) % 4 == 1 or not _BASE64.fullmatch(text):
        return None
    return a2b_base64(text + b"=" * (-len(text) % 4))


def from_hex(text: bytes) -> bytes | None:
    """The bytes of hex digits, two for each."""
    if len(text) % 2 or not _HEX.fullmatch(text):
        return None
    return bytes.fromhex(text.decode())


def describe_id(text: bytes) -> str:
    """What an id is that is not hex, without repeating it."""
    if _HEX.fullmatch(text):
        return f"an odd number of hex digits ({len(text)})"
    raw = from_base64(text)
    if raw is None:
        return f"{len(text)} bytes of text that are neither hex nor base64"
    if text.endswith(b"="):
        return f"what looks like base64 of {len(raw)} bytes"
    return f"what may be base64 of {len(raw)} bytes without padding"
