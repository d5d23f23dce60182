"""Numbers of OTLP/JSON: as JSON numbers or as strings of the same spelling, and exact.

"64-bit integers: strings or numbers; ``1.0`` and ``"1e3"`` are integers too." A double's digits
never pass through another type. Texts here follow the grammar of a JSON number.
"""

import re
from math import isfinite
from typing import Final

_PARTS: Final = re.compile(rb"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")

_MOST_DIGITS: Final = 20
"""2^64 has so many."""


def exact_integer(text: bytes) -> int | None:
    """The integer that a number is, if it is one; None also beyond 64 bits and a sign."""
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction, exponent_sign, exponent_digits = match.groups(b"")
    significant = (whole + fraction).lstrip(b"0")
    if not significant:
        return 0
    digits = significant.rstrip(b"0")
    # What cannot matter any more of an exponent is cut off.
    exponent = exponent_digits.lstrip(b"0")
    power = int(exponent or b"0") if len(exponent) <= 18 else 10**18
    power = -power if exponent_sign == b"-" else power
    scale = power - len(fraction) + len(significant) - len(digits)
    if scale < 0 or scale + len(digits) > _MOST_DIGITS:
        return None
    value: int = int(digits) * 10**scale
    return -value if sign else value


def nearest_double(text: bytes) -> float | None:
    """The double nearest to a number; None beyond a double's range."""
    value = float(text)
    return value if isfinite(value) else None
