"""What an HTTP answer of a catalog means, as the three errors of a catalog.

Knows status codes and what services say with them. Must not know who sends requests.
"""

import json
import re
from typing import Final

from otlp2parquet.errors import (
    CatalogConflictError,
    CatalogError,
    CatalogRefusedError,
    CatalogUnavailableError,
)

THROTTLED: Final = re.compile(
    r"throttl|rate exceeded|too many requests|slow ?down|limit ?exceeded|request ?limit",
    re.IGNORECASE,
)
"""Glue says it with a 400."""

EXPIRED: Final = (401, 419)
"""A token that is not good any more, where it was before."""
_LATER: Final = frozenset({408, 419, 425, 429})
_CONFLICTS: Final = frozenset({404, 409})


def error_of(status: int, body: bytes, what: str) -> CatalogError:
    """The error that stands for an answer which is no success; ``what`` was asked."""
    text = f"{what}: found the status {status}, expected success: {words_in(body)}"
    if status in _CONFLICTS:
        return CatalogConflictError(text)
    is_refusal = 300 <= status < 500 and status not in _LATER  # noqa: PLR2004 - of HTTP
    if is_refusal and not THROTTLED.search(text):
        return CatalogRefusedError(text)
    return CatalogUnavailableError(text)


def words_in(body: bytes) -> str:
    """What an answer says in words."""
    try:
        error = json.loads(body)["error"]
        if isinstance(error, dict):
            return f"{error.get('type', '')}: {error.get('message', '')}"[:500]
    except (ValueError, KeyError, TypeError):
        pass
    return body[:500].decode(errors="replace")
