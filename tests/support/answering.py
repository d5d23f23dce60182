"""A small HTTP server whose answers a test scripts: it stands for services that give credentials.

Knows HTTP. Must not know who asks, nor what an identity is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Question:
    """A request; the names of its header's fields are in lower case."""

    method: str
    path: str
    fields: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    body: str = ""
    status: int = 200
    fields: Mapping[str, str] = field(default_factory=dict)


class Answering:
    """A running server on 127.0.0.1; ``answer`` makes each reply, ``asked`` has all requests."""

    def __init__(
        self, answer: Callable[[Question], Reply], tls: ssl.SSLContext | None = None
    ) -> None:
        self.answer = answer
        self.asked: list[Question] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                fields = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(fields.get("content-length") or 0))
                question = Question(self.command, self.path, fields, body)
                server.asked.append(question)
                reply = server.answer(question)
                content = b"" if self.command == "HEAD" else reply.body.encode()
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(content)), **reply.fields}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - its words

            def log_message(self, *_: Any) -> None:
                """It says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.endpoint = f"{scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
