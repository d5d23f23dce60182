"""Whether a line does anything on a terminal but show its characters."""

from __future__ import annotations

import unicodedata


def is_harmless(line: str) -> bool:
    """Whether a line only shows characters, in their order and on their own line."""
    return all(
        unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
        for character in line
    )
