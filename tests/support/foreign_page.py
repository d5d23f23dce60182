"""A page of another origin: a small server of static files on a port of its own.

Knows HTTP. Must not know what its scripts do. By several names of this machine (``127.0.0.1``,
``localhost``, anything below ``localhost``, which browsers lead to it) it is several origins.
"""

from __future__ import annotations

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>A shop</title>
<link rel="icon" href="data:,">
<script type="module" src="/script.js"></script>
<p>A shop.</p></html>
"""


@contextmanager
def foreign_page(script: bytes) -> Iterator[int]:
    """Serve a page that loads ``script``, on every path; the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """The page, or its script."""
            is_script = self.path == "/script.js"
            body = script if is_script else DOCUMENT
            self.send_response(200)
            kind = "text/javascript" if is_script else "text/html"
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing of it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
