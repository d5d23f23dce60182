"""What ``/`` answers: the page to a browser, an index of the endpoints to all others.

Knows the paths that there are and the header field Accept. It must not know what is received: the
page asks for that itself, with a token where one is wanted, so the document is open to everybody.
"""

from collections.abc import Iterable
from typing import Any, Final

from otlp2parquet.core.otlp_http import PATHS, Response
from otlp2parquet.platforms.health import json_page
from otlp2parquet.platforms.server.page.document import document
from otlp2parquet.version import __version__

PATH: Final = "/"

HOW_TO_TURN_ON: Final = (
    "the page is off: otlp2parquet dev has it on, and serve with server.page = true "
    "(OTLP2PARQUET_SERVER_PAGE=true)"
)

_GUARDS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
    (b"vary", b"accept"),
)


class Home:
    """The page at ``/`` of one server."""

    def __init__(self, *, has_page: bool, has_tokens: bool, path_prefix: str = "") -> None:
        self._has_page = has_page
        self._has_tokens = has_tokens
        self._path_prefix = path_prefix
        self.grpc_address = ""
        """Where OTLP/gRPC is taken; empty where it is not."""

    def answer(
        self, headers: Iterable[tuple[bytes, bytes]], *, to_stranger: bool = False
    ) -> Response:
        """The response to a GET: a browser gets the page, if there is one, or a text."""
        accepted = b",".join(value for name, value in headers if name == b"accept").lower()
        if b"text/html" not in accepted:
            return json_page(200, self._index(to_stranger=to_stranger), *_GUARDS)
        if self._has_page:
            body, policy = document()
            return _page(b"text/html", body, (b"content-security-policy", policy.encode()))
        index = self._index(to_stranger=to_stranger)
        width = max(map(len, index["endpoints"]))
        lines = [f"{path:{width}}  {what}" for path, what in index["endpoints"].items()]
        text = "\n".join(["otlp2parquet", "", *lines, "", HOW_TO_TURN_ON, ""])
        return _page(b"text/plain", text.encode())

    def _index(self, *, to_stranger: bool) -> dict[str, Any]:
        index: dict[str, Any] = {"name": "otlp2parquet"}
        if not to_stranger:
            index["version"] = __version__
        below = {
            path: f"POST: OTLP/HTTP {signal}, as protobuf or JSON" for path, signal in PATHS.items()
        }
        below["/health"] = "GET: whether the server lives"
        below["/ready"] = "GET: whether it takes requests, and why not"
        below["/metrics"] = "GET: its own metrics, for Prometheus"
        below["/flush"] = "POST: have what is open stored, and wait until it is"
        if self._has_page:
            below["/live"] = "GET: what is received, as server-sent events"
        endpoints = {f"{self._path_prefix}{path}": what for path, what in below.items()}
        index["endpoints"] = endpoints
        index["grpc"] = self.grpc_address or None
        index["tokens"] = self._has_tokens
        index["page"] = "on, for a browser" if self._has_page else HOW_TO_TURN_ON
        return index


def _page(kind: bytes, body: bytes, *extra: tuple[bytes, bytes]) -> Response:
    head = (
        (b"content-type", kind + b"; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    )
    return Response(200, (*head, *extra, *_GUARDS), body)
