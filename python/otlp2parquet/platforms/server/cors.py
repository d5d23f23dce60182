"""Cross-origin requests: which web pages may send from a browser, and how a browser is told.

Knows the header fields of the Fetch standard's CORS protocol. It must not know what is sent.
Without it a browser lets no page send: OTLP's content types need a preflight, and nobody answers.
"""

import re
from collections.abc import Iterable
from typing import Final

from otlp2parquet.config import CorsConfig
from otlp2parquet.core.otlp_http import Response

Headers = Iterable[tuple[bytes, bytes]]

ALWAYS_ALLOWED: Final = ("authorization", "content-encoding", "content-type", "x-api-key")
"""Header fields that OTLP exporters send and browsers ask about."""

NO_CONTENT: Final = 204


class Cors:
    """The rules of one configuration."""

    def __init__(self, config: CorsConfig) -> None:
        self._everybody = "*" in config.allowed_origins
        self._allowed = re.compile("|".join(map(_pattern, config.allowed_origins)).encode())
        names = [name.lower() for name in config.allowed_headers]
        self._allowed_headers = ", ".join(dict.fromkeys((*ALWAYS_ALLOWED, *names))).encode()
        self._max_age = b"%d" % config.max_age_secs

    def preflight(self, method: str, headers: Headers) -> Response | None:
        """The answer to a preflight of an allowed page; None for everything else."""
        fields = dict(headers)
        if method != "OPTIONS" or b"access-control-request-method" not in fields:
            return None
        allowed = self.fields(headers)
        if not allowed:
            return None
        return Response(
            NO_CONTENT,
            (
                *allowed,
                (b"access-control-allow-methods", b"POST"),
                (b"access-control-allow-headers", self._allowed_headers),
                (b"access-control-max-age", self._max_age),
            ),
            b"",
        )

    def fields(self, headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
        """What the answer to an allowed page carries besides; nothing for others.

        Browsers send with credentials where a page uses ``sendBeacon``, and then take no answer
        whose allowed origin is ``*``: the page's own is given back.
        """
        origin = dict(headers).get(b"origin")
        if not origin or not (self._everybody or self._allowed.fullmatch(origin.lower())):
            return ()
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            # When to come again is the one thing that a client reads and a browser hides.
            (b"access-control-expose-headers", b"retry-after"),
            (b"vary", b"origin"),
        )


def _pattern(origin: str) -> str:
    """An allowed origin as a regular expression for the origins of pages.

    A ``*`` before the host's first point or instead of the host stands for one name or more, as the
    port for any port or none.
    """
    scheme, slashes, rest = origin.lower().rstrip("/").partition("://")
    if not slashes:
        return re.escape(origin.lower())
    host, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
    if not colon:
        host, port = rest, ""
    any_names = r"[a-z0-9_-]+(\.[a-z0-9_-]+)*"
    name = any_names + re.escape(host[1:]) if host.startswith("*") else re.escape(host)
    end = r"(:\d+)?" if port == "*" else re.escape(colon + port)
    return re.escape(f"{scheme}://") + name + end
