"""What stands in front of a function on AWS: an HTTP server that makes events of requests.

Knows HTTP and the events of a Function URL. Must not know the function: it is given a call.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from tests.support.lambda_events import function_url, response_of

if TYPE_CHECKING:
    from collections.abc import Callable


class FunctionFront:
    """A Function URL on 127.0.0.1; one request at a time, as one environment has them."""

    def __init__(self, call: Callable[[dict[str, Any]], Any]) -> None:
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                headers = [(n.lower().encode(), v.encode()) for n, v in self.headers.items()]
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with lock:
                    result = call(function_url(self.command, self.path, headers, body))
                # An error of the function is a 502 there.
                response = response_of(result) if "statusCode" in result else None
                self.send_response(502 if response is None else response.status)
                for name, value in () if response is None else response.headers:
                    self.send_header(name.decode(), value.decode())
                if response is None:
                    self.send_header("Content-Length", "0")
                self.end_headers()
                if response is not None:
                    self.wfile.write(response.body)

            do_GET = do_POST = _any  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
