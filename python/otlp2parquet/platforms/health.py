"""Whether a platform lives: the page that probes and load balancers ask for.

Knows how a page of JSON is made. It must not know what a platform holds: that it answers is all
that this page says.
"""

import json
from collections.abc import Mapping
from typing import Final

from otlp2parquet.core.otlp_http import Response

PATH: Final = "/health"


def health(method: str) -> Response:
    """The page, or a 405 for who wants to change something."""
    if method not in ("GET", "HEAD"):
        return not_a_get()
    return json_page(200, {"status": "ok"})


def not_a_get() -> Response:
    """The answer to who does something else with a page than read it."""
    return json_page(405, {"error": "expected the method GET"}, (b"allow", b"GET, HEAD"))


def json_page(status: int, page: Mapping[str, object], *extra: tuple[bytes, bytes]) -> Response:
    """A page of JSON, with further header fields."""
    body = json.dumps(page).encode() + b"\n"
    head = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    return Response(status, (*head, *extra), body)
