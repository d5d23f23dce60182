"""Text as the tables hold it: UTF-8 made valid, JSON strings, hex ids, base64, numbers.

The spelling rules are those of "AnyValue as JSON text" in docs/schema.md: the same text from every
decoder. Knows bytes and numbers and no message.
"""

import binascii
from json.encoder import encode_basestring
from math import isfinite, isnan
from typing import Any, Final

__all__ = ["base64", "json_bytes", "mended", "quoted", "scalar", "spelled", "utf8_bytes"]

_REPLACEMENT: Final = "\ufffd"
_REPLACEMENT_BYTES: Final = _REPLACEMENT.encode()
_SHORT_ESCAPES: Final = b'"\\\b\f\n\r\t'
_OTHER_CONTROLS: Final = bytes(c for c in range(0x20) if c not in _SHORT_ESCAPES)
_BEYOND_ASCII: Final = bytes(range(0x80, 0x100))

quoted = encode_basestring
"""A JSON string: short escapes, other control characters as ``\\u00xx``, all else as it is."""


def mended(raw: bytes) -> tuple[str, int]:
    """Text made valid, and how many invalid parts of it became U+FFFD.

    "Each maximal invalid part becomes one U+FFFD", as Unicode recommends and Python does.
    """
    text = raw.decode(errors="replace")
    # A valid U+FFFD begins with a byte that can be no continuation, so it is always found as such.
    return text, text.count(_REPLACEMENT) - raw.count(_REPLACEMENT_BYTES)


def utf8_bytes(text: str) -> int:
    """How many bytes a text takes."""
    return len(text) if text.isascii() else len(text.encode())


def json_bytes(raw: bytes, *, is_valid: bool) -> int:
    """The most bytes that the JSON string of a text takes."""

    def count(of: bytes) -> int:
        return len(raw) - len(raw.translate(None, of))

    beyond = 0 if is_valid else 2 * count(_BEYOND_ASCII)
    return 2 + len(raw) + count(_SHORT_ESCAPES) + 5 * count(_OTHER_CONTROLS) + beyond


def scalar(kind: str, content: Any) -> str:
    """The JSON text of an integer, a boolean or a double."""
    if kind == "int":
        return str(content)
    if kind == "bool":
        return "true" if content else "false"
    text, is_number = spelled(content)
    return text if is_number else f'{{"doubleValue":{text}}}'


def base64(raw: bytes) -> str:
    """A JSON string of standard base64."""
    return f'"{binascii.b2a_base64(raw, newline=False).decode()}"'


def spelled(value: float) -> tuple[str, bool]:
    """A double as ryu spells it, and whether that is a number: others are names in quotes."""
    text = repr(value)
    if "e" not in text:
        if isfinite(value):
            return text, True
        return ('"NaN"' if isnan(value) else f'"{"-" * (value < 0)}Infinity"'), False
    mantissa, _, exponent = text.partition("e")
    power = int(exponent)
    if power != -5:
        return f"{mantissa}e{power}", True
    # Python goes over to exponents one place earlier than ryu.
    sign, digits = ("-", mantissa[1:]) if mantissa[0] == "-" else ("", mantissa)
    return f"{sign}0.0000{digits.replace('.', '')}", True
